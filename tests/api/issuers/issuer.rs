//! An issuer that answers as it is told, and records who asked.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use super::signing::SigningKey;
use crate::support::{Server, server::Answer};

const DISCOVERY: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/jwks";

pub struct Issuer {
    server: Server,
    published: Arc<Mutex<Published>>,
}

#[derive(Default)]
struct Published {
    /// What it says in its document, where that is not so simple.
    document: Option<Answer>,
    keys: Vec<Value>,
    /// What it says in place of them.
    answer: Option<Answer>,
}

impl Issuer {
    pub async fn start(keys: &[&SigningKey]) -> Self {
        let published = Arc::new(Mutex::new(Published::default()));
        let answered = Arc::clone(&published);
        let server = Server::start(move |request| {
            let Published { document, keys, answer } = &*answered.lock().unwrap();
            match request.target() {
                DISCOVERY => document.clone().unwrap(),
                KEYS => answer.clone().unwrap_or_else(|| Answer::ok(&json!({ "keys": keys }).to_string())),
                _ => Answer::json(404, "{}"),
            }
        })
        .await;
        let issuer = Self { server, published };
        issuer.describe(&issuer.url(), &format!("{}{KEYS}", issuer.url()));
        issuer.publish(keys.iter().map(|key| key.public()));
        issuer
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Publishes these keys, and no others.
    pub fn publish(&self, keys: impl IntoIterator<Item = Value>) {
        self.published.lock().unwrap().keys = keys.into_iter().collect();
    }

    /// Says in its document that this is its name, and where its keys are.
    pub fn describe(&self, name: &str, keys: &str) {
        let document = json!({ "issuer": name, "jwks_uri": keys });
        self.answer_discovery(Answer::ok(&document.to_string()));
    }

    pub fn answer_discovery(&self, answer: Answer) {
        self.published.lock().unwrap().document = Some(answer);
    }

    /// Answers so where its keys should be, or with its keys again.
    pub fn answer_keys(&self, answer: Option<Answer>) {
        self.published.lock().unwrap().answer = answer;
    }

    /// How often it was asked for its keys.
    pub fn asked(&self) -> usize {
        self.server.requests().iter().filter(|request| request.target() == KEYS).count()
    }

    /// Everything that anybody asked of it.
    pub fn requests(&self) -> Vec<String> {
        self.server.requests().iter().map(|request| request.line.clone()).collect()
    }
}
