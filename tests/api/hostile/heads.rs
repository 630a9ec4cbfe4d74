//! Heads that are malformed, large, slow, or expect something.

use super::*;

#[actix_web::test]
async fn request_lines_that_are_none_are_refused() {
    let stage = Stage::set().await;
    let line = |line: &str| format!("{line}\r\n{{host}}{{key}}\r\n");
    for (name, statuses, request) in [
        ("a target without a slash", &[400][..], line("GET admin HTTP/1.1")),
        ("a fragment", &[400], line("GET /x#/admin HTTP/1.1")),
        ("a fragment behind a mount", &[400], line(&format!("GET {TARGET}#/admin HTTP/1.1"))),
        ("another host's target", &[400], line(&format!("GET http://evil{TARGET} HTTP/1.1"))),
        ("HTTP/0.9", &[400, 505], format!("GET {TARGET}\r\n")),
        ("HTTP/1.2", &[400, 505], line(&format!("GET {TARGET} HTTP/1.2"))),
        ("HTTP/2 as text", &[400, 505], line(&format!("GET {TARGET} HTTP/2.0"))),
        ("HTTP/2's preface", &[400, 505], "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        ("a method in small letters", &[400, 405], line(&format!("get {TARGET} HTTP/1.1"))),
        ("two spaces", &[400], line(&format!("GET  {TARGET} HTTP/1.1"))),
        ("a tab", &[400], line(&format!("GET {TARGET}\tx HTTP/1.1"))),
        ("a space in the target", &[400], line(&format!("GET {TARGET} x HTTP/1.1"))),
        ("a TLS hello", &[400, 505], "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".to_owned()),
        ("a method of 1 KB", &[400, 405, 501], line(&format!("{} {TARGET} HTTP/1.1", "A".repeat(1024)))),
        ("OPTIONS *", &[405], line("OPTIONS * HTTP/1.1")),
        ("TRACE", &[405], line(&format!("TRACE {TARGET} HTTP/1.1"))),
        ("a target of 132 KB", &[414], line(&format!("GET {TARGET}?{} HTTP/1.1", "x".repeat(132_000)))),
    ] {
        stage.refuses(name, statuses, &stage.filled(&request)).await;
    }
}

#[actix_web::test]
async fn headers_that_are_none_are_refused() {
    let stage = Stage::set().await;
    let get = |rest: &str| format!("GET {TARGET} HTTP/1.1\r\n{{key}}{rest}\r\n");
    let with = |rest: &str| get(&format!("{{host}}{rest}"));
    let many: String = (0..97).map(|number| format!("x-{number}: y\r\n")).collect();
    for (name, statuses, request) in [
        ("no host", &[400][..], get("")),
        ("two hosts", &[400], get("host: a\r\nhost: a\r\n")),
        ("a space in the host", &[400], get("host: a b\r\n")),
        ("a path in the host", &[400], get("host: a/..\r\n")),
        ("an empty host", &[400], get("host: \r\n")),
        ("a user in the host", &[400], get("host: u@evil\r\n")),
        ("a bare carriage return", &[400], with("x: a\rb\r\n")),
        ("a NUL", &[400], with("x: a\0b\r\n")),
        ("a folded line", &[400], with("x: a\r\n b\r\n")),
        ("a leading space", &[400], format!("GET {TARGET} HTTP/1.1\r\n host: a\r\n{{key}}\r\n")),
        ("an empty name", &[400], with(": a\r\n")),
        ("no colon", &[400], with("x\r\n")),
        ("a control character in a name", &[400], with("x\x01: a\r\n")),
        ("an underscore", &[400], with("x_hokusai_user_id: root\r\n")),
        ("97 headers", &[431], with(&many)),
        ("a header of 100 KB", &[431], with(&format!("x: {}\r\n", "y".repeat(100_000)))),
        ("a header of 200 KB", &[431], with(&format!("x: {}\r\n", "y".repeat(200_000)))),
        ("headers of 33 KB", &[431], with(&format!("x: {}\r\n", "y".repeat(33_000)))),
        ("an unknown expectation", &[417], with("expect: bogus\r\n")),
    ] {
        stage.refuses(name, statuses, &stage.filled(&request)).await;
    }
}

#[actix_web::test]
async fn what_is_no_request_is_told_like_any_other_refusal() {
    let stage = Stage::set().await;
    let get = |rest: &str| format!("GET {TARGET} HTTP/1.1\r\n{{host}}{{key}}{rest}");
    let many: String = (0..97).map(|number| format!("x-{number}: y\r\n")).collect();
    let malformed = "this is not an HTTP/1.1 request";
    let cases = [
        (414, "the target is longer than 128 KiB", format!("GET {TARGET}?{}", "x".repeat(129 * 1024))),
        (431, "the headers come to more than 32 KiB", get(&format!("x: {}", "y".repeat(33 * 1024)))),
        (431, "the request has more than 96 headers", get(&format!("{many}\r\n"))),
        (431, "the request has more than 96 headers", get(&many)),
        (408, "the request's head did not arrive in time", get("x: y")),
        (400, malformed, get("x\r\n\r\n")),
        (400, malformed, get("x\r\n")),
        (400, malformed, "\x16\x03\x01\x02\x00\x01\x00".to_owned()),
        (400, malformed, get("content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")),
        (400, malformed, format!("GET {TARGET}?\"<>\x7f HTTP/1.1\r\n{{host}}{{key}}\r\n")),
    ];
    let denied = async || metric(&stage.gateway, "denied_total{reason=\"bad_request\"}").await;
    for (status, message, request) in &cases {
        // On a connection of its own, and behind a request that was served.
        for before in ["", "GET /live HTTP/1.1\r\n{host}\r\n"] {
            let count = denied().await;
            let mut connection = stage.connection(&stage.filled(&format!("{before}{request}"))).await;
            if !before.is_empty() {
                let response = connection.response(false).await;
                assert_eq!((response.status, response.complete), (200, true), "{request:.80}");
            }
            let response = connection.response(false).await;
            assert_eq!((response.status, response.complete), (*status, true), "{request:.80}");
            let body: serde_json::Value = serde_json::from_str(response.text()).unwrap();
            assert_eq!(
                (&body["error_code"], &body["reason"]),
                (&"BAD_REQUEST".into(), &"bad_request".into())
            );
            assert!(body["message"].as_str().unwrap().starts_with(message), "{body}");
            assert_eq!(body["request_id"].as_str(), response.header("x-request-id"), "{request:.80}");
            assert_eq!(response.header("x-hokusai-error-source"), Some("gateway"), "{request:.80}");
            assert_eq!(response.header("connection"), Some("close"), "{request:.80}");
            assert!(connection.is_closed().await, "{request:.80}: the connection is kept");
            eventually("it is counted", async || denied().await == count + 1.0).await;
        }
    }
    stage.was_not_asked("no request");
}

#[actix_web::test]
async fn a_refusal_reaches_a_client_that_sends_on_and_on() {
    let stage = Stage::set().await;
    let head = stage.filled(&format!("GET {TARGET} HTTP/1.1\r\n{{host}}{{key}}x: {}", "y".repeat(40_000)));
    let mut connection = stage.connection(&head).await;
    for _ in 0..10 {
        actix_rt::time::sleep(Duration::from_millis(20)).await;
        assert!(connection.try_send("y".repeat(50_000).as_bytes()).await, "closed under the client");
    }
    assert_eq!(connection.response(false).await.status, 431);
}

#[actix_web::test]
async fn a_head_as_large_as_it_may_be_passes_however_it_comes() {
    let stage = Stage::set().await;
    let target = format!("{TARGET}?{}", "x".repeat(131_000 - TARGET.len()));
    let fields = format!("x: {}\r\n", "y".repeat(32_500));
    let large = stage.filled(&format!("GET {target} HTTP/1.1\r\n{{host}}{{key}}{fields}\r\n"));
    let small =
        stage.filled(&format!("POST {TARGET} HTTP/1.1\r\n{{host}}{{key}}content-length: 2\r\n\r\nhi"));
    for (head, piece) in [(&large, large.len()), (&large, 10_000), (&small, 1)] {
        let mut connection = Connection::open(stage.gateway.address).await;
        // A small one also once more on the same connection.
        for _ in 0..if head.len() > 16 * 1024 { 1 } else { 2 } {
            let seen = stage.mlflow.requests().len();
            for piece in head.chunks(piece) {
                connection.send(piece).await;
                actix_rt::time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(connection.response(false).await.status, 200);
            let requests = stage.mlflow.requests();
            assert_eq!((requests.len(), requests[seen].complete), (seen + 1, true));
        }
    }
    let seen = stage.mlflow.requests();
    assert!(seen[0].target().ends_with(&"x".repeat(60_000)) && seen[0].header("x").unwrap().len() == 32_500);
    assert_eq!(seen[3].text(), "hi");
}

#[actix_web::test]
async fn what_is_pipelined_behind_a_refusal_that_closes_is_nobodys_request() {
    let behind = format!("GET {TARGET} HTTP/1.1\r\n{{host}}{{key}}\r\n");
    let cases = [
        ("CONNECT", "CONNECT mlflow:80 HTTP/1.1\r\n{host}{key}\r\n".to_owned()),
        (
            "an upgrade",
            format!(
                "GET {TARGET} HTTP/1.1\r\n{{host}}{{key}}connection: upgrade\r\nupgrade: websocket\r\n\r\n"
            ),
        ),
        (
            "an upgrade with a body",
            format!(
                "POST {TARGET} HTTP/1.1\r\n{{host}}{{key}}connection: upgrade\r\nupgrade: websocket\r\n\
                 content-length: 2\r\n\r\nhi"
            ),
        ),
        ("TRACE", format!("TRACE {TARGET} HTTP/1.1\r\n{{host}}{{key}}\r\n")),
        ("an underscore", post("content_length: 0\r\n\r\n")),
        ("two credentials", format!("GET {TARGET} HTTP/1.1\r\n{{host}}{{key}}x-api-key: a\r\n\r\n")),
        ("a dot segment", "GET /api/mlflow/../x HTTP/1.1\r\n{host}{key}\r\n".to_owned()),
    ];
    // All at once: some linger for five seconds.
    join_all(cases.map(async |(name, first)| {
        let stage = Stage::set().await;
        let request = format!("{first}{behind}{behind}");
        stage.refuses(name, &[400, 405, 501], &stage.filled(&request)).await;
    }))
    .await;
}

#[actix_web::test]
async fn odd_headers_that_are_legal_pass() {
    let stage = Stage::set().await;
    let get = |rest: &str| format!("GET {TARGET} HTTP/1.1\r\n{{host}}{{key}}{rest}\r\n");
    stage.passes("h2c", &stage.filled(&get("connection: upgrade\r\nupgrade: h2c\r\n")), "").await;
    stage.passes("line feeds", &stage.filled(&get("").replace("\r\n", "\n")), "").await;
    let names = "connection: host, authorization, x-hokusai-user-id, content-length\r\n";
    stage.passes("names what is ours", &stage.filled(&get(names)), "").await;
    let mut binary = stage.filled(&get("x-own: a?b\r\n"));
    let at = binary.iter().position(|byte| *byte == b'?').unwrap();
    binary[at] = 0xff;
    stage.passes("a byte beyond ASCII", &binary, "").await;

    let seen = stage.mlflow.requests();
    assert_eq!(seen[0].header("upgrade"), None);
    assert!(seen.iter().all(|request| request.header("x-hokusai-user-id") == Some("ada")));
    assert!(seen.iter().all(|request| request.all("host").count() == 1));
    assert_eq!(seen[3].header("x-own"), Some("a\u{fffd}b"));
}

#[actix_web::test]
async fn expect_is_answered_after_the_decision() {
    let stage = Stage::set().await;
    let put = |key: &str| {
        stage.filled(&format!(
            "PUT {ARTIFACT} HTTP/1.1\r\n{{host}}{key}expect: 100-continue\r\ncontent-length: 5\r\n\r\n"
        ))
    };
    let mut refused = stage.connection(&put("authorization: Bearer wrong\r\n")).await;
    let response = refused.response(false).await;
    assert_eq!((response.status, response.reason().as_str()), (401, "credential_rejected"));
    assert!(response.header("x-request-id").is_some());
    assert!(refused.is_closed().await);
    stage.was_not_asked("a bad key");

    let mut admitted = stage.connection(&put("{key}")).await;
    assert_eq!(admitted.response(false).await.status, 100);
    admitted.send("hello").await;
    assert_eq!(admitted.response(false).await.status, 200);
    assert_eq!(stage.mlflow.request().header("expect"), None);
}

#[actix_web::test]
async fn whoever_waits_to_be_told_to_go_on_is_not_idle() {
    let valid = r#"{"is_valid": true, "user_id": "u-1", "scopes": ["mlflow:write"]}"#;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{valid}", valid.len());
    let auth = Server::start(move |_| Answer::After(Duration::from_secs(1), answer.clone().into())).await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("SERVER__MAX_CONNECTIONS", "1")
        .set("AUTH__SERVICE__URL", &auth.url())
        .start(&mlflow)
        .await;
    let mut waiting = Connection::open(gateway.address).await;
    let rest = "expect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    waiting.send(gateway.request("PUT", ARTIFACT, rest)).await;
    auth.until_begun().await;
    // There is room for one, who is being served.
    let mut another = Connection::open(gateway.address).await;
    assert!(another.is_closed().await);
    assert_eq!(waiting.response(false).await.status, 100);
    waiting.send("hello").await;
    assert_eq!(waiting.response(false).await.status, 200);
    assert_eq!(mlflow.request().text(), "hello");
}
