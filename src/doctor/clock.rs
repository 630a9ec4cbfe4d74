//! Whether the clock of a server agrees with this machine's: verdicts, revocations, and the ends of keys and certificates
//! depend on clocks.

use actix_web::http::header::{AGE, DATE, HeaderMap};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};

use super::{Fault, Finding, passed};
use crate::code::Code;

/// The largest difference between servers that work together; `auth::cache::shared` tolerates less.
pub(super) const SERVER_TOLERANCE: SignedDuration = SignedDuration::from_secs(5);
/// The largest difference between a deployment and a client.
pub(super) const CLIENT_TOLERANCE: SignedDuration = SignedDuration::from_secs(30);

/// The time in an answer's `Date` (RFC 9110 §6.6.1); `None` if it has none, or comes from a cache.
pub(super) fn date_of(headers: &HeaderMap) -> Option<Timestamp> {
    if headers.contains_key(AGE) {
        return None;
    }
    parse_date(headers.get(DATE)?.to_str().ok()?)
}

fn parse_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

/// Compares a server's time, which it gave between `start` and now, with this machine's.
pub(super) fn compare(
    server: &str,
    time: Option<Timestamp>,
    start: Timestamp,
    tolerance: SignedDuration,
) -> Finding {
    let now = Timestamp::now();
    let Some(time) = time else { return passed("it does not give its time") };
    let (difference, direction) = difference(time, start, now);
    if difference <= tolerance {
        return passed(format!("within {} s of this machine's clock", tolerance.as_secs()));
    }
    Err(Fault::new(
        Code::ClockSkew,
        format!(
            "the clock of {server} is {} s {direction} this machine's: {time} there, {now} here",
            difference.as_secs()
        ),
        "one of the two clocks is not synchronised, and this command cannot tell which; the ends of keys and certificates, \
         verdicts, revocations and rate limits depend on them",
        "NTP on both machines: `timedatectl` or `chronyc tracking` shows whether it works",
    ))
}

/// The least difference by which `time`, in whole seconds cut off, lies outside of the call.
fn difference(time: Timestamp, start: Timestamp, end: Timestamp) -> (SignedDuration, &'static str) {
    let ahead = time.duration_since(end);
    let behind = start.duration_since(time) - SignedDuration::from_secs(1);
    if ahead > behind { (ahead, "ahead of") } else { (behind, "behind") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_reported_and_fractions_of_seconds_are_not() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (start, end) = (at("2026-01-01T00:00:10.9Z"), at("2026-01-01T00:00:12Z"));
        for (date, expected) in [
            ("Thu, 01 Jan 2026 00:00:10 GMT", None),
            ("Thu, 01 Jan 2026 00:00:05 GMT", None),
            ("Thu, 01 Jan 2026 00:00:17 GMT", None),
            ("Thu, 01 Jan 2026 00:00:18 GMT", Some((6, "ahead of"))),
            ("Thu, 01 Jan 2026 00:00:01 GMT", Some((8, "behind"))),
            ("Wed, 31 Dec 2025 23:00:10 GMT", Some((3599, "behind"))),
        ] {
            let (difference, direction) = difference(parse_date(date).unwrap(), start, end);
            let reported = (difference > SERVER_TOLERANCE).then_some((difference.as_secs(), direction));
            assert_eq!(reported, expected, "{date}");
        }
        assert_eq!(parse_date("what"), None);
    }
}
