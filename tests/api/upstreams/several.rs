//! Several servers of MLflow's: which of them gets a request.

use super::{TARGET, named};
use crate::support::{Gateway, GatewayBuilder, Server, ask, client::Connection, eventually, server::Answer};

const ARTIFACT: &str = "/api/2.0/mlflow-artifacts/artifacts/1/a";
/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:1";

fn post(gateway: &Gateway) -> String {
    gateway.request("POST", TARGET, "content-length: 5\r\n\r\nhello")
}

#[actix_web::test]
async fn a_request_goes_to_the_server_that_has_least_to_do() {
    let (first, second) = (named("first").await, named("second").await);
    let gateway = GatewayBuilder::default().start_with(&format!("{},{}", first.url(), second.url())).await;
    let mut hanging = Connection::open(gateway.address).await;
    hanging.send(gateway.request("GET", &format!("{TARGET}?hang"), "")).await;
    eventually("it hangs at one of them", async || first.requests().len() + second.requests().len() == 1)
        .await;
    let (busy, idle) = if first.requests().is_empty() { (&second, &first) } else { (&first, &second) };
    for _ in 0..10 {
        assert_eq!(gateway.get(TARGET).await.status, 200);
    }
    assert_eq!((busy.requests().len(), idle.requests().len()), (1, 10));
}

#[actix_web::test]
async fn no_client_hears_of_a_server_that_is_gone_while_another_is_there() {
    let there = named("there").await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__PROBE_INTERVAL", "50ms")
        .start_with(&format!("{NOBODY},{}", there.url()))
        .await;
    for _ in 0..20 {
        assert_eq!(gateway.get(TARGET).await.text(), "there");
        assert_eq!(ask(gateway.address, post(&gateway)).await.text(), "there");
    }
    assert!(
        there
            .requests()
            .iter()
            .filter(|seen| seen.line.starts_with("POST"))
            .all(|seen| seen.body == b"hello")
    );
    let ready = || ask(gateway.address, "GET /ready HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("it is ready", async || ready().await.status == 200).await;
    let health = ask(gateway.address, "GET /health/mlflow HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(health.json()["checks"]["mlflow-2"], "ok");
    assert!(health.json()["checks"]["mlflow"].as_str().unwrap().contains("could not be connected to"));
    there.kill();
    eventually("it is not ready", async || ready().await.status == 503).await;
}

#[actix_web::test]
async fn artifacts_can_be_on_servers_of_their_own() {
    let (mlflow, artifacts) = (named("mlflow").await, named("artifacts").await);
    let gateway =
        GatewayBuilder::default().set("MLFLOW__ARTIFACTS_URL", &artifacts.url()).start(&mlflow).await;
    for (target, server) in [
        (TARGET, "mlflow"),
        ("/api/2.0/mlflow/artifacts/list?run_id=1", "mlflow"),
        (ARTIFACT, "artifacts"),
        (&format!("/api/mlflow{ARTIFACT}")[..], "artifacts"),
        ("/ajax-api/2.0/mlflow-artifacts/artifacts/1/a", "artifacts"),
        ("/get-artifact?path=a", "mlflow"),
    ] {
        assert_eq!(gateway.get(target).await.text(), server, "{target}");
    }
}

#[actix_web::test]
async fn cookies_and_the_servers_name_pass_by_setting() {
    let mlflow = Server::start(|_| {
        Answer::bytes("HTTP/1.1 200 X\r\nserver: uvicorn\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n")
    })
    .await;
    for (cookies, server) in [("pass", "drop"), ("drop", "pass")] {
        let gateway = GatewayBuilder::default()
            .set("MLFLOW__COOKIES", cookies)
            .set("MLFLOW__SERVER_HEADER", server)
            .start(&mlflow)
            .await;
        let response = ask(gateway.address, gateway.request("GET", TARGET, "cookie: c=d\r\n")).await;
        let sent = mlflow.requests().pop().unwrap();
        assert_eq!(sent.header("cookie").is_some(), cookies == "pass");
        assert_eq!(response.header("set-cookie").is_some(), cookies == "pass");
        assert_eq!(response.header("server").is_some(), server == "pass");
    }
}
