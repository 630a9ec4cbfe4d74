//! The gateway's own limits on validations are no outage: nobody is believed for them whom the service would refuse.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::support::{Gateway, GatewayBuilder, Response, Server, ask, eventually, metric, server::Answer};

const VALID: &str = r#"{"is_valid": true, "user_id": "u-1"}"#;

/// An auth service that takes its time with every key but one, which it has revoked as soon as a test says so.
struct Stage {
    auth: Server,
    mlflow: Server,
    gateway: Gateway,
    revoked: Arc<AtomicBool>,
}

impl Stage {
    async fn set(takes: Duration, settings: &[(&str, &str)]) -> Self {
        let revoked = Arc::new(AtomicBool::new(false));
        let is_revoked = Arc::clone(&revoked);
        let auth = Server::start(move |request| {
            let is_the_key = request.header("authorization") == Some("Bearer the-key");
            if !is_revoked.load(Relaxed) {
                return Answer::ok(VALID);
            }
            let body = if is_the_key { r#"{"is_valid": false}"# } else { VALID };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            Answer::After(takes, head.into_bytes())
        })
        .await;
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let mut gateway = GatewayBuilder::default()
            .set("AUTH__SERVICE__URL", &auth.url())
            .set("AUTH__SERVICE__MAX_IN_FLIGHT", "4")
            .set("AUTH__CACHE__TTL", "50ms");
        for (variable, value) in settings {
            gateway = gateway.set(variable, value);
        }
        let gateway = gateway.start(&mlflow).await;
        Self { auth, mlflow, gateway, revoked }
    }

    /// So many keys and the one are good, and then all are to be asked about again: the others at once, the one behind them.
    async fn revoked_behind_others(&self, others: usize) -> (Response, Vec<Response>) {
        let keys: Vec<String> = (0..others).map(|number| format!("key-{number}")).collect();
        for key in keys.iter().map(String::as_str).chain(["the-key"]) {
            assert_eq!(ask(self.gateway.address, create(key)).await.status, 200);
        }
        self.revoked.store(true, Relaxed);
        actix_rt::time::sleep(Duration::from_millis(60)).await;
        let asked = self.auth.validations().len();
        let others: Vec<_> =
            keys.iter().map(|key| actix_rt::spawn(ask(self.gateway.address, create(key)))).collect();
        let are_asked = async || self.auth.validations().len() >= asked + 4;
        eventually("the others are asked about", are_asked).await;
        let refused = ask(self.gateway.address, create("the-key")).await;
        let mut answers = Vec::new();
        for other in others {
            answers.push(other.await.unwrap());
        }
        (refused, answers)
    }

    /// How many experiments a key has created, by MLflow's own log.
    fn created_by(&self, key: &str) -> usize {
        self.mlflow.requests().iter().filter(|seen| seen.text().contains(&format!("\"{key}\""))).count()
    }
}

fn create(key: &str) -> String {
    let body = format!(r#"{{"name": "{key}"}}"#);
    format!(
        "POST /api/2.0/mlflow/experiments/create HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[actix_web::test]
async fn a_key_that_was_revoked_creates_nothing_while_others_are_asked_about() {
    let stage = Stage::set(Duration::from_millis(300), &[("AUTH__SERVICE__TIMEOUT", "20s")]).await;
    let (refused, others) = stage.revoked_behind_others(16).await;
    assert_eq!((refused.status, refused.reason().as_str()), (401, "credential_rejected"));
    assert_eq!(stage.created_by("the-key"), 1);
    assert!(others.iter().all(|response| response.status == 200), "each had its turn");
}

#[actix_web::test]
async fn a_key_that_finds_no_place_in_time_is_told_to_come_again_and_never_believed() {
    // The first four are answered, the next have too little of their time left, and the others never begin.
    let stage = Stage::set(Duration::from_millis(1200), &[("AUTH__SERVICE__TIMEOUT", "2s")]).await;
    let (refused, others) = stage.revoked_behind_others(16).await;
    assert_eq!((refused.status, refused.reason().as_str()), (503, "auth_unavailable"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(stage.created_by("the-key"), 1);
    for response in &others {
        let told = (response.status, response.header("retry-after"));
        assert!(told == (200, None) || told == (503, Some("1")), "{response:?}");
    }
    assert_eq!(others.iter().filter(|response| response.status == 200).count(), 4);
    // None of it is the service's failure.
    assert_eq!(metric(&stage.gateway, r#"auth_validations_total{outcome="unavailable"}"#).await, 0.0);
    assert_eq!(metric(&stage.gateway, "auth_service_up").await, 1.0);
    let stale = r#"auth_cache_requests_total{result="stale",tier="memory"}"#;
    assert_eq!(metric(&stage.gateway, stale).await, 0.0);
}

#[actix_web::test]
async fn calls_too_many_in_a_second_are_no_outage_either() {
    let settings = [("AUTH__SERVICE__MAX_PER_SECOND", "4"), ("AUTH__SERVICE__MAX_IN_FLIGHT", "64")];
    let stage = Stage::set(Duration::ZERO, &settings).await;
    for key in ["key-0", "key-1", "the-key"] {
        assert_eq!(ask(stage.gateway.address, create(key)).await.status, 200);
    }
    stage.revoked.store(true, Relaxed);
    actix_rt::time::sleep(Duration::from_millis(60)).await;
    for key in ["key-0", "key-1", "key-0"] {
        assert_eq!(ask(stage.gateway.address, create(key)).await.status, 200);
        actix_rt::time::sleep(Duration::from_millis(60)).await;
    }
    assert_eq!(ask(stage.gateway.address, create("the-key")).await.status, 401);
    assert_eq!(stage.created_by("the-key"), 1);
}

/// Strangers whose questions the service never answers; a key that was good is asked about all the same.
#[actix_web::test]
async fn strangers_bring_about_no_outage_in_which_a_revoked_key_is_believed() {
    let revoked = Arc::new(AtomicBool::new(false));
    let is_revoked = Arc::clone(&revoked);
    let auth = Server::start(move |request| match request.header("authorization") {
        Some("Bearer the-key") if !is_revoked.load(Relaxed) => Answer::ok(VALID),
        Some("Bearer the-key") => Answer::json(404, r#"{"detail": "no such key"}"#),
        _ => Answer::json(500, "a key that the service chokes on"),
    })
    .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &auth.url())
        .set("AUTH__CACHE__TTL", "50ms")
        .start(&mlflow)
        .await;
    assert_eq!(ask(gateway.address, create("the-key")).await.status, 200);
    revoked.store(true, Relaxed);
    actix_rt::time::sleep(Duration::from_millis(60)).await;
    for number in 0..10 {
        assert_eq!(ask(gateway.address, create(&format!("hostile-{number}"))).await.status, 503);
    }
    assert_eq!(ask(gateway.address, create("the-key")).await.status, 401);
    assert_eq!(mlflow.requests().len(), 1);
}
