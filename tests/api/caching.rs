//! What caches before the gateway are told: every answer is for the key that it was given to.

use crate::support::{Gateway, Server, ask, server::Answer};

const SEARCH: &str = "/api/mlflow/api/2.0/mlflow/experiments/search";
const VARY: &str = "Authorization, X-API-Key, Cookie, X-MLFLOW-WORKSPACE";

#[actix_web::test]
async fn answers_to_keys_are_private_and_vary_on_what_a_credential_may_be_in() {
    for (method, head, control, vary) in [
        ("GET", "200 OK\r\ncontent-length: 0", "private", VARY),
        ("HEAD", "200 OK\r\ncontent-length: 9", "private", VARY),
        ("GET", "304 X\r\netag: \"a\"\r\ncache-control: public, max-age=9", "max-age=9, private", VARY),
        ("GET", "404 X\r\ncontent-length: 0\r\ncache-control: s-maxage=60", "private", VARY),
        ("GET", "302 X\r\nlocation: /a\r\ncontent-length: 0\r\ncache-control: no-store", "no-store", VARY),
        (
            "GET",
            "200 OK\r\ncontent-length: 0\r\ncache-control: no-cache\r\nCache-Control: public",
            "no-cache, private",
            VARY,
        ),
        ("GET", "200 OK\r\ncontent-length: 0\r\nvary: Origin", "private", &format!("Origin, {VARY}")),
    ] {
        let upstream = format!(
            "HTTP/1.1 {head}\r\ncdn-cache-control: max-age=9\r\nx-accel-expires: 9\r\n\
                                x-accel-redirect: /a\r\nx-accel-buffering: no\r\nsurrogate-control: max-age=9\r\n\r\n"
        );
        let mlflow = Server::start(move |_| Answer::bytes(&upstream)).await;
        let gateway = Gateway::start(&mlflow).await;
        let response = ask(gateway.address, gateway.request(method, SEARCH, "")).await;
        let all = |name: &str| {
            let of_name = response.headers.iter().filter(|(header, _)| header == name);
            of_name.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(all("cache-control"), [control], "{head}");
        assert_eq!(all("vary"), [vary], "{head}");
        assert_eq!(all("x-accel-buffering"), ["no"], "{head}");
        for name in ["cdn-cache-control", "x-accel-expires", "x-accel-redirect", "surrogate-control"] {
            assert_eq!(response.header(name), None, "{head}: {name}");
        }
    }
}

#[actix_web::test]
async fn refusals_are_not_stored_and_vary_too() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let response = ask(gateway.address, format!("GET {SEARCH} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    assert_eq!(response.status, 401);
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.header("vary"), Some(VARY));
}
