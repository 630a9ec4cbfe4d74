//! Requests that no client of MLflow's sends, over raw sockets: each is refused, its connection closed and MLflow not
//! asked; or it is one request, and MLflow sees exactly that one.

use std::time::Duration;

use futures_util::future::join_all;

use crate::support::{
    Gateway, GatewayBuilder, Server, ask,
    client::{Connection, metric},
    eventually,
    server::Answer,
};

const TARGET: &str = "/api/mlflow/api/2.0/mlflow/experiments/search";
const ARTIFACT: &str = "/api/2.0/mlflow-artifacts/artifacts/1/a";

/// A gateway, and the MLflow that must not be asked.
struct Stage {
    mlflow: Server,
    gateway: Gateway,
}

impl Stage {
    async fn set() -> Self {
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let gateway = GatewayBuilder::default()
            // actix-http counts it from a clock that ticks twice a second.
            .set("SERVER__HEAD_TIMEOUT", "1s")
            .set("SERVER__BODY_IDLE_TIMEOUT", "300ms")
            .start(&mlflow)
            .await;
        Self { mlflow, gateway }
    }

    /// `request` with a host and the good key in place of `{host}` and `{key}`.
    fn filled(&self, request: &str) -> Vec<u8> {
        let key = format!("authorization: Bearer {}\r\n", self.gateway.key);
        request.replace("{host}", "host: gateway.example\r\n").replace("{key}", &key).into_bytes()
    }

    async fn connection(&self, request: &[u8]) -> Connection {
        let mut connection = Connection::open(self.gateway.address).await;
        connection.try_send(request).await;
        connection
    }

    /// The request has one of these statuses, its connection is closed, and MLflow hears nothing.
    async fn refuses(&self, name: &str, statuses: &[u16], request: &[u8]) {
        let mut connection = self.connection(request).await;
        let response = connection.response(request.starts_with(b"HEAD ")).await;
        assert!(statuses.contains(&response.status), "{name}: {response:?}");
        assert!(connection.is_closed().await, "{name}: the connection is kept");
        self.was_not_asked(name);
    }

    fn was_not_asked(&self, name: &str) {
        let seen = self.mlflow.requests();
        assert!(seen.is_empty(), "{name}: MLflow saw {seen:?}");
    }

    /// The request ends without a status, or with a 400, and MLflow has seen nothing whole.
    async fn breaks_off(&self, name: &str, request: &[u8]) {
        let mut connection = self.connection(request).await;
        let response = connection.response(false).await;
        assert!([0, 400, 408].contains(&response.status), "{name}: {response:?}");
        assert!(connection.is_closed().await, "{name}: the connection is kept");
        let seen = self.mlflow.requests();
        assert!(seen.iter().all(|request| !request.complete), "{name}: MLflow saw {seen:?}");
    }

    /// The request is served, and MLflow sees it alone, with this body.
    async fn passes(&self, name: &str, request: &[u8], body: &str) {
        let before = self.mlflow.requests().len();
        let response = self.connection(request).await.response(false).await;
        assert_eq!(response.status, 200, "{name}: {response:?}");
        let seen = self.mlflow.requests();
        assert_eq!(seen.len(), before + 1, "{name}: MLflow saw {seen:?}");
        let last = seen.last().unwrap();
        assert_eq!((last.text(), last.complete), (body.to_owned(), true), "{name}");
    }
}

/// A POST with a good key and these headers and body.
fn post(rest: &str) -> String {
    format!("POST {TARGET} HTTP/1.1\r\n{{host}}{{key}}{rest}")
}

fn chunked(body: &str) -> String {
    post(&format!("transfer-encoding: chunked\r\n\r\n{body}"))
}

#[actix_web::test]
async fn framing_that_could_be_read_in_two_ways_is_refused() {
    let stage = Stage::set().await;
    let te = |value: &str| post(&format!("transfer-encoding: {value}\r\n\r\n0\r\n\r\n"));
    let length = |value: &str| post(&format!("content-length: {value}\r\n\r\nhello"));
    for (name, request) in [
        ("length and chunks", post("content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("chunks and length", post("transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n")),
        ("two lengths", post("content-length: 5\r\ncontent-length: 6\r\n\r\nhello")),
        ("the same length twice", post("content-length: 5\r\ncontent-length: 5\r\n\r\nhello")),
        ("a list of lengths", length("5, 5")),
        ("a signed length", length("+5")),
        ("a negative length", length("-1")),
        ("a hexadecimal length", length("0x5")),
        ("a length of 2^64", length("18446744073709551616")),
        ("an empty length", length("")),
        ("a length with a space", length("5 5")),
        ("an underscore", post("Content_Length: 5\r\n\r\n")),
        ("a space before the colon", post("content-length : 5\r\n\r\nhello")),
        ("an unknown coding", te("xchunked")),
        ("chunked before another", te("chunked, identity")),
        ("gzip before chunked", te("gzip, chunked")),
        ("two codings", post("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("a control character in a coding", te("\x0bchunked")),
        (
            "chunks in HTTP/1.0",
            format!("POST {TARGET} HTTP/1.0\r\n{{host}}{{key}}transfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ),
    ] {
        stage.refuses(name, &[400, 501], &stage.filled(&request)).await;
    }
}

#[actix_web::test]
async fn chunks_that_are_none_end_the_upload() {
    for (name, body) in [
        ("a bare line feed", "5\nhello\r\n0\r\n\r\n"),
        ("a line feed in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
        ("a hexadecimal prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("a negative size", "-1\r\nhello\r\n0\r\n\r\n"),
        ("a size of 17 digits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("no size", "\r\nhello\r\n0\r\n\r\n"),
        ("no line end after the data", "5\r\nhello0\r\n\r\n"),
    ] {
        let stage = Stage::set().await;
        stage.breaks_off(name, &stage.filled(&chunked(body))).await;
        // The same behind a chunk that MLflow has got already.
        stage.breaks_off(name, &stage.filled(&chunked(&format!("3\r\nabc\r\n{body}")))).await;
    }
}

#[actix_web::test]
async fn framing_that_is_only_odd_is_made_plain() {
    let stage = Stage::set().await;
    for (name, request, body) in [
        ("leading zeros", post("content-length: 0005\r\n\r\nhello"), "hello"),
        ("tabs around a coding", post("transfer-encoding:\tchunked\t\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), "hi"),
        ("a space behind a size", chunked("2 \r\nhi\r\n0\r\n\r\n"), "hi"),
        ("a length as a trailer", chunked("2\r\nhi\r\n0\r\ncontent-length: 3\r\n\r\n"), "hi"),
    ] {
        stage.passes(name, &stage.filled(&request), body).await;
    }
    let seen = stage.mlflow.requests();
    assert_eq!(seen[0].header("content-length"), Some("5"));
    assert_eq!(seen[1].header("transfer-encoding"), Some("chunked"));
    assert!(seen.iter().all(|request| request.header("trailer").is_none()));
}

#[actix_web::test]
async fn a_trailer_never_becomes_a_request() {
    let stage = Stage::set().await;
    let smuggled = chunked(&format!("2\r\nhi\r\n0\r\nx: y\nGET {ARTIFACT} HTTP/1.1\r\n{{host}}{{key}}\r\n"));
    let mut connection = stage.connection(&stage.filled(&smuggled)).await;
    connection.response(false).await;
    let seen = stage.mlflow.requests();
    assert!(seen.len() <= 1 && seen.iter().all(|request| request.line.starts_with("POST")), "{seen:?}");
}

#[actix_web::test]
async fn a_body_that_is_all_framing_ends_the_upload_and_takes_no_memory() {
    let megabyte = "0".repeat(1 << 20);
    for (name, body) in [
        ("zeros before a size", format!("{megabyte}5\r\nhello\r\n0\r\n\r\n")),
        ("an extension", format!("5;{megabyte}\r\nhello\r\n0\r\n\r\n")),
        ("a trailer", format!("5\r\nhello\r\n0\r\nx: {megabyte}\r\n\r\n")),
    ] {
        let stage = Stage::set().await;
        let request = stage.filled(&chunked(&body));
        stage.breaks_off(name, &request).await;
    }
}

#[actix_web::test]
async fn a_body_shorter_than_its_length_is_never_whole() {
    let stage = Stage::set().await;
    let mut connection = stage.connection(&stage.filled(&post("content-length: 10\r\n\r\nhello"))).await;
    connection.finish().await;
    // Whoever still listens is told.
    connection.receive_slowly(usize::MAX, 4096, Duration::ZERO).await;
    assert!(connection.is_closed().await);
    assert!(stage.mlflow.requests().iter().all(|request| !request.complete));
}

#[actix_web::test]
async fn a_body_on_a_get_never_becomes_a_request() {
    let stage = Stage::set().await;
    let inner = format!("GET {ARTIFACT} HTTP/1.1\r\n{{host}}{{key}}\r\n");
    let inner = String::from_utf8(stage.filled(&inner)).unwrap();
    let length = format!("content-length: {}\r\n\r\n{inner}", inner.len());
    let chunks = format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len());
    let behind = format!("GET {TARGET}?behind HTTP/1.1\r\n{{host}}{{key}}\r\n");
    for framed in [&length, &chunks] {
        let request = format!("GET {TARGET} HTTP/1.1\r\n{{host}}{{key}}{framed}{behind}");
        let mut connection = stage.connection(&stage.filled(&request)).await;
        for _ in 0..2 {
            assert_eq!(connection.response(false).await.status, 200, "{framed}");
        }
        let seen = stage.mlflow.requests();
        let [first, second] = &seen[seen.len() - 2..] else { panic!("MLflow saw {seen:?}") };
        assert_eq!((first.text(), first.complete), (inner.clone(), true), "{framed}");
        assert!(second.target().ends_with("?behind") && second.body.is_empty(), "{framed}: {second:?}");
    }
    assert_eq!(stage.mlflow.requests().len(), 4);

    let stage = Stage::set().await;
    for framed in [&length, &chunks] {
        let request = format!("HEAD {TARGET} HTTP/1.1\r\n{{host}}{{key}}{framed}{behind}");
        stage.refuses("a body on a HEAD", &[400], &stage.filled(&request)).await;
        // Parameters that are judged in a query could stand in the body.
        let request = format!("GET /get-artifact?path=a HTTP/1.1\r\n{{host}}{{key}}{framed}{behind}");
        stage.refuses("a body beside a query", &[400], &stage.filled(&request)).await;
    }
}

#[actix_web::test]
async fn pipelined_requests_are_each_authenticated_for_themselves() {
    let stage = Stage::set().await;
    let good = format!("GET {TARGET} HTTP/1.1\r\n{{host}}{{key}}\r\n");
    let bad = format!("GET {TARGET} HTTP/1.1\r\n{{host}}authorization: Bearer wrong\r\n\r\n");
    let mut connection = stage.connection(&stage.filled(&format!("{good}{bad}").repeat(10))).await;
    for number in 0..20 {
        assert_eq!(connection.response(false).await.status, [200, 401][number % 2], "{number}");
    }
    assert_eq!(stage.mlflow.requests().len(), 10);
}

#[actix_web::test]
async fn a_response_is_framed_by_its_own_request_whatever_is_pipelined_behind_it() {
    let mlflow = Server::start(|request| {
        let slowly = Duration::from_millis(if request.target().contains("slow") { 100 } else { 0 });
        let (head, body) = (b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n", b"the body");
        let body = if request.line.starts_with("HEAD") { Vec::new() } else { body.to_vec() };
        Answer::After(slowly, [&head[..], &body].concat())
    })
    .await;
    let gateway = Gateway::start(&mlflow).await;
    let slow = gateway.request("GET", &format!("{TARGET}?slow"), "");
    let chunks = "transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let slow_chunked = gateway.request("POST", &format!("{TARGET}?slow"), chunks);
    for second in [
        gateway.request("HEAD", TARGET, ""),
        gateway.request("GET", TARGET, "connection: close\r\n"),
        gateway.request("GET", TARGET, "").replace("HTTP/1.1", "HTTP/1.0"),
        gateway.request("POST", TARGET, "content-length: 2\r\n\r\nhi"),
        gateway.request("POST", TARGET, "transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
        format!("\r\n{}", gateway.request("HEAD", TARGET, "")),
    ] {
        for slow in [&slow, &slow_chunked] {
            let mut connection = Connection::open(gateway.address).await;
            connection.send(format!("{slow}{second}")).await;
            let first = connection.response(false).await;
            assert_eq!((first.text(), first.complete), ("the body", true), "{second}");
            assert_eq!(first.header("connection"), None, "{second}");
            assert_eq!(
                connection.response(second.trim_start().starts_with("HEAD")).await.status,
                200,
                "{second}"
            );
        }
    }
}

#[actix_web::test]
async fn a_body_that_nobody_reads_is_given_up_without_a_key_too() {
    let stage = Stage::set().await;
    let refused = async |name: &str, head: &str, framing: &str| {
        let mut connection = stage.connection(format!("{head}{framing}").as_bytes()).await;
        let response = connection.response(false).await;
        assert_eq!(response.header("connection"), Some("close"), "{name}, {framing}");
        assert!(connection.is_closed().await, "{name}, {framing}");
    };
    let (live, post) =
        ("GET /live HTTP/1.1\r\nhost: a\r\n", format!("POST {TARGET} HTTP/1.1\r\nhost: a\r\n"));
    let (chunked, sized) = ("transfer-encoding: chunked\r\n\r\n1\r\nx\r\n", "content-length: 100\r\n\r\nx");
    // All at once: each lingers for five seconds.
    tokio::join!(
        refused("an open route", live, chunked),
        refused("an open route", live, sized),
        refused("no key", &post, chunked),
        refused("no key", &post, sized),
    );
}

#[actix_web::test]
async fn a_request_behind_the_last_one_is_nobodys() {
    let stage = Stage::set().await;
    let last = format!("GET {TARGET} HTTP/1.1\r\n{{host}}{{key}}connection: close\r\n\r\n");
    let behind = format!("GET {TARGET}?behind HTTP/1.1\r\n{{host}}{{key}}\r\n");
    let mut connection = stage.connection(&stage.filled(&format!("{last}{behind}"))).await;
    assert_eq!(connection.response(false).await.status, 200);
    assert!(connection.is_closed().await);
    assert_eq!(stage.mlflow.requests().len(), 1);
}

#[actix_web::test]
async fn a_fragment_is_that_of_its_own_request() {
    let stage = Stage::set().await;
    let good = |target: &str| format!("GET {target} HTTP/1.1\r\n{{host}}{{key}}x-issue: #5\r\n\r\n");
    let request = [good("/live#x"), good(TARGET), good(&format!("{TARGET}#y")), good(TARGET)].concat();
    let mut connection = stage.connection(&stage.filled(&request)).await;
    for status in [200, 200, 400] {
        assert_eq!(connection.response(false).await.status, status);
    }
    assert_eq!(stage.mlflow.requests().len(), 1);
}

#[actix_web::test]
async fn a_client_that_reads_slowly_and_steadily_is_never_cut_off() {
    let mlflow = Server::start(|_| Answer::Endless).await;
    let gateway = GatewayBuilder::default().set("SERVER__BODY_IDLE_TIMEOUT", "1s").start(&mlflow).await;
    let mut connection = Connection::open(gateway.address).await;
    connection.send(gateway.request("GET", ARTIFACT, "")).await;
    // More than the kernel buffers, at a pace at which those buffers take longer than a second.
    let received = connection.receive_slowly(12 << 20, 64 * 1024, Duration::from_millis(60)).await;
    assert!(received >= 12 << 20, "cut off after {received} bytes");
}

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

#[actix_web::test]
async fn paths_that_could_be_read_in_two_ways_are_refused() {
    let stage = Stage::set().await;
    for path in [
        "/x/../health",
        "/%2e%2e/",
        "/.%2e/",
        "/%252e%252e/",
        "/./",
        "/a/.",
        "/api//2.0/mlflow/runs/get",
        "/api%2f2.0/mlflow/runs/get",
        "/a\\b",
        "/a%5cb",
        "/a%00b",
        "/a%0d%0ab",
        "/%c0%ae%c0%ae/",
        "/%zz",
        "/a;a=b",
    ] {
        let request = format!("GET /api/mlflow{path} HTTP/1.1\r\n{{host}}{{key}}\r\n");
        stage.refuses(path, &[400], &stage.filled(&request)).await;
    }
    let unknown = "GET /API/2.0/mlflow/runs/get HTTP/1.1\r\n{host}{key}\r\n";
    let response = stage.connection(&stage.filled(unknown)).await.response(false).await;
    assert_eq!((response.status, response.reason().as_str()), (404, "route_unknown"));
    stage.was_not_asked("another case");
}

/// MLflow drops what stands before a path, tabs and line ends in it, and empty parameters behind it; the administrator's
/// key is refused as well.
#[actix_web::test]
async fn no_root_of_the_artifact_store_is_changed_by_any_name() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .scopes(&["mlflow:admin"])
        .set("MLFLOW__DIRECT_ARTIFACTS", "allow")
        .start(&mlflow)
        .await;
    for root in [
        ".",
        "%2e",
        "%20",
        "%20.",
        "%1F%2e",
        "%2520.",
        ".%3b",
        ".;",
        ".%3F",
        ".%23",
        "%09",
        "file:",
        "FILE%3A",
        "%2f%2f",
        "1%2f..",
        "workspaces",
        "%20workspaces",
        "work%0aspaces%0D/",
        "Workspaces",
        "workspaces/team-b",
        "workspaces%2Fteam-b%2F",
        "workspaces/team-b;",
    ] {
        for (method, route) in [
            ("PUT", "api/2.0/mlflow-artifacts/artifacts/"),
            ("DELETE", "ajax-api/2.0/mlflow-artifacts/artifacts/"),
            ("POST", "api/2.0/mlflow-artifacts/mpu/create/"),
            ("POST", "api/2.0/mlflow-artifacts/mpu/complete/"),
            ("POST", "api/2.0/mlflow-artifacts/mpu/abort/"),
        ] {
            let response =
                ask(gateway.address, gateway.request(method, &format!("/{route}{root}"), "")).await;
            let told = (response.status, response.reason());
            assert_eq!(told, (400, "bad_path".to_owned()), "{method} {route}{root}");
        }
    }
    assert!(mlflow.requests().is_empty());
}

#[actix_web::test]
async fn what_mlflow_keeps_of_a_name_reaches_it_as_it_came() {
    let stage = Stage::set().await;
    for name in [
        "%25timestamp%2517.png",
        "95%ab.png",
        "a%09b",
        "Icon%0D",
        "a%5Cb",
        "lr=1e-3;bs=32.ckpt",
        "a%00b",
        "model%20v1%20%232%2050%25%20%2B%C3%A9.txt",
    ] {
        let target = format!("/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts/{name}");
        stage.passes(name, &stage.filled(&format!("GET {target} HTTP/1.1\r\n{{host}}{{key}}\r\n")), "").await;
        assert_eq!(stage.mlflow.requests().last().unwrap().target(), target);
    }
}

#[actix_web::test]
async fn nothing_in_a_target_or_a_user_agent_skips_authentication() {
    let stage = Stage::set().await;
    for (target, header) in [
        (&format!("{TARGET}?x=/health")[..], ""),
        ("/api/mlflow/health", ""),
        ("/mlflow/static-files/health", ""),
        (TARGET, "user-agent: ELB-HealthChecker/2.0\r\n"),
        (TARGET, "user-agent: kube-probe/1.30\r\n"),
        (TARGET, "x-original-url: /health\r\nx-rewrite-url: /health\r\nx-forwarded-uri: /health\r\n"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\n{{host}}{header}\r\n");
        let response = stage.connection(&stage.filled(&request)).await.response(false).await;
        assert_eq!(response.status, 401, "{target} {header}");
    }
    for target in ["/api/mlflow/health%3f", "/api/mlflow/live"] {
        let request = format!("GET {target} HTTP/1.1\r\n{{host}}\r\n");
        let response = stage.connection(&stage.filled(&request)).await.response(false).await;
        assert_eq!((response.status, response.reason().as_str()), (404, "route_unknown"), "{target}");
    }
    stage.was_not_asked("without a key");
}

#[actix_web::test]
async fn headers_that_lie_have_no_effect() {
    let stage = Stage::set().await;
    for lie in [
        "x-original-url: /evil",
        "x-rewrite-url: /evil",
        "x-forwarded-uri: /evil",
        "x-forwarded-prefix: /evil",
        "x-http-method-override: DELETE",
        "x-method-override: DELETE",
        "x-hokusai-user-id: evil",
        "x-hokusai-key-id: evil",
        "x-forwarded-for: 192.0.2.66",
        "forwarded: for=192.0.2.66",
        "x-real-ip: 192.0.2.66",
    ] {
        let request = format!("GET {TARGET}?_method=GET HTTP/1.1\r\n{{host}}{{key}}{lie}\r\n\r\n");
        stage.passes(lie, &stage.filled(&request), "").await;
        let seen = stage.mlflow.requests().pop().unwrap();
        let value = lie.split(": ").nth(1).unwrap();
        assert!(!format!("{:?}", seen.headers).contains(value), "{lie}: {seen:?}");
        assert!(
            seen.line.starts_with("GET /api/2.0/mlflow/experiments/search?_method=GET "),
            "{lie}: {}",
            seen.line
        );
        assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"), "{lie}");
    }
}

#[actix_web::test]
async fn credentials_that_are_none_or_two_never_reach_the_auth_service() {
    let auth = Server::start(|_| Answer::ok(r#"{"is_valid": true, "key_id": "k-1"}"#)).await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &auth.url())
        .set("AUTH__SERVICE__REPORT_USAGE", "false")
        .start(&mlflow)
        .await;
    let long = format!("authorization: Bearer {}", "k".repeat(8193));
    for (status, headers) in [
        (400, "authorization: Bearer a\r\nauthorization: Bearer b"),
        (400, "authorization: Bearer a\r\nx-api-key: a"),
        (400, "authorization: Bearer a, Bearer b"),
        (401, "authorization: Bearer"),
        (401, "authorization: Bearer  "),
        (401, "authorization: Bearera"),
        (401, "authorization: Bearer a\tb"),
        (401, &long),
    ] {
        let request = format!("GET {TARGET} HTTP/1.1\r\nhost: a\r\n{headers}\r\n\r\n");
        assert_eq!(ask(gateway.address, request).await.status, status, "{headers:.60}");
    }
    assert!(auth.requests().is_empty() && mlflow.requests().is_empty());
    let small = format!("GET {TARGET} HTTP/1.1\r\nhost: a\r\nauthorization: bearer KEY\r\n\r\n");
    assert_eq!(ask(gateway.address, small).await.status, 200);
}

#[actix_web::test]
async fn heads_and_bodies_that_never_end_are_given_up() {
    let stage = Stage::set().await;
    let whole = stage.filled(&format!("GET {TARGET} HTTP/1.1\r\n{{host}}{{key}}\r\n"));
    let half = &whole[..whole.len() - 10];

    let mut first = stage.connection(half).await;
    assert_eq!(first.response(false).await.status, 408);
    assert!(first.is_closed().await, "the first head");

    let mut later = stage.connection(&whole).await;
    assert_eq!(later.response(false).await.status, 200);
    later.send(half).await;
    assert_eq!(later.response(false).await.status, 408);
    assert!(later.is_closed().await, "a later head");

    // A byte now and then is no progress.
    let mut drip = stage.connection(&whole).await;
    assert_eq!(drip.response(false).await.status, 200);
    for byte in half {
        if !drip.try_send(&[*byte]).await {
            break;
        }
        actix_rt::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(drip.response(false).await.status, 408);
    assert!(drip.is_closed().await, "a head that drips");

    let mut body = stage.connection(&stage.filled(&post("content-length: 100000\r\n\r\n"))).await;
    for _ in 0..100 {
        if !body.try_send(b"x").await {
            break;
        }
        actix_rt::time::sleep(Duration::from_millis(20)).await;
    }
    let response = body.response(false).await;
    assert!([0, 408].contains(&response.status), "{response:?}");
    assert!(
        stage.mlflow.requests().iter().all(|request| !request.line.starts_with("POST") || !request.complete)
    );
}

#[actix_web::test]
async fn a_connection_between_two_requests_is_kept_longer_than_a_head_may_take() {
    let stage = Stage::set().await;
    let whole = stage.filled(&format!("GET {TARGET} HTTP/1.1\r\n{{host}}{{key}}\r\n"));
    let mut connection = stage.connection(&whole).await;
    assert_eq!(connection.response(false).await.status, 200);
    // An empty line is no beginning of a request.
    connection.send("\r\n").await;
    actix_rt::time::sleep(Duration::from_millis(1500)).await;
    connection.send(&whole).await;
    assert_eq!(connection.response(false).await.status, 200);
}

#[actix_web::test]
async fn a_head_that_begins_in_time_may_take_longer_than_an_idle_connection_is_kept() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("SERVER__KEEP_ALIVE", "1s")
        .set("SERVER__HEAD_TIMEOUT", "20s")
        .start(&mlflow)
        .await;
    let whole = gateway.request("GET", TARGET, "");
    let (begin, end) = whole.split_at(whole.len() - 10);
    let mut connection = Connection::open(gateway.address).await;
    connection.send(&whole).await;
    assert_eq!(connection.response(false).await.status, 200);
    connection.send(begin).await;
    actix_rt::time::sleep(Duration::from_secs(3)).await;
    connection.send(end).await;
    assert_eq!(connection.response(false).await.status, 200);
}

#[actix_web::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let mlflow = Server::start(|_| Answer::Endless).await;
    let gateway = GatewayBuilder::default()
        .set("SERVER__BODY_IDLE_TIMEOUT", "300ms")
        .set("MLFLOW__MAX_CONNECTIONS", "1")
        .start(&mlflow)
        .await;
    let mut stuck = Connection::open(gateway.address).await;
    stuck.send(gateway.request("GET", ARTIFACT, "")).await;
    stuck.until_received(b"xxxx").await;
    // Its claim on the one connection to MLflow ends, and another gets it.
    eventually("another is served", async || {
        let mut another = Connection::open(gateway.address).await;
        another.send(gateway.request("GET", ARTIFACT, "")).await;
        another.begins_with(b"HTTP/1.1 200").await
    })
    .await;
}

#[actix_web::test]
async fn a_body_larger_than_the_cap_is_refused_and_never_whole() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().set("SERVER__MAX_BODY", "1KiB").start(&mlflow).await;
    for (name, rest) in [
        ("by its length", "content-length: 1025\r\n\r\n".to_owned()),
        (
            "by its chunks",
            format!("transfer-encoding: chunked\r\n\r\n401\r\n{}\r\n0\r\n\r\n", "x".repeat(1025)),
        ),
    ] {
        let response = ask(gateway.address, gateway.request("PUT", ARTIFACT, &rest)).await;
        assert_eq!((response.status, response.reason().as_str()), (413, "body_too_large"), "{name}");
    }
    assert!(mlflow.requests().iter().all(|request| !request.complete));
    let fits = format!("content-length: 1024\r\n\r\n{}", "x".repeat(1024));
    assert_eq!(ask(gateway.address, gateway.request("PUT", ARTIFACT, &fits)).await.status, 200);
}
