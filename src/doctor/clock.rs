//! Whether somebody else's clock goes as this machine's does: verdicts, revocations, the ends of keys and certificates are
//! judged by clocks.

use jiff::{SignedDuration, Timestamp, fmt::rfc2822};

use super::{Answer, Fault, Finding};
use crate::code::Code;

/// By how much those of servers that work together may differ; `auth::cache::shared` believes less.
pub(super) const TOGETHER: SignedDuration = SignedDuration::from_secs(5);
/// The same for whoever looks at them from outside.
pub(super) const OUTSIDE: SignedDuration = SignedDuration::from_secs(30);

/// When something was asked and answered, by this machine's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange {
    pub(super) began: Timestamp,
    pub(super) ended: Timestamp,
}

/// The time in an answer's `Date` (RFC 9110 §6.6.1); `None` if it has none, or a cache has kept it.
pub(super) fn date_of(answer: &Answer) -> Option<Timestamp> {
    if answer.header("age").is_some() {
        return None;
    }
    date(answer.header("date")?)
}

pub(super) fn date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

/// Compares; `theirs` is in whole seconds, the fraction cut off.
pub(super) fn compare(
    whose: &str,
    theirs: Option<Timestamp>,
    Exchange { began, ended }: Exchange,
    tolerance: SignedDuration,
) -> Finding {
    let Some(theirs) = theirs else { return Ok(((), "it does not tell the time".to_owned())) };
    let ahead = theirs.duration_since(ended);
    let behind = began.duration_since(theirs) - SignedDuration::from_secs(1);
    let (by, word) = if ahead > behind { (ahead, "ahead of") } else { (behind, "behind") };
    if by <= tolerance {
        return Ok(((), format!("within {} s of this machine's", tolerance.as_secs())));
    }
    Err(Fault::new(
        Code::ClocksApart,
        format!(
            "{whose} says {theirs}, and it is {ended} here: {} s {word} this machine's clock",
            by.as_secs()
        ),
        "one of the two clocks is not kept, and which cannot be seen from here; the ends of keys and certificates, verdicts, \
         revocations and rate limits are judged by them",
        "NTP on both machines: `timedatectl` or `chronyc tracking` tells whether it works",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_are_apart_are_told_and_seconds_that_were_cut_off_are_not() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let exchange = Exchange { began: at("2026-01-01T00:00:10.9Z"), ended: at("2026-01-01T00:00:12Z") };
        for (theirs, said) in [
            ("Thu, 01 Jan 2026 00:00:10 GMT", ""),
            ("Thu, 01 Jan 2026 00:00:05 GMT", ""),
            ("Thu, 01 Jan 2026 00:00:17 GMT", ""),
            ("Thu, 01 Jan 2026 00:00:18 GMT", "6 s ahead of this"),
            ("Thu, 01 Jan 2026 00:00:01 GMT", "8 s behind this"),
            ("Wed, 31 Dec 2025 23:00:10 GMT", "3599 s behind this"),
            ("what", ""),
        ] {
            let told = compare("it", date(theirs), exchange, TOGETHER).err().map(|fault| fault.what);
            let told = told.unwrap_or_default();
            assert!(told.contains(said) && told.is_empty() == said.is_empty(), "{theirs}: {told}");
        }
    }
}
