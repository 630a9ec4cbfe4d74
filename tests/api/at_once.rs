//! How many requests of a key may be under way, and that each gives its place back however it ends.

use std::time::Duration;

use crate::support::{
    Gateway, GatewayBuilder, Response, Server, ask, client::Connection, eventually, metric, server::Answer,
};

const SEARCH: &str = "/api/2.0/mlflow/experiments/search";
const ARTIFACT: &str = "/api/2.0/mlflow-artifacts/artifacts/1/model.bin";

/// MLflow, which answers by what the path ends in.
async fn mlflow() -> Server {
    Server::start(|request| match request.target().rsplit('/').next().unwrap() {
        "silent" | "search?silent" => Answer::Silence,
        "endless" => Answer::Endless,
        "closes" => Answer::Close,
        "late" => {
            Answer::After(Duration::from_millis(50), b"HTTP/1.1 200 X\r\ncontent-length: 0\r\n\r\n".to_vec())
        }
        "unchanged" => Answer::bytes("HTTP/1.1 304 X\r\ncontent-length: 9\r\n\r\n"),
        "nothing" => Answer::bytes("HTTP/1.1 204 X\r\n\r\n"),
        "missing" => Answer::json(404, "{}"),
        "chunked" => {
            Answer::bytes("HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
        }
        "broken" => Answer::bytes_then_close("HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nhalf"),
        "head" => Answer::bytes("HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\n"),
        _ => Answer::ok("{}"),
    })
    .await
}

async fn gateway(mlflow: &Server, concurrent: &str) -> Gateway {
    // A new token takes more than half a minute.
    let limits = GatewayBuilder::default().set("LIMITS__PER_HOUR", "100");
    limits.set("LIMITS__CONCURRENT", concurrent).start(mlflow).await
}

/// Requests and artifacts that its key has under way, as it is told itself.
async fn under_way(gateway: &Gateway) -> (u64, u64) {
    let account = gateway.get("/account").await.json();
    let of = |what: &str| account["limits"]["concurrent"][what].as_u64().unwrap();
    (of("requests"), of("artifacts"))
}

async fn until_under_way(gateway: &Gateway, wanted: (u64, u64)) {
    eventually("so many are under way", async || under_way(gateway).await == wanted).await;
}

/// A connection on which a request is under way.
async fn asking(gateway: &Gateway, request: String) -> Connection {
    let mut connection = Connection::open(gateway.address).await;
    connection.send(request).await;
    connection
}

fn assert_refused(response: &Response, limit: &str, retry_after: &str) {
    assert_eq!((response.status, response.reason().as_str()), (429, "rate_limited"));
    assert_eq!(response.json()["message"], format!("this API key has reached its limit of {limit}"));
    assert_eq!(response.header("retry-after"), Some(retry_after));
    let number = limit.split(' ').next();
    assert_eq!(response.header("ratelimit-limit"), number);
    assert_eq!(response.header("x-ratelimit-remaining"), Some("0"));
}

#[actix_web::test]
async fn one_more_at_once_is_refused_and_told_which_limit_and_artifacts_are_apart() {
    let mlflow = mlflow().await;
    let gateway = gateway(&mlflow, "2").await;
    let target = format!("{SEARCH}?silent");
    let first = asking(&gateway, gateway.request("GET", &target, "")).await;
    let _second = asking(&gateway, gateway.request("GET", &target, "")).await;
    until_under_way(&gateway, (2, 0)).await;
    assert_refused(&gateway.get(SEARCH).await, "2 requests at once", "1");
    let create = gateway.request("POST", "/api/2.0/mlflow/runs/create", "content-length: 0\r\n");
    assert_eq!(ask(gateway.address, create).await.status, 429, "changes are counted with them");

    let _downloads = [
        asking(&gateway, gateway.request("GET", "/api/2.0/mlflow-artifacts/artifacts/1/silent", "")).await,
        asking(&gateway, gateway.request("PUT", ARTIFACT, "content-length: 9\r\n\r\nhalf")).await,
    ];
    until_under_way(&gateway, (2, 2)).await;
    assert_refused(&gateway.get(ARTIFACT).await, "2 transfers of artifacts at once", "5");
    for (limit, count) in [("concurrent", 2.0), ("concurrent_artifacts", 1.0)] {
        let name = format!("limits_exceeded_total{{limit=\"{limit}\",mode=\"enforce\"}}");
        assert_eq!(metric(&gateway, &name).await, count);
    }
    assert_eq!(metric(&gateway, r#"denied_total{reason="rate_limited"}"#).await, 3.0);

    drop(first);
    until_under_way(&gateway, (1, 2)).await;
    assert_eq!(gateway.get(SEARCH).await.status, 200);
    // Six were admitted; what found no place cost nothing of the hour.
    let account = gateway.get("/account").await.json();
    assert_eq!(account["limits"]["reads"]["remaining"], 100 - 4);
    assert_eq!(account["limits"]["writes"]["remaining"], 100 - 1);
}

#[actix_web::test]
async fn a_transfer_holds_its_place_to_its_last_byte() {
    let mlflow = mlflow().await;
    let gateway = gateway(&mlflow, "1").await;
    let download = gateway.request("GET", "/api/2.0/mlflow-artifacts/artifacts/1/endless", "");
    let mut download = asking(&gateway, download).await;
    download.receive_slowly(1 << 20, 1 << 18, Duration::from_millis(1)).await;
    assert_eq!(gateway.get(ARTIFACT).await.status, 429);
    assert_eq!(gateway.get(SEARCH).await.status, 200, "metadata is apart");
    drop(download);
    until_under_way(&gateway, (0, 0)).await;

    // A body that is still on its way is a request, too.
    let put = gateway.request("PUT", ARTIFACT, "content-length: 10\r\n\r\nhello");
    let mut upload = asking(&gateway, put).await;
    until_under_way(&gateway, (0, 1)).await;
    assert_eq!(gateway.get(ARTIFACT).await.status, 429);
    upload.send("world").await;
    assert_eq!(upload.response(false).await.status, 200);
    assert_eq!(gateway.get(ARTIFACT).await.status, 200);
}

#[actix_web::test]
async fn a_place_is_free_again_however_a_request_ends() {
    let mlflow = mlflow().await;
    let gateway = gateway(&mlflow, "1").await;
    let path = |end: &str| format!("/api/2.0/mlflow-artifacts/artifacts/1/{end}");
    for (method, end, rest, status) in [
        ("GET", "whole", "", 200),
        ("HEAD", "head", "", 200),
        ("GET", "unchanged", "if-none-match: \"a\"\r\n", 304),
        ("GET", "nothing", "", 204),
        ("GET", "missing", "", 404),
        ("GET", "chunked", "", 200),
        ("GET", "late", "", 200),
        ("GET", "closes", "", 502),
        ("PUT", "whole", "content-length: 2\r\n\r\nok", 200),
        ("PUT", "closes", "content-length: 2\r\n\r\nok", 502),
        ("PUT", "whole", "transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200),
        ("GET", "whole", "x-forwarded-for: 1.2.3.4\r\n", 200),
    ] {
        let mut connection = asking(&gateway, gateway.request(method, &path(end), rest)).await;
        let response = connection.response(method == "HEAD").await;
        assert_eq!(response.status, status, "{method} {end} {rest}: {response:?}");
        until_under_way(&gateway, (0, 0)).await;
    }
    // The connection may break off before the client has the head of an answer.
    for (method, end, rest) in
        [("GET", "broken", ""), ("PUT", "whole", "transfer-encoding: chunked\r\n\r\nxyz\r\n")]
    {
        ask(gateway.address, gateway.request(method, &path(end), rest)).await;
        until_under_way(&gateway, (0, 0)).await;
    }
    // Expect: 100-continue, and a body that is refused for its content.
    let mut expecting =
        asking(&gateway, gateway.request("PUT", ARTIFACT, "expect: 100-continue\r\ncontent-length: 2\r\n"))
            .await;
    assert_eq!(expecting.response(false).await.status, 100);
    assert_eq!(under_way(&gateway).await, (0, 1));
    expecting.send("ok").await;
    assert_eq!(expecting.response(false).await.status, 200);
    let ambiguous = "content-type: application/json\r\ncontent-length: 15\r\n\r\n{\"a\":1,\"a\":2}  ";
    let ambiguous = gateway.request("POST", "/api/2.0/mlflow/registered-models/create", ambiguous);
    assert_eq!(ask(gateway.address, ambiguous).await.status, 400);
    until_under_way(&gateway, (0, 0)).await;
    assert_eq!(gateway.get(ARTIFACT).await.status, 200);
}

#[actix_web::test]
async fn a_client_that_hangs_up_leaves_no_place_taken() {
    let mlflow = mlflow().await;
    let gateway = gateway(&mlflow, "1").await;
    let artifact = |end: &str| format!("/api/2.0/mlflow-artifacts/artifacts/1/{end}");
    for (request, taken) in [
        (gateway.request("GET", &artifact("silent"), ""), (0, 1)),
        (gateway.request("GET", &artifact("endless"), ""), (0, 1)),
        (gateway.request("PUT", &artifact("whole"), "content-length: 100\r\n\r\nhalf"), (0, 1)),
        (gateway.request("PUT", &artifact("whole"), "transfer-encoding: chunked\r\n\r\n5\r\nhalf"), (0, 1)),
        (
            gateway.request("POST", "/api/2.0/mlflow/registered-models/create", "content-length: 9\r\n\r\n{"),
            (1, 0),
        ),
        (gateway.request("GET", &format!("{SEARCH}?silent"), ""), (1, 0)),
    ] {
        let hanging_up = asking(&gateway, request).await;
        until_under_way(&gateway, taken).await;
        drop(hanging_up);
        until_under_way(&gateway, (0, 0)).await;
    }
}

#[actix_web::test]
async fn keys_of_one_id_have_their_places_together() {
    let auth = Server::start(|request| {
        Answer::ok(match request.header("authorization") {
            Some("Bearer other") => r#"{"is_valid": true, "user_id": "u", "key_id": "k-2"}"#,
            Some("Bearer more") => {
                r#"{"is_valid": true, "key_id": "k-3", "concurrent": 2, "creates_per_hour": 7}"#
            }
            _ => r#"{"is_valid": true, "user_id": "u", "key_id": "k-1"}"#,
        })
    })
    .await;
    let mlflow = mlflow().await;
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &auth.url())
        .set("LIMITS__CONCURRENT", "1")
        .start(&mlflow)
        .await;
    let with = |key: &str, target: &str| {
        format!("GET {target} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n")
    };
    let silent = format!("{SEARCH}?silent");
    let mut held = vec![asking(&gateway, with("one-token", &silent)).await];
    let status = async |key: &str| ask(gateway.address, with(key, SEARCH)).await.status;
    eventually("it is under way", async || mlflow.begun() == 1).await;
    assert_eq!(status("another-token").await, 429);
    assert_eq!(status("other").await, 200);

    // A number of its own.
    held.push(asking(&gateway, with("more", &silent)).await);
    eventually("it is under way", async || mlflow.begun() == 3).await;
    assert_eq!(status("more").await, 200);
    let account = ask(gateway.address, with("more", "/account")).await.json();
    assert_eq!((&account["concurrent"], &account["creates_per_hour"]), (&2.into(), &7.into()));
    assert_eq!(account["limits"]["concurrent"]["limit"], 2);
    assert_eq!(account["limits"]["creates"]["remaining"], 7);
    held.push(asking(&gateway, with("more", &silent)).await);
    eventually("it is under way", async || mlflow.begun() == 5).await;
    assert_eq!(status("more").await, 429);
}

#[actix_web::test]
async fn places_can_be_only_reported_or_off() {
    for (mode, counted) in [("report", 3), ("off", 0)] {
        let mlflow = mlflow().await;
        let gateway = GatewayBuilder::default()
            .set("LIMITS__CONCURRENT", "1")
            .set("LIMITS__MODE", mode)
            .start(&mlflow)
            .await;
        let silent = format!("{SEARCH}?silent");
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(asking(&gateway, gateway.request("GET", &silent, "")).await);
        }
        eventually("all are let through", async || mlflow.begun() == 3).await;
        let account = gateway.get("/account").await.json();
        let told = account["limits"]["concurrent"]["requests"].as_u64();
        assert_eq!(told.unwrap_or_default(), counted, "{mode}");
        assert_eq!(gateway.get(SEARCH).await.status, 200);
    }
}
