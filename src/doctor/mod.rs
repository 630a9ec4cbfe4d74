//! The checks of `check --probe` ([`probe`]: from beside the gateway) and of `doctor` ([`outside`]: as a user reaches it).
//! One check after the other; a check that fails has a likely cause and a fix. No other room but `cli` may use this one.

mod artifact_store;
pub(crate) mod bind_addresses;
mod certificate;
mod clock;
mod handshake;
mod interruption;
mod journal;
pub(crate) mod local;
mod network;
mod nginx_page;
pub(crate) mod outside;
pub(crate) mod probe;
mod quotation;
mod scrub;
pub(crate) mod secrets;
mod site;

pub(crate) use interruption::{Interrupted, interrupted};
pub(crate) use journal::{Journal, progress};
pub(crate) use quotation::without_secrets;
pub(crate) use site::{Response, Site, excerpt};

use std::time::Duration;

use serde_json::{Value, json};

use crate::{fault::Fault, settings::Problem};
use network::{Endpoint, Party, speaks_tls};
use scrub::Scrubber;
use site::start_of;

/// The environment variable that holds the key of a command.
pub(crate) const KEY_VARIABLE: &str = "HOKUSAI_API_KEY";

/// The result of a check: a value for the next one and a text for a person, or a fault.
type Finding<T = ()> = Result<(T, String), Fault>;

/// A check that passed, and has no value for the next one.
fn passed(found: impl Into<String>) -> Finding {
    Ok(((), found.into()))
}

/// A problem of the settings, for a program.
pub(crate) fn describe_problem(problem: &Problem) -> Value {
    let Problem { code, key, found, what, fix } = problem;
    json!({ "code": code.text(), "key": key, "variables": problem.variables(), "found": found, "what": what, "write": fix })
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}
