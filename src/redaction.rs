//! Takes the gateway's API keys out of texts that others wrote: a path, or the name of something.

use std::borrow::Cow;

use memchr::memmem;

/// How a key begins, and what every beginning begins with.
const PREFIXES: [&str; 2] = ["hk_live_", "hk_test_"];
const PREFIX: &str = "hk_";
/// How many letters and digits follow, and how many of them are too many to show.
const WHOLE: usize = 33;
const ENOUGH: usize = 16;

/// The text without the secret part of each key. The rest stays, so that a record is found by the name in it.
pub(crate) fn without_keys(text: &str) -> Cow<'_, str> {
    if memmem::find(text.as_bytes(), PREFIX.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut shown = Cow::Borrowed("");
    let mut rest = text;
    while let Some(at) = PREFIXES.iter().filter_map(|prefix| rest.find(prefix)).min() {
        let (before, behind) = rest.split_at(at + PREFIXES[0].len());
        let secret = behind.bytes().take(WHOLE).take_while(u8::is_ascii_alphanumeric).count();
        shown += before;
        shown += if secret < ENOUGH { &behind[..secret] } else { "…" };
        rest = &behind[secret..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_out_and_names_stay() {
        let secret = "0".repeat(33);
        for (text, shown) in [
            (String::new(), ""),
            ("runs/search".to_owned(), "runs/search"),
            ("hk_test_".to_owned(), "hk_test_"),
            ("a hk_test_example, hk_live_x".to_owned(), "a hk_test_example, hk_live_x"),
            (format!("/a/hk_test_{secret}/b"), "/a/hk_test_…/b"),
            (format!("hk_live_{secret}hk_live_{secret}é"), "hk_live_…hk_live_…é"),
            (format!("é hk_test_example hk_live_{}", &secret[..16]), "é hk_test_example hk_live_…"),
        ] {
            assert_eq!(without_keys(&text), shown, "{text}");
        }
    }
}
