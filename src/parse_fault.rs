//! Why a text cannot be parsed: the position, and a reason that never quotes the text.
//!
//! The errors of parsers quote the text, and it may be a secret in the wrong place. The reason here is a `&'static str`.

use std::fmt;

/// The first fault in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseFault {
    line: usize,
    column: usize,
    what: &'static str,
}

impl ParseFault {
    /// A fault at an offset in bytes.
    pub fn at(text: &str, offset: usize, what: &'static str) -> Self {
        let before = &text[..text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let (line, column) = (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1);
        Self { line, column, what }
    }

    /// A fault in JSON. Its reason is the one of `reasons` that the error begins with, if there is one.
    pub fn of_json(error: &serde_json::Error, reasons: &[&'static str]) -> Self {
        use serde_json::error::Category;
        let text = error.to_string();
        let reason = reasons.iter().find(|reason| text.starts_with(**reason));
        let what = match error.classify() {
            Category::Data if let Some(reason) = reason => reason,
            Category::Syntax => "is not JSON",
            Category::Data => "is not the value that is expected here",
            Category::Eof => "ends too early",
            Category::Io => "could not be read",
        };
        Self { line: error.line(), column: error.column(), what }
    }

    pub fn line(&self) -> usize {
        self.line
    }

    pub fn what(&self) -> &'static str {
        self.what
    }
}

impl fmt::Display for ParseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, what } = self;
        write!(f, "line {line}, column {column}: {what}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_given_in_lines_and_characters() {
        for (text, offset, position) in [
            ("", 0, "line 1, column 1"),
            ("abc", 2, "line 1, column 3"),
            ("a\nbc", 3, "line 2, column 2"),
            ("ä\nöü", 5, "line 2, column 2"),
            ("a\n", 9, "line 2, column 1"),
            ("ä", 1, "line 1, column 1"),
        ] {
            assert_eq!(ParseFault::at(text, offset, "x").to_string(), format!("{position}: x"), "{text:?}");
        }
    }
}
