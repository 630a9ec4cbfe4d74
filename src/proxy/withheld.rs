//! Answers of MLflow's that say more than their reader is to know: they are read whole, and sent on without it.

use actix_web::{HttpResponse, HttpResponseBuilder, http::StatusCode};
use awc::ClientResponse;
use serde_json::{Map, Value};

use super::error::NotRewritten;
use super::{ProxyError, direct};
use crate::{policy::Grant, routing::AnswerFilter};

/// The largest answer that is rewritten, in bytes; MLflow's have a few hundred.
const MAX_ANSWER: usize = 64 * 1024;

/// What an answer is sent on without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Withheld {
    /// That there are ways past the gateway.
    WaysPast,
    /// Whether MLflow seals its secrets with the passphrase that everybody knows: MLflow's own authentication tells only
    /// administrators (mlflow/server/auth, `redact_secrets_config_for_non_admins`).
    DefaultPassphrase,
}

impl Withheld {
    pub(super) fn of(grant: &Grant, denies_direct: bool) -> Option<Self> {
        match grant.route().rule().answer? {
            AnswerFilter::ServerInfo => denies_direct.then_some(Self::WaysPast),
            AnswerFilter::SecretsConfig => (!grant.may_administer()).then_some(Self::DefaultPassphrase),
        }
    }

    /// The answer without it, behind `response`'s head.
    ///
    /// # Errors
    /// One in which nobody can tell what it says.
    pub(super) async fn taken_from(
        self,
        mut upstream: ClientResponse,
        mut response: HttpResponseBuilder,
    ) -> Result<HttpResponse, ProxyError> {
        if upstream.status() != StatusCode::OK {
            return Err(ProxyError::NotRewritten(NotRewritten::Status(upstream.status())));
        }
        let body = upstream.body().limit(MAX_ANSWER).await;
        let body = body.map_err(|error| ProxyError::NotRewritten(NotRewritten::Body(error)))?;
        let mut told: Map<String, Value> = serde_json::from_slice(&body)
            .map_err(|error| ProxyError::NotRewritten(NotRewritten::Json(error)))?;
        match self {
            Self::WaysPast => direct::deny(&mut told),
            Self::DefaultPassphrase => drop(told.remove("using_default_passphrase")),
        }
        Ok(response.body(Value::Object(told).to_string()))
    }
}
