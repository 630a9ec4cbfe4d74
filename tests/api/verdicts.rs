//! What is remembered of the auth service's answers, and what the service is spared.

mod floods;
mod outages;
mod sharing;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::{Gateway, GatewayBuilder, Response, Server, ask, server::Answer};

const TARGET: &str = "/api/2.0/mlflow/runs/get";
const VALID: &str = r#"{"is_valid": true, "user_id": "u-1", "key_id": "k-1"}"#;
const REFUSED: &str = r#"{"is_valid": false}"#;

/// An auth service whose answer can be changed, a fake MLflow, and a gateway that asks the one for the other.
struct Stage {
    auth: Server,
    mlflow: Server,
    gateway: Gateway,
    answers: Arc<[Answer]>,
    answer: Arc<AtomicUsize>,
}

impl Stage {
    /// The service gives the first of `answers` until told otherwise.
    async fn set(answers: Vec<Answer>, settings: &[(&str, &str)]) -> Self {
        let (answers, answer): (Arc<[Answer]>, _) = (answers.into(), Arc::new(AtomicUsize::new(0)));
        let auth = {
            let (answers, answer) = (Arc::clone(&answers), Arc::clone(&answer));
            Server::start(move |_| answers[answer.load(Ordering::Relaxed)].clone()).await
        };
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let mut gateway = GatewayBuilder::default()
            .set("AUTH__SERVICE__URL", &auth.url())
            .set("AUTH__SERVICE__TIMEOUT", "1s")
            .set("SERVER__WORKERS", "2");
        for (variable, value) in settings {
            gateway = gateway.set(variable, value);
        }
        let gateway = gateway.start(&mlflow).await;
        Self { auth, mlflow, gateway, answers, answer }
    }

    fn now_answer(&self, number: usize) {
        assert!(number < self.answers.len());
        self.answer.store(number, Ordering::Relaxed);
    }

    async fn get(&self, key: &str) -> Response {
        ask(self.gateway.address, get(key)).await
    }

    fn calls(&self) -> usize {
        self.auth.validations().len()
    }
}

fn get(key: &str) -> String {
    format!("GET {TARGET} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n")
}

/// A valid answer that takes its time, so that others come meanwhile.
fn slow_and_valid() -> Answer {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", VALID.len());
    Answer::Pieces(vec![head.into_bytes(), VALID.as_bytes().to_vec()], Duration::from_millis(150))
}
