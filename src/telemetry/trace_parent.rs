//! `traceparent` as W3C Trace Context reads it (https://www.w3.org/TR/trace-context/, §3.2 and §4).

use actix_web::http::header::{HeaderMap, HeaderName};

pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The client's span, as lower case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TraceParent {
    pub(super) trace_id: [u8; 32],
    pub(super) span_id: [u8; 16],
    /// The only flag that this version knows; the others are not passed on (§3.2.2.5.2).
    pub(super) is_sampled: bool,
}

impl TraceParent {
    /// `None` unless there is exactly one header, and it is valid.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT);
        let value = values.next()?;
        if values.next().is_some() {
            return None;
        }
        Self::parse(value.as_bytes())
    }

    /// `version-trace_id-parent_id-flags`. A version that is not known is read as 00, and may go on behind another `-`.
    fn parse(value: &[u8]) -> Option<Self> {
        let (version, rest) = field::<2>(value)?;
        let (trace_id, rest) = field::<32>(rest.strip_prefix(b"-")?)?;
        let (span_id, rest) = field::<16>(rest.strip_prefix(b"-")?)?;
        let (flags, rest) = field::<2>(rest.strip_prefix(b"-")?)?;
        let may_end_here = rest.is_empty() || (version != *b"00" && rest.starts_with(b"-"));
        let is_valid = version != *b"ff" && trace_id != [b'0'; 32] && span_id != [b'0'; 16] && may_end_here;
        let is_sampled = matches!(flags[1], b'1' | b'3' | b'5' | b'7' | b'9' | b'b' | b'd' | b'f');
        is_valid.then_some(Self { trace_id, span_id, is_sampled })
    }
}

/// The first `N` bytes, if they are lower case hexadecimal digits, and what is behind them.
fn field<const N: usize>(value: &[u8]) -> Option<([u8; N], &[u8])> {
    let (digits, rest) = value.split_first_chunk::<N>()?;
    let is_hex = digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then_some((*digits, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn a_traceparent_is_read_as_the_standard_says() {
        let sampled = Some(true);
        for (value, is_sampled) in [
            (format!("00-{TRACE}-{SPAN}-01"), sampled),
            (format!("00-{TRACE}-{SPAN}-00"), Some(false)),
            // Flags of other versions.
            (format!("00-{TRACE}-{SPAN}-03"), sampled),
            (format!("00-{TRACE}-{SPAN}-fe"), Some(false)),
            // Versions above 00, with and without more fields.
            (format!("01-{TRACE}-{SPAN}-01"), sampled),
            (format!("cc-{TRACE}-{SPAN}-00"), Some(false)),
            (format!("cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like"), sampled),
            (format!("cc-{TRACE}-{SPAN}-01-"), sampled),
            (format!("cc-{TRACE}-{SPAN}-01.what-the-future-will-not-be-like"), None),
            (format!("00-{TRACE}-{SPAN}-01-"), None),
            (format!("00-{TRACE}-{SPAN}-01-more"), None),
            (format!("ff-{TRACE}-{SPAN}-01"), None),
            (format!("0-{TRACE}-{SPAN}-01"), None),
            (format!("0g-{TRACE}-{SPAN}-01"), None),
            (format!("00-{TRACE}-{SPAN}"), None),
            (format!("00-{TRACE}-{SPAN}-1"), None),
            (format!("00-{TRACE}-{SPAN}-011"), None),
            (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), None),
            (format!("00-{}-{SPAN}-01", "0".repeat(32)), None),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), None),
            (format!("00-{}-{SPAN}-01", &TRACE[1..]), None),
            (format!("00_{TRACE}_{SPAN}_01"), None),
            (String::new(), None),
        ] {
            let parsed = TraceParent::parse(value.as_bytes());
            assert_eq!(parsed.map(|parent| parent.is_sampled), is_sampled, "{value}");
            if let Some(parent) = parsed {
                assert_eq!((&parent.trace_id[..], &parent.span_id[..]), (TRACE.as_bytes(), SPAN.as_bytes()));
            }
        }
    }
}
