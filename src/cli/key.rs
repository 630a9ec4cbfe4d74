//! The key that a command uses: from the environment or a file, for arguments are seen by everybody on a machine.

use std::{env, fs};

/// Holds the key.
pub(super) const VARIABLE: &str = "HOKUSAI_API_KEY";
/// Or names the file that does.
const FILE: &str = "HOKUSAI_API_KEY_FILE";

/// `None` if there is none.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn from_environment() -> Result<Option<String>, String> {
    let key = match env::var_os(FILE) {
        Some(path) => {
            fs::read_to_string(&path).map_err(|error| format!("{FILE}: {}: {error}", path.display()))?
        }
        None => env::var(VARIABLE).unwrap_or_default(),
    };
    Ok(Some(key.trim().to_owned()).filter(|key| !key.is_empty()))
}
