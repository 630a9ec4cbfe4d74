//! Compares names as the least exact of MLflow's databases do, MySQL and SQL Server: without case, accents, width, trailing
//! spaces, and characters that have no weight.

/// A name of at most 63 ASCII characters to look for.
#[derive(Debug)]
pub(crate) struct Name {
    /// For each ASCII character, a bit for each position where the name has it, in any case.
    positions: [u64; 128],
    letters: u64,
    end: u64,
}

impl Name {
    pub(crate) fn new(name: &str) -> Self {
        let (mut positions, mut letters) = ([0; 128], 0);
        for (at, character) in name.bytes().enumerate() {
            for spelling in [character.to_ascii_lowercase(), character.to_ascii_uppercase()] {
                positions[usize::from(spelling)] |= 1_u64 << at;
            }
            letters |= u64::from(character.is_ascii_alphabetic()) << at;
        }
        Self { positions, letters, end: 1 << name.len() }
    }

    /// Whether a text is the name.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.read(text).last().is_some_and(|reached| reached & self.end != 0)
    }

    /// Whether a text begins with the name.
    pub(crate) fn begins(&self, text: &str) -> bool {
        self.read(text).any(|reached| reached & self.end != 0)
    }

    /// The positions reached after each character, while the text may still be the name.
    fn read(&self, text: &str) -> impl Iterator<Item = u64> {
        let mut reached = 1;
        text.trim_start().chars().map_while(move |character| {
            let before = reached;
            reached = self.step(reached, character);
            (before != 0).then_some(reached)
        })
    }

    /// The positions in the name that a text may have reached after its next character, a bit for each.
    ///
    /// Which characters have no weight differs between collations: any beyond ASCII may have none.
    fn step(&self, reached: u64, character: char) -> u64 {
        let exactly = |ascii: u8| (reached & self.positions[usize::from(ascii)]) << 1;
        match character {
            ' ' => exactly(b' ') | reached & self.end,
            '\0'..='\x1f' | '\x7f' => reached,
            '!'..='~' => exactly(character as u8),
            // The wide forms stand in ASCII's order.
            '\u{ff01}'..='\u{ff5e}' => reached | exactly((u32::from(character) - 0xfee0) as u8),
            '\u{2024}' | '\u{fe52}' => reached | exactly(b'.'),
            '\u{2cd}'
            | '\u{331}'
            | '\u{332}'
            | '\u{2017}'
            | '\u{fe33}'
            | '\u{fe34}'
            | '\u{fe4d}'..='\u{fe4f}' => reached | exactly(b'_'),
            // Every collation knows Greek; where a column has a Western code page, SQL Server fits these letters into it.
            '\u{386}'..='\u{3ce}' if character.is_alphabetic() => match character {
                '\u{393}' => exactly(b'g'),
                '\u{398}' | '\u{3c4}' => exactly(b't'),
                '\u{3a3}' | '\u{3c3}' => exactly(b's'),
                '\u{3a6}' | '\u{3c6}' => exactly(b'f'),
                '\u{3a9}' => exactly(b'o'),
                '\u{3b1}' => exactly(b'a'),
                '\u{3b4}' => exactly(b'd'),
                '\u{3b5}' => exactly(b'e'),
                '\u{3c0}' => exactly(b'p'),
                _ => 0,
            },
            _ if is_latin(character) => {
                let one = (reached & self.letters) << 1;
                let two = (one & self.letters) << 1;
                reached | one | two | (two & self.letters) << 1
            }
            _ => reached,
        }
    }
}

/// Whether a character beyond ASCII may stand for one, two or three Latin letters: with accents, above others, in circles,
/// as a ligature, a unit.
fn is_latin(character: char) -> bool {
    matches!(character,
        '\u{aa}' | '\u{ba}' | '\u{c0}'..='\u{36f}' | '\u{1d00}'..='\u{1eff}' | '\u{2070}'..='\u{209f}'
        | '\u{2100}'..='\u{218f}' | '\u{249c}'..='\u{24e9}' | '\u{2c60}'..='\u{2c7f}' | '\u{3250}'
        | '\u{32cc}'..='\u{32cf}' | '\u{3371}'..='\u{33df}' | '\u{a720}'..='\u{a7ff}' | '\u{ab30}'..='\u{ab6f}'
        | '\u{fb00}'..='\u{fb06}' | '\u{10780}'..='\u{107bf}' | '\u{1cc00}'..='\u{1ccff}'
        | '\u{1d400}'..='\u{1d7ff}' | '\u{1df00}'..='\u{1dfff}' | '\u{1f100}'..='\u{1f1ff}')
}

/// Looks for names anywhere in a stream of bytes that contains UTF-8.
pub(super) struct Search<'a> {
    names: &'a [Name],
    /// Bytes with which no name begins; they are skipped quickly.
    begins_none: [bool; 256],
    /// The positions reached in each name.
    reached: Vec<u64>,
    /// An incomplete character beyond ASCII, and the number of its bytes that are missing.
    character: u32,
    to_come: u32,
}

impl<'a> Search<'a> {
    pub(super) fn new(names: &'a [Name]) -> Self {
        let begins_none =
            std::array::from_fn(|byte| byte < 0x80 && names.iter().all(|name| name.positions[byte] & 1 == 0));
        Self { names, begins_none, reached: vec![0; names.len()], character: 0, to_come: 0 }
    }

    /// Whether one of the names ends in this piece.
    pub(super) fn finds(&mut self, piece: &[u8]) -> bool {
        let mut is_begun = true;
        for byte in piece {
            if !is_begun && self.begins_none[usize::from(*byte)] {
                continue;
            }
            if self.next(*byte).is_some_and(|character| self.meets(character)) {
                return true;
            }
            is_begun = self.reached.iter().any(|reached| *reached != 0);
        }
        false
    }

    fn next(&mut self, byte: u8) -> Option<char> {
        match byte {
            0x80..0xc0 if self.to_come > 0 => {
                self.character = self.character << 6 | u32::from(byte & 0x3f);
                self.to_come -= 1;
            }
            0x80..0xc0 | 0xf8.. => return None,
            0xc0..0xf8 => {
                self.to_come = byte.leading_ones() - 1;
                self.character = u32::from(byte & (0x7f >> byte.leading_ones()));
            }
            0..0x80 => (self.character, self.to_come) = (byte.into(), 0),
        }
        if self.to_come == 0 { char::from_u32(self.character) } else { None }
    }

    fn meets(&mut self, character: char) -> bool {
        self.names.iter().zip(&mut self.reached).fold(false, |found, (name, reached)| {
            // A name may begin anywhere, so position 0 is always reached.
            *reached = name.step(*reached | 1, character) & !1;
            found || *reached & name.end != 0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_compared_as_the_least_exact_database_does() {
        let name = Name::new("mlflow.prompt.is_prompt");
        for (text, same) in [
            ("mlflow.prompt.is_prompt", true),
            ("MLFLOW.Prompt.iS_prompt", true),
            ("  mlflow.prompt.is_prompt  ", true),
            ("mlflow.prompt.is_prompt \u{301} ", true),
            ("mlflow.pr\u{f6}mpt.is_prompt", true),
            ("\u{ff4d}lflow.prompt.is_prompt", true),
            ("mlflow\u{ff0e}prompt\u{2024}is\u{ff3f}prompt", true),
            ("mlflow.prompt.is\u{fe4d}prompt", true),
            ("mlflow.\u{3c0}rompt.is_\u{3c0}romp\u{3c4}", true),
            ("mlflow.prompt.is_prompt\u{3b1}x", false),
            ("ml\u{fb02}ow.prompt.is_prompt", true),
            ("\u{3396}flow.prompt.is_prompt", true),
            ("mlflow.prompt.is_pr\u{640}ompt\u{200b}", true),
            ("mlflow.prompt.is_prompt\u{1}", true),
            ("mlflow.\u{7f}prompt.is_prompt\u{fe73}\u{ff9e}", true),
            ("mlflow.prompt.is_prom", false),
            ("mlflow.prompt.is_prompt.x", false),
            ("mlflow.prompt.is_prompt x", false),
            ("mlflow.prompt is_prompt", false),
            ("mlflow\u{e9}prompt.is_prompt", false),
            ("\u{ff4e}lflow.prompt.is_prompt", false),
            ("\u{65e5}\u{672c}\u{8a9e}", false),
            ("", false),
        ] {
            assert_eq!(name.is(text), same, "{text:?}");
            assert_eq!(name.begins(text), same || text.ends_with('x'), "{text:?}");
        }
    }

    #[test]
    fn a_name_is_found_in_pieces_of_any_size() {
        let names = [Name::new("mlflow.trace.spansLocation"), Name::new("mlflow.trace.archiveLocation")];
        for (text, found) in [
            ("\u{1a}mlflow.traceTag.mlflow.trace.spansLocation\u{12}\u{3}", true),
            ("mlflow.trace.mlflow.trace.archiveLOCATION", true),
            ("\u{1d}\u{ff4d}lflow.trace.archiveLocatio\u{144}", true),
            ("mlf\u{640}low.trace.spans\u{1}Location", true),
            ("mlflow.trace.spansLocatio", false),
            ("mlflow.trace.spans location", false),
            ("un \u{e9}t\u{e9}. \u{c0} l'\u{e9}cole de mlflow.trace. Les arch\u{ef}ves", false),
            (
                "\u{65e5}\u{672c}\u{3002}.\u{8a9e}\u{8a9e}.\u{8a9e}\u{2026}\u{2026}\u{2026}\u{2026}\u{2014}\u{2014}",
                false,
            ),
            (
                "\u{43f}\u{43e}\u{447}\u{442}\u{430}.\u{43f}\u{440}\u{438}\u{43c}.\u{43f}\u{440}\u{438}\u{43c}\u{435}\u{440}",
                false,
            ),
            (
                "\u{ff21}\u{ff22}\u{ff0e}\u{ff21}\u{ff22}\u{ff0e}\u{ff21}\u{ff22}\u{ff23}\u{ff24}\u{ff25}",
                false,
            ),
        ] {
            // What is no UTF-8 stands before it, as a trace's id may.
            let body = [&[0xff, 0x80, 0xe6], text.as_bytes(), &[0x80]].concat();
            for size in 1..=body.len() {
                let mut search = Search::new(&names);
                assert_eq!(body.chunks(size).any(|piece| search.finds(piece)), found, "{size}: {text:?}");
            }
        }
    }
}
