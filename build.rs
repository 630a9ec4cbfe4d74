//! Tells the binary which commit it was built from: `GATEWAY_GIT_SHA` if set (a container build), else git's word.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=GATEWAY_GIT_SHA");
    println!("cargo::rerun-if-changed=.git/HEAD");
    println!("cargo::rerun-if-changed=.git/logs/HEAD");
    let sha = std::env::var("GATEWAY_GIT_SHA").ok().or_else(git_sha).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=GATEWAY_GIT_SHA={sha}");
}

fn git_sha() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "HEAD"]).output().ok()?;
    let sha = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| sha.trim().to_owned())
}
