//! Bodies, of strangers and of keys.

use std::time::Duration;

use hokusai_gateway::auth::key_file::edit::CreatedKey;
use secrecy::ExposeSecret as _;

use super::{CONNECTION, KIB, MIB, SLACK, Stage, TARGET};
use crate::support::{
    GatewayBuilder, Server, ask, client::Connection, eventually, gateway::create_key, server::Answer,
};

const AHEAD: usize = 8 * KIB;

#[actix_web::test]
async fn bodies_of_strangers_stay_where_they_are() {
    let auth = Server::start(|_| Answer::Silence).await;
    let stage = Stage::set(&[
        ("HOKUSAI_AUTH_SERVICE_URL", &auth.url()),
        ("HOKUSAI__AUTH__SERVICE__TIMEOUT", "60s"),
        ("HOKUSAI__SERVER__MAX_CONNECTIONS", "500"),
    ]);
    stage.lives().await;
    let before = stage.gateway.peak_memory();
    let head = format!("POST {TARGET} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer stolen\r\n");
    let upload = format!("{head}content-length: 1000000\r\n\r\n{}", "x".repeat(200 * KIB));
    let strangers = stage.open(500, upload.as_bytes()).await;
    eventually("the auth service is asked", async || auth.begun() > 0).await;
    let grown = stage.grown(before).await;
    let allowed = 500 * (CONNECTION + AHEAD) + SLACK;
    assert!(grown < allowed, "{} KiB, and not {}", grown / KIB, allowed / KIB);
    drop(strangers);
}

#[actix_web::test]
async fn bodies_that_are_read_come_to_the_share_of_their_key_and_no_more() {
    let values = format!(r#"{{"a":[{}0],"b":""#, r#"{"":0},"#.repeat(16_000));
    let body = format!("{values}{}", "x".repeat(MIB - KIB - values.len()));
    for (target, body) in [("/api/2.0/mlflow/runs/delete", &body[..]), ("/graphql", &body[..63 * KIB])] {
        let stage = Stage::set(&[("HOKUSAI__MLFLOW__QUEUE_TIMEOUT", "200ms")]);
        stage.lives().await;
        let before = stage.gateway.peak_memory();
        let post = |body: &str, length: usize| {
            let key = &stage.key;
            let head = format!("POST {target} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n");
            format!("{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        };
        let unfinished = post(body, body.len() + 3);
        let mut requests = stage.open(300, unfinished.as_bytes()).await;
        let grown = stage.grown(before).await;
        let allowed = 300 * (CONNECTION + AHEAD) + 2 * 4 * MIB + SLACK;
        assert!(grown < allowed, "{target}: {} KiB, and not {}", grown / KIB, allowed / KIB);

        // Those that found no room are told so, and nobody is told anything else.
        let (mut refused, moment) = (0, Duration::from_millis(1));
        while refused < 200 {
            for mut request in std::mem::take(&mut requests) {
                let Some(response) = request.response_within(moment).await else {
                    requests.push(request);
                    continue;
                };
                assert_eq!((response.status, response.reason().as_str()), (429, "rate_limited"), "{target}");
                assert_eq!(response.header("retry-after"), Some("1"));
                refused += 1;
            }
        }
        drop(requests);

        // One after the other they are read: a thousand values of one body take their memory for a moment.
        let whole = post(&format!("{body}\"}} "), body.len() + 3);
        let answers = stage.open(16, whole.as_bytes()).await;
        let grown = stage.grown(before).await;
        assert!(grown < allowed + 16 * MIB, "{target}: {} KiB", grown / KIB);
        drop(answers);
        stage.lives().await;
    }
}

#[actix_web::test]
async fn where_all_keys_have_their_share_the_next_body_is_told_to_come_again() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().set("MLFLOW__QUEUE_TIMEOUT", "200ms").start(&mlflow).await;
    let keys: Vec<_> =
        (0..16).map(|user| create_key(&gateway.key_file, &format!("user-{user}"), None)).collect();
    let delete = |key: &str, length: usize| {
        let head =
            "POST /api/2.0/mlflow/runs/delete HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
        format!("{head}authorization: Bearer {key}\r\ncontent-length: {length}\r\n\r\n{{}}")
    };
    let key_of = |created: &CreatedKey| created.key.expose_secret().to_owned();
    let last = key_of(&keys[15]);
    eventually("the keys are known", async || ask(gateway.address, delete(&last, 2)).await.status == 200)
        .await;
    let mut unfinished = Vec::new();
    for created in &keys {
        for _ in 0..4 {
            let mut connection = Connection::open(gateway.address).await;
            connection.send(delete(&key_of(created), MIB)).await;
            unfinished.push(connection);
        }
    }
    eventually("all have their share", async || {
        ask(gateway.address, delete(&gateway.key, 2)).await.status == 503
    })
    .await;
    let response = ask(gateway.address, delete(&gateway.key, 2)).await;
    assert_eq!((response.status, response.reason().as_str()), (503, "upstream_unavailable"));
    assert_eq!(response.header("retry-after"), Some("1"));
    let response = ask(gateway.address, delete(&last, 2)).await;
    assert_eq!((response.status, response.reason().as_str()), (429, "rate_limited"));
    drop(unfinished);
    eventually("there is room again", async || ask(gateway.address, delete(&last, 2)).await.status == 200)
        .await;
}
