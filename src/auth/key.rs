//! The keys that this gateway makes itself: `hk_live_` or `hk_test_`, 27 base62 characters (160 bits), and a
//! checksum of six, so that a mistyped or truncated key is recognised without a lookup.

use std::fmt;

use rand::{RngExt as _, distr::Alphanumeric};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

/// 62^27 is just above 2^160.
const RANDOM_LENGTH: usize = 27;
const CHECKSUM_LENGTH: usize = 6;
const LIVE: &str = "hk_live_";
const TEST: &str = "hk_test_";
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The environment that a key is for. It is visible in the key, so that a leaked one can be judged at sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Environment {
    #[default]
    Live,
    Test,
}

impl Environment {
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Live => LIVE,
            Self::Test => TEST,
        }
    }
}

/// A new key from the thread's cryptographic generator.
pub fn generate(environment: Environment) -> SecretString {
    let random = rand::rng().sample_iter(Alphanumeric).take(RANDOM_LENGTH).map(char::from);
    let mut key: String = environment.prefix().chars().chain(random).collect();
    key.push_str(&checksum(&key));
    key.into()
}

/// Whether `key` is one that [`generate`] could have made.
pub fn is_well_formed(key: &str) -> bool {
    let Some(rest) = key.strip_prefix(LIVE).or_else(|| key.strip_prefix(TEST)) else { return false };
    rest.len() == RANDOM_LENGTH + CHECKSUM_LENGTH
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && key.ends_with(&checksum(&key[..key.len() - CHECKSUM_LENGTH]))
}

/// Whether a text begins like a key, complete or not.
pub fn looks_like_one(text: &str) -> bool {
    text.starts_with(LIVE) || text.starts_with(TEST)
}

/// Whether a text contains a key, complete or not.
pub fn is_in(text: &str) -> bool {
    text.contains(LIVE) || text.contains(TEST)
}

/// Whether a text contains a JWT (RFC 7519, section 3), or the beginning of one: parts in base64url, three of them, or five if
/// encrypted, the first a JSON object.
pub fn has_jwt(text: &str) -> bool {
    let is_of_jwt = |char: char| char.is_ascii_alphanumeric() || "-_.=".contains(char);
    text.split(|char| !is_of_jwt(char))
        .filter_map(|word| word.find("eyJ").map(|at| &word[at..]))
        .any(|word| word.matches('.').count() >= 2)
}

/// CRC-32 of the text before it, in base62 with leading zeros.
fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes()) as usize;
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[rest % BASE62.len()];
        rest /= BASE62.len();
    }
    digits.into_iter().map(char::from).collect()
}

/// SHA-256 of a key, as in the key file. A key has 160 random bits, so a plain digest cannot be reversed by search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// The inverse of Display.
    pub fn parse(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text.strip_prefix("sha256:")?, &mut digest).ok()?;
        Some(Self(digest))
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_generated_key_is_well_formed_and_names_its_environment() {
        for (environment, prefix) in [(Environment::Live, "hk_live_"), (Environment::Test, "hk_test_")] {
            let key = generate(environment);
            assert!(key.expose_secret().starts_with(prefix));
            assert_eq!(key.expose_secret().len(), 8 + 27 + 6);
            assert!(is_well_formed(key.expose_secret()));
        }
    }

    #[test]
    fn two_keys_differ() {
        assert_ne!(generate(Environment::Live).expose_secret(), generate(Environment::Live).expose_secret());
    }

    #[test]
    fn every_single_mistyped_character_is_noticed() {
        let key = generate(Environment::Test);
        let key = key.expose_secret();
        for at in 0..key.len() {
            let other = if key.as_bytes()[at] == b'x' { "y" } else { "x" };
            let mistyped = format!("{}{other}{}", &key[..at], &key[at + 1..]);
            assert!(!is_well_formed(&mistyped), "{mistyped}");
        }
        assert!(!is_well_formed(&key[..key.len() - 1]));
        assert!(!is_well_formed(&format!("{key}0")));
        assert!(!is_well_formed(""));
    }

    #[test]
    fn a_jwt_is_seen_wherever_it_stands() {
        for (text, is_one) in [
            ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln-_Q", true),
            ("Bearer eyJhbGciOiJub25lIn0.e30.", true),
            ("'eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn'\n", true),
            ("token=eyJhbGciOiJub25lIn0.e30.c2ln", true),
            ("eyJhbGciOiJub25lIn0", false),
            ("k-1", false),
            ("team.prod.eyJ", false),
            ("0e4a5c1e-8d50-4b1f-9c0e-0c5d1c0f3b52", false),
            ("", false),
        ] {
            assert_eq!(has_jwt(text), is_one, "{text}");
        }
    }

    #[test]
    fn a_digest_is_read_as_it_is_written() {
        let digest = KeyDigest::of("hk_test_example");
        assert_eq!(KeyDigest::parse(&digest.to_string()), Some(digest));
        for text in ["", "sha256:", "sha256:00", "md5:00", &digest.to_string()[7..]] {
            assert_eq!(KeyDigest::parse(text), None, "{text}");
        }
    }
}
