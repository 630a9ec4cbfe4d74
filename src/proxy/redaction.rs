//! Responses that tell a client more than it may know: they are read whole, and sent on without those fields.

use actix_web::{HttpResponse, HttpResponseBuilder, http::StatusCode};
use awc::ClientResponse;
use serde_json::{Map, Value};

use super::{ProxyError, direct_transfer, error::NotRewritten};
use crate::{policy::Grant, routing::AnswerFilter};

/// The largest response that is rewritten, in bytes. MLflow's have a few hundred.
const MAX_RESPONSE: usize = 64 * 1024;

/// What is taken out of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Redaction {
    /// The offers of transfers past the gateway.
    DirectTransfers,
    /// Whether MLflow encrypts its secrets with the default passphrase: MLflow's own authentication tells only administrators (mlflow/server/auth, `redact_secrets_config_for_non_admins`).
    DefaultPassphrase,
}

impl Redaction {
    pub(super) fn of(grant: &Grant, denies_direct: bool) -> Option<Self> {
        match grant.route().rule().answer? {
            AnswerFilter::ServerInfo => denies_direct.then_some(Self::DirectTransfers),
            AnswerFilter::SecretsConfig => (!grant.may_administer()).then_some(Self::DefaultPassphrase),
        }
    }

    /// The redacted response, with the head that `response` has.
    ///
    /// # Errors
    /// A response that cannot be read as JSON.
    pub(super) async fn apply(
        self,
        mut upstream: ClientResponse,
        mut response: HttpResponseBuilder,
    ) -> Result<HttpResponse, ProxyError> {
        if upstream.status() != StatusCode::OK {
            return Err(ProxyError::NotRewritten(NotRewritten::Status(upstream.status())));
        }
        let body = upstream.body().limit(MAX_RESPONSE).await;
        let body = body.map_err(|error| ProxyError::NotRewritten(NotRewritten::Body(error)))?;
        let mut fields: Map<String, Value> = serde_json::from_slice(&body)
            .map_err(|error| ProxyError::NotRewritten(NotRewritten::Json(error)))?;
        match self {
            Self::DirectTransfers => direct_transfer::deny(&mut fields),
            Self::DefaultPassphrase => drop(fields.remove("using_default_passphrase")),
        }
        Ok(response.body(Value::Object(fields).to_string()))
    }
}
