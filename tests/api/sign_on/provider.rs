//! A provider of OpenID Connect that answers as it is told, and records what it is asked.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::{
    issuers::signing::SigningKey,
    support::{
        Server,
        server::{Answer, Recorded},
    },
};

type Giving = Arc<dyn Fn(&Recorded) -> Answer + Send + Sync>;

pub struct Provider {
    server: Server,
    told: Arc<Mutex<Told>>,
    pub key: SigningKey,
}

struct Told {
    document: Value,
    keys: Value,
    tokens: Giving,
}

impl Provider {
    pub async fn start() -> Self {
        let key = SigningKey::p256("key-1");
        let keys = json!({ "keys": [key.public()] });
        let nothing: Giving = Arc::new(|_: &Recorded| Answer::json(400, r#"{"error": "invalid_grant"}"#));
        let told = Arc::new(Mutex::new(Told { document: Value::Null, keys, tokens: nothing }));
        let answered = Arc::clone(&told);
        let server = Server::start(move |request| {
            let (document, keys, tokens) = {
                let told = answered.lock().unwrap();
                (told.document.to_string(), told.keys.to_string(), Arc::clone(&told.tokens))
            };
            match request.target() {
                "/.well-known/openid-configuration" => Answer::ok(&document),
                "/jwks" => Answer::ok(&keys),
                "/token" => tokens(request),
                _ => Answer::json(404, "{}"),
            }
        })
        .await;
        let provider = Self { server, told, key };
        let url = provider.url();
        provider.told.lock().unwrap().document = json!({
            "issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/jwks"), "end_session_endpoint": format!("{url}/end"),
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        });
        provider
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Says this of itself, too.
    pub fn describe(&self, name: &str, value: Value) {
        self.told.lock().unwrap().document[name] = value;
    }

    /// Answers so to whoever wants tokens.
    pub fn give(&self, answer: Answer) {
        self.give_by(move |_| answer.clone());
    }

    pub fn give_by(&self, giving: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) {
        self.told.lock().unwrap().tokens = Arc::new(giving);
    }

    /// What was asked of its token endpoint.
    pub fn asked(&self) -> Vec<Recorded> {
        self.server.requests().into_iter().filter(|request| request.target() == "/token").collect()
    }

    pub fn discoveries(&self) -> usize {
        let is_discovery = |request: &Recorded| request.target().starts_with("/.well-known/");
        self.server.requests().iter().filter(|request| is_discovery(request)).count()
    }
}

/// What a token endpoint gives.
pub fn tokens(id_token: &str, refresh: Option<&str>) -> Answer {
    let mut tokens =
        json!({ "access_token": "obviously-an-access-token", "token_type": "Bearer", "id_token": id_token });
    if let Some(refresh) = refresh {
        tokens["refresh_token"] = refresh.into();
    }
    Answer::ok(&tokens.to_string())
}
