//! Failures in the middle.

use serde_json::json;

use super::{KEY, experiment, owners, printed, tagged, tags_set, with_experiments};
use crate::support::{Server, server::Answer};

#[actix_web::test]
async fn a_failure_in_the_middle_says_what_is_done_and_that_it_can_go_on() {
    let have = || (0..9).map(|id| experiment(id, &format!("e-{id}"), None)).collect();
    for (answer, expected) in [
        (
            Answer::json(500, r#"{"error_code": "INTERNAL_ERROR", "message": "database is locked"}"#),
            "database is locked",
        ),
        (Answer::page(502), "No such page"),
        (Answer::Close, "stopped: experiment \"e-5\" (5): "),
        (
            Answer::json(403, r#"{"reason": "outside_fence", "message": "outside this key's fence"}"#),
            "outside_fence",
        ),
        // Too long a wait is none.
        (Answer::bytes("HTTP/1.1 429 X\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n"), "429"),
    ] {
        let server = with_experiments(have(), move |tag| {
            if tag["experiment_id"] == "5" { answer.clone() } else { Answer::ok("{}") }
        })
        .await;
        let output = owners(&["set", "acme", "--experiments", "*", "--apply"], &server.url()).await;
        let text = printed(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        for said in [expected, "stopped: experiment \"e-5\" (5)", "run the same command again", "set 5"] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(!tags_set(&server).iter().any(|tag| tag["experiment_id"] == "6"), "it went on");
    }
}

#[actix_web::test]
async fn what_mlflow_refuses_alone_does_not_stop_the_rest() {
    let have = (0..5).map(|id| experiment(id, &format!("e-{id}"), None)).collect();
    let server = with_experiments(have, |tag| {
        if tag["experiment_id"] == "2" {
            Answer::json(404, r#"{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "it is gone"}"#)
        } else {
            Answer::ok("{}")
        }
    })
    .await;
    let output = owners(&["set", "acme", "--experiments", "*", "--apply"], &server.url()).await;
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("not set experiment \"e-2\" (2): 404 RESOURCE_DOES_NOT_EXIST: it is gone"),
        "{text}"
    );
    assert!(text.contains("looked at 5 experiments and models, set 4, not set 1"), "{text}");
}

#[actix_web::test]
async fn a_limit_of_the_key_and_a_busy_mlflow_are_waited_for() {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let server = with_experiments(vec![experiment(1, "e", None)], move |_| {
        match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Answer::bytes("HTTP/1.1 429 X\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"),
            1 => Answer::json(
                503,
                r#"{"error_code": "TEMPORARILY_UNAVAILABLE", "message": "database is locked"}"#,
            ),
            _ => Answer::ok("{}"),
        }
    })
    .await;
    let output = owners(&["set", "acme", "--experiments", "*", "--apply"], &server.url()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(tags_set(&server).len(), 3);
}

#[actix_web::test]
async fn nothing_that_others_wrote_brings_out_the_key_or_gives_orders_to_the_terminal() {
    let names = vec![tagged(
        json!({ "experiment_id": "\u{1b}[1m", "name": "a\u{1b}[31m\rb\u{202e}" }),
        Some("\u{1b}[32m"),
        Some("\u{7}"),
    )];
    let server = with_experiments(names, |_| Answer::ok("{}")).await;
    for arguments in [
        &["list"][..],
        &["list", "--format", "json"],
        &["set", "acme", "--experiments", "*"],
        &["set", "acme", "--experiments", "*", "--replace", "--writers", "bob"],
    ] {
        let text = printed(&owners(arguments, &server.url()).await);
        assert!(!text.contains(['\u{1b}', '\r', '\u{7}']), "{arguments:?}: {text:?}");
    }
    let echo = Server::start_asked(|request| {
        Answer::json(
            400,
            &json!({ "error_code": "X", "message": request.header("authorization") }).to_string(),
        )
    })
    .await;
    let text = printed(&owners(&["list"], &echo.url()).await);
    assert!(text.contains("(the key)") && !text.contains(KEY), "{text}");
}
