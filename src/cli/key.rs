//! The key that a command uses: from the environment or a file, for arguments are seen by everybody on a machine.

use std::{env, fs};

use actix_web::http::header::TryIntoHeaderValue as _;
use actix_web_httpauth::headers::authorization::Basic;

use crate::credentials::{NotAKey, key_in};

/// Holds the key.
pub(super) const VARIABLE: &str = "HOKUSAI_API_KEY";
/// Or names the file that does.
const FILE: &str = "HOKUSAI_API_KEY_FILE";

/// The Authorization of a user name and a password.
pub(super) fn basic(user: &str, password: &str) -> String {
    let value = Basic::new(user.to_owned(), Some(password.to_owned())).try_into_value();
    value.ok().and_then(|value| value.to_str().ok().map(str::to_owned)).unwrap_or_default()
}

/// All forms in which a key, or what else is sent as a password, can come back from whom it was sent to.
pub(super) fn forms(user: &str, password: &str) -> Vec<String> {
    let encoded = basic(user, password).trim_start_matches("Basic ").trim_end_matches('=').to_owned();
    vec![password.to_owned(), encoded]
}

/// `None` if there is none.
///
/// # Errors
/// A file that cannot be read, or what can be no key.
pub(super) fn from_environment() -> Result<Option<String>, String> {
    let file = env::var_os(FILE).filter(|path| !path.is_empty());
    let key = match file {
        Some(path) => fs::read(&path).map_err(|error| format!("{FILE}: {}: {error}", path.display()))?,
        None => env::var_os(VARIABLE).unwrap_or_default().into_encoded_bytes(),
    };
    match key_in(&key) {
        Ok(key) => Ok(Some(key.to_owned())),
        Err(NotAKey::Empty) => Ok(None),
        Err(fault) => Err(format!("{VARIABLE}, or its file: {fault}")),
    }
}
