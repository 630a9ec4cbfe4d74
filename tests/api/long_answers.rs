//! MLflow answers with what clients have stored: of what length they like.

use crate::support::{Gateway, GatewayBuilder, Response, Server, ask, eventually, metrics, server::Answer};

/// An experiment whose tags make 1.4 MB.
fn long() -> Answer {
    let tag = format!(r#"{{"key": "k", "value": "{}"}}"#, "\\u00e9".repeat(19_000));
    Answer::ok(&format!(r#"{{"experiments": [{{"tags": [{}]}}]}}"#, vec![tag; 12].join(",")))
}

async fn before(answer: impl Fn() -> Answer + Send + Sync + 'static) -> (Gateway, Server) {
    let mlflow =
        Server::start_asked(
            move |request| {
                if request.target().contains("/health") { Answer::ok("OK") } else { answer() }
            },
        )
        .await;
    let gateway = GatewayBuilder::default().set("MLFLOW__PROBE_INTERVAL", "40ms").start(&mlflow).await;
    eventually("it has looked", async || metrics(&gateway).await.text().contains("upstream_accepts")).await;
    (gateway, mlflow)
}

async fn ready(gateway: &Gateway) -> Response {
    ask(gateway.address, "GET /ready HTTP/1.1\r\nhost: a\r\n\r\n".to_owned()).await
}

#[actix_web::test]
async fn an_answer_that_is_too_long_to_be_read_is_one_of_an_mlflow_that_serves() {
    let (gateway, _mlflow) = before(long).await;
    let ready = ready(&gateway).await;
    assert_eq!((ready.status, ready.text()), (200, r#"{"status":"ready"}"#));
}

#[actix_web::test]
async fn an_answer_that_breaks_off_is_a_failure_and_takes_no_instance_away() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    let (gateway, _mlflow) = before(move || Answer::bytes_then_close(head)).await;
    let ready = ready(&gateway).await;
    assert_eq!((ready.status, &ready.json()["codes"][0]), (200, &"HG-M04".into()), "{}", ready.text());
}
