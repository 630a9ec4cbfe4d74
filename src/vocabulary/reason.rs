//! Why a request was refused, failed, or ended before its response did.

use serde::{Serialize, Serializer};

words! {
    /// Why the gateway refused a request, could not get a response for it, or broke one off.
    pub enum Reason {
        CredentialMissing = "credential_missing",
        CredentialRejected = "credential_rejected",
        CredentialAmbiguous = "credential_ambiguous",
        BadRequest = "bad_request",
        BadPath = "bad_path",
        AmbiguousBody = "ambiguous_body",
        ScopeMissing = "scope_missing",
        NotOwner = "not_owner",
        OutsideFence = "outside_fence",
        NoRule = "no_rule",
        NotFound = "not_found",
        CrossOrigin = "cross_origin",
        LoopDetected = "loop_detected",
        RouteUnknown = "route_unknown",
        MethodNotAllowed = "method_not_allowed",
        BodyTimeout = "body_timeout",
        BodyTooLarge = "body_too_large",
        RateLimited = "rate_limited",
        AuthUnavailable = "auth_unavailable",
        AuditUnavailable = "audit_unavailable",
        DirectTransferDenied = "direct_transfer_denied",
        UpstreamUnavailable = "upstream_unavailable",
        UpstreamProtocol = "upstream_protocol",
        UpstreamTimeout = "upstream_timeout",
        Internal = "internal",
    }
}

impl Reason {
    /// Whether something failed, and the request itself was not refused.
    pub const fn is_failure(self) -> bool {
        matches!(
            self,
            Self::AuthUnavailable
                | Self::AuditUnavailable
                | Self::LoopDetected
                | Self::UpstreamUnavailable
                | Self::UpstreamProtocol
                | Self::UpstreamTimeout
                | Self::Internal
        )
    }
}

/// The reason in a request's line and audit record. Beside the gateway's own reasons there are two that no client is
/// sent, for they end a response that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    Gateway(Reason),
    /// The shutdown's grace was over.
    Drained,
    ClientAborted,
}

impl EndReason {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gateway(reason) => reason.word(),
            Self::Drained => "drained",
            Self::ClientAborted => "client_aborted",
        }
    }
}

impl Serialize for EndReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}
