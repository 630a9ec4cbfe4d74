//! The reason for each error.

use super::GatewayError;
use crate::{
    audit::NotKept,
    auth::AuthError,
    connection::NoRequest,
    credentials::CredentialError,
    head::HeadError,
    ownership::OwnershipError,
    policy::{BodyError, BodyMemoryFull, Denied},
    proxy::ProxyError,
    routing::{RouteError, SubjectError},
    vocabulary::Reason,
};

impl GatewayError {
    /// The one reason for this error.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Head(HeadError::Loop) => Reason::LoopDetected,
            Self::Head(HeadError::Method) | Self::Route(RouteError::Method(_)) => Reason::MethodNotAllowed,
            Self::Route(RouteError::Unknown | RouteError::UnknownParameter) => Reason::RouteUnknown,
            Self::Credential(CredentialError::Missing) => Reason::CredentialMissing,
            Self::Credential(CredentialError::Ambiguous) => Reason::CredentialAmbiguous,
            Self::CrossOrigin(_) => Reason::CrossOrigin,
            Self::Credential(CredentialError::Malformed(..) | CredentialError::UnknownScheme)
            | Self::Auth { error: AuthError::Rejected(_), .. }
            | Self::Denied { error: Denied::Expired(_), .. } => Reason::CredentialRejected,
            Self::Auth { error: AuthError::TooManyFailures { .. }, .. }
            | Self::Limited(_)
            | Self::Body(BodyError::MemoryFull(BodyMemoryFull::ForKey)) => Reason::RateLimited,
            Self::Auth { error: AuthError::Unavailable(_) | AuthError::KeysUnavailable(_), .. } => {
                Reason::AuthUnavailable
            }
            Self::Auth { error: AuthError::NoRule { .. }, .. } => Reason::NoRule,
            Self::Audit(NotKept) => Reason::AuditUnavailable,
            Self::Denied { error: Denied::Scope(_) | Denied::Workspace(_), .. }
            | Self::Body(BodyError::Scope(_) | BodyError::Workspace(_))
            | Self::Proxy(ProxyError::OutsideWorkspace(_)) => Reason::ScopeMissing,
            Self::Body(BodyError::Ambiguous(_) | BodyError::GraphQl(_) | BodyError::NotJson(_)) => {
                Reason::AmbiguousBody
            }
            Self::Ownership(OwnershipError::Refused(refusal)) if refusal.is_of_fence() => {
                Reason::OutsideFence
            }
            Self::Ownership(OwnershipError::Refused(_)) => Reason::NotOwner,
            Self::Ownership(OwnershipError::Missing(..)) => Reason::NotFound,
            Self::Ownership(OwnershipError::Unnamed(
                SubjectError::Ambiguous(_) | SubjectError::NotAName(_),
            )) => Reason::AmbiguousBody,
            Self::Ownership(
                OwnershipError::Unnamed(_)
                | OwnershipError::NotAnId(_)
                | OwnershipError::TooLong(..)
                | OwnershipError::Unknown(_),
            ) => Reason::BadRequest,
            Self::Ownership(OwnershipError::Unanswered(_)) => Reason::UpstreamUnavailable,
            Self::Route(RouteError::BadPath(_)) | Self::Body(BodyError::Path(_)) => Reason::BadPath,
            Self::NoRequest(NoRequest::NoRoom)
            | Self::Body(BodyError::MemoryFull(BodyMemoryFull::ForAll))
            | Self::Proxy(
                ProxyError::Busy | ProxyError::Ejected | ProxyError::Connect(_) | ProxyError::LookupFailed(_),
            ) => Reason::UpstreamUnavailable,
            Self::Proxy(ProxyError::DirectTransfer(_)) => Reason::DirectTransferDenied,
            Self::Proxy(ProxyError::Transport(fault)) if fault.is_closed() => Reason::UpstreamUnavailable,
            Self::Proxy(ProxyError::Transport(_) | ProxyError::NotRewritten(_)) => Reason::UpstreamProtocol,
            Self::Proxy(ProxyError::UpstreamTimeout(_)) => Reason::UpstreamTimeout,
            Self::Body(BodyError::Stalled) | Self::Proxy(ProxyError::ClientStalled) => Reason::BodyTimeout,
            Self::Body(BodyError::TooLarge(_) | BodyError::TooLargeInside(_))
            | Self::Proxy(ProxyError::BodyTooLarge) => Reason::BodyTooLarge,
            Self::NoRequest(_)
            | Self::Head(_)
            | Self::Route(RouteError::BodyOfGet)
            | Self::Body(BodyError::Broken(_))
            | Self::Proxy(ProxyError::ClientGone(_) | ProxyError::NeedsHttp11) => Reason::BadRequest,
            Self::Proxy(ProxyError::Internal(_)) | Self::Ungranted | Self::Panicked | Self::Metrics(_) => {
                Reason::Internal
            }
        }
    }
}
