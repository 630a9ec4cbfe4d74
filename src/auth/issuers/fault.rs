//! What is wrong with a token, and why an issuer's keys are not there.

use jiff::Timestamp;

use crate::code::Code;

/// Why a token is refused. For log and operators, but for its end, of which the client is told, too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    #[error("it cannot be read")]
    Unreadable,
    #[error("its algorithm is none of the issuer's")]
    Algorithm,
    #[error("it is of a type that is no credential")]
    Type,
    #[error("its issuer has published no key for it")]
    UnknownKey,
    #[error("its signature is not its issuer's")]
    Signature,
    #[error("it is for another audience")]
    Audience,
    #[error("it has no usable `{0}`")]
    Claim(&'static str),
    #[error("it is not valid yet")]
    NotYet,
    #[error("it expired at {0}")]
    Expired(Timestamp),
    #[error("it was issued before its revocation at {0}")]
    Revoked(Timestamp),
}

/// Why the keys of an issuer are not there.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeysFault {
    #[error("{address}: {what}")]
    Unreachable { address: String, what: String },
    #[error("{address} answers with status {status}")]
    Status { address: String, status: u16 },
    #[error("{address} answers with more than {} KiB", super::ask::MAX_ANSWER / 1024)]
    TooLong { address: String },
    #[error("{address} gave no answer within {} s", super::ask::PATIENCE.as_secs())]
    Late { address: String },
    #[error("{address} answers with something else than JSON of this kind")]
    NotJson { address: String },
    #[error("the discovery document says issuer = {answered:?}, and auth.issuers says {asked:?}")]
    OtherIssuer { asked: String, answered: String },
    #[error("the discovery document names no https address for its keys")]
    NoKeysAddress,
    #[error("{address} has no key for the algorithms in auth.issuers")]
    NoKeys { address: String },
    #[error("they were read a moment ago, and the token is newer")]
    TooSoon,
    #[error("they have not been read yet")]
    NotYet,
    #[error(
        "its token endpoint refuses the gateway: {error}; look at client_id and client_secret in auth.issuers"
    )]
    Refused { error: String },
    #[error("another instance has just asked it about this session")]
    AskedElsewhere,
    #[error("its token endpoint gives something else than tokens of OpenID Connect")]
    NoTokens,
}

/// Why a session that began at an issuer is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionFault {
    #[error("auth.issuers has no such issuer for people any more")]
    NoIssuer,
    #[error("the rules of its issuer ask for claims that it does not have")]
    Outdated,
    #[error("its issuer ended it")]
    EndedByIssuer,
    #[error("the person has logged out")]
    LoggedOut,
    #[error("it began before its revocation at {0}")]
    Revoked(Timestamp),
}

/// Why nobody is logged in, of what only a login can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginFault {
    #[error("the browser has not begun it, or too long ago")]
    NotBegun,
    #[error("its answer is not to the question that the browser took along")]
    Foreign,
    #[error("the issuer says no")]
    Denied,
}

impl KeysFault {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::OtherIssuer { .. } => Code::IssuerMismatch,
            Self::NoKeysAddress | Self::NoKeys { .. } | Self::NotJson { .. } => Code::IssuerWithoutKeys,
            Self::Unreachable { .. }
            | Self::Status { .. }
            | Self::TooLong { .. }
            | Self::Late { .. }
            | Self::TooSoon
            | Self::NotYet
            | Self::Refused { .. }
            | Self::AskedElsewhere
            | Self::NoTokens => Code::IssuerUnreachable,
        }
    }
}
