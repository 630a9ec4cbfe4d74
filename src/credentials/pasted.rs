//! A key as somebody pasted it: white space around it is removed, and none inside it.

/// The longest key, in bytes: a JWT with a list of groups has a few KiB.
pub(super) const MAX_LENGTH: usize = 8 * 1024;

/// Why a text cannot be a key. The client is told: no key was compared yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAKey {
    #[error("the API key is empty")]
    Empty,
    #[error("the API key is too long: a key has at most 8192 characters")]
    TooLong,
    #[error("the API key has white space or another character in it that no key has")]
    Characters,
    #[error("the API key cannot be read: Basic credentials are a user name, a colon and the key, in base64")]
    NotBasic,
}

/// The key in a text: visible ASCII, 1 to [`MAX_LENGTH`] bytes. White space, line ends and a byte order mark around it come from
/// files and clipboards, and are removed.
///
/// # Errors
/// Why there is no key.
pub fn key_in(pasted: &[u8]) -> Result<&str, NotAKey> {
    let is_around = |c: char| c.is_whitespace() || c == '\u{feff}';
    let key = str::from_utf8(pasted).map_err(|_| NotAKey::Characters)?.trim_matches(is_around);
    // To the end in any case: so the compiler looks at many bytes at once, and a token has a thousand.
    let is_visible = || key.bytes().fold(true, |all, byte| all & byte.is_ascii_graphic());
    if key.is_empty() {
        Err(NotAKey::Empty)
    } else if key.len() > MAX_LENGTH {
        Err(NotAKey::TooLong)
    } else if !is_visible() {
        Err(NotAKey::Characters)
    } else {
        Ok(key)
    }
}
