//! Why a text could not be read: a place in it and words of the program's own.
//!
//! The errors of parsers quote what they could not read, and that may be a secret in the wrong place. What is wrong is a
//! `&'static str` here, so that nothing of the text can be in it.

use std::fmt;

/// The first thing that is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseFault {
    line: usize,
    column: usize,
    what: &'static str,
}

impl ParseFault {
    /// At a place in a text, counted in bytes.
    pub fn at(text: &str, offset: usize, what: &'static str) -> Self {
        let before = &text[..text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let (line, column) = (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1);
        Self { line, column, what }
    }

    /// Where JSON is none, or not the JSON that is wanted; for one of these reasons, if the error begins with it.
    pub fn of_json(error: &serde_json::Error, reasons: &[&'static str]) -> Self {
        use serde_json::error::Category;
        let told = error.to_string();
        let reason = reasons.iter().find(|reason| told.starts_with(**reason));
        let what = match error.classify() {
            Category::Data if let Some(reason) = reason => reason,
            Category::Syntax => "is no JSON",
            Category::Data => "is another value than is wanted here",
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
    fn a_place_is_told_in_lines_and_characters() {
        for (text, offset, place) in [
            ("", 0, "line 1, column 1"),
            ("abc", 2, "line 1, column 3"),
            ("a\nbc", 3, "line 2, column 2"),
            ("ä\nöü", 5, "line 2, column 2"),
            ("a\n", 9, "line 2, column 1"),
            ("ä", 1, "line 1, column 1"),
        ] {
            assert_eq!(ParseFault::at(text, offset, "x").to_string(), format!("{place}: x"), "{text:?}");
        }
    }
}
