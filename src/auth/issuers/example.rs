//! A token that an operator has beside the settings: each question about it is answered by itself, so that all that is wrong is told
//! at once. Nobody is let in by the answers.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Claims, NoRule, TokenFault, TrustedIssuer,
    key_set::{KeySet, algorithm},
    token::{self, Head},
};
use crate::settings::Issuer;

/// A token that was read, and neither verified nor believed.
pub(crate) struct Example<'a> {
    token: &'a str,
    head: Head,
    claims: Claims,
}

impl<'a> Example<'a> {
    /// # Errors
    /// Its head or its claims cannot be read, or no such token is a credential.
    pub(crate) fn read(token: &'a str) -> Result<Self, TokenFault> {
        if token.split('.').count() != 3 {
            return Err(TokenFault::Unreadable);
        }
        let head = Head::read(token)?;
        let claims = token::claims_of(token).ok_or(TokenFault::Unreadable)?;
        Ok(Self { token, head, claims })
    }

    pub(crate) fn issuer(&self) -> &str {
        self.claims.text("iss").unwrap_or_default()
    }

    /// Whom it says that it is for.
    pub(crate) fn audience(&self) -> Option<&Value> {
        self.claims.get("aud")
    }

    pub(crate) fn is_for(&self, issuer: &Issuer) -> bool {
        let is_ours = |value: &Value| issuer.audiences.iter().any(|ours| value.as_str() == Some(ours));
        self.audience().is_some_and(|audience| match audience {
            Value::Array(items) => items.iter().any(is_ours),
            one => is_ours(one),
        })
    }

    pub(crate) fn algorithm(&self) -> String {
        format!("{:?}", self.head.algorithm)
    }

    pub(crate) fn has_algorithm_of(&self, issuer: &Issuer) -> bool {
        issuer.algorithms.iter().any(|pinned| algorithm(*pinned) == self.head.algorithm)
    }

    pub(crate) fn key_id(&self) -> Option<&str> {
        self.head.key_id.as_deref()
    }

    /// # Errors
    /// No key fits it, or none has signed it.
    pub(crate) fn is_signed_by(&self, keys: &KeySet) -> Result<(), TokenFault> {
        let fitting = keys.fitting(self.key_id(), self.head.algorithm);
        if fitting.is_empty() {
            return Err(TokenFault::UnknownKey);
        }
        token::is_signed_by(self.token, &self.head, &fitting).then_some(()).ok_or(TokenFault::Signature)
    }

    /// When it ends.
    ///
    /// # Errors
    /// It is not in force now, or has no subject.
    pub(crate) fn end(&self, issuer: &Issuer) -> Result<Timestamp, TokenFault> {
        token::in_force(self.claims.clone(), issuer, Timestamp::now())?;
        let end = self.claims.time("exp").ok().flatten();
        end.and_then(|end| Timestamp::from_second(end).ok()).ok_or(TokenFault::Claim("exp"))
    }

    /// The number of the rule that fits it, and the user's name.
    ///
    /// # Errors
    /// What each rule lacks.
    pub(crate) fn rule(&self, issuer: &TrustedIssuer) -> Result<(usize, String), NoRule> {
        let user = issuer.principal(&self.claims, None)?.user_id.unwrap_or_default();
        Ok((issuer.rules.number(&self.claims)?, user))
    }
}
