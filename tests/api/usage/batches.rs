//! Sums of an interval.

use serde_json::Value;

use super::ledger::{Book, Ledger};
use crate::support::{Gateway, GatewayBuilder, Server, ask, eventually, metric, server::Answer};

const RUN: &str = "/api/2.0/mlflow/runs/get";

async fn gateway(ledger: &Ledger, mlflow: &Server) -> Gateway {
    let gateway = GatewayBuilder::default().set("AUTH__SERVICE__URL", &ledger.server.url());
    gateway.set("AUTH__SERVICE__USAGE_INTERVAL", "100ms").start(mlflow).await
}

async fn use_key(gateway: &Gateway, key: &str, method: &str, target: &str, rest: &str) -> u16 {
    let request =
        format!("{method} {target} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer key-of-{key}\r\n{rest}\r\n");
    ask(gateway.address, request).await.status
}

async fn counted(gateway: &Gateway) -> [f64; 3] {
    let mut counts = [0.0; 3];
    for (count, outcome) in counts.iter_mut().zip(["ok", "failed", "dropped"]) {
        *count = metric(gateway, &format!("usage_reports_total{{outcome=\"{outcome}\"}}")).await;
    }
    counts
}

#[actix_web::test]
async fn a_batch_has_the_sums_of_each_key_route_and_status() {
    let ledger = Book::default().open().await;
    let mlflow = Server::start(|request| match request.target().contains("missing") {
        true => Answer::json(404, "{}"),
        false => Answer::ok("{\"0123456789\": 0}"),
    })
    .await;
    let gateway = GatewayBuilder::default().set("AUTH__SERVICE__URL", &ledger.server.url());
    let gateway = gateway.set("AUTH__SERVICE__USAGE_INTERVAL", "1s").start(&mlflow).await;
    for target in ["?run_id=secret-1", "?run_id=secret-2", "?run_id=missing"] {
        use_key(&gateway, "one", "GET", &format!("{RUN}{target}"), "").await;
    }
    // Under a public mount it is the same route.
    assert_eq!(use_key(&gateway, "one", "GET", &format!("/mlflow{RUN}"), "").await, 200);
    let body = "content-length: 12\r\n\r\n{\"name\":\"n\"}";
    assert_eq!(use_key(&gateway, "two", "POST", "/api/2.0/mlflow/experiments/create", body).await, 200);
    // What is refused is no use.
    assert_eq!(use_key(&gateway, "two", "POST", "/api/2.0/mlflow/runs/delete", body).await, 403);
    assert_eq!(use_key(&gateway, "two", "GET", "/api/2.0/mlflow/nothing", "").await, 404);
    ledger.book.until(5).await;
    let mut entries: Vec<Value> = Vec::new();
    for batch in ledger.book.batches() {
        assert_eq!(batch["service_id"], "platform");
        let time = |name: &str| batch[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        assert!(time("from") <= time("to"));
        let whole = batch.to_string();
        assert!(!whole.contains("secret") && !whole.contains("key-of"), "{whole}");
        entries.extend(batch["entries"].as_array().unwrap().iter().cloned());
    }
    let of = |key: &str, endpoint: &str, status: u16| {
        let found = entries.iter().filter(|entry| {
            entry["key_id"] == key && entry["endpoint"] == endpoint && entry["status_code"] == status
        });
        let sum = |name: &str| found.clone().map(|entry| entry[name].as_u64().unwrap()).sum::<u64>();
        assert!(sum("response_time_ms_max") <= sum("response_time_ms_sum"));
        (sum("count"), sum("bytes_in"), sum("bytes_out"))
    };
    assert_eq!(of("one", RUN, 200), (3, 0, 51));
    assert_eq!(of("one", RUN, 404), (1, 0, 2));
    assert_eq!(of("two", "/api/2.0/mlflow/experiments/create", 200), (1, 12, 17));
    eventually("it is counted", async || counted(&gateway).await == [5.0, 0.0, 0.0]).await;
}

#[actix_web::test]
async fn a_service_that_was_not_told_of_a_use_is_asked_nothing() {
    let ledger = Book::default().open().await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = gateway(&ledger, &mlflow).await;
    assert_eq!(ask(gateway.address, "GET /live HTTP/1.1\r\nhost: a\r\n\r\n").await.status, 200);
    actix_rt::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(ledger.server.requests().is_empty());
}

#[actix_web::test]
async fn a_service_without_the_call_is_told_of_each_request_and_nothing_is_lost() {
    for status in [404, 405] {
        let ledger = Book::default().open().await;
        ledger.book.answer_batches(status);
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let gateway = gateway(&ledger, &mlflow).await;
        for _ in 0..20 {
            assert_eq!(use_key(&gateway, "one", "GET", RUN, "").await, 200);
        }
        ledger.book.until(20).await;
        // From now on at once, and with its own path.
        assert_eq!(use_key(&gateway, "one", "GET", &format!("/mlflow{RUN}"), "").await, 200);
        ledger.book.until(21).await;
        let singles = ledger.book.singles();
        assert!(singles.iter().all(|single| single["service_id"] == "platform"));
        assert!(singles.iter().any(|single| single["endpoint"] == format!("/mlflow{RUN}")), "{singles:?}");
        eventually("it is counted", async || counted(&gateway).await == [21.0, 0.0, 0.0]).await;
    }
}

#[actix_web::test]
async fn a_service_that_takes_no_batches_any_more_is_told_of_each_request() {
    let ledger = Book::default().open().await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = gateway(&ledger, &mlflow).await;
    use_key(&gateway, "one", "GET", RUN, "").await;
    ledger.book.until(1).await;
    assert!(ledger.book.singles().is_empty());
    ledger.book.answer_batches(404);
    for _ in 0..30 {
        use_key(&gateway, "one", "GET", RUN, "").await;
    }
    ledger.book.until(31).await;
    assert_eq!(ledger.book.singles().len(), 30);
}

#[actix_web::test]
async fn where_neither_call_is_there_what_answers_is_not_believed() {
    let ledger = Book::default().open().await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = gateway(&ledger, &mlflow).await;
    use_key(&gateway, "one", "GET", RUN, "").await;
    ledger.book.until(1).await;
    // A load balancer's page, say.
    ledger.book.answer_batches(404);
    ledger.book.answer_singles(404);
    let usage_calls = || ledger.server.requests().iter().filter(|it| it.target().contains("/usage")).count();
    let before = usage_calls();
    use_key(&gateway, "one", "GET", RUN, "").await;
    eventually("it was tried twice", async || usage_calls() >= before + 4).await;
    ledger.book.answer_batches(0);
    ledger.book.until(2).await;
    assert!(ledger.book.singles().is_empty());
    eventually("it is counted", async || counted(&gateway).await == [2.0, 0.0, 0.0]).await;
}

#[actix_web::test]
async fn a_batch_that_is_refused_is_counted_and_holds_none_up() {
    for status in [400, 413, 422] {
        let ledger = Book::default().open().await;
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let gateway = gateway(&ledger, &mlflow).await;
        ledger.book.answer_batches(status);
        for _ in 0..3 {
            use_key(&gateway, "one", "GET", RUN, "").await;
        }
        eventually("they failed", async || counted(&gateway).await == [0.0, 3.0, 0.0]).await;
        ledger.book.answer_batches(0);
        use_key(&gateway, "one", "GET", RUN, "").await;
        ledger.book.until(1).await;
    }
}

#[actix_web::test]
async fn what_says_nothing_of_a_batch_is_an_outage_that_ends() {
    for status in [301, 401, 403, 408, 429, 500, 503] {
        let ledger = Book::default().open().await;
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let gateway = gateway(&ledger, &mlflow).await;
        use_key(&gateway, "one", "GET", RUN, "").await;
        ledger.book.until(1).await;
        ledger.book.answer_batches(status);
        let usage_calls =
            || ledger.server.requests().iter().filter(|it| it.target().ends_with("/usage")).count();
        let before = usage_calls();
        use_key(&gateway, "one", "GET", RUN, "").await;
        eventually("it is sent again", async || usage_calls() >= before + 2).await;
        ledger.book.answer_batches(0);
        ledger.book.until(2).await;
        eventually("it is counted", async || counted(&gateway).await == [2.0, 0.0, 0.0]).await;
    }
}

#[actix_web::test]
async fn a_service_that_takes_no_batches_holds_nobody_up() {
    let auth = Server::start(|request| match request.target().ends_with("/usage") {
        true => Answer::Silence,
        false => Answer::ok(r#"{"is_valid": true, "user_id": "u-1", "key_id": "k/1"}"#),
    })
    .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().set("AUTH__SERVICE__URL", &auth.url());
    let gateway = gateway.set("AUTH__SERVICE__USAGE_INTERVAL", "10ms").start(&mlflow).await;
    for _ in 0..200 {
        assert_eq!(use_key(&gateway, "one", "GET", RUN, "").await, 200);
    }
    assert_eq!(mlflow.requests().len(), 200);
}
