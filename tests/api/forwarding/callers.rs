//! Who calls, and what MLflow is told of it.

use super::SEARCH;
use crate::support::{Gateway, GatewayBuilder, Server, ask, server::Answer};

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
async fn what_a_trusted_proxy_says_of_the_client_is_passed_on() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway =
        GatewayBuilder::default().set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8").start(&mlflow).await;
    let headers = "x-forwarded-for: 192.0.2.66, 203.0.113.7\r\nx-forwarded-proto: https\r\n";
    ask(gateway.address, gateway.request("GET", SEARCH, headers)).await;
    assert_eq!(mlflow.request().header("x-forwarded-for"), Some("203.0.113.7"));
    assert_eq!(mlflow.request().header("x-forwarded-proto"), Some("https"));
}
