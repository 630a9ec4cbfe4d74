//! The words of others among the gateway's own: what is secret is taken out of theirs, and ours stay whole, even where a
//! secret is a word like `mlflow`.

const BEGIN: char = '\u{2}';
const END: char = '\u{3}';
/// From so many bytes on a secret is no word of ours, and is taken out of everything.
const LONG: usize = 16;
/// What stands where a secret was.
const STAND_IN: &str = "(the key)";

/// Words of somebody else's, marked as such for [`harmless`].
pub(super) fn quoted(words: &str) -> String {
    format!("{BEGIN}{}{END}", words.replace([BEGIN, END], "\u{fffd}"))
}

/// Words without the marks, the secrets and what orders a terminal about.
pub(super) fn harmless(words: &str, secrets: &[String]) -> String {
    let without = |words: &str, shortest: usize| {
        let secrets = secrets.iter().filter(|secret| secret.len() >= shortest);
        secrets.fold(words.to_owned(), |words, secret| words.replace(secret, STAND_IN))
    };
    let mut told = String::with_capacity(words.len());
    for (at, part) in words.split(BEGIN).enumerate() {
        let (theirs, ours) = if at == 0 { ("", part) } else { part.split_once(END).unwrap_or((part, "")) };
        told += &without(theirs, 1);
        told += &without(ours, LONG);
    }
    told.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_of_others_words_and_ours_stay_whole() {
        let secrets = ["a-secret-that-is-long".to_owned(), "mlflow".to_owned()];
        for (words, told) in [
            ("mlflow.password is mlflow".to_owned(), "mlflow.password is mlflow"),
            (format!("mlflow said {}, mlflow", quoted("no mlflow")), "mlflow said no (the key), mlflow"),
            (quoted("mlflow\u{3} mlflow\u{2}\u{1b}[31m"), "(the key)\u{fffd} (the key)\u{fffd}\u{fffd}[31m"),
            (format!("{}{}", quoted("mlflow"), quoted("x mlflow")), "(the key)x (the key)"),
            ("a-secret-that-is-long".to_owned(), "(the key)"),
        ] {
            assert_eq!(harmless(&words, &secrets), told, "{words:?}");
        }
    }
}
