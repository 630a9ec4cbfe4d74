//! The text that the client is sent for each error.

use super::GatewayError;
use crate::{
    audit::NotKept,
    auth::{AuthError, Rejection, TokenFault},
    credentials::Source,
    limits::LimitExceeded,
    ownership::OwnershipError,
    policy::Denied,
    proxy::ProxyError,
    routing::RouteError,
};

impl GatewayError {
    /// Never an error's source, and one text for all keys that are refused.
    pub(crate) fn message(&self) -> String {
        let text = match self {
            Self::Route(RouteError::BadPath(_)) => {
                return format!("{self}; the gateway does not forward it to MLflow");
            }
            // What the client did, or may not do: the log has the same text.
            Self::NoRequest(_)
            | Self::Head(_)
            | Self::Route(_)
            | Self::Credential(_)
            | Self::CrossOrigin(_)
            | Self::Body(_)
            | Self::Proxy(ProxyError::OutsideWorkspace(_) | ProxyError::DirectTransfer(_)) => {
                return self.to_string();
            }
            Self::Ownership(OwnershipError::Unanswered(_)) => {
                "MLflow does not say at the moment whose this is: nothing was changed, try again"
            }
            Self::Ownership(_) => return self.to_string(),
            Self::Denied { error: error @ (Denied::Scope(_) | Denied::Workspace(_)), .. } => {
                return error.to_string();
            }
            Self::Auth { error: AuthError::Rejected(Rejection::Token { fault, .. }), sent_as } => {
                // When it ends stands in the token itself.
                return match fault {
                    TokenFault::Expired(at) => format!(
                        "the token, sent as {sent_as}, expired at {at}: get a new one from its issuer, and have what runs for \
                         longer read it anew"
                    ),
                    _ => format!("the token, sent as {sent_as}, is not valid"),
                };
            }
            Self::Auth {
                error: AuthError::Rejected(Rejection::Session { .. } | Rejection::Login(_)),
                ..
            } => "this session has ended: log in again",
            Self::Auth { error: AuthError::NoRule { .. }, sent_as: Source::Session } => {
                "you are known here, but no rule of this gateway's gives you a permission: ask its operator"
            }
            Self::Auth { error: AuthError::KeysUnavailable(_), sent_as: Source::Session } => {
                "single sign-on cannot be reached at the moment: try again"
            }
            Self::Auth { error: AuthError::NoRule { .. }, .. } => {
                "the token is valid, but no rule of this gateway's gives it a permission: ask the gateway's operator"
            }
            Self::Auth { error: AuthError::KeysUnavailable(_), .. } => {
                "tokens of this issuer cannot be checked at the moment; yours may be valid, try again"
            }
            Self::Auth { error: AuthError::Rejected(_), sent_as }
            | Self::Denied { error: Denied::Expired(_), sent_as } => {
                return format!(
                    "the API key, sent as {sent_as}, is not valid: it is unknown, expired or revoked"
                );
            }
            Self::Limited(LimitExceeded { limit, .. }) => {
                return format!("this API key has reached its limit of {limit}");
            }
            Self::Auth { error: AuthError::TooManyFailures { .. }, .. } => {
                "too many API keys or tokens from this address were refused; try again later"
            }
            Self::Auth { error: AuthError::Unavailable(_), .. } => {
                "API keys cannot be checked at the moment; your key may be valid, try again"
            }
            Self::Audit(NotKept) => {
                "the audit record of this change cannot be written at the moment: nothing was changed, \
                 try again"
            }
            Self::Proxy(ProxyError::Busy) => "too many requests to MLflow are in progress; try again",
            Self::Proxy(ProxyError::Ejected | ProxyError::Connect(_) | ProxyError::LookupFailed(_)) => {
                "MLflow cannot be reached"
            }
            Self::Proxy(ProxyError::Transport(fault)) if fault.is_closed() => "MLflow cannot be reached",
            Self::Proxy(ProxyError::Transport(_) | ProxyError::NotRewritten(_)) => {
                "MLflow sent a response that cannot be passed on"
            }
            Self::Proxy(ProxyError::UpstreamTimeout(_)) => "MLflow did not answer in time",
            Self::Proxy(ProxyError::ClientStalled) => "the request's body did not arrive in time",
            Self::Proxy(ProxyError::BodyTooLarge) => "the request's body is larger than this gateway accepts",
            Self::Proxy(ProxyError::ClientGone(_)) => "the request's body ended early",
            Self::Proxy(ProxyError::NeedsHttp11) => {
                "this response has no length, and in HTTP/1.0 over TLS its end cannot be told from a broken \
                 connection: use HTTP/1.1 (nginx: proxy_http_version 1.1)"
            }
            Self::Proxy(ProxyError::Internal(_)) | Self::Ungranted | Self::Panicked | Self::Metrics(_) => {
                "the gateway failed"
            }
        };
        text.to_owned()
    }
}
