//! What reaches MLflow, and what comes back.

use crate::support::{
    Gateway, GatewayBuilder, Server, ask, client::Connection, gateway::path_for, server::Answer,
};

const SEARCH: &str = "/api/mlflow/api/2.0/mlflow/experiments/search";

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
async fn the_credential_never_reaches_mlflow_however_it_was_sent() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let key = &gateway.key;
    let basic = awc::http::header::HeaderValue::from_bytes(&basic("ada", key)).unwrap();
    for header in [
        format!("authorization: Bearer {key}"),
        format!("Authorization: bearer {key}"),
        format!("authorization: {}", basic.to_str().unwrap()),
        format!("authorization: ApiKey {key}"),
        format!("x-api-key: {key}"),
        format!("authorization: Bearer {key}\r\nconnection: authorization"),
    ] {
        let response =
            ask(gateway.address, format!("GET {SEARCH} HTTP/1.1\r\nhost: a\r\n{header}\r\n\r\n")).await;
        assert_eq!(response.status, 200, "{header}");
        let seen = mlflow.requests().pop().unwrap();
        assert_eq!(seen.header("authorization"), None, "{header}");
        assert_eq!(seen.header("x-api-key"), None, "{header}");
        let whole = format!("{seen:?}");
        assert!(!whole.contains(key) && !whole.contains(&basic.to_str().unwrap()[6..]), "{header}");
    }
}

fn basic(user: &str, password: &str) -> Vec<u8> {
    use actix_web::http::header::TryIntoHeaderValue as _;
    let basic =
        actix_web_httpauth::headers::authorization::Basic::new(user.to_owned(), Some(password.to_owned()));
    basic.try_into_value().unwrap().as_bytes().to_vec()
}

#[actix_web::test]
async fn mlflow_is_told_who_calls_and_nobody_else_can_say_so() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let lies = "x-hokusai-user-id: root\r\nx-hokusai-key-id: root\r\n\
                X-Hokusai-Anything: root\r\nx-forwarded-for: 192.0.2.66\r\nx-forwarded-host: evil\r\n\
                x-forwarded-proto: https\r\nx-forwarded-prefix: /evil\r\nforwarded: for=192.0.2.66\r\n\
                x-real-ip: 192.0.2.66\r\nx-original-url: /evil\r\nx-rewrite-url: /evil\r\n\
                x-http-method-override: DELETE\r\nx-request-id: of-the-client\r\n\
                via: 1.1 cdn\r\nconnection: x-hokusai-user-id, x-forwarded-for, host, via\r\n";
    ask(gateway.address, gateway.request("GET", SEARCH, lies)).await;

    let seen = mlflow.request();
    assert_eq!(seen.all("x-hokusai-user-id").collect::<Vec<_>>(), ["ada"]);
    assert_eq!(seen.all("x-hokusai-key-id").collect::<Vec<_>>(), [gateway.key_id.as_str()]);
    assert_eq!(seen.all("x-forwarded-for").collect::<Vec<_>>(), ["127.0.0.1"]);
    assert_eq!(seen.all("x-forwarded-proto").collect::<Vec<_>>(), ["http"]);
    assert_eq!(seen.all("x-forwarded-host").collect::<Vec<_>>(), ["gateway.example"]);
    assert_eq!(seen.all("host").collect::<Vec<_>>(), [mlflow.address.to_string()]);
    assert_eq!(seen.all("x-request-id").collect::<Vec<_>>(), ["of-the-client"]);
    assert_eq!(seen.all("traceparent").count(), 1);
    assert_eq!(seen.all("via").collect::<Vec<_>>(), ["1.1 hokusai-gateway-hop"]);
    let whole = format!("{seen:?}");
    for lie in ["root", "evil", "192.0.2.66", "DELETE"] {
        assert!(!whole.contains(lie), "`{lie}` reached MLflow: {whole}");
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
async fn responses_keep_their_status_framing_and_bytes() {
    for (method, upstream, status, length, chunked, body) in [
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", 200, Some("2"), false, "hi"),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, Some("0"), false, ""),
        (
            "GET",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            200,
            None,
            true,
            "hi",
        ),
        ("GET", "HTTP/1.1 404 X\r\ncontent-length: 2\r\n\r\n{}", 404, Some("2"), false, "{}"),
        ("GET", "HTTP/1.1 500 X\r\ncontent-length: 2\r\n\r\n{}", 500, Some("2"), false, "{}"),
        (
            "GET",
            "HTTP/1.1 206 X\r\ncontent-range: bytes 0-1/9\r\ncontent-length: 2\r\n\r\nhi",
            206,
            Some("2"),
            false,
            "hi",
        ),
        ("GET", "HTTP/1.1 204 X\r\n\r\n", 204, None, false, ""),
        ("GET", "HTTP/1.1 304 X\r\netag: \"a\"\r\n\r\n", 304, None, false, ""),
        ("GET", "HTTP/1.1 304 X\r\ncontent-length: 9\r\n\r\n", 304, Some("9"), false, ""),
        (
            "GET",
            "HTTP/1.1 302 X\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n",
            302,
            Some("0"),
            false,
            "",
        ),
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", 200, Some("9"), false, ""),
        ("HEAD", "HTTP/1.1 200 OK\r\n\r\n", 200, None, false, ""),
    ] {
        let mlflow = Server::start(move |_| Answer::bytes(upstream)).await;
        let gateway = Gateway::start(&mlflow).await;
        let mut connection = Connection::open(gateway.address).await;
        for _ in 0..2 {
            connection.send(gateway.request(method, SEARCH, "")).await;
            let response = connection.response(method == "HEAD").await;
            assert_eq!(response.status, status, "{upstream:?}");
            assert_eq!(response.header("content-length"), length, "{upstream:?}");
            assert_eq!(response.header("transfer-encoding").is_some(), chunked, "{upstream:?}");
            assert_eq!(response.text(), body, "{upstream:?}");
            assert!(response.complete, "{upstream:?}");
            assert_eq!(response.header("content-type"), None, "{upstream:?}");
        }
        assert_eq!(mlflow.requests().len(), 2);
    }
}

#[actix_web::test]
async fn an_http_1_0_body_ends_with_its_connection() {
    let mlflow = Server::start(|_| Answer::bytes_then_close("HTTP/1.0 200 OK\r\n\r\nold but whole")).await;
    let gateway = Gateway::start(&mlflow).await;
    let response = gateway.get(SEARCH).await;
    assert_eq!((response.status, response.text(), response.complete), (200, "old but whole", true));
}

#[actix_web::test]
async fn a_compressed_body_passes_as_it_is() {
    let mlflow = Server::start(|_| {
        let mut answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n".to_vec();
        answer.extend([0x1f, 0x8b, 0x08, 0x00]);
        Answer::Bytes(answer)
    })
    .await;
    let gateway = Gateway::start(&mlflow).await;
    let response = gateway.get(SEARCH).await;
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert_eq!(response.body, [0x1f, 0x8b, 0x08, 0x00]);
}

#[actix_web::test]
async fn a_redirect_is_the_clients_to_follow() {
    let mlflow = Server::start(|_| {
        Answer::bytes("HTTP/1.1 307 X\r\nlocation: /api/2.0/other\r\ncontent-length: 0\r\n\r\n")
    })
    .await;
    let gateway = Gateway::start(&mlflow).await;
    let response =
        ask(gateway.address, gateway.request("PUT", path_for("PUT"), "content-length: 5\r\n\r\nhello")).await;
    assert_eq!(response.status, 307);
    assert_eq!(mlflow.request().body, b"hello");
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
async fn a_download_begins_before_mlflow_has_sent_it_all() {
    let pieces = vec![b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst".to_vec()];
    let mlflow =
        Server::start(move |_| Answer::Pieces(pieces.clone(), std::time::Duration::from_secs(3600))).await;
    let gateway = Gateway::start(&mlflow).await;
    let mut connection = Connection::open(gateway.address).await;
    connection.send(gateway.request("GET", SEARCH, "")).await;
    connection.until_received(b"first").await;
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
async fn mlflow_is_sent_the_credentials_that_it_wants_of_the_gateway() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__AUTH", "basic")
        .set("MLFLOW__USERNAME", "gateway")
        .set("MLFLOW__PASSWORD", "of-mlflow")
        .start(&mlflow)
        .await;
    gateway.get(SEARCH).await;
    let expected = String::from_utf8(basic("gateway", "of-mlflow")).unwrap();
    assert_eq!(mlflow.request().all("authorization").collect::<Vec<_>>(), [expected]);
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

#[actix_web::test]
async fn what_a_trusted_proxy_says_of_the_client_is_passed_on() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway =
        GatewayBuilder::default().set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8").start(&mlflow).await;
    let headers = "x-forwarded-for: 192.0.2.66, 203.0.113.7\r\nx-forwarded-proto: https\r\n";
    ask(gateway.address, gateway.request("GET", SEARCH, headers)).await;
    assert_eq!(mlflow.request().header("x-forwarded-for"), Some("203.0.113.7"));
    assert_eq!(mlflow.request().header("x-forwarded-proto"), Some("https"));
}
