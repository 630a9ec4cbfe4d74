//! Several servers of MLflow's behind one gateway, servers that fail, and what is tried again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::support::{
    Gateway, GatewayBuilder, Server, ask, client::Connection, eventually, gateway::path_for, server::Answer,
};

const TARGET: &str = "/api/2.0/mlflow/experiments/search";
const ARTIFACT: &str = "/api/2.0/mlflow-artifacts/artifacts/1/a";
/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:1";

async fn named(name: &'static str) -> Server {
    Server::start(
        move |request| {
            if request.target().contains("hang") { Answer::Silence } else { Answer::ok(name) }
        },
    )
    .await
}

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
async fn a_server_that_keeps_failing_gets_no_requests_until_it_answers_the_prober() {
    let fails = Arc::new(AtomicBool::new(true));
    let failing = Arc::clone(&fails);
    let mlflow =
        Server::start(
            move |_| {
                if failing.load(Ordering::Relaxed) { Answer::Close } else { Answer::ok("{}") }
            },
        )
        .await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__PROBE_INTERVAL", "50ms")
        .set("MLFLOW__QUEUE_TIMEOUT", "1h")
        .start(&mlflow)
        .await;
    eventually("it is left alone", async || gateway.get(TARGET).await.status == 503).await;
    let before = mlflow.requests().len();
    let refused = gateway.get(TARGET).await;
    assert_eq!(refused.reason(), "upstream_unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(mlflow.requests().len(), before, "it is not tried");
    fails.store(false, Ordering::Relaxed);
    eventually("it is used again", async || gateway.get(TARGET).await.status == 200).await;
}

/// Whether the request is refused, and not left to wait.
async fn is_refused_at_once(gateway: &Gateway, request: &str) -> bool {
    let mut connection = Connection::open(gateway.address).await;
    connection.send(request).await;
    let response = connection.response_within(Duration::from_millis(200)).await;
    response.is_some_and(|response| response.status == 503)
}

#[actix_web::test]
async fn an_mlflow_that_hangs_holds_up_neither_refusals_nor_authentication() {
    let auth = Server::start(|request| {
        let good = request.header("authorization").is_some_and(|key| key.starts_with("Bearer good"));
        Answer::ok(if good { r#"{"is_valid": true, "key_id": "k-1"}"# } else { r#"{"is_valid": false}"# })
    })
    .await;
    let mlflow = Server::start(|_| Answer::Silence).await;
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &auth.url())
        .set("MLFLOW__PROBE_INTERVAL", "50ms")
        .set("MLFLOW__MAX_CONNECTIONS", "4")
        .set("MLFLOW__QUEUE_TIMEOUT", "1h")
        .start(&mlflow)
        .await;
    let get = |key: &str| format!("GET {TARGET} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n");
    let mut hanging = Vec::new();
    for _ in 0..8 {
        let mut connection = Connection::open(gateway.address).await;
        connection.send(get("good")).await;
        hanging.push(connection);
    }
    // With an hour to wait for, an answer within the test's patience is one that did not wait.
    eventually("requests are refused", async || is_refused_at_once(&gateway, &get("good-too")).await).await;
    assert_eq!(ask(gateway.address, get("wrong")).await.status, 401);
    assert_eq!(ask(gateway.address, "GET /live HTTP/1.1\r\nhost: a\r\n\r\n").await.status, 200);
}

#[actix_web::test]
async fn the_queue_for_a_connection_is_bounded() {
    let mlflow = named("mlflow").await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__MAX_CONNECTIONS", "1")
        .set("MLFLOW__MAX_WAITING", "2")
        .set("MLFLOW__QUEUE_TIMEOUT", "1h")
        .start(&mlflow)
        .await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut connection = Connection::open(gateway.address).await;
        connection.send(gateway.request("GET", &format!("{TARGET}?hang"), "")).await;
        held.push(connection);
    }
    let get = gateway.request("GET", TARGET, "");
    eventually("the queue is full", async || is_refused_at_once(&gateway, &get).await).await;
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
async fn ten_thousand_gets_to_a_server_that_closes_idle_connections_all_succeed() {
    let mlflow =
        Server::start(|_| Answer::BytesThenClose(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_vec()))
            .await;
    let gateway = GatewayBuilder::default().set("LIMITS__MODE", "off").start(&mlflow).await;
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let (address, get) = (gateway.address, gateway.request("GET", TARGET, ""));
            actix_rt::spawn(async move {
                let mut connection = Connection::open(address).await;
                for number in 0..500 {
                    connection.send(&get).await;
                    let response = connection.response(false).await;
                    assert_eq!(response.status, 200, "{number}: {response:?}");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert!(mlflow.requests().len() >= 10_000);
}

#[actix_web::test]
async fn what_may_not_be_repeated_is_sent_once() {
    let mlflow = Server::start(|_| Answer::Close).await;
    for (method, rest, times) in [
        ("POST", "content-length: 0\r\n", 1),
        ("POST", "content-length: 5\r\n\r\nhello", 1),
        ("PUT", "content-length: 5\r\n\r\nhello", 1),
        ("PATCH", "", 1),
        ("GET", "", 2),
        ("HEAD", "", 2),
        ("DELETE", "", 2),
        ("DELETE", "content-length: 7\r\n\r\n{\"a\":1}", 1),
    ] {
        let target = format!("{}?{method}{}", path_for(method), rest.len());
        // A new one each time: one that has failed is soon left alone.
        let gateway = GatewayBuilder::default().set("MLFLOW__PROBE_INTERVAL", "1h").start(&mlflow).await;
        let response = ask(gateway.address, gateway.request(method, &target, rest)).await;
        assert_eq!(response.status, 502, "{method} {rest:?}");
        let seen = mlflow.requests().iter().filter(|seen| seen.target() == target).count();
        assert_eq!(seen, times, "{method} {rest:?}");
    }
}

#[actix_web::test]
async fn a_response_that_broke_off_is_not_asked_for_again() {
    let mlflow = Server::start(|_| Answer::bytes_then_close("HTTP/1.1 200 OK\r\ncontent-le")).await;
    let gateway = Gateway::start(&mlflow).await;
    assert_eq!(gateway.get(TARGET).await.status, 502);
    assert_eq!(mlflow.requests().len(), 1);
}

#[actix_web::test]
async fn a_location_at_mlflow_becomes_one_below_the_public_mount() {
    let mlflow = Server::start(|request| {
        let location = request.header("x-location").unwrap_or("/").to_owned();
        Answer::bytes(&format!("HTTP/1.1 308 X\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"))
    })
    .await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__STATIC_PREFIX", "/static")
        .start_with(&format!("{}/base", mlflow.url()))
        .await;
    let own = mlflow.url();
    for (target, location, public) in [
        ("/api/mlflow/version", format!("{own}/base/static/api/y?z=1"), "/api/mlflow/api/y?z=1"),
        ("/mlflow/version", "/base/static/y".to_owned(), "/mlflow/y"),
        ("/ajax-api/2.0/mlflow/runs/get", format!("{own}/base/static/ajax-api/y"), "/ajax-api/y"),
        (
            "/api/mlflow/version",
            "https://bucket.s3.example/key?sig=1".to_owned(),
            "https://bucket.s3.example/key?sig=1",
        ),
        ("/api/mlflow/version", "y".to_owned(), "y"),
        ("/mlflow/version", "/base/static/#/models".to_owned(), "/mlflow/#/models"),
    ] {
        let response =
            ask(gateway.address, gateway.request("GET", target, &format!("x-location: {location}\r\n")))
                .await;
        assert_eq!(
            (response.status, response.header("location")),
            (308, Some(public)),
            "{target} {location}"
        );
    }
}

#[actix_web::test]
async fn the_longest_target_is_whole_behind_mlflows_own_path() {
    let mlflow = named("mlflow").await;
    let gateway = GatewayBuilder::default().start_with(&format!("{}/base", mlflow.url())).await;
    let longest = format!("{TARGET}?{}", "x".repeat(65_530 - TARGET.len() - 1));
    assert_eq!(gateway.get(&longest).await.status, 200);
    assert_eq!(mlflow.request().target(), format!("/base{longest}"));
}

#[actix_web::test]
async fn a_location_at_the_host_that_mlflow_was_told_is_one_at_mlflow() {
    let mlflow = Server::start(|request| {
        let host = request.header("host").unwrap();
        Answer::bytes(&format!("HTTP/1.1 308 X\r\nlocation: http://{host}/y\r\ncontent-length: 0\r\n\r\n"))
    })
    .await;
    for host in ["client", "mlflow.internal:5000"] {
        let gateway = GatewayBuilder::default().set("MLFLOW__HOST_HEADER", host).start(&mlflow).await;
        assert_eq!(gateway.get("/mlflow/version").await.header("location"), Some("/mlflow/y"), "{host}");
    }
}

#[actix_web::test]
async fn a_few_requests_that_take_too_long_take_the_server_from_nobody() {
    let mlflow = named("mlflow").await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__RESPONSE_TIMEOUT", "200ms")
        .set("MLFLOW__CONNECT_TIMEOUT", "100ms")
        .set("MLFLOW__PROBE_INTERVAL", "1h")
        .start(&mlflow)
        .await;
    let hang = gateway.request("GET", &format!("{TARGET}?hang"), "");
    let hanging: Vec<_> = (0..9).map(|_| actix_rt::spawn(ask(gateway.address, hang.clone()))).collect();
    for hung in hanging {
        assert_eq!(hung.await.unwrap().status, 504);
    }
    assert_eq!(gateway.get(TARGET).await.status, 200);
}

#[actix_web::test]
async fn a_request_that_is_tried_again_is_one_failure() {
    let mlflow =
        Server::start(
            |request| {
                if request.target().contains("close") { Answer::Close } else { Answer::ok("{}") }
            },
        )
        .await;
    let gateway = GatewayBuilder::default().set("MLFLOW__PROBE_INTERVAL", "1h").start(&mlflow).await;
    let closed = format!("{TARGET}?close");
    for _ in 0..3 {
        for _ in 0..2 {
            let before = mlflow.requests().len();
            assert_eq!(gateway.get(&closed).await.reason(), "upstream_unavailable");
            assert_eq!(mlflow.requests().len() - before, 2);
        }
        assert_eq!(gateway.get(TARGET).await.status, 200);
    }
    for _ in 0..3 {
        gateway.get(&closed).await;
    }
    assert_eq!(gateway.get(TARGET).await.status, 503);
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
