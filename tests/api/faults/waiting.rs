//! Silence, slowness, and connections that are not to be had.

use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::SEARCH;
use crate::support::{
    GatewayBuilder, Server, ask, client::Connection, eventually, gateway::create_key, process::Process,
    server::Answer,
};

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
    let settings = [("MLFLOW_SERVER_URL", &*mlflow.url()), ("HOKUSAI__LIMITS__CONCURRENT", "100")];
    let gateway = Process::serve(folder.path(), &settings);
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
