//! Plain actix-http, without the gateway: the behaviour that `connection/` works around. A test that fails here says that an update
//! of actix-http made a workaround unnecessary; the table in `src/connection/mod.rs` says which.

use std::{cell::Cell, convert::Infallible, io, time::Duration};

use actix_http::{
    HttpService, Request, Response,
    body::{BodyStream, BoxBody, MessageBody as _},
};
use actix_service::{Service as _, ServiceFactory as _, fn_service};
use actix_web::{
    http::{ConnectionType, uri::PathAndQuery},
    web::Bytes,
};
use futures_util::{StreamExt as _, stream};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    time::timeout,
};

/// Every timeout that actix-http has.
const TIMEOUT: Duration = Duration::from_millis(50);
/// Long after all of them.
const LONG_AFTER: Duration = Duration::from_millis(400);
/// For everything else.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a client or a server can send before the other side reads.
const PIPE: usize = 4096;

/// The response to a path.
async fn handle(mut request: Request) -> Result<Response<BoxBody>, Infallible> {
    let mut response = Response::ok();
    let body = match request.path() {
        "/endless" => {
            BodyStream::new(stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from_static(&[b'x'; 1024]))))
                .boxed()
        }
        "/failing" => {
            response.head_mut().no_chunking(true);
            let half = stream::iter([Ok(Bytes::from_static(b"half of it"))]);
            let failure = stream::once(async {
                actix_rt::time::sleep(TIMEOUT).await;
                Err(io::Error::other("failed"))
            });
            BodyStream::new(half.chain(failure)).boxed()
        }
        "/stream" => {
            BodyStream::new(stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"piece"))])).boxed()
        }
        path => {
            match path {
                "/slow" => actix_rt::time::sleep(TIMEOUT).await,
                "/waiting" => std::future::pending().await,
                "/close" => response.head_mut().set_connection_type(ConnectionType::Close),
                _ => {}
            }
            BoxBody::new(format!("<{}>", request.path()))
        }
    };
    let mut payload = request.take_payload();
    while payload.next().await.is_some() {}
    Ok(response.set_body(body))
}

/// A connection to a server whose timeout for a head is this one.
fn connect(head_timeout: Duration) -> DuplexStream {
    let (client, server) = duplex(PIPE);
    actix_rt::spawn(async move {
        let service = HttpService::build()
            .client_request_timeout(head_timeout)
            .client_disconnect_timeout(TIMEOUT)
            .keep_alive(TIMEOUT)
            .h1(fn_service(handle))
            .new_service(())
            .await
            .unwrap();
        let _ = service.call((server, None)).await;
    });
    client
}

/// Everything that comes for these requests until the connection ends, or nothing has come for long after they were sent.
async fn answers(requests: impl AsRef<[u8]>) -> String {
    let mut client = connect(PATIENCE);
    let (mut reading, mut writing) = tokio::io::split(&mut client);
    let mut received = Vec::new();
    let written = Cell::new(false);
    let write = async {
        let _ = writing.write_all(requests.as_ref()).await;
        written.set(true);
    };
    let read = async {
        loop {
            match timeout(LONG_AFTER, reading.read_buf(&mut received)).await {
                Ok(Ok(1..)) => {}
                Err(_) if !written.get() => {}
                _ => break,
            }
        }
    };
    tokio::join!(write, read);
    String::from_utf8(received).unwrap()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")
}

fn assert_is(status: u16, answer: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer:?}");
}

#[actix_web::test]
async fn actix_http_still_has_no_timeout_for_a_head_after_the_first() {
    let mut received = Vec::new();
    let mut client = connect(TIMEOUT);
    client.write_all(b"GET / HT").await.unwrap();
    timeout(PATIENCE, client.read_to_end(&mut received)).await.expect("the first head has none").unwrap();
    assert_is(408, str::from_utf8(&received).unwrap());

    received.clear();
    let mut client = connect(TIMEOUT);
    client.write_all(get("/first").as_bytes()).await.unwrap();
    while !received.ends_with(b"</first>") {
        client.read_buf(&mut received).await.unwrap();
    }
    client.write_all(b"GET / HT").await.unwrap();
    let end = timeout(LONG_AFTER, client.read_to_end(&mut received)).await;
    assert!(end.is_err(), "{end:?}");
}

#[actix_web::test]
async fn actix_http_still_has_no_timeout_for_a_client_that_reads_nothing() {
    let mut client = connect(PATIENCE);
    client.write_all(get("/endless").as_bytes()).await.unwrap();
    actix_rt::time::sleep(LONG_AFTER).await;
    let mut more = vec![0; 16 * PIPE];
    timeout(LONG_AFTER, client.read_exact(&mut more)).await.expect("it was closed").unwrap();
}

#[actix_web::test]
async fn actix_http_still_frames_a_response_by_the_head_that_it_read_last() {
    let pipelined = format!("{}HEAD /second HTTP/1.1\r\nhost: a\r\n\r\n", get("/slow"));
    let answers = answers(pipelined).await;
    assert!(answers.contains("HTTP/1.1 200 OK") && !answers.contains("</slow>"), "{answers}");
}

#[actix_web::test]
async fn actix_http_still_serves_requests_after_a_response_that_closes() {
    let answers = answers(format!("{}{}", get("/close"), get("/second"))).await;
    assert!(answers.contains("</close>") && answers.contains("</second>"), "{answers}");
}

#[actix_web::test]
async fn actix_http_still_buffers_an_incomplete_head_of_more_than_64_kib() {
    assert_is(200, &answers(get(&format!("/ HTTP/1.1\r\nx: {}", "y".repeat(100 * 1024)))).await);
}

#[actix_web::test]
async fn actix_http_still_buffers_128_kib_of_a_body_that_is_not_read() {
    let mut client = connect(PATIENCE);
    let head = "POST /waiting HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    timeout(LONG_AFTER, client.write_all(&[b'x'; 128 * 1024])).await.expect("it reads less").unwrap();
}

#[actix_web::test]
async fn actix_http_still_accepts_any_amount_of_chunk_framing() {
    let chunk = format!("1;{}\r\nx\r\n", "e".repeat(1024));
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_is(200, &answers(format!("{head}{}0\r\n\r\n", chunk.repeat(1024))).await);
}

#[actix_web::test]
async fn actix_http_still_drops_a_fragment_silently() {
    assert!(answers(get("/a#b")).await.ends_with("</a>"));
}

#[actix_web::test]
async fn actix_http_still_refuses_targets_that_mlflow_accepts() {
    for target in ["/<", "/>", "/`", "/?\"", "/?<"] {
        assert_is(400, &answers(get(target)).await);
    }
    assert_is(400, &answers(b"GET /?\xff HTTP/1.1\r\nhost: a\r\n\r\n").await);
    assert_is(400, &answers(get(&format!("/?{}", "x".repeat(65_534)))).await);
}

#[test]
fn http_still_reads_another_path_than_the_one_it_was_given() {
    let path = format!("/{}", "x".repeat(65_536));
    let target = PathAndQuery::try_from(format!("{path}?a")).unwrap();
    assert_ne!(target.path(), path);
}

#[actix_web::test]
async fn actix_http_still_refuses_an_http_1_0_post_without_a_length() {
    let answer = answers("POST / HTTP/1.0\r\n\r\n").await;
    assert!(answer.contains(" 400 "), "{answer}");
}

#[actix_web::test]
async fn actix_http_still_sends_chunks_to_a_client_of_http_1_0() {
    let answer = answers("GET /stream HTTP/1.0\r\n\r\n").await;
    assert!(answer.contains("transfer-encoding: chunked\r\n"), "{answer}");
}

#[actix_web::test]
async fn actix_http_still_answers_what_it_cannot_parse_with_a_status_only() {
    for unparsable in ["\x16\x03\x01\r\n\r\n", "GET / HTTP/1.1\r\nx\r\n\r\n"] {
        let answer = answers(unparsable).await;
        assert!(answer.contains(" 400 ") && answer.contains("content-length: 0\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[actix_web::test]
async fn actix_http_still_ends_a_failed_body_like_a_complete_one() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    client.write_all(b"GET /failing HTTP/1.0\r\n\r\n").await.unwrap();
    actix_rt::spawn(async move {
        let service = HttpService::build().h1(fn_service(handle)).new_service(()).await.unwrap();
        let _ = service.call((server, None)).await;
    });
    let mut received = String::new();
    client.read_to_string(&mut received).await.expect("it was reset");
    assert!(received.ends_with("half of it"), "{received}");
}
