//! A JSON Web Token (RFC 7519, RFC 7515), and whether it is good.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, errors::ErrorKind};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::{claims::Claims, fault::TokenFault};
use crate::settings::Issuer;

/// The longest subject (OpenID Connect Core 1.0 §2), in bytes.
const LONGEST_SUBJECT: usize = 255;
/// Types of tokens that are credentials; others are for something else, such as logging out (RFC 8725 §3.11).
const TYPES: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];

/// What a token says of itself before anything of it is believed.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) issuer: String,
    pub(super) issued_at: Option<i64>,
}

impl Said {
    /// `None`: it names no issuer. Whatever else is wrong with a token is found later: nobody else is to see it.
    pub(super) fn by(token: &str) -> Option<Self> {
        let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        serde_json::from_slice::<Naming>(&payload).ok()?.0
    }
}

/// The two claims alone: numbers, depths and characters in others, which no claim may have, are read over.
struct Naming(Option<Said>);

impl<'de> Deserialize<'de> for Naming {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamingVisitor)
    }
}

struct NamingVisitor;

impl<'de> Visitor<'de> for NamingVisitor {
    type Value = Naming;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut claims: A) -> Result<Naming, A::Error> {
        let (mut issuer, mut issued_at) = (None, None);
        while let Some(name) = claims.next_key::<String>()? {
            match &*name {
                "iss" => issuer = claims.next_value::<Value>()?.as_str().map(str::to_owned),
                "iat" => issued_at = claims.next_value::<Value>()?.as_f64().map(|at| at as i64),
                _ => drop(claims.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Naming(issuer.map(|issuer| Said { issuer, issued_at })))
    }
}

/// What its head says of the key that signed it.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
}

#[derive(serde::Deserialize)]
struct RawHead {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
}

impl Head {
    /// A key or an address in the head is never read: anybody can write one there.
    pub(super) fn read(token: &str) -> Result<Self, TokenFault> {
        let head = token.split('.').next().unwrap_or_default();
        let head = BASE64_URL_SAFE_NO_PAD.decode(head).map_err(|_| TokenFault::Unreadable)?;
        let Claims(head) = serde_json::from_slice(&head).map_err(|_| TokenFault::Unreadable)?;
        // Extensions that must be understood, and none is.
        if head.contains_key("crit") {
            return Err(TokenFault::Unreadable);
        }
        let RawHead { alg, kid, typ } =
            serde_json::from_value(head.into()).map_err(|_| TokenFault::Unreadable)?;
        if typ.is_some_and(|typ| !TYPES.iter().any(|known| known.eq_ignore_ascii_case(&typ))) {
            return Err(TokenFault::Type);
        }
        Ok(Self { algorithm: alg.parse().map_err(|_| TokenFault::Algorithm)?, key_id: kid })
    }
}

/// The claims of a token that one of these keys has signed, if it is in force and for one of these audiences.
pub(super) fn verify(
    token: &str,
    head: &Head,
    keys: &[&DecodingKey],
    issuer: &Issuer,
    audiences: &[String],
    now: Timestamp,
) -> Result<Claims, TokenFault> {
    let mut validation = Validation::new(head.algorithm);
    validation.set_issuer(&[&issuer.issuer]);
    validation.set_audience(audiences);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Both are judged below, for the client is told when its token has ended.
    validation.validate_exp = false;
    let mut refused = TokenFault::Signature;
    for key in keys {
        match jsonwebtoken::decode::<Claims>(token, key, &validation) {
            Ok(decoded) => return in_force(decoded.claims, issuer, now),
            Err(error) => match error.kind() {
                ErrorKind::InvalidSignature => {}
                ErrorKind::InvalidAudience => refused = TokenFault::Audience,
                ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidIssuer => {
                    refused = TokenFault::Claim("iss, aud, sub or exp")
                }
                _ => refused = TokenFault::Unreadable,
            },
        }
    }
    Err(refused)
}

/// The claims, whoever wrote them.
pub(super) fn claims_of(token: &str) -> Option<Claims> {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// Whether one of these keys has signed it, whatever it says.
pub(super) fn is_signed_by(token: &str, head: &Head, keys: &[&DecodingKey]) -> bool {
    let mut validation = Validation::new(head.algorithm);
    validation.required_spec_claims.clear();
    (validation.validate_exp, validation.validate_aud) = (false, false);
    keys.iter().any(|key| jsonwebtoken::decode::<Claims>(token, key, &validation).is_ok())
}

pub(super) fn in_force(claims: Claims, issuer: &Issuer, now: Timestamp) -> Result<Claims, TokenFault> {
    let leeway = issuer.leeway.as_secs() as i64;
    let time = |name| claims.time(name).map_err(|_| TokenFault::Claim(name));
    let (ends, begins, issued) = (time("exp")?, time("nbf")?, time("iat")?);
    let ends = ends.ok_or(TokenFault::Claim("exp"))?;
    let is_subject = |subject: &str| {
        (1..=LONGEST_SUBJECT).contains(&subject.len())
            && subject.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    };
    if !claims.text("sub").is_some_and(is_subject) {
        return Err(TokenFault::Claim("sub"));
    }
    if [begins, issued].into_iter().flatten().any(|at| at.saturating_sub(leeway) > now.as_second()) {
        return Err(TokenFault::NotYet);
    }
    let end = Timestamp::from_second(ends.saturating_add(leeway)).map_err(|_| TokenFault::Claim("exp"))?;
    if end > now {
        return Ok(claims);
    }
    Err(TokenFault::Expired(Timestamp::from_second(ends).unwrap_or(end)))
}

#[cfg(test)]
mod tests;
