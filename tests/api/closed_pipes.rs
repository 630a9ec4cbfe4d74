//! A command whose reader is gone, or whose result has no room.

use std::{
    fs::{self, File},
    io,
    process::{Output, Stdio},
};

use tempfile::TempDir;

use crate::support::{gateway::create_key, process::command};

/// Every command that prints, with an exit status of each kind.
const COMMANDS: [&[&str]; 19] = [
    &["--help"],
    &["keys", "create", "--help"],
    &["--version"],
    &["no-such-command"],
    &["keys", "list"],
    &["keys", "list", "--format", "json"],
    &["keys", "prune"],
    &["keys", "revoke", "nobody"],
    &["routes"],
    &["routes", "--format", "json"],
    &["explain", "--path", "/api/mlflow/api/2.0/mlflow/runs/get"],
    &["check"],
    &["audit", "verify", "audit.jsonl"],
    &["audit", "verify", "/nowhere"],
    &["healthcheck"],
    &["owners", "list", "--url", "http://127.0.0.1:2"],
    &["owners", "set", "ada", "--models", "*", "--url", "http://127.0.0.1:2"],
    &["completions", "bash"],
    &["man"],
];

/// The one with a result so long that a pipe does not hold it.
const LONG: [&str; 3] = ["routes", "--format", "json"];

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    create_key(&folder.path().join("keys.toml"), "ada", None);
    fs::write(folder.path().join("audit.jsonl"), "not a line of an audit stream\n".repeat(200)).unwrap();
    folder
}

fn run(folder: &TempDir, arguments: &[&str], out: Stdio, errors: Stdio) -> Output {
    let mut command = command(folder.path());
    command.args(arguments).env("MLFLOW_SERVER_URL", "http://127.0.0.1:2").stdout(out).stderr(errors);
    command.env("HOKUSAI__SERVER__BIND", "127.0.0.1:1").spawn().unwrap().wait_with_output().unwrap()
}

/// Where nobody reads.
fn closed() -> Stdio {
    io::pipe().unwrap().1.into()
}

#[test]
fn no_command_minds_that_its_reader_is_gone() {
    let folder = folder();
    for arguments in COMMANDS {
        let whole = run(&folder, arguments, Stdio::piped(), Stdio::piped());
        let (out_gone, errors_gone) = (
            run(&folder, arguments, closed(), Stdio::piped()),
            run(&folder, arguments, Stdio::piped(), closed()),
        );
        for ended in [&out_gone, &errors_gone] {
            assert_eq!(ended.status.code(), whole.status.code(), "{arguments:?}: {ended:?}");
        }
        assert_eq!(
            String::from_utf8_lossy(&out_gone.stderr),
            String::from_utf8_lossy(&whole.stderr),
            "{arguments:?} says something of it"
        );
        assert_eq!(errors_gone.stdout, whole.stdout, "{arguments:?}");
    }
}

#[test]
fn a_reader_that_goes_in_the_middle_is_as_little_minded() {
    let folder = folder();
    let mut child =
        command(folder.path()).args(LONG).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut some = [0; 10];
    io::Read::read_exact(&mut child.stdout.take().unwrap(), &mut some).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
}

#[test]
fn a_result_that_a_full_disk_did_not_take_is_no_success() {
    let folder = folder();
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    for arguments in [&["keys", "list"][..], &LONG, &["check"], &["completions", "bash"], &["man"]] {
        let ended = run(&folder, arguments, full(), Stdio::piped());
        let told = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {told}");
        assert_eq!(told.matches("the result cannot be written: ").count(), 1, "{arguments:?}: {told}");
    }
}

#[test]
fn a_key_that_nobody_has_read_is_told_to_be_lost() {
    for json in [&[][..], &["--format", "json"]] {
        let folder = folder();
        let arguments = [&["keys", "create", "--user", "grace"], json].concat();
        let ended = run(&folder, &arguments, closed(), Stdio::piped());
        let told = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{told}");
        let file = fs::read_to_string(folder.path().join("keys.toml")).unwrap();
        let id = file.rsplit("id = \"").next().unwrap().split('"').next().unwrap();
        assert!(told.contains(&format!("`hokusai-gateway keys revoke {id}`")), "{told}");
    }
}
