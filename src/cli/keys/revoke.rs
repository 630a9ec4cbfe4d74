//! A key ends: in the file, and wherever else it is known.

use std::{path::Path, process::ExitCode};

use serde_json::json;

use super::{Command, fleet, fleet::Fleet};
use crate::{
    auth::key_file::edit::{self, EditError},
    cli::{
        bad_settings,
        format::{Format, print_json, print_message},
    },
};

/// Ends a key in the file, and wherever else it is known.
pub(super) fn revoke(path: &Path, id: &str, config: Option<&Path>, format: Format) -> ExitCode {
    let was_revoked = match edit::revoke(path, id) {
        Ok(()) => false,
        // Those who were not reached at the first time are told again.
        Err(error @ EditError::AlreadyRevoked) => {
            print_message(&error);
            true
        }
        Err(error) => return super::fail(&error),
    };
    let heard = match Fleet::load(config) {
        Ok(None) if was_revoked => return ExitCode::FAILURE,
        Ok(None) => Ok(None),
        Ok(Some(fleet)) => fleet.publish(id),
        Err(problems) => {
            bad_settings(&problems);
            Err("redis.url cannot be used".to_owned())
        }
    };
    match format {
        Format::Text => print_message(format_args!("{id} is revoked")),
        Format::Json => {
            let told = heard.as_ref().ok().and_then(|heard| heard.as_ref()?.count());
            print_json(&json!({ "id": id, "revoked": true, "told": told }));
        }
    }
    fleet::say(&heard)
}

/// Tells the fleet, if there is one, that a key has ended.
pub(super) fn announce(id: &str, config: Option<&Path>) -> ExitCode {
    match Fleet::load(config) {
        Ok(fleet) => fleet::say(&fleet.map(|fleet| fleet.publish(id)).transpose().map(Option::flatten)),
        Err(problems) => bad_settings(&problems),
    }
}

/// Of an auth service's keys only what gateways remember is ours to end.
pub(super) fn at_the_service(
    command: &Command,
    url: &str,
    config: Option<&Path>,
    format: Format,
) -> ExitCode {
    let elsewhere = || {
        print_message(format_args!(
            "keys are verified by the auth service at {url}; to edit a key file, name it with --file"
        ));
        ExitCode::FAILURE
    };
    let Command::Revoke { id } = command else { return elsewhere() };
    match Fleet::load(config) {
        Ok(Some(fleet)) => fleet.forget(id, url, format),
        Ok(None) => {
            print_message(
                "redis.url is not set: no gateway can be told to forget a key, and each asks again after auth.cache.ttl",
            );
            elsewhere()
        }
        Err(problems) => bad_settings(&problems),
    }
}
