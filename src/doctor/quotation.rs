//! Texts of other programs inside our messages. Secrets are removed from those; our own words stay whole, even where a secret
//! is a word like `mlflow`.

const BEGIN: char = '\u{2}';
const END: char = '\u{3}';
/// A secret of this length, in bytes, is not a word of ours, and is removed from our texts too.
const LONG: usize = 16;
/// Replaces a secret.
const STAND_IN: &str = "(the key)";

/// Marks a text of another program for [`without_secrets`].
pub(super) fn quote(words: &str) -> String {
    format!("{BEGIN}{}{END}", words.replace([BEGIN, END], "\u{fffd}"))
}

/// The text without marks, secrets and control characters.
pub(crate) fn without_secrets(words: &str, secrets: &[String]) -> String {
    let without = |words: &str, shortest: usize| {
        let secrets = secrets.iter().filter(|secret| secret.len() >= shortest);
        secrets.fold(words.to_owned(), |words, secret| words.replace(secret, STAND_IN))
    };
    let mut clean = String::with_capacity(words.len());
    for (at, part) in words.split(BEGIN).enumerate() {
        let (theirs, ours) = if at == 0 { ("", part) } else { part.split_once(END).unwrap_or((part, "")) };
        clean += &without(theirs, 1);
        clean += &without(ours, LONG);
    }
    clean.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_removed_from_quoted_texts_and_our_words_stay_whole() {
        let secrets = ["a-secret-that-is-long".to_owned(), "mlflow".to_owned()];
        for (words, expected) in [
            ("mlflow.password is mlflow".to_owned(), "mlflow.password is mlflow"),
            (format!("mlflow said {}, mlflow", quote("no mlflow")), "mlflow said no (the key), mlflow"),
            (quote("mlflow\u{3} mlflow\u{2}\u{1b}[31m"), "(the key)\u{fffd} (the key)\u{fffd}\u{fffd}[31m"),
            (format!("{}{}", quote("mlflow"), quote("x mlflow")), "(the key)x (the key)"),
            ("a-secret-that-is-long".to_owned(), "(the key)"),
        ] {
            assert_eq!(without_secrets(&words, &secrets), expected, "{words:?}");
        }
    }
}
