//! The key that a command uses: from the environment or a file, because every user of a machine sees arguments.

use std::{env, fs};

use crate::{
    credentials::{NotAKey, key_in},
    doctor::KEY_VARIABLE,
};

/// Names the file with the key.
const FILE_VARIABLE: &str = "HOKUSAI_API_KEY_FILE";

/// # Errors
/// No key, or none that can be read.
pub(super) fn required() -> Result<String, String> {
    read()?.ok_or_else(|| format!("no key: set {KEY_VARIABLE}, or {FILE_VARIABLE}"))
}

/// `None` where neither variable is set.
///
/// # Errors
/// A file that cannot be read, or a text that cannot be a key.
pub(super) fn read() -> Result<Option<String>, String> {
    let file = env::var_os(FILE_VARIABLE).filter(|path| !path.is_empty());
    let key = match file {
        Some(path) => {
            fs::read(&path).map_err(|error| format!("{FILE_VARIABLE}: {}: {error}", path.display()))?
        }
        None => env::var_os(KEY_VARIABLE).unwrap_or_default().into_encoded_bytes(),
    };
    match key_in(&key) {
        Ok(key) => Ok(Some(key.to_owned())),
        Err(NotAKey::Empty) => Ok(None),
        Err(fault) => Err(format!("{KEY_VARIABLE}, or its file: {fault}")),
    }
}
