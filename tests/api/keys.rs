//! The `keys` command on a file, as an operator runs it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, lchown, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Gateway, Server, ask, gateway::create_key, process::command, server::Answer};

fn keys(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command(folder);
    command.arg("keys").args(arguments);
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    keys(folder, arguments).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn good(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", told(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn listed(folder: &Path) -> Vec<Value> {
    serde_json::from_str(&good(folder, &["list", "--format", "json"])).unwrap()
}

#[test]
fn a_link_stays_and_what_it_leads_to_is_written() {
    for (name, leads_to) in [
        ("absolute", "{folder}/data/keys.toml"),
        ("relative", "data/keys.toml"),
        ("to a link", "data/link.toml"),
        ("through a linked folder", "data/now/keys.toml"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("data/2026")).unwrap();
        symlink("keys.toml", path("data/link.toml")).unwrap();
        symlink("2026", path("data/now")).unwrap();
        symlink(leads_to.replace("{folder}", folder.path().to_str().unwrap()), path("keys.toml")).unwrap();
        let target = path(if name.contains("folder") { "data/2026/keys.toml" } else { "data/keys.toml" });

        // Once with nothing there, and then with a file whose mode was changed.
        good(folder.path(), &["create", "--user", "ada"]);
        fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
        good(folder.path(), &["create", "--user", "grace"]);
        assert!(path("keys.toml").is_symlink() && path("data/link.toml").is_symlink(), "{name}");
        assert!(!target.is_symlink(), "{name}");
        let text = fs::read_to_string(&target).unwrap();
        assert!(text.contains("ada") && text.contains("grace"), "{name}: {text}");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640, "{name}");
        let left: Vec<_> = fs::read_dir(target.parent().unwrap()).unwrap().flatten().collect();
        assert!(left.iter().all(|entry| !entry.file_name().to_string_lossy().starts_with('.')), "{left:?}");
    }
}

#[test]
fn a_link_that_somebody_else_has_laid_is_not_followed_to_a_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let (open, private) = (folder.path().join("open"), folder.path().join("private"));
    fs::create_dir(&open).unwrap();
    fs::create_dir(&private).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
    let (link, target) = (open.join("keys.toml"), private.join("chosen.toml"));
    symlink(&target, &link).unwrap();
    // To give a link away takes root's rights.
    if lchown(&link, Some(12_345), None).is_err() {
        return;
    }
    let output = run(folder.path(), &["create", "--user", "ada", "--file", link.to_str().unwrap()]);
    assert!(
        !output.status.success() && told(&output).contains("is owned by user 12345"),
        "{}",
        told(&output)
    );
    assert!(!target.exists());

    let circle = folder.path().join("circle.toml");
    symlink("circle.toml", &circle).unwrap();
    let output = run(folder.path(), &["create", "--user", "ada", "--file", "circle.toml"]);
    assert!(told(&output).contains("leads back to itself"), "{}", told(&output));
    assert!(circle.is_symlink());
}

#[test]
fn commands_that_run_at_once_lose_no_key_whatever_name_they_use() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink("../keys.toml", elsewhere.join("link.toml")).unwrap();
    let file = |at: usize| if at.is_multiple_of(2) { "keys.toml" } else { "elsewhere/link.toml" };
    let running: Vec<_> = (0..20)
        .map(|at| keys(folder.path(), &["create", "--user", "ada", "--file", file(at)]).spawn().unwrap())
        .collect();
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(listed(folder.path()).len(), 20);
}

#[test]
fn what_no_key_should_have_is_refused_before_anything_is_written() {
    let long = "x".repeat(257);
    let key = "hk_live_".to_owned() + &"a".repeat(33);
    let in_note = format!("for {key}");
    let refused: [(&[&str], &str); 15] = [
        (&["--expires-in", "0d"], "shorter than a second"),
        (&["--expires-in", "0s"], "shorter than a second"),
        (&["--expires-in", "999ms"], "shorter than a second"),
        (&["--expires-in", "-1d"], ""),
        (&["--expires-in", "soon"], "is not a duration"),
        (&["--per-hour", "0"], ""),
        (&["--per-hour", "-1"], ""),
        (&["--note", ""], "is empty"),
        (&["--note", "two\nlines"], "control character"),
        (&["--note", &long], "is too long"),
        (&["--note", &in_note], "contains an API key"),
        (&["--scope", ""], "is empty"),
        (&["--user", "", "--test"], "is empty"),
        (&["--user", &key, "--test"], "contains an API key"),
        (&["--user", "a\u{1b}[2J", "--test"], "control character"),
    ];
    for (arguments, why) in refused {
        let folder = tempfile::tempdir().unwrap();
        let user = if arguments.contains(&"--user") { &[][..] } else { &["--user", "ada"] };
        let output = run(folder.path(), &[&["create"], user, arguments].concat());
        let told = told(&output);
        assert!(!output.status.success() && told.contains(why), "{arguments:?}: {told}");
        assert!(!told.contains("aaaaaaaa"), "{arguments:?}: {told}");
        assert!(!folder.path().join("keys.toml").exists(), "{arguments:?}");
    }
}

#[test]
fn a_file_that_the_gateway_would_refuse_is_not_made_worse_and_the_reason_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let id = create_key(&path, "ada", None).id;
    let broken = fs::read_to_string(&path).unwrap().replace("sha256:", "md5:");
    fs::write(&path, &broken).unwrap();
    for arguments in [&["revoke", &id][..], &["create", "--user", "grace"], &["rotate", &id]] {
        let output = run(folder.path(), arguments);
        assert!(
            !output.status.success() && told(&output).contains("the digest of this key"),
            "{}",
            told(&output)
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), broken, "{arguments:?}");
    }
}

#[actix_web::test]
async fn a_note_is_shown_and_a_limit_holds_for_a_key_and_for_its_successor() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let file = ["--file", gateway.key_file.to_str().unwrap()];
    let folder = gateway.key_file.parent().unwrap();
    let arguments = [
        "create",
        "--user",
        "grace",
        "--note",
        "laptop, \"old\"",
        "--per-hour",
        "1",
        "--concurrent",
        "2",
        "--creates-per-hour",
        "3",
    ];
    let created = good(folder, &[&arguments[..], &file].concat());
    let id = listed(folder)[1]["id"].as_str().unwrap().to_owned();
    let rotated = good(folder, &[&["rotate", &id][..], &file].concat());
    for key in [created.trim(), rotated.trim()] {
        let get = format!("GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\n\r\n");
        let status = async || ask(gateway.address, get.clone()).await.status;
        crate::support::eventually("the key works", async || status().await == 200).await;
        assert_eq!(status().await, 429);
    }
    for key in &listed(folder)[1..] {
        assert_eq!((&key["note"], &key["rate_limit_per_hour"]), (&"laptop, \"old\"".into(), &1.into()));
        assert_eq!((&key["concurrent"], &key["creates_per_hour"]), (&2.into(), &3.into()));
    }
    let table = good(folder, &["list"]);
    assert!(table.lines().nth(2).unwrap().ends_with("laptop, \"old\""), "{table}");
}

#[test]
fn a_list_shows_no_key_and_keeps_to_its_lines_whatever_the_file_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    create_key(&path, "ada", None);
    let key = "hk_live_".to_owned() + &"a".repeat(33);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}note = \"\"\"\u{7}{key}\nsecond\\u001b[2J\"\"\"\n").replace('\u{7}', ""))
        .unwrap();
    for format in ["text", "json"] {
        let shown = good(folder.path(), &["list", "--format", format]);
        assert!(!shown.contains("aaaaaaaa") && !shown.contains('\u{1b}'), "{shown}");
    }
    assert_eq!(good(folder.path(), &["list"]).lines().count(), 2);
}

/// A file with keys that ended at these times before now, and with one that has not.
fn with_ended(ended: &[SignedDuration]) -> (TempDir, PathBuf, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let times = ended.iter().map(|ago| Some(Timestamp::now() - *ago));
    let ids = times.map(|at| create_key(&path, "ada", at).id).collect();
    (folder, path, ids)
}

#[test]
fn a_pruning_shows_what_it_would_remove_and_removes_it_when_told() {
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    let (folder, path, ids) = with_ended(&[days(40), days(20), days(100)]);
    let revoked = create_key(&path, "grace", None).id;
    create_key(&path, "alive", Some(Timestamp::now() + days(1)));
    good(folder.path(), &["revoke", &revoked]);
    let text = fs::read_to_string(&path).unwrap();
    let header = text.lines().next().unwrap().to_owned();
    assert!(header.starts_with("# Keys of"), "{text}");
    let text = text.replacen("[[keys]]\nid = \"test_", "# the first\n[[keys]]\nid = \"test_", 1);
    let at = text.find(&ids[1]).unwrap();
    let at = text[..at].rfind("[[keys]]").unwrap();
    fs::write(&path, format!("{}# the second\n{}", &text[..at], &text[at..])).unwrap();
    let before = fs::read_to_string(&path).unwrap();

    let shown = good(folder.path(), &["prune"]);
    assert_eq!(shown.lines().count(), 2, "{shown}");
    assert!(shown.contains(&format!("would remove {} of ada, expired ", ids[0])), "{shown}");
    assert_eq!(fs::read_to_string(&path).unwrap(), before, "it was only to be shown");

    let removed = good(folder.path(), &["prune", "--apply"]);
    assert_eq!(removed, shown.replace("would remove", "removed"));
    let after = fs::read_to_string(&path).unwrap();
    assert!(after.starts_with(&header) && after.contains("# the second"), "{after}");
    assert!(!after.contains("# the first"), "{after}");
    let left: Vec<_> =
        listed(folder.path()).iter().map(|key| key["user"].as_str().unwrap().to_owned()).collect();
    assert_eq!(left, ["ada", "grace", "alive"]);

    let json = good(folder.path(), &["prune", "--older-than", "0s", "--apply", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["removed"], serde_json::json!([ids[1], revoked]));
    assert_eq!(listed(folder.path()).len(), 1);
}

#[test]
fn the_last_key_of_a_file_is_not_pruned_and_this_is_told() {
    let hours = SignedDuration::from_hours;
    let (folder, path, ids) = with_ended(&[hours(3), hours(1), hours(2)]);
    let output = run(folder.path(), &["prune", "--older-than", "0s", "--apply"]);
    assert!(output.status.success());
    assert!(told(&output).contains(&format!("{} of ada", ids[1])), "{}", told(&output));
    assert!(told(&output).contains("stays: it is the last"), "{}", told(&output));
    assert_eq!(listed(folder.path())[0]["id"], *ids[1]);
    hokusai_gateway::auth::KeyFile::open(&path).expect("the gateway takes what is left");
}

#[test]
fn a_key_that_ends_when_it_begins_has_no_successor() {
    let folder = tempfile::tempdir().unwrap();
    let id = create_key(&folder.path().join("keys.toml"), "ada", Some(Timestamp::now())).id;
    let output = run(folder.path(), &["rotate", &id]);
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert!(told(&output).contains("has no lifetime"), "{}", told(&output));
}
