//! RFC 7239's `Forwarded`.

/// An element of the header: one hop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Hop<'a> {
    /// `for`: the client of the proxy.
    pub(super) node: Option<&'a str>,
    /// `proto`: the scheme.
    pub(super) proto: Option<&'a str>,
}

/// The hops of one line, from the right; `None` for one that cannot be parsed, and nothing to the left of it can be trusted.
///
/// The line is split from the right, because a client may leave a quotation open on the left, which would swallow a proxy's element.
pub(super) fn hops_from_right(line: &str) -> impl Iterator<Item = Option<Hop<'_>>> {
    split_from_right(line, ',').filter(|element| !element.trim().is_empty()).map(hop)
}

/// Splits at a character outside of quotes.
fn split_from_right(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.rsplit(move |character| {
        is_quoted ^= character == '"';
        character == separator && !is_quoted
    })
}

fn hop(element: &str) -> Option<Hop<'_>> {
    let mut hop = Hop::default();
    for pair in split_from_right(element, ';').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let value = value_of(value)?;
        let field = match name {
            name if name.eq_ignore_ascii_case("for") => &mut hop.node,
            name if name.eq_ignore_ascii_case("proto") => &mut hop.proto,
            _ => continue,
        };
        // RFC 7239 §4: each at most once.
        if field.replace(value).is_some() {
            return None;
        }
    }
    Some(hop)
}

/// A token, or a quoted string without escapes, which no address and no scheme has. Unquoted IPv6 addresses and ports are against the
/// grammar, but unambiguous.
fn value_of(value: &str) -> Option<&str> {
    let inside = match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => value,
    };
    (!inside.contains(['"', '\\', ' ', '\t'])).then_some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hops(line: &str) -> Vec<Option<(Option<&str>, Option<&str>)>> {
        hops_from_right(line).map(|hop| hop.map(|hop| (hop.node, hop.proto))).collect()
    }

    #[test]
    fn hops_are_read_from_the_right() {
        let node = |node| Some((Some(node), None));
        for (line, expected) in [
            ("for=192.0.2.1", vec![node("192.0.2.1")]),
            ("For=\"[2001:db8:cafe::17]:4711\"", vec![node("[2001:db8:cafe::17]:4711")]),
            ("for=a, for=b ,for=\"c\"", vec![node("c"), node("b"), node("a")]),
            ("for=a;proto=HTTPS;by=b;host=\"c:80\"", vec![Some((Some("a"), Some("HTTPS")))]),
            ("PROTO=http ; for=\"a\";", vec![Some((Some("a"), Some("http")))]),
            (",, for=a,", vec![node("a")]),
            ("by=b", vec![Some((None, None))]),
            ("for=\"a,b\", for=c", vec![node("c"), node("a,b")]),
            ("", vec![]),
        ] {
            assert_eq!(hops(line), expected, "{line}");
        }
    }

    #[test]
    fn a_quotation_that_a_client_leaves_open_swallows_no_element_of_a_proxy() {
        for begin in ["for=\"", "for=\"x", "\"", "for=a, for=\"b", "x", "for=a\\\"", "for=\"a\\"] {
            for (appended, expected) in
                [("for=192.0.2.9", "192.0.2.9"), ("proto=http;for=\"[2001:db8::9]:1\"", "[2001:db8::9]:1")]
            {
                let line = format!("{begin}, {appended}");
                let first = hops_from_right(&line).next().unwrap().unwrap();
                assert_eq!(first.node, Some(expected), "{line}");
            }
        }
    }

    #[test]
    fn a_malformed_element_is_not_one_without_an_address() {
        for line in [
            "a",
            "for",
            "for=\"a",
            "for=a\"",
            "for=\"a\"b",
            "for=a;for=a",
            "for=a;For=b",
            "proto=a;proto=b",
            "for=\"a\\b\"",
            "for=a b",
            "host=\"a\\\"b\";for=c",
        ] {
            assert_eq!(hops(line), [None], "{line}");
        }
    }
}
