//! An upstream that breaks HTTP, and clients that vanish: nothing half is ever passed on as whole.

use std::{collections::HashSet, net::SocketAddr, sync::Mutex, time::Duration};

use secrecy::ExposeSecret as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{
    Gateway, GatewayBuilder, Server, ask, client::Connection, eventually, gateway::create_key,
    process::Process, server::Answer,
};

const SEARCH: &str = "/api/mlflow/api/2.0/mlflow/experiments/search";

#[actix_web::test]
async fn a_truncated_response_is_never_complete() {
    for truncated in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nonly this\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nonly",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\ncontent-length: 100\r\n\r\nonly this",
    ] {
        for end in [Answer::BytesThenClose, Answer::BytesThenReset] {
            let answer = end(truncated.as_bytes().to_vec());
            let mlflow = Server::start(move |_| answer.clone()).await;
            let gateway = Gateway::start(&mlflow).await;
            let response = gateway.get(SEARCH).await;
            assert!(!response.complete, "{truncated:?} was passed on as whole: {response:?}");
        }
    }
}

#[actix_web::test]
async fn a_response_that_cannot_be_passed_on_is_a_502() {
    for (name, answer, reason) in [
        (
            "early hints",
            Answer::bytes("HTTP/1.1 103 X\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            "upstream_protocol",
        ),
        (
            "continue",
            Answer::bytes("HTTP/1.1 100 X\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            "upstream_protocol",
        ),
        ("switching", Answer::bytes("HTTP/1.1 101 X\r\nupgrade: x\r\n\r\n"), "upstream_protocol"),
        ("unframed", Answer::bytes_then_close("HTTP/1.1 200 OK\r\n\r\nhow long?"), "upstream_protocol"),
        (
            "framed by nothing",
            Answer::bytes_then_close("HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nhow long?"),
            "upstream_protocol",
        ),
        // awc would take its body for an empty one.
        (
            "an offer of a WebSocket",
            Answer::bytes("HTTP/1.1 426 X\r\nupgrade: websocket\r\ncontent-length: 2\r\n\r\nno"),
            "upstream_protocol",
        ),
        // awc would panic.
        (
            "a name too long",
            Answer::Bytes([b"HTTP/1.1 204 X\r\n", "x".repeat(1 << 16).as_bytes(), b": x\r\n\r\n"].concat()),
            "upstream_protocol",
        ),
        ("not http", Answer::bytes_then_close("SSH-2.0-OpenSSH\r\n"), "upstream_protocol"),
        (
            "two lengths",
            Answer::bytes("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
            "upstream_protocol",
        ),
        ("a head cut off", Answer::bytes_then_close("HTTP/1.1 200 OK\r\ncontent-le"), "upstream_unavailable"),
        ("closed", Answer::Close, "upstream_unavailable"),
    ] {
        let mlflow = Server::start(move |_| answer.clone()).await;
        let gateway = Gateway::start(&mlflow).await;
        let response = gateway.get(SEARCH).await;
        assert_eq!((response.status, response.reason().as_str()), (502, reason), "{name}");
    }
}

#[actix_web::test]
async fn an_interim_response_never_reaches_the_next_client() {
    // The real response comes late, when the connection could be somebody else's.
    let mlflow = Server::start(|request| {
        if request.target().contains("first") {
            Answer::Pieces(
                vec![
                    b"HTTP/1.1 103 Early Hints\r\nlink: </secret>\r\n\r\n".to_vec(),
                    b"HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\nfor the first one".to_vec(),
                ],
                Duration::from_millis(50),
            )
        } else {
            Answer::ok("for the second one")
        }
    })
    .await;
    let gateway = Gateway::start(&mlflow).await;
    for _ in 0..20 {
        let first = gateway.get("/api/2.0/mlflow/runs/get?first").await;
        assert_eq!((first.status, first.reason().as_str()), (502, "upstream_protocol"));
        let second = gateway.get("/api/2.0/mlflow/runs/get?second").await;
        assert_eq!(second.text(), "for the second one");
    }
}

#[actix_web::test]
async fn bytes_behind_a_response_never_become_the_next_one() {
    let mlflow = Server::start(|_| {
        Answer::bytes(
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        )
    })
    .await;
    let gateway = GatewayBuilder::default().set("MLFLOW__PROBE_INTERVAL", "1h").start(&mlflow).await;
    for _ in 0..20 {
        let response = gateway.get(SEARCH).await;
        assert!(!response.text().contains("evil"), "{response:?}");
    }
    // Not even where the rest of them is still to come.
    let connections: Vec<_> = mlflow.requests().iter().map(|request| request.connection).collect();
    assert!(connections.windows(2).all(|pair| pair[0] != pair[1]), "{connections:?}");
}

#[actix_web::test]
async fn a_body_behind_a_204_never_becomes_the_next_response() {
    for (framing, body) in [
        ("transfer-encoding: chunked", "0\r\n\r\n"),
        ("content-length: 40", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nx"),
    ] {
        let head = format!("HTTP/1.1 204 X\r\n{framing}\r\n\r\n");
        let mlflow = Server::start(move |request| {
            if request.target().contains("second") {
                return Answer::ok("{}");
            }
            Answer::Pieces(vec![head.clone().into_bytes(), body.into()], Duration::from_millis(20))
        })
        .await;
        let gateway = GatewayBuilder::default().set("MLFLOW__PROBE_INTERVAL", "1h").start(&mlflow).await;
        assert_eq!(gateway.get("/api/2.0/mlflow/runs/get?first").await.status, 204);
        let second = gateway.get("/api/2.0/mlflow/runs/get?second").await;
        assert_eq!((second.status, second.text()), (200, "{}"), "{framing}");
    }
}

#[actix_web::test]
async fn a_second_try_is_on_a_connection_that_nobody_used() {
    // Each connection is good for one request, and does not tell before the second.
    let used = Mutex::new(HashSet::new());
    let mlflow = Server::start(move |request| {
        if !used.lock().unwrap().insert(request.connection) {
            return Answer::Close;
        }
        let head = b"HTTP/1.1 200 OK\r\n".to_vec();
        Answer::Pieces(vec![head, b"content-length: 2\r\n\r\n{}".to_vec()], Duration::from_millis(50))
    })
    .await;
    let gateway = GatewayBuilder::default().set("MLFLOW__PROBE_INTERVAL", "1h").start(&mlflow).await;
    let (first, second) = tokio::join!(gateway.get(SEARCH), gateway.get(SEARCH));
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(gateway.get(SEARCH).await.status, 200);
}

#[actix_web::test]
async fn silence_has_an_end_wherever_it_falls() {
    let patience = "200ms";
    for (name, answer) in [
        ("no response", Answer::Silence),
        ("half a head", Answer::Pieces(vec![b"HTTP/1.1 200 OK\r\n".to_vec()], Duration::from_secs(3600))),
    ] {
        let mlflow = Server::start(move |_| answer.clone()).await;
        let gateway = GatewayBuilder::default()
            .set("MLFLOW__RESPONSE_TIMEOUT", patience)
            .set("MLFLOW__CONNECT_TIMEOUT", patience)
            .start(&mlflow)
            .await;
        let response = gateway.get(SEARCH).await;
        assert_eq!((response.status, response.reason().as_str()), (504, "upstream_timeout"), "{name}");
    }

    let mlflow = Server::start(|_| {
        let half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec();
        Answer::Pieces(vec![half], Duration::from_secs(3600))
    })
    .await;
    let gateway = GatewayBuilder::default().set("MLFLOW__IDLE_TIMEOUT", patience).start(&mlflow).await;
    let response = gateway.get(SEARCH).await;
    assert!(!response.complete);
}

#[actix_web::test]
async fn a_slow_but_steady_body_has_no_deadline() {
    let mlflow = Server::start(|_| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n".to_vec();
        let body = std::iter::repeat_n(b"x".to_vec(), 10);
        Answer::Pieces(std::iter::once(head).chain(body).collect(), Duration::from_millis(100))
    })
    .await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__IDLE_TIMEOUT", "500ms")
        .set("MLFLOW__RESPONSE_TIMEOUT", "500ms")
        .start(&mlflow)
        .await;
    assert!(gateway.get(SEARCH).await.complete);
}

#[actix_web::test]
async fn a_client_that_stalls_in_its_body_is_told_so() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().set("SERVER__BODY_IDLE_TIMEOUT", "200ms").start(&mlflow).await;
    let mut connection = Connection::open(gateway.address).await;
    connection.send(gateway.request("POST", SEARCH, "content-length: 100\r\n\r\nhalf")).await;
    let response = connection.response(false).await;
    assert_eq!((response.status, response.reason().as_str()), (408, "body_timeout"));
}

#[actix_web::test]
async fn an_upload_that_breaks_off_is_never_whole_at_mlflow() {
    for rest in [
        format!("content-length: 200000\r\n\r\n{}", "x".repeat(100_000)),
        format!("transfer-encoding: chunked\r\n\r\n186a0\r\n{}\r\n", "x".repeat(100_000)),
    ] {
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let gateway = Gateway::start(&mlflow).await;
        let mut connection = Connection::open(gateway.address).await;
        connection.send(gateway.request("PUT", "/api/2.0/mlflow-artifacts/artifacts/a", &rest)).await;
        mlflow.until_begun().await;
        drop(connection);
        let seen = mlflow.until(|request| request.line.starts_with("PUT")).await;
        assert!(!seen.complete, "{rest:.40}");
    }
}

#[actix_web::test]
async fn without_mlflow_there_is_a_502_in_mlflows_json() {
    let gateway = GatewayBuilder::default().start_with("http://127.0.0.1:1").await;
    let response = gateway.get(SEARCH).await;
    assert_eq!((response.status, response.reason().as_str()), (502, "upstream_unavailable"));
    assert_eq!(response.json()["error_code"], "TEMPORARILY_UNAVAILABLE");
}

#[actix_web::test]
async fn when_every_connection_is_taken_the_next_request_is_refused_and_told_when() {
    let mlflow =
        Server::start(
            |request| {
                if request.target().contains("hang") { Answer::Silence } else { Answer::ok("{}") }
            },
        )
        .await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__MAX_CONNECTIONS", "1")
        .set("MLFLOW__QUEUE_TIMEOUT", "100ms")
        .start(&mlflow)
        .await;
    let mut hanging = Connection::open(gateway.address).await;
    hanging.send(gateway.request("GET", "/api/2.0/mlflow/runs/get?hang", "")).await;
    mlflow.until(|request| request.target().contains("hang")).await;

    let response = gateway.get(SEARCH).await;
    assert_eq!((response.status, response.reason().as_str()), (503, "upstream_unavailable"));
    assert_eq!(response.header("retry-after"), Some("1"));

    // The client that hung goes away, and with it its claim on the connection.
    drop(hanging);
    while gateway.get(SEARCH).await.status != 200 {}
}

#[actix_web::test]
async fn expect_is_answered_by_the_gateway_and_never_passed_on() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let mut connection = Connection::open(gateway.address).await;
    connection.send(gateway.request("POST", SEARCH, "expect: 100-continue\r\ncontent-length: 5\r\n")).await;
    assert_eq!(connection.response(false).await.status, 100);
    connection.send("hello").await;
    assert_eq!(connection.response(false).await.status, 200);
    assert_eq!(mlflow.request().header("expect"), None);
    assert_eq!(mlflow.request().body, b"hello");
}

#[actix_web::test]
async fn a_request_meets_no_connection_that_is_older_than_mlflows_keep_alive() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().set("MLFLOW__KEEP_ALIVE", "500ms").start(&mlflow).await;
    for pause in [0, 0, 1000] {
        actix_rt::time::sleep(Duration::from_millis(pause)).await;
        assert_eq!(ask(gateway.address, gateway.request("GET", SEARCH, "")).await.status, 200);
    }
    let connections: Vec<_> = mlflow.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections[0], connections[1]);
    assert_ne!(connections[1], connections[2]);
}

/// A server that answers as soon as it has a request's head, and then reads no more of it, or closes.
async fn hasty_server(answer: &'static str, closes: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    actix_rt::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.windows(4).any(|window| window == b"\r\n\r\n") {
                if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let _ = stream.write_all(answer.as_bytes()).await;
            if !head.starts_with(b"PUT ") {
                continue;
            }
            if closes {
                let _ = stream.shutdown().await;
            }
            kept.push(stream);
        }
    });
    address
}

#[actix_web::test]
async fn an_answer_in_the_middle_of_an_upload_reaches_the_client() {
    let body = "x".repeat(32 << 20);
    for (name, answer, closes) in [
        ("a length", "HTTP/1.1 413 X\r\ncontent-length: 8\r\n\r\ntoo much", false),
        ("chunks", "HTTP/1.1 413 X\r\ntransfer-encoding: chunked\r\n\r\n8\r\ntoo much\r\n0\r\n\r\n", false),
        ("a close", "HTTP/1.1 413 X\r\nconnection: close\r\ncontent-length: 8\r\n\r\ntoo much", true),
    ] {
        let mlflow = hasty_server(answer, closes).await;
        let gateway = GatewayBuilder::default().start_with(&format!("http://{mlflow}")).await;
        for rest in [
            format!("content-length: {}\r\n\r\n{body}", body.len()),
            format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
        ] {
            let put = gateway.request("PUT", "/api/2.0/mlflow-artifacts/artifacts/a", &rest);
            let response = ask(gateway.address, put).await;
            assert_eq!((response.status, response.text()), (413, "too much"), "{name}");
            // Its connection is not used again, also for what could not be tried twice.
            let post = gateway.request("POST", SEARCH, "content-length: 2\r\n\r\nhi");
            assert_eq!(ask(gateway.address, post).await.status, 413, "{name}");
        }
    }
}

#[actix_web::test]
async fn a_second_try_of_no_bytes_waits_for_mlflow_and_not_for_the_client() {
    let used = Mutex::new(HashSet::new());
    let mlflow = Server::start(move |request| {
        if request.target().contains("first") {
            used.lock().unwrap().insert(request.connection);
            return Answer::ok("{}");
        }
        if used.lock().unwrap().contains(&request.connection) {
            return Answer::Close;
        }
        let head = b"HTTP/1.1 200 OK\r\n".to_vec();
        Answer::Pieces(vec![head, b"content-length: 2\r\n\r\n{}".to_vec()], Duration::from_millis(600))
    })
    .await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__PROBE_INTERVAL", "1h")
        .set("SERVER__BODY_IDLE_TIMEOUT", "200ms")
        .start(&mlflow)
        .await;
    assert_eq!(gateway.get("/api/2.0/mlflow/runs/get?first").await.status, 200);
    let get = gateway.request("GET", SEARCH, "content-length: 0\r\n");
    assert_eq!(ask(gateway.address, get).await.status, 200);
}

#[actix_web::test]
async fn of_a_thousand_truncated_responses_none_is_complete() {
    let half = "x".repeat(5_000);
    for head in [
        format!("HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n{half}"),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1388\r\n{half}\r\n"),
    ] {
        let mlflow = Server::start(move |request| {
            if request.target().ends_with("/health") {
                Answer::ok("OK")
            } else {
                Answer::bytes_then_close(&head)
            }
        })
        .await;
        let gateway = GatewayBuilder::default().set("LIMITS__MODE", "off").start(&mlflow).await;
        for number in 0..500 {
            let response = gateway.get(SEARCH).await;
            assert!(!response.complete, "{number}: {response:?}");
        }
    }
}

#[actix_web::test]
async fn when_the_client_goes_mlflows_connection_is_closed() {
    let mlflow = Server::start(|_| Answer::Endless).await;
    let gateway = GatewayBuilder::default().set("MLFLOW__PROBE_INTERVAL", "1h").start(&mlflow).await;
    let mut client = Connection::open(gateway.address).await;
    client.send(gateway.request("GET", SEARCH, "")).await;
    client.until_received(b"xxxx").await;
    let before = mlflow.ended();
    drop(client);
    eventually("MLflow is told", async || mlflow.ended() > before).await;
}

#[actix_web::test]
async fn a_hundred_slow_readers_take_little_memory() {
    let mlflow = Server::start(|_| Answer::Endless).await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(&folder.path().join("keys.toml"), "ada", None).key;
    let gateway = Process::serve(folder.path(), &[("MLFLOW_SERVER_URL", &mlflow.url())]);
    let get = format!(
        "GET /api/2.0/mlflow-artifacts/artifacts/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\r\n",
        key.expose_secret()
    );
    let mut readers = Vec::new();
    for _ in 0..100 {
        let mut reader = Connection::open(gateway.address).await;
        reader.send(&get).await;
        readers.push(reader);
    }
    for reader in &mut readers {
        reader.until_received(b"xxxx").await;
    }
    let peak = gateway.peak_memory();
    assert!(peak < 256 << 20, "{} MiB", peak >> 20);
}
