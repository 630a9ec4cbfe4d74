//! When a key was last used.

use std::{fs, path::Path, process::Command};

use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::support::{
    Server, ask, eventually,
    gateway::create_key,
    process::{Process, command},
    server::Answer,
};

/// By user, as `keys list` shows it.
fn last_used(folder: &Path, user: &str) -> Option<Timestamp> {
    let output = command(folder).args(["keys", "list", "--format", "json"]).output().unwrap();
    let keys: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let key = keys.iter().find(|key| key["user"] == user).unwrap();
    key["last_used_at"].as_str().map(|at| at.parse().unwrap())
}

async fn read_with(process: &Process, key: &str) -> u16 {
    let get = format!("GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\n\r\n");
    ask(process.address, get).await.status
}

#[actix_web::test]
async fn a_key_that_only_reads_was_used_and_one_that_is_refused_was_not() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let key = |user| create_key(&path, user, None).key;
    let (first, second, revoked) = (key("first"), key("second"), key("revoked"));
    key("unused");
    let expired = create_key(&path, "expired", Some(Timestamp::now() - SignedDuration::from_secs(9))).key;
    let text = fs::read_to_string(&path).unwrap();
    let id = text[..text.find("\"revoked\"").unwrap()].rsplit("id = \"").next().unwrap();
    let id = id.split('"').next().unwrap();
    assert!(command(folder.path()).args(["keys", "revoke", id]).status().unwrap().success());

    let mut gateway = Process::serve(folder.path(), &[("MLFLOW_SERVER_URL", &mlflow.url())]);
    for (key, status) in [(&expired, 401), (&revoked, 401), (&first, 200)] {
        assert_eq!(read_with(&gateway, key.expose_secret()).await, status);
    }
    eventually("the first use is written", async || last_used(folder.path(), "first").is_some()).await;
    // What is used in the same minute, and then across a change of the file, is written at the end.
    assert_eq!(read_with(&gateway, second.expose_secret()).await, 200);
    create_key(&path, "new", None);
    let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    eventually("the file is taken over", async || log().contains("key file reloaded")).await;
    gateway.terminate();
    assert!(gateway.wait().success());

    for user in ["first", "second"] {
        let ago = Timestamp::now().duration_since(last_used(folder.path(), user).unwrap());
        assert!(ago < SignedDuration::from_mins(5), "{user}: {ago}");
    }
    for user in ["unused", "expired", "revoked", "new"] {
        assert_eq!(last_used(folder.path(), user), None, "{user}");
    }
}

#[actix_web::test]
async fn it_is_kept_where_the_settings_say_and_where_it_cannot_be_kept_nobody_is_refused() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    for (place, is_kept, is_told) in [
        ("beside", Some("keys.last-used.toml"), false),
        ("state/uses.toml", Some("state/uses.toml"), false),
        ("off", None, false),
        ("nowhere/uses.toml", None, true),
        // A slip of the pen: it is not written over.
        ("./keys.toml", None, true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        let key = create_key(&folder.path().join("keys.toml"), "ada", None).key;
        let file = fs::read_to_string(folder.path().join("keys.toml")).unwrap();
        let settings = [("MLFLOW_SERVER_URL", &*mlflow.url()), ("HOKUSAI__AUTH__KEY_FILE__LAST_USED", place)];
        let mut gateway = Process::serve(folder.path(), &settings);
        assert_eq!(read_with(&gateway, key.expose_secret()).await, 200, "{place}");
        gateway.terminate();
        assert!(gateway.wait().success(), "{place}");
        for name in ["keys.last-used.toml", "state/uses.toml"] {
            assert_eq!(folder.path().join(name).exists(), is_kept == Some(name), "{place}: {name}");
        }
        let log = fs::read_to_string(folder.path().join("log")).unwrap();
        let warnings =
            log.lines().filter(|line| line.contains("last uses of keys cannot be written")).count();
        assert_eq!(warnings, usize::from(is_told), "{place}: {log}");
        assert_eq!(fs::read_to_string(folder.path().join("keys.toml")).unwrap(), file, "{place}");
    }
}

/// As on a network file system whose server is gone: nothing gets to the disk, and nobody is told so.
const HANGS: &str = "#include <unistd.h>\nint fsync(int file) { (void)file; for (;;) pause(); }\n";

#[actix_web::test]
async fn a_disk_that_hangs_holds_nothing_up_but_the_last_uses() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let first = create_key(&path, "first", None).key;
    fs::write(folder.path().join("hangs.c"), HANGS).unwrap();
    let hangs = folder.path().join("hangs.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "hangs.c", "-o", "hangs.so"]).current_dir(folder.path());
    assert!(compiler.status().unwrap().success());
    // In a folder of its own: the writer that hangs has its lock, for which `keys` would wait.
    fs::create_dir(folder.path().join("state")).unwrap();
    let settings = [
        ("MLFLOW_SERVER_URL", &*mlflow.url()),
        ("HOKUSAI__AUTH__KEY_FILE__LAST_USED", "state/uses.toml"),
        ("LD_PRELOAD", hangs.to_str().unwrap()),
    ];
    let mut gateway = Process::serve(folder.path(), &settings);
    assert_eq!(read_with(&gateway, first.expose_secret()).await, 200);
    eventually("the write hangs", async || gateway.threads("last_uses") == 1).await;

    // The watcher goes on, and with it what else has this thread; no second write waits behind the first.
    for user in ["second", "third"] {
        let key = create_key(&path, user, None).key;
        eventually("the file is taken over", async || read_with(&gateway, key.expose_secret()).await == 200)
            .await;
    }
    assert_eq!(gateway.threads("last_uses"), 1);

    gateway.terminate();
    assert!(gateway.wait().success());
    let log = || fs::read_to_string(folder.path().join("log")).unwrap();
    eventually("it is told", async || log().contains("not all last uses of keys were written")).await;
}
