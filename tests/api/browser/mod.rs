//! People with browsers: their sessions, what they are shown, and what pages of other sites may do with what browsers remember.

mod attacks;
mod cookies;
mod cors;
mod cross_origin;
mod errors;
mod pages;

use crate::support::{
    Gateway, GatewayBuilder, ask,
    client::Response,
    server::{Answer, Recorded, Server},
};

/// A page that a person opens.
const NAVIGATE: &str = "sec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\nsec-fetch-site: none\r\n";
/// As a load balancer says it that browsers reach over TLS.
const OVER_TLS: &str = "x-forwarded-for: 203.0.113.9\r\nx-forwarded-proto: https\r\n";
const SECRET: &str = "obviously-a-secret-of-a-test-and-no-other";

async fn mlflow() -> Server {
    Server::start(|_: &Recorded| Answer::ok("{}")).await
}

/// A gateway behind a load balancer with TLS.
fn behind_a_balancer() -> GatewayBuilder {
    GatewayBuilder::default().set("SERVER__TRUSTED_PROXIES", "127.0.0.1").set("AUTH__SESSION__SECRET", SECRET)
}

/// A request without a key, to the name that browsers use.
async fn send(gateway: &Gateway, method: &str, target: &str, rest: &str) -> Response {
    let end = if rest.contains("\r\n\r\n") { "" } else { "\r\n" };
    let head = format!("{method} {target} HTTP/1.1\r\nhost: mlflow.example.com\r\n{OVER_TLS}");
    ask(gateway.address, format!("{head}{rest}{end}")).await
}

/// What the login form sends, from a page of the gateway's own.
async fn log_in(gateway: &Gateway, key: &str, next: &str) -> Response {
    let form = format!("key={key}&next={next}");
    let rest = format!(
        "origin: https://mlflow.example.com\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    send(gateway, "POST", "/login", &rest).await
}

/// The line that sends the session's cookie of a login.
fn cookie_of(response: &Response) -> String {
    let set =
        response.header("set-cookie").unwrap_or_else(|| panic!("{} {}", response.status, response.text()));
    format!("cookie: {}\r\n", set.split(';').next().unwrap())
}

/// That of the gateway's own key.
async fn session(gateway: &Gateway) -> String {
    cookie_of(&log_in(gateway, &gateway.key, "/mlflow/").await)
}
