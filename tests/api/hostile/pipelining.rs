//! Several requests on one connection.

use super::*;

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
