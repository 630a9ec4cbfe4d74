//! Removes secrets from a bundle: every usual encoding of a secret, and every part of one.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::Value;

/// Every part of this length, in bytes, is removed. A shorter secret is removed as a whole.
const PART: usize = 8;
const STAND_IN: &str = "(a secret)";

/// Removes secrets from texts.
pub(super) struct Scrubber {
    /// Every part of every encoding, in lower case.
    parts: HashSet<[u8; PART]>,
    short: Vec<String>,
}

impl Scrubber {
    pub(super) fn new(secrets: &[String]) -> Self {
        let (short, long): (Vec<_>, Vec<_>) = secrets
            .iter()
            .filter(|secret| !secret.is_empty())
            .cloned()
            .partition(|secret| secret.len() < PART);
        let encodings = long.iter().flat_map(|secret| encodings(secret.as_bytes()));
        let parts = encodings.flat_map(|form| {
            let form = form.to_ascii_lowercase().into_bytes();
            form.windows(PART).filter_map(|part| part.try_into().ok()).collect::<Vec<[u8; PART]>>()
        });
        Self { parts: parts.collect(), short }
    }

    /// Removes them from every text in a value, and from the names of its fields.
    pub(super) fn scrub(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.without(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.scrub(item)),
            Value::Object(fields) => {
                let clean = std::mem::take(fields).into_iter().map(|(name, mut value)| {
                    self.scrub(&mut value);
                    (self.without(&name), value)
                });
                *fields = clean.collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn without(&self, text: &str) -> String {
        let lower = text.to_ascii_lowercase();
        let mut secret = vec![false; text.len()];
        for (at, part) in lower.as_bytes().windows(PART).enumerate() {
            if self.parts.contains(part) {
                secret[at..at + PART].fill(true);
            }
        }
        let mut clean = String::with_capacity(text.len());
        let mut is_inside = false;
        for (at, character) in text.char_indices() {
            match (secret[at], is_inside) {
                (true, false) => clean.push_str(STAND_IN),
                (true, true) => {}
                (false, _) => clean.push(character),
            }
            is_inside = secret[at];
        }
        self.short.iter().fold(clean, |clean, short| clean.replace(short, STAND_IN))
    }
}

/// A secret as it is, and in every encoding.
fn encodings(secret: &[u8]) -> Vec<String> {
    let each = |write: fn(u8) -> String| secret.iter().map(|byte| write(*byte)).collect::<String>();
    let url_encoded = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { format!("%{byte:02x}") }
    };
    let mut encodings = vec![
        String::from_utf8_lossy(secret).into_owned(),
        each(url_encoded),
        each(|byte| format!("%{byte:02x}")),
        each(|byte| format!("{byte:02x}")),
        each(|byte| format!("\\x{byte:02x}")),
        each(|byte| format!("\\u{byte:04x}")),
        each(|byte| format!("&#{byte};")),
        each(|byte| format!("&#x{byte:x};")),
    ];
    // Base64 has three, depending on the number of bytes before it; its first and last digits also depend on the neighbours.
    for before in 0..3 {
        let bytes = [&[0; 2][..before], secret].concat();
        let encoded = STANDARD_NO_PAD.encode(&bytes);
        let end = encoded.len() - usize::from(bytes.len() % 3 != 0);
        let digits = encoded[[0, 2, 3][before]..end].to_owned();
        encodings.extend([digits.replace('+', "-").replace('/', "_"), digits]);
    }
    encodings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "hk_test_a+Secret/that=is~long?";

    #[test]
    fn a_secret_is_removed_in_every_encoding_and_every_part() {
        let scrubber = Scrubber::new(&[SECRET.to_owned(), "short".to_owned()]);
        let mut written: Vec<String> = encodings(SECRET.as_bytes());
        written.extend(
            ["", "x", "xy", "user:"].map(|before| STANDARD_NO_PAD.encode(format!("{before}{SECRET}!"))),
        );
        written.extend([
            SECRET.to_uppercase(),
            SECRET[10..].to_owned(),
            SECRET[..9].to_owned(),
            "short".to_owned(),
        ]);
        for text in written {
            let mut value = json!({ "a": [format!("said {text}, twice {text}")], &text: 1, "n": null });
            scrubber.scrub(&mut value);
            let clean = value.to_string();
            assert!(
                clean.contains("said ") && clean.contains(", twice ") && clean.contains(STAND_IN),
                "{clean}"
            );
            for form in encodings(SECRET.as_bytes()) {
                for part in form.as_bytes().windows(PART) {
                    let part = std::str::from_utf8(part).unwrap();
                    assert!(!clean.contains(part), "{part} of {text} in {clean}");
                }
            }
            assert!(!clean.contains("short"), "{clean}");
        }
    }

    #[test]
    fn other_texts_stay_whatever_their_letters() {
        let scrubber = Scrubber::new(&[SECRET.to_owned(), String::new()]);
        for text in ["a secret", "grün über 試験 ünd", "", "hk_test"] {
            assert_eq!(scrubber.without(text), text);
        }
        assert_eq!(scrubber.without(&format!("ü{SECRET}ü")), format!("ü{STAND_IN}ü"));
    }
}
