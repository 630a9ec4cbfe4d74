//! The text that the client is sent for each error.

use std::borrow::Cow;

use super::GatewayError;
use crate::{
    audit::NotKept,
    auth::AuthError,
    credentials::CredentialError,
    limits::{Limit, LimitExceeded},
    policy::{BodyError, Denied},
    proxy::ProxyError,
    routing::RouteError,
};

impl GatewayError {
    /// Never an error's source, and one text for all keys that are refused.
    pub(crate) fn message(&self) -> Cow<'static, str> {
        match self {
            Self::Route(error @ RouteError::BadPath(_)) => {
                format!("{error}; the gateway does not forward it to MLflow").into()
            }
            Self::NoRequest(error) => error.to_string().into(),
            Self::Head(error) => error.to_string().into(),
            Self::Route(error) => error.to_string().into(),
            Self::Credential(CredentialError::Missing) => {
                "no API key was sent: set MLFLOW_TRACKING_TOKEN, or send `Authorization: Bearer KEY`".into()
            }
            Self::Credential(CredentialError::Ambiguous) => {
                "more than one credential was sent: send the API key once, in one header".into()
            }
            Self::Credential(CredentialError::UnknownScheme) => {
                "the scheme of the Authorization header is not supported: use `Bearer KEY`, `Basic` with the \
                 key as the password, or `ApiKey KEY`"
                    .into()
            }
            Self::Credential(error @ CredentialError::Malformed(..)) => error.to_string().into(),
            Self::Auth { error: AuthError::Rejected(_), sent_as }
            | Self::Denied { error: Denied::Expired(_), sent_as } => {
                format!("the API key, sent as {sent_as}, is not valid: it is unknown, expired or revoked")
                    .into()
            }
            Self::Auth { error: AuthError::TooManyFailures { .. }, .. } => {
                "too many API keys from this address were refused; try again later".into()
            }
            Self::Auth { error: AuthError::Unavailable(_), .. } => {
                "API keys cannot be checked at the moment; your key may be valid, try again".into()
            }
            Self::Denied { error: Denied::Scope(missing), .. } | Self::Body(BodyError::Scope(missing)) => {
                missing.to_string().into()
            }
            Self::Denied { error: Denied::Workspace(outside), .. }
            | Self::Proxy(ProxyError::OutsideWorkspace(outside)) => outside.to_string().into(),
            Self::Audit(NotKept) => {
                "the audit record of this change cannot be written at the moment: nothing was changed, \
                 try again"
                    .into()
            }
            Self::Body(error) => error.to_string().into(),
            Self::Limited(LimitExceeded { limit: Limit::Requests(limit), .. }) => {
                format!("this API key has reached its limit of {limit} requests an hour").into()
            }
            Self::Limited(LimitExceeded { limit: Limit::ArtifactBytes(limit), .. }) => {
                format!("this API key has reached its limit of {limit} bytes of artifacts an hour").into()
            }
            Self::Proxy(ProxyError::DirectTransfer(words)) => (*words).into(),
            Self::Proxy(ProxyError::Busy) => "too many requests to MLflow are in progress; try again".into(),
            Self::Proxy(ProxyError::Ejected | ProxyError::Connect(_) | ProxyError::LookupFailed(_)) => {
                "MLflow cannot be reached".into()
            }
            Self::Proxy(ProxyError::Transport(fault)) if fault.is_closed() => {
                "MLflow cannot be reached".into()
            }
            Self::Proxy(ProxyError::Transport(_) | ProxyError::NotRewritten(_)) => {
                "MLflow sent a response that cannot be passed on".into()
            }
            Self::Proxy(ProxyError::UpstreamTimeout(_)) => "MLflow did not answer in time".into(),
            Self::Proxy(ProxyError::ClientStalled) => "the request's body did not arrive in time".into(),
            Self::Proxy(ProxyError::BodyTooLarge) => {
                "the request's body is larger than this gateway accepts".into()
            }
            Self::Proxy(ProxyError::ClientGone(_)) => "the request's body ended early".into(),
            Self::Proxy(ProxyError::NeedsHttp11) => {
                "this response has no length, and in HTTP/1.0 over TLS its end cannot be told from a broken \
                 connection: use HTTP/1.1 (nginx: proxy_http_version 1.1)"
                    .into()
            }
            Self::Proxy(ProxyError::Internal(_)) | Self::Ungranted | Self::Panicked | Self::Metrics(_) => {
                "the gateway failed".into()
            }
        }
    }
}
