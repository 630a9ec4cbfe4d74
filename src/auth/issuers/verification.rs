//! From a token to its claims: its issuer's keys, read anew where none of them fits, and its signature.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    TrustedIssuer,
    claims::Claims,
    fault::{KeysFault, TokenFault},
    key_set,
    keys::Known,
    token::{self, Head, Said},
};
use crate::auth::{AuthError, Principal, Rejection};

/// Whether nobody who has a token of the issuer's for this gateway would send this. A job whose token has ended, or that no rule
/// fits, is not to hold up its neighbours behind one address, whose tokens are always new.
pub(super) fn is_guess(error: &AuthError) -> bool {
    use TokenFault::{Expired, NotYet, Revoked};
    match error {
        AuthError::Rejected(Rejection::Token { fault, .. }) => {
            !matches!(fault, Expired(_) | NotYet | Revoked(_))
        }
        // Without an end anybody could have the gateway look as if its issuer were down; after a rotation it is over in seconds.
        AuthError::KeysUnavailable(KeysFault::TooSoon) => true,
        _ => false,
    }
}

/// The claims of a token that its issuer has signed, in force, and for one of these audiences.
pub(super) async fn claims_for(
    issuer: &TrustedIssuer,
    token: &str,
    said: &Said,
    audiences: &[String],
) -> Result<Claims, AuthError> {
    let head = Head::read(token).map_err(|fault| rejected(fault, None))?;
    if !issuer.settings.algorithms.iter().any(|pinned| key_set::algorithm(*pinned) == head.algorithm) {
        return Err(rejected(TokenFault::Algorithm, None));
    }
    let known = known_for(issuer, &head, said).await?;
    let fitting = known.keys.fitting(head.key_id.as_deref(), head.algorithm);
    let claims = token::verify(token, &head, &fitting, &issuer.settings, audiences, Timestamp::now());
    claims.map_err(|fault| rejected(fault, None))
}

/// The keys for a token; they are read anew for one that none of them fits.
async fn known_for(issuer: &TrustedIssuer, head: &Head, said: &Said) -> Result<Arc<Known>, AuthError> {
    let (began, leeway) = (Instant::now(), issuer.settings.leeway.as_secs() as i64);
    let issued_at = said.issued_at.map(|at| at.saturating_add(leeway));
    let has_one = |known: &Known| {
        known.are_usable() && !known.keys.fitting(head.key_id.as_deref(), head.algorithm).is_empty()
    };
    let known = issuer.keys.known();
    if has_one(&known) {
        return Ok(known);
    }
    let known = issuer.keys.renewed().await;
    if has_one(&known) {
        Ok(known)
    } else if known.are_newer_than(issued_at, began) {
        Err(rejected(TokenFault::UnknownKey, None))
    } else {
        Err(AuthError::KeysUnavailable(known.fault()))
    }
}

pub(super) fn rejected(fault: TokenFault, owner: Option<&Arc<Principal>>) -> AuthError {
    AuthError::Rejected(Rejection::Token { fault, owner: owner.cloned() })
}
