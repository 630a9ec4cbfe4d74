//! Revokes a key: in the key file, and at every gateway that listens at Redis.

use std::{path::Path, process::ExitCode};

use serde_json::json;
use url::Url;

use super::{Command, fleet, fleet::Fleet};
use crate::{
    auth::key_file::edit::{self, EditError},
    cli::{
        Failure,
        format::{Format, print_json, print_message},
    },
};

pub(super) fn revoke(
    path: &Path,
    id: &str,
    config: Option<&Path>,
    format: Format,
) -> Result<ExitCode, Failure> {
    let was_revoked = match edit::revoke(path, id) {
        Ok(()) => false,
        // The revocation is sent again: the first one may not have reached every gateway.
        Err(error @ EditError::AlreadyRevoked) => {
            print_message(&error);
            true
        }
        Err(error) => return Err(error.into()),
    };
    let receivers = match Fleet::load(config) {
        Ok(None) if was_revoked => return Ok(ExitCode::FAILURE),
        Ok(fleet) => fleet.map(|fleet| fleet.publish(id)),
        Err(problems) => {
            print_message(problems);
            Some(Err("redis.url cannot be used".to_owned()))
        }
    };
    match format {
        Format::Text => print_message(format_args!("{id} is revoked")),
        Format::Json => {
            let told = receivers.as_ref().and_then(|receivers| receivers.as_ref().ok().copied().flatten());
            print_json(&json!({ "id": id, "revoked": true, "told": told }));
        }
    }
    Ok(receivers.as_ref().map_or(ExitCode::SUCCESS, fleet::report))
}

/// Sends the end of a key to the fleet, if there is one.
pub(super) fn announce(id: &str, config: Option<&Path>) -> ExitCode {
    match Fleet::load(config) {
        Ok(fleet) => fleet.map_or(ExitCode::SUCCESS, |fleet| fleet::report(&fleet.publish(id))),
        Err(problems) => Failure::from(problems).print(),
    }
}

/// Where an auth service verifies keys, only the verdicts that gateways remember can be revoked.
pub(super) fn at_auth_service(
    command: &Command,
    url: &Url,
    config: Option<&Path>,
    format: Format,
) -> Result<ExitCode, Failure> {
    let no_key_file = Failure::new(format_args!(
        "the auth service at {url} verifies keys; to edit a key file, name it with --file"
    ));
    let Command::Revoke { id } = command else { return Err(no_key_file) };
    let Some(fleet) = Fleet::load(config)? else {
        print_message(
            "redis.url is not set: no gateway can be made to forget a key, and each asks again after auth.cache.ttl",
        );
        return Err(no_key_file);
    };
    fleet.forget(id, url, format)
}
