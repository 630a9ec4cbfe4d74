//! Files that others on the machine may write decide nothing, and what others may read is no secret.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown, lchown, symlink},
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret as _;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Server, ask, eventually,
    gateway::create_key,
    process::{Process, command},
    server::Answer,
};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A folder with a key file, and one file of each kind beside it.
struct Deployed(TempDir);

impl Deployed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        create_key(&folder.path().join("keys.toml"), "ada", None);
        for (name, text) in [
            ("gateway.toml", "[policy]\nmode = 'enforce'\n"),
            ("more.routes", "[read]\nGET /api/2.0/mlflow/new\n"),
            ("pepper", "obviously-a-pepper-of-a-test\n"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
            set_mode(&folder.path().join(name), 0o600);
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Why the `keys` command does not read this file.
    fn refusal(&self, path: &Path) -> Option<String> {
        let output = command(self.0.path()).args(["keys", "list", "--file"]).arg(path).output().unwrap();
        (!output.status.success()).then(|| String::from_utf8(output.stderr).unwrap())
    }

    /// What `check` ends with, and all problems and warnings as they are told.
    fn check(&self) -> (Option<i32>, String, String) {
        let output = command(self.0.path())
            .args(["check", "--format", "json", "--config", "gateway.toml"])
            .env("MLFLOW_SERVER_URL", "http://127.0.0.1:1")
            .env("HOKUSAI__MLFLOW__ROUTES_FILE", "more.routes")
            .env("HOKUSAI__AUTH__PEPPER_FILE", "pepper")
            .output()
            .unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), said["problems"].to_string(), said["warnings"].to_string())
    }
}

#[test]
fn a_file_that_decides_must_not_be_writable_by_everybody() {
    for (name, key) in [
        ("keys.toml", "auth.key_file.path"),
        ("gateway.toml", ""),
        ("more.routes", "mlflow.routes_file"),
        ("pepper", "auth.pepper_file"),
    ] {
        for (mode, is_good) in [
            (0o600, true),
            (0o640, true),
            (0o660, true),
            (0o644, true),
            (0o602, false),
            (0o606, false),
            (0o666, false),
            (0o777, false),
        ] {
            let deployed = Deployed::new();
            set_mode(&deployed.path(name), mode);
            let (code, problems, _) = deployed.check();
            assert_eq!(code, Some(if is_good { 0 } else { 64 }), "{name} {mode:o}: {problems}");
            if !is_good {
                for told in
                    [format!("\"key\":\"{key}\""), format!("mode {mode:04o}"), format!("chmod o-w {name}")]
                {
                    assert!(problems.contains(&told), "{name} {mode:o}: `{told}` is not in {problems}");
                }
            }
        }
    }
}

#[test]
fn a_folder_in_which_everybody_may_replace_files_is_as_bad() {
    let deployed = Deployed::new();
    for (mode, is_good) in [(0o700, true), (0o755, true), (0o1777, true), (0o777, false), (0o703, false)] {
        let folder = deployed.path("keys");
        let _ = fs::create_dir(&folder);
        create_key(&folder.join("keys.toml"), "ada", None);
        let named = deployed.path("link.toml");
        let _ = symlink(folder.join("keys.toml"), &named);
        set_mode(&folder, mode);
        for path in [folder.join("keys.toml"), named] {
            let output =
                command(deployed.0.path()).args(["keys", "list", "--file"]).arg(&path).output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.success(), is_good, "{} {mode:o}: {told}", path.display());
            assert!(is_good || told.contains("can be replaced by any user"), "{told}");
        }
        set_mode(&folder, 0o700);
    }
}

#[test]
fn a_folder_further_up_that_everybody_may_write_is_as_bad_as_its_own() {
    let deployed = Deployed::new();
    let folder = deployed.path("above/keys");
    fs::create_dir_all(&folder).unwrap();
    create_key(&folder.join("keys.toml"), "ada", None);
    for (mode, is_good) in [(0o755, true), (0o1777, true), (0o777, false)] {
        set_mode(&deployed.path("above"), mode);
        let told = deployed.refusal(&folder.join("keys.toml"));
        assert_eq!(told.is_none(), is_good, "{mode:o}: {told:?}");
        assert!(told.is_none_or(|told| told.contains("can be replaced by any user")), "{mode:o}");
    }
}

#[test]
fn what_somebody_else_put_where_everybody_may_make_files_decides_nothing() {
    const SOMEBODY: Option<u32> = Some(12_345);
    let deployed = Deployed::new();
    let (open, private) = (deployed.path("open"), deployed.path("private"));
    for folder in [&open, &private, &open.join("theirs")] {
        fs::create_dir(folder).unwrap();
    }
    let (file, own) = (open.join("keys.toml"), private.join("keys.toml"));
    let (linked, nested) = (open.join("link.toml"), open.join("theirs/keys.toml"));
    for path in [&file, &own, &nested] {
        create_key(path, "ada", None);
    }
    symlink(&own, &linked).unwrap();
    set_mode(&open, 0o1777);
    for path in [&file, &own, &linked, &nested] {
        assert_eq!(deployed.refusal(path), None, "{}", path.display());
    }
    // To give files away takes root's rights.
    if chown(&file, SOMEBODY, None).is_err() {
        return;
    }
    lchown(&linked, SOMEBODY, None).unwrap();
    chown(open.join("theirs"), SOMEBODY, None).unwrap();
    chown(&own, SOMEBODY, None).unwrap();
    for path in [&file, &linked, &nested] {
        let told = deployed.refusal(path).unwrap_or_default();
        assert!(told.contains("is owned by user 12345"), "{}: {told}", path.display());
    }
    assert_eq!(deployed.refusal(&own), None, "whoever owns a folder has chosen what is in it");
}

#[test]
fn root_changes_nothing_through_a_link_of_somebody_elses() {
    let deployed = Deployed::new();
    let (bob, victim) = (deployed.path("bob"), deployed.path("victim"));
    for folder in [&bob, &victim] {
        fs::create_dir(folder).unwrap();
    }
    create_key(&victim.join("keys.toml"), "ada", None);
    let before = fs::read(victim.join("keys.toml")).unwrap();
    symlink(victim.join("keys.toml"), bob.join("link.toml")).unwrap();
    symlink(victim.join("new.toml"), bob.join("new.toml")).unwrap();
    symlink(&victim, bob.join("folder")).unwrap();
    // To give files away takes root's rights.
    if chown(&bob, Some(12_345), None).is_err() {
        return;
    }
    for name in ["link.toml", "new.toml", "folder"] {
        lchown(bob.join(name), Some(12_345), None).unwrap();
    }
    for name in ["link.toml", "new.toml", "folder/keys.toml", "folder/more.toml"] {
        let path = bob.join(name);
        for arguments in [&["create", "--user", "eve"][..], &["revoke", "x"], &["prune", "--apply"]] {
            let mut keys = command(deployed.0.path());
            let output = keys.arg("keys").args(arguments).arg("--file").arg(&path).output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success() && output.stdout.is_empty(), "{name} {arguments:?}: {told}");
            assert!(told.contains("is owned by user 12345, and its target is not"), "{name}: {told}");
        }
    }
    assert_eq!(fs::read(victim.join("keys.toml")).unwrap(), before);
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 1, "no file was made there");
}

#[test]
fn a_key_file_that_is_no_file_is_refused_and_not_waited_for() {
    let deployed = Deployed::new();
    let fifo = deployed.path("fifo.toml");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    symlink("/dev/zero", deployed.path("device.toml")).unwrap();
    for name in ["fifo.toml", "device.toml", "bundle"] {
        let _ = fs::create_dir(deployed.path("bundle"));
        for arguments in [&["list"][..], &["create", "--user", "eve"], &["revoke", "x"]] {
            let mut keys = command(deployed.0.path());
            let output = keys.arg("keys").args(arguments).args(["--file", name]).output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success() && told.contains("is not a regular file"), "{name}: {told}");
        }
    }
    let output = command(deployed.0.path())
        .args(["check"])
        .env("HOKUSAI__AUTH__KEY_FILE__PATH", &fifo)
        .env("MLFLOW_SERVER_URL", "http://127.0.0.1:1")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not a regular file"), "{output:?}");
}

#[test]
fn a_secret_in_a_file_that_everybody_may_read_is_a_warning() {
    let deployed = Deployed::new();
    assert_eq!(deployed.check().2, "[]");
    set_mode(&deployed.path("pepper"), 0o644);
    let (code, _, warnings) = deployed.check();
    assert_eq!(code, Some(0));
    assert!(warnings.contains("auth.pepper_file") && warnings.contains("chmod o-rwx pepper"), "{warnings}");
}

#[test]
fn the_keys_command_reads_no_file_that_anybody_may_have_written() {
    let deployed = Deployed::new();
    set_mode(&deployed.path("keys.toml"), 0o666);
    for arguments in [&["keys", "list"][..], &["keys", "create", "--user", "eve"], &["keys", "revoke", "x"]] {
        let output = command(deployed.0.path()).args(arguments).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        assert!(told.contains("is world-writable (mode 0666)"), "{told}");
    }
}

#[actix_web::test]
async fn a_key_that_anybody_could_have_added_lets_nobody_in() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let deployed = Deployed::new();
    let key = create_key(&deployed.path("keys.toml"), "ada", None).key;
    let gateway = Process::serve(deployed.0.path(), &[("MLFLOW_SERVER_URL", &mlflow.url())]);
    let status = async |key: &str| {
        let head = format!(
            "GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n"
        );
        ask(gateway.address, head).await.status
    };
    assert_eq!(status(key.expose_secret()).await, 200);

    // What somebody else writes, who may since its mode was changed.
    let elsewhere = tempfile::tempdir().unwrap();
    let others = create_key(&elsewhere.path().join("keys.toml"), "eve", None).key;
    set_mode(&deployed.path("keys.toml"), 0o666);
    fs::write(deployed.path("keys.toml"), fs::read(elsewhere.path().join("keys.toml")).unwrap()).unwrap();
    let log = || fs::read_to_string(deployed.path("log")).unwrap_or_default();
    eventually("it says why not", async || log().contains("keys.toml: is world-writable")).await;
    assert_eq!(status(others.expose_secret()).await, 401);
    assert_eq!(status(key.expose_secret()).await, 200, "the keys in force stay");

    set_mode(&deployed.path("keys.toml"), 0o600);
    eventually("it was for its mode alone", async || status(others.expose_secret()).await == 200).await;
}

#[actix_web::test]
async fn settings_that_anybody_could_have_written_are_not_taken_over() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let deployed = Deployed::new();
    let settings = [("MLFLOW_SERVER_URL", &*mlflow.url())];
    let gateway = Process::serve_with(deployed.0.path(), &["--config", "gateway.toml"], &settings);
    let log = || fs::read_to_string(deployed.path("log")).unwrap_or_default();
    set_mode(&deployed.path("gateway.toml"), 0o666);
    gateway.hang_up();
    eventually("it says why not", async || log().contains("is world-writable")).await;
    assert!(log().contains("settings reload failed") && !log().contains("settings reloaded"), "{}", log());
}
