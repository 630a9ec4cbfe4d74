//! The reason for each error.

use super::GatewayError;
use crate::{
    audit::NotKept,
    auth::AuthError,
    connection::NoRequest,
    credentials::CredentialError,
    head::HeadError,
    policy::{BodyError, BodyMemoryFull, Denied},
    proxy::ProxyError,
    routing::RouteError,
    vocabulary::Reason,
};

impl GatewayError {
    /// The one reason for this error.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NoRequest(NoRequest::NoRoom) => Reason::UpstreamUnavailable,
            Self::NoRequest(
                NoRequest::LineTooLong
                | NoRequest::FieldsTooLarge
                | NoRequest::TooManyFields
                | NoRequest::TooSlow
                | NoRequest::Malformed,
            ) => Reason::BadRequest,
            Self::Head(
                HeadError::Underscore
                | HeadError::Host
                | HeadError::OtherHost
                | HeadError::Body
                | HeadError::Upgrade
                | HeadError::Expectation,
            ) => Reason::BadRequest,
            Self::Head(HeadError::Loop) => Reason::LoopDetected,
            Self::Head(HeadError::Method) | Self::Route(RouteError::Method(_)) => Reason::MethodNotAllowed,
            Self::Route(RouteError::BadPath(_)) => Reason::BadPath,
            Self::Route(RouteError::BodyOfGet) => Reason::BadRequest,
            Self::Route(RouteError::Unknown | RouteError::UnknownParameter) => Reason::RouteUnknown,
            Self::Credential(CredentialError::Missing) => Reason::CredentialMissing,
            Self::Credential(CredentialError::Ambiguous) => Reason::CredentialAmbiguous,
            Self::Credential(CredentialError::Malformed(..) | CredentialError::UnknownScheme) => {
                Reason::CredentialRejected
            }
            Self::Auth { error: AuthError::Rejected(_), .. } => Reason::CredentialRejected,
            Self::Auth { error: AuthError::TooManyFailures { .. }, .. } | Self::Limited(_) => {
                Reason::RateLimited
            }
            Self::Auth { error: AuthError::Unavailable(_), .. } => Reason::AuthUnavailable,
            Self::Audit(NotKept) => Reason::AuditUnavailable,
            Self::Denied { error: Denied::Expired(_), .. } => Reason::CredentialRejected,
            Self::Denied { error: Denied::Scope(_) | Denied::Workspace(_), .. }
            | Self::Body(BodyError::Scope(_) | BodyError::Workspace(_))
            | Self::Proxy(ProxyError::OutsideWorkspace(_)) => Reason::ScopeMissing,
            Self::Body(BodyError::Ambiguous(_) | BodyError::GraphQl(_) | BodyError::NotJson(_)) => {
                Reason::AmbiguousBody
            }
            Self::Body(BodyError::Path(_)) => Reason::BadPath,
            Self::Body(BodyError::TooLarge(_)) => Reason::BodyTooLarge,
            Self::Body(BodyError::MemoryFull(BodyMemoryFull::ForKey)) => Reason::RateLimited,
            Self::Body(BodyError::MemoryFull(BodyMemoryFull::ForAll)) => Reason::UpstreamUnavailable,
            Self::Body(BodyError::Stalled) => Reason::BodyTimeout,
            Self::Body(BodyError::Broken(_)) => Reason::BadRequest,
            Self::Proxy(
                ProxyError::Busy | ProxyError::Ejected | ProxyError::Connect(_) | ProxyError::LookupFailed(_),
            ) => Reason::UpstreamUnavailable,
            Self::Proxy(ProxyError::DirectTransfer(_)) => Reason::DirectTransferDenied,
            Self::Proxy(ProxyError::Transport(fault)) if fault.is_closed() => Reason::UpstreamUnavailable,
            Self::Proxy(ProxyError::Transport(_) | ProxyError::NotRewritten(_)) => Reason::UpstreamProtocol,
            Self::Proxy(ProxyError::UpstreamTimeout(_)) => Reason::UpstreamTimeout,
            Self::Proxy(ProxyError::ClientStalled) => Reason::BodyTimeout,
            Self::Proxy(ProxyError::BodyTooLarge) => Reason::BodyTooLarge,
            Self::Proxy(ProxyError::ClientGone(_) | ProxyError::NeedsHttp11) => Reason::BadRequest,
            Self::Proxy(ProxyError::Internal(_)) | Self::Ungranted | Self::Panicked | Self::Metrics(_) => {
                Reason::Internal
            }
        }
    }
}
