//! Revokes tokens of issuers: there is no file of them, so Redis keeps the revocation.

use std::{path::Path, process::ExitCode};

use serde_json::json;

use super::fleet::{self, Fleet};
use crate::{
    auth::{key, key_file::edit},
    cli::{
        Failure,
        format::{Format, print_json, print_message},
    },
    settings::{AuthMode, Issuer},
};

/// Whether an id is one of tokens: `ISSUER|SUBJECT`, or a `jti` where the key file has no such key.
///
/// # Errors
/// It is a token itself, or of an issuer that the settings do not have; or the key file cannot be read.
pub(super) fn are_named_by(id: &str, mode: &AuthMode, issuers: &[Issuer]) -> Result<bool, Failure> {
    if issuers.is_empty() {
        return Ok(false);
    }
    // It must not go through Redis to every gateway.
    if key::has_jwt(id) {
        return Err(Failure::new("this is a token: write ISSUER|SUBJECT, or the `jti` of its claims"));
    }
    if let Some((issuer, _)) = id.split_once('|').filter(|(issuer, _)| issuer.contains("://")) {
        if issuers.iter().any(|known| known.issuer == issuer) {
            return Ok(true);
        }
        let known: Vec<_> = issuers.iter().map(|known| known.issuer.as_str()).collect();
        return Err(Failure::new(format_args!(
            "auth.issuers has no such issuer, to the letter: it has {}",
            known.join(" and ")
        )));
    }
    let AuthMode::KeyFile(file) = mode else { return Ok(false) };
    let is_there = file.path.try_exists().unwrap_or(true);
    Ok(!is_there || edit::list(&file.path)?.iter().all(|record| record.id != id))
}

pub(super) fn revoke(id: &str, config: Option<&Path>, format: Format) -> Result<ExitCode, Failure> {
    let Some(fleet) = Fleet::load(config)? else {
        return Err(Failure::new(
            "redis.url is not set, so no gateway can be told of it: put a rule with scopes = [] for its claims before the others in \
             auth.issuers, and restart; or end it at its issuer",
        ));
    };
    let receivers = fleet.revoke_tokens(id);
    if format == Format::Json {
        let told = receivers.as_ref().ok().copied().flatten();
        print_json(&json!({ "id": id, "revoked": receivers.is_ok(), "told": told }));
    }
    let outcome = fleet::report(&receivers);
    if receivers.is_ok() {
        let what = if id.contains('|') {
            "tokens of this subject that were issued until now"
        } else {
            "tokens with this jti"
        };
        print_message(format_args!(
            "{what} are revoked, for 30 days also at gateways that start later; the issuer can give out new ones"
        ));
    }
    Ok(outcome)
}
