//! What is set, and what is refused before.

use serde_json::{Value, json};

use super::{KEY, experiment, owners, printed, tags_set, with_experiments};
use crate::support::{Server, process::command, server::Answer};

#[actix_web::test]
async fn what_cannot_be_meant_is_refused_before_anything_is_asked() {
    let server = Server::start_asked(|_| Answer::ok("{}")).await;
    let url = server.url();
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";
    for (arguments, expected) in [
        (&["set", "acme"][..], "nothing is selected: give --models or --experiments"),
        (&["set", "acme", "--models", "[a"], "--models: pattern 1 cannot be read"),
        (
            &["set", "acme", "--experiments", "a", "--experiments", "{b"],
            "--experiments: pattern 2 cannot be read",
        ),
        (&["list", "--models", "[a"], "--models: pattern 1 cannot be read"),
        (&["set", "", "--models", "*"], "is empty"),
        (&["set", " ", "--models", "*"], "is empty"),
        (&["set", "a\nb", "--models", "*"], "has a line end"),
        (&["set", KEY, "--models", "*"], "contains an API key"),
        (&["set", jwt, "--models", "*"], "contains an API key"),
        (&["set", "acme", "--models", "*", "--writers", KEY], "contains an API key"),
        (&["set", "acme", "--models", "*", "--workspace", "a b"], "--workspace"),
        (&["set", "--models", "*"], "<USER>"),
    ] {
        let output = owners(arguments, &url).await;
        let text = printed(&output);
        assert!([Some(1), Some(2)].contains(&output.status.code()), "{arguments:?}: {text}");
        assert!(text.contains(expected), "{arguments:?}: {text}");
        assert!(!text.contains(KEY) && !text.contains(jwt), "{text}");
    }
    assert_eq!(server.begun(), 0);
}

#[actix_web::test]
async fn the_key_of_the_command_is_no_user_whatever_it_looks_like() {
    let server = Server::start_asked(|_| Answer::ok("{}")).await;
    let url = server.url();
    let running = actix_web::web::block(move || {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["owners", "set", "of-the-auth-service", "--models", "*", "--url", &url];
        command(folder.path()).args(arguments).env("HOKUSAI_API_KEY", "of-the-auth-service").output().unwrap()
    });
    let output = running.await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(printed(&output).contains("an API key was given in place of a user id"), "{output:?}");
    assert_eq!(server.begun(), 0);
}

#[actix_web::test]
async fn without_apply_nothing_is_changed() {
    let server = with_experiments(vec![experiment(7, "acme/a", None)], |_| Answer::ok("{}")).await;
    let arguments = ["set", "acme", "--experiments", "acme/*", "--writers", "bob, carol"];
    let output = owners(&arguments, &server.url()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(out, "would set experiment \"acme/a\" (7): owner acme, writers bob,carol\n");
    assert!(printed(&output).contains("nothing was changed: --apply sets them"));
    assert_eq!(tags_set(&server), [] as [Value; 0]);
}

#[actix_web::test]
async fn tags_are_set_on_what_fits_and_the_writers_before_the_owner() {
    let have = vec![
        experiment(1, "other", None),
        experiment(2, "acme/a b", None),
        experiment(3, "acme/bobs", Some("bob")),
        experiment(4, "acme/done", Some("acme")),
    ];
    let server = with_experiments(have, |_| Answer::ok("{}")).await;
    let arguments = ["set", "acme", "--experiments", "acme/*", "--writers", "carol", "--apply"];
    let output = owners(&arguments, &server.url()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let tag = |id: &str, key: &str, value: &str| json!({ "experiment_id": id, "key": key, "value": value });
    assert_eq!(
        tags_set(&server),
        [
            tag("2", "hokusai.writers", "carol"),
            tag("2", "hokusai.owner", "acme"),
            tag("4", "hokusai.writers", "carol"),
        ]
    );
    let kept = "kept experiment \"acme/bobs\" (3): it belongs to bob; --replace gives it to acme";
    assert!(printed(&output).contains(kept), "{output:?}");
    let key = server.requests().iter().all(|request| request.header("authorization").unwrap().ends_with(KEY));
    assert!(key, "the key is with every request");
}

#[actix_web::test]
async fn a_deleted_experiment_is_listed_and_left() {
    let mut deleted = experiment(3, "acme/old", None);
    deleted["lifecycle_stage"] = "deleted".into();
    let server = with_experiments(vec![deleted], |_| Answer::ok("{}")).await;
    let listed = owners(&["list"], &server.url()).await;
    assert!(printed(&listed).contains("deleted experiment 3"), "{listed:?}");
    let output = owners(&["set", "acme", "--experiments", "*", "--apply"], &server.url()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(printed(&output).contains("kept experiment \"acme/old\" (3): it is deleted"), "{output:?}");
    assert_eq!(tags_set(&server), [] as [Value; 0]);
}
