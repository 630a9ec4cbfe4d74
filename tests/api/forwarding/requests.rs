//! What reaches MLflow.

use super::SEARCH;
use crate::support::{Gateway, GatewayBuilder, Server, ask, gateway::path_for, server::Answer};

#[actix_web::test]
async fn every_mount_leads_to_its_path_at_mlflow() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    for (public, upstream) in [
        (
            "/api/mlflow/api/2.0/mlflow/runs/get?run_id=1&run_id=2",
            "/api/2.0/mlflow/runs/get?run_id=1&run_id=2",
        ),
        ("/mlflow/api/2.0/mlflow/runs/get", "/api/2.0/mlflow/runs/get"),
        ("/mlflow/", "/"),
        ("/api/2.0/mlflow/runs/get", "/api/2.0/mlflow/runs/get"),
        ("/api/3.0/mlflow/traces/t-1", "/api/3.0/mlflow/traces/t-1"),
        (
            "/api/2.0/mlflow-artifacts/artifacts/1/%23%20%25%2B%C3%A9",
            "/api/2.0/mlflow-artifacts/artifacts/1/%23%20%25%2B%C3%A9",
        ),
        ("/ajax-api/2.0/mlflow/runs/get", "/ajax-api/2.0/mlflow/runs/get"),
        ("/get-artifact?path=a%20b", "/get-artifact?path=a%20b"),
        ("/model-versions/get-artifact", "/model-versions/get-artifact"),
    ] {
        let response = gateway.get(public).await;
        assert_eq!(response.status, 200, "{public}");
        assert_eq!(mlflow.requests().last().unwrap().target(), upstream, "{public}");
    }
}

#[actix_web::test]
async fn other_headers_pass_unchanged_repeated_ones_too() {
    let mlflow = Server::start(|_| {
        Answer::bytes("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-own: 1\r\nx-own: 2\r\nserver: uvicorn\r\n\
                       keep-alive: timeout=5\r\nconnection: x-hop\r\nx-hop: 1\r\nx-hokusai-error-source: gateway\r\n\
                       etag: \"a\"\r\n\r\n")
    })
    .await;
    let gateway = Gateway::start(&mlflow).await;
    let headers = "x-a: 1\r\nx-a: 2\r\naccept-encoding: gzip\r\nuser-agent: mlflow/3\r\n\
                   via: 1.0 fred\r\nconnection: x-hop\r\nx-hop: 1\r\nte: trailers\r\nkeep-alive: 5\r\nupgrade: h2c\r\n";
    let response = ask(gateway.address, gateway.request("GET", SEARCH, headers)).await;

    let seen = mlflow.request();
    assert_eq!(seen.all("x-a").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(seen.header("accept-encoding"), Some("gzip"));
    assert_eq!(seen.header("user-agent"), Some("mlflow/3"));
    assert_eq!(seen.all("via").collect::<Vec<_>>(), ["1.0 fred", "1.1 hokusai-gateway-hop"]);
    for hop in ["connection", "x-hop", "te", "keep-alive", "upgrade"] {
        assert_eq!(seen.header(hop), None, "{hop}");
    }
    let own: Vec<_> = response.headers.iter().filter(|(name, _)| name == "x-own").collect();
    assert_eq!(own.len(), 2);
    assert_eq!(response.header("etag"), Some("\"a\""));
    for hop in ["keep-alive", "x-hop", "connection", "x-hokusai-error-source"] {
        assert_eq!(response.header(hop), None, "{hop}");
    }
}

#[actix_web::test]
async fn nothing_but_a_date_is_invented_on_the_way_to_mlflow() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    gateway.get(SEARCH).await;
    let mut names: Vec<_> = mlflow.request().headers.into_iter().map(|(name, _)| name).collect();
    names.sort();
    let expected = [
        // By awc, and harmless (RFC 9110 §6.6.1).
        "date",
        "host",
        "traceparent",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-hokusai-key-id",
        "x-hokusai-user-id",
        "x-request-id",
    ];
    assert_eq!(names, expected);
}

#[actix_web::test]
async fn a_bodys_length_stays_and_chunks_stay_chunks() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    for (method, rest, length, chunked, body) in [
        ("POST", "content-length: 5\r\n\r\nhello", Some("5"), false, "hello"),
        ("POST", "content-length: 0005\r\n\r\nhello", Some("5"), false, "hello"),
        ("DELETE", "content-length: 7\r\n\r\n{\"a\":1}", Some("7"), false, "{\"a\":1}"),
        ("PATCH", "content-length: 2\r\n\r\n{}", Some("2"), false, "{}"),
        ("POST", "content-length: 0\r\n", Some("0"), false, ""),
        ("PUT", "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", None, true, "hello"),
        ("GET", "", None, false, ""),
    ] {
        let response = ask(gateway.address, gateway.request(method, path_for(method), rest)).await;
        assert_eq!(response.status, 200, "{method} {rest}");
        let seen = mlflow.requests().pop().unwrap();
        assert!(seen.line.starts_with(&format!("{method} ")), "{}", seen.line);
        assert_eq!(seen.header("content-length"), length, "{method} {rest}");
        assert_eq!(seen.header("transfer-encoding").is_some(), chunked, "{method} {rest}");
        assert_eq!(seen.body, body.as_bytes(), "{method} {rest}");
    }
}

#[actix_web::test]
async fn an_empty_file_reaches_mlflow_as_one() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    // As MLflow's client sends it: chunks, and none of them.
    let request = gateway.request("PUT", path_for("PUT"), "transfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(ask(gateway.address, request).await.status, 200);
    let seen = mlflow.request();
    assert!(seen.complete && seen.body.is_empty());
}

#[actix_web::test]
async fn a_target_of_a_thousand_run_ids_passes() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let ids: String = (0..1000).map(|id| format!("&run_ids={id:032x}")).collect();
    let target = format!("/ajax-api/2.0/mlflow/metrics/get-history-bulk?metric_key=a{ids}");
    assert!(target.len() > 32 * 1024);
    assert_eq!(gateway.get(&target).await.status, 200);
    assert_eq!(mlflow.request().target(), target);
}

#[actix_web::test]
async fn mlflow_is_sent_the_host_that_the_settings_say() {
    for (setting, expected) in
        [("client", Some("gateway.example")), ("mlflow.internal:5000", Some("mlflow.internal:5000"))]
    {
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let gateway = GatewayBuilder::default().set("MLFLOW__HOST_HEADER", setting).start(&mlflow).await;
        gateway.get(SEARCH).await;
        assert_eq!(mlflow.request().header("host"), expected);
    }
}

#[actix_web::test]
async fn a_path_in_mlflows_address_is_put_before_every_path() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__STATIC_PREFIX", "/static")
        .set("MLFLOW__REST", "ajax-api")
        .start_with(&format!("{}/base/", mlflow.url()))
        .await;
    gateway.get(SEARCH).await;
    let seen = mlflow.until(|request| request.target().contains("experiments")).await;
    assert_eq!(seen.target(), "/base/static/ajax-api/2.0/mlflow/experiments/search");
}
