//! Tokens of issuers: which are credentials, which are not, and what they may do.

mod accepted;
mod elsewhere;
pub mod issuer;
mod key_files;
mod keys;
mod probe;
mod recipes;
mod refused;
mod revocations;
mod revoke;
mod rules;
mod settings;
pub mod signing;

use std::process::Command;

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::{issuer::Issuer, signing::SigningKey};
use crate::support::{Gateway, GatewayBuilder, Response, Server, ask, process::command, server::Answer};

const AUDIENCE: &str = "mlflow.example";
/// What an auth service would say of a token that came to it.
const VALID: &str =
    r#"{"is_valid": true, "user_id": "auth-services", "key_id": "k-1", "scopes": ["mlflow:read"]}"#;

/// An issuer with one key, an auth service that accepts everything, and an MLflow.
struct Stage {
    issuer: Issuer,
    key: SigningKey,
    auth: Server,
    mlflow: Server,
}

impl Stage {
    async fn set() -> Self {
        let key = SigningKey::p256("key-1");
        Self {
            issuer: Issuer::start(&[&key]).await,
            key,
            auth: Server::start(|_| Answer::ok(VALID)).await,
            mlflow: Server::start(|_| Answer::ok("{}")).await,
        }
    }

    /// The issuer's settings, with one rule.
    fn settings(&self) -> String {
        issuer_settings(&self.issuer.url()) + RULE
    }

    fn builder(&self, settings: &str) -> GatewayBuilder {
        GatewayBuilder::default()
            .file(settings)
            .set("AUTH__SERVICE__URL", &self.auth.url())
            .set("SERVER__TRUSTED_PROXIES", "127.0.0.1")
    }

    async fn gateway(&self) -> Gateway {
        self.gateway_with(&self.settings()).await
    }

    async fn gateway_with(&self, settings: &str) -> Gateway {
        self.builder(settings).start(&self.mlflow).await
    }

    /// Claims that are good, issued an hour ago for two hours.
    fn claims(&self) -> Value {
        let now = Timestamp::now().as_second();
        json!({
            "iss": self.issuer.url(), "aud": AUDIENCE, "sub": "repo:acme/churn", "repository": "acme/churn",
            "iat": now - 3600, "exp": now + 3600,
        })
    }

    /// A good token, but for these claims; null is for none.
    fn token(&self, changes: Value) -> String {
        self.key.token(&changed(self.claims(), changes))
    }
}

/// A command of an operator's whose folder has these settings, and no keys.
fn operator(settings: &str, arguments: &[&str]) -> (TempDir, Command) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gateway.toml"), settings).unwrap();
    let mut command = command(folder.path());
    command.args(arguments).args(["--config", "gateway.toml"]);
    (folder, command)
}

fn issuer_settings(issuer: &str) -> String {
    format!(
        "[[auth.issuers]]\nissuer = '{issuer}'\naudience = '{AUDIENCE}'\nuser = '{{repository}}'\n\
         algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'EdDSA']\n"
    )
}

const RULE: &str =
    "[[auth.issuers.rules]]\nwhen = { repository = 'acme/*' }\nscopes = ['mlflow:read', 'mlflow:write']\n";

fn changed(mut claims: Value, changes: Value) -> Value {
    let claims_by_name = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims_by_name.remove(name),
            value => claims_by_name.insert(name.clone(), value.clone()),
        };
    }
    claims
}

/// A request with this key or token, from an address of its own.
async fn get_from(gateway: &Gateway, address: &str, token: &str) -> Response {
    let get = format!(
        "GET /api/2.0/mlflow/experiments/search?max_results=1 HTTP/1.1\r\nhost: a\r\nx-forwarded-for: {address}\r\n\
         authorization: Bearer {token}\r\n\r\n"
    );
    ask(gateway.address, get).await
}

async fn get(gateway: &Gateway, token: &str) -> Response {
    get_from(gateway, "203.0.113.1", token).await
}
