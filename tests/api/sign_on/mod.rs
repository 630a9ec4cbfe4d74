//! People who log in at an issuer: what their browsers carry there and back, and how long its word counts.

mod checks;
mod fleet;
mod lies;
mod logins;
mod provider;

use std::collections::HashMap;

use actix_web::cookie::{Cookie, CookieJar, Key};
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use self::provider::{Provider, tokens};
use crate::support::{Gateway, GatewayBuilder, Response, Server, ask, server::Answer};

/// As a load balancer says it that browsers reach over TLS.
const OVER_TLS: &str = "x-forwarded-for: 203.0.113.9\r\nx-forwarded-proto: https\r\n";
const OURS: &str = "origin: https://mlflow.example.com\r\n";
/// A page that a person opens, where another site has sent her.
const NAVIGATE: &str =
    "sec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\nsec-fetch-site: cross-site\r\n";
const READ: &str = "/mlflow/ajax-api/2.0/mlflow/experiments/get?experiment_id=0";
const SECRET: &str = "obviously-a-secret-of-a-test-and-no-other";
const CLIENT: &str = "gateway-1";
const RULES: &str = "[[auth.issuers.rules]]\nwhen = { groups = 'data-*' }\nscopes = ['mlflow:read']\n";

/// A provider, an MLflow and a gateway behind a load balancer.
struct Stage {
    provider: Provider,
    mlflow: Server,
    gateway: Gateway,
}

impl Stage {
    async fn set() -> Self {
        Self::with(|settings| settings, "").await
    }

    async fn with(change: impl Fn(GatewayBuilder) -> GatewayBuilder, settings: &str) -> Self {
        let (provider, mlflow) = (Provider::start().await, Server::start(|_| Answer::ok("{}")).await);
        let gateway = change(gateway_of(&provider, settings)).start(&mlflow).await;
        Self { provider, mlflow, gateway }
    }

    /// A request without a key, to the name that browsers use.
    async fn send(&self, method: &str, target: &str, rest: &str) -> Response {
        send_to(&self.gateway, method, target, rest).await
    }

    async fn post(&self, target: &str, rest: &str, form: &str) -> Response {
        let kind = "content-type: application/x-www-form-urlencoded";
        self.send("POST", target, &format!("{rest}{kind}\r\ncontent-length: {}\r\n\r\n{form}", form.len()))
            .await
    }

    /// Presses the button of the login page.
    async fn begin(&self) -> Begun {
        Begun::of(&self.post("/login/1", OURS, "next=%2Fmlflow%2F%3Fa%3D1&place=%23%2Fexperiments%2F1").await)
    }

    /// Good claims for a login, but for these; null is for none.
    fn claims(&self, begun: &Begun, changes: Value) -> Value {
        let now = Timestamp::now().as_second();
        let mut claims = json!({
            "iss": self.provider.url(), "aud": CLIENT, "sub": "248289761001", "iat": now, "exp": now + 300,
            "nonce": begun.query["nonce"], "email": "ada@example.com", "groups": ["all", "data-science"],
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }

    /// Comes back from the provider, which gives tokens with these claims.
    async fn end(&self, begun: &Begun, changes: Value, refresh: Option<&str>) -> Response {
        let token = self.provider.key.token(&self.claims(begun, changes));
        self.provider.give(tokens(&token, refresh));
        self.callback(&begun.cookie, &format!("code=a-code&state={}", begun.query["state"])).await
    }

    async fn callback(&self, cookie: &str, query: &str) -> Response {
        self.send("GET", &format!("/login/callback?{query}"), &format!("{NAVIGATE}{cookie}")).await
    }

    /// The session's cookie of a whole login.
    async fn log_in(&self, refresh: Option<&str>) -> String {
        let begun = self.begin().await;
        cookie_of(&self.end(&begun, json!({}), refresh).await, SESSION).unwrap()
    }

    async fn read(&self, cookie: &str) -> Response {
        self.send("GET", READ, cookie).await
    }
}

const SESSION: &str = "__Host-hokusai";
const ATTEMPT: &str = "__Host-hokusai-login";

fn gateway_of(provider: &Provider, settings: &str) -> GatewayBuilder {
    let url = provider.url();
    let file = format!(
        "[[auth.issuers]]\nissuer = '{url}'\naudience = 'machines'\nalgorithms = ['ES256']\nuser = '{{email}}'\nclient_id = '{CLIENT}'\n\
         client_secret = 'obviously-a-secret'\nname = 'Log in at Example'\n{settings}{RULES}"
    );
    let gateway = GatewayBuilder::default().file(&file).set("SERVER__TRUSTED_PROXIES", "127.0.0.1");
    gateway.set("AUTH__SESSION__SECRET", SECRET)
}

async fn send_to(gateway: &Gateway, method: &str, target: &str, rest: &str) -> Response {
    let end = if rest.contains("\r\n\r\n") { "" } else { "\r\n" };
    let head = format!("{method} {target} HTTP/1.1\r\nhost: mlflow.example.com\r\n{OVER_TLS}");
    ask(gateway.address, format!("{head}{rest}{end}")).await
}

/// A login that has begun: where the browser was sent, with what, and what it keeps.
struct Begun {
    url: Url,
    query: HashMap<String, String>,
    cookie: String,
}

impl Begun {
    fn of(page: &Response) -> Self {
        assert_eq!(page.status, 200, "{page:?}");
        let (_, rest) = page.text().split_once("content=\"0; url=").unwrap();
        let url = Url::parse(&rest.split_once('"').unwrap().0.replace("&amp;", "&")).unwrap();
        let query = url.query_pairs().into_owned().collect();
        Self { url, query, cookie: cookie_of(page, ATTEMPT).unwrap() }
    }
}

/// The line that sends a cookie that a response sets; `None`: it sets none, or removes it.
fn cookie_of(response: &Response, name: &str) -> Option<String> {
    let set = response.headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case("set-cookie"));
    let of_name = |(_, set): &(String, String)| {
        let (named, rest) = set.split_once('=')?;
        let value = rest.split(';').next()?;
        (named == name && !value.is_empty()).then(|| format!("cookie: {name}={value}\r\n"))
    };
    set.filter_map(of_name).next()
}

fn removes(response: &Response, name: &str) -> bool {
    let gone = format!("{name}=;");
    response.headers.iter().any(|(header, set)| {
        header.eq_ignore_ascii_case("set-cookie") && set.starts_with(&gone) && set.contains("Max-Age=0")
    })
}

fn jar() -> (CookieJar, Key) {
    (CookieJar::new(), Key::derive_from(SECRET.as_bytes()))
}

/// What a cookie has under its seal.
fn opened(cookie: &str) -> Value {
    let (name, value) = cookie.strip_prefix("cookie: ").unwrap().trim_end().split_once('=').unwrap();
    let (jar, key) = jar();
    let opened = jar.private(&key).decrypt(Cookie::new(name.to_owned(), value.to_owned())).unwrap();
    serde_json::from_str(opened.value()).unwrap()
}

fn sealed(name: &str, what: &Value) -> String {
    let (mut jar, key) = jar();
    jar.private_mut(&key).add(Cookie::new(name.to_owned(), what.to_string()));
    format!("cookie: {name}={}\r\n", jar.get(name).unwrap().value())
}

/// The session as it will be so many seconds from now, in a browser that this gateway has not seen.
fn later(cookie: &str, seconds: i64) -> String {
    let mut session = opened(cookie);
    for time in ["checked", "since"] {
        session[time] = (session[time].as_i64().unwrap() - seconds).into();
    }
    session["id"] = format!("{}-{seconds}", session["id"].as_str().unwrap()).into();
    sealed(SESSION, &session)
}
