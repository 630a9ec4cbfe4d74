//! One pass over a text for all that is looked for in it, many bytes at a time.

use fearless_simd::{Level, Simd, dispatch, mask8x32, prelude::*, u8x32};

/// The bytes that are looked at together: four vectors.
const BLOCK: usize = 128;
const LANES: usize = 32;

/// What is marked in a text, besides backslashes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    /// Small letters, which are found in either case.
    pub(super) letters: [u8; 2],
    /// A character with a quotation mark behind it.
    pub(super) before_quote: u8,
}

/// Calls `mark` for each place that is marked, in their order, until it is false. Whether it never was, and the text is ASCII without
/// the characters 0x00 and 0x7f.
pub(super) fn sweep(text: &[u8], marks: Marks, mark: &mut dyn FnMut(usize) -> bool) -> bool {
    dispatch!(Level::new(), simd => sweep_by(simd, text, marks, mark))
}

// What is not inlined from here on is compiled for the oldest processors: that goes for closures and methods of iterators, too.

#[inline(always)]
fn sweep_by<S: Simd>(simd: S, text: &[u8], marks: Marks, mark: &mut dyn FnMut(usize) -> bool) -> bool {
    let (mut begin, mut rest) = (0, text);
    while let Some(block) = rest.first_chunk() {
        if !sweep_block(simd, block, begin, marks, mark) {
            return false;
        }
        (begin, rest) = (begin + BLOCK, &rest[BLOCK..]);
    }
    // Spaces are not marked.
    let mut last = [b' '; BLOCK + 1];
    last[..rest.len()].copy_from_slice(rest);
    sweep_block(simd, &last, begin, marks, mark)
}

/// A block, and the byte behind it.
#[inline(always)]
fn sweep_block<S: Simd>(
    simd: S,
    block: &[u8; BLOCK + 1],
    begin: usize,
    marks: Marks,
    mark: &mut dyn FnMut(usize) -> bool,
) -> bool {
    let mut highest = u8x32::splat(simd, 0);
    let one = marked(simd, block, 0, marks, &mut highest);
    let two = marked(simd, block, LANES, marks, &mut highest);
    let three = marked(simd, block, 2 * LANES, marks, &mut highest);
    let four = marked(simd, block, 3 * LANES, marks, &mut highest);
    let foreign = highest.simd_ge(0x7e);
    if !(one | two | three | four | foreign).any_true() {
        return true;
    }
    if foreign.any_true() {
        return false;
    }
    let lower = one.to_bitmask() | two.to_bitmask() << LANES;
    let upper = three.to_bitmask() | four.to_bitmask() << LANES;
    tell(u128::from(lower) | u128::from(upper) << (2 * LANES), begin, mark)
}

/// The places of a vector that are marked. `highest` are the highest bytes so far, less one: that of 0x00 is the highest of all.
#[inline(always)]
fn marked<S: Simd>(
    simd: S,
    block: &[u8; BLOCK + 1],
    at: usize,
    Marks { letters: [one, other], before_quote }: Marks,
    highest: &mut u8x32<S>,
) -> mask8x32<S> {
    let here = u8x32::from_slice(simd, &block[at..at + LANES]);
    let next = u8x32::from_slice(simd, &block[at + 1..at + 1 + LANES]);
    let small = here | 0x20;
    *highest = highest.max(here - 1);
    (here.simd_eq(before_quote) & next.simd_eq(b'"'))
        | small.simd_eq(one)
        | small.simd_eq(other)
        | here.simd_eq(b'\\')
}

fn tell(mut marked: u128, begin: usize, mark: &mut dyn FnMut(usize) -> bool) -> bool {
    while marked != 0 {
        if !mark(begin + marked.trailing_zeros() as usize) {
            return false;
        }
        marked &= marked - 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: Marks = Marks { letters: [b'h', b'w'], before_quote: b'd' };

    /// The same, byte by byte.
    fn marked(text: &[u8]) -> Vec<usize> {
        let is_marked = |&at: &usize| match text[at] {
            b'\\' | b'h' | b'H' | b'w' | b'W' => true,
            byte => byte == MARKS.before_quote && text.get(at + 1) == Some(&b'"'),
        };
        (0..text.len()).filter(is_marked).collect()
    }

    #[test]
    fn each_place_is_marked_once_and_in_order_wherever_it_is_in_a_text_of_any_length() {
        const ALPHABET: &[u8] = b"hHwWd\"\\ aD1i[X(GV|~\x01";
        let mut seed = 7_u64;
        for length in 0..1000 {
            let text: Vec<u8> = (0..length)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    ALPHABET[(seed >> 33) as usize % ALPHABET.len()]
                })
                .collect();
            let mut found = Vec::new();
            assert!(sweep(&text, MARKS, &mut |at| {
                found.push(at);
                true
            }));
            assert_eq!(found, marked(&text), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn nothing_is_marked_behind_the_place_that_ends_it() {
        let mut found = Vec::new();
        assert!(!sweep(&[b'h'; 500], MARKS, &mut |at| {
            found.push(at);
            at < 200
        }));
        assert_eq!(found, (0..=200).collect::<Vec<_>>());
    }

    #[test]
    fn a_text_with_another_character_anywhere_is_not_plain() {
        for at in 0..300 {
            for (byte, is_plain) in
                [(0, false), (1, true), (0x7e, true), (0x7f, false), (0x80, false), (0xff, false)]
            {
                let mut text = [b'a'; 300];
                text[at] = byte;
                assert_eq!(sweep(&text, MARKS, &mut |_| true), is_plain, "{byte:#x} at {at}");
            }
        }
    }
}
