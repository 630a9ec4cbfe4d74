use actix_web::http::header::HeaderValue;

use super::*;

const LB: &str = "10.0.0.0/8";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    headers
}

/// The address of the client, and whether it came over TLS.
fn client(peer: &str, pairs: &[(&str, &str)], trusted: &[&str], header: ForwardedHeader) -> (String, bool) {
    let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
    let proxies = Proxies { trusted: &trusted, header };
    let client = proxies.client(peer.parse().unwrap(), false, &headers(pairs));
    (client.ip.unwrap().to_string(), client.secure)
}

#[test]
fn only_what_trusted_proxies_append_to_x_forwarded_for_is_believed() {
    for (peer, lines, trusted, expected) in [
        ("198.51.100.7", &["203.0.113.1"][..], &[LB][..], "198.51.100.7"),
        ("198.51.100.7", &["203.0.113.1"], &[], "198.51.100.7"),
        ("10.1.1.1", &["203.0.113.1"], &[LB], "203.0.113.1"),
        ("10.1.1.1", &["192.0.2.66, 203.0.113.1"], &[LB], "203.0.113.1"),
        ("10.1.1.1", &["192.0.2.66", "203.0.113.1, 10.2.2.2"], &[LB], "203.0.113.1"),
        ("10.1.1.1", &["192.0.2.66:1", "203.0.113.1:4711, 10.2.2.2:80"], &[LB], "203.0.113.1"),
        ("10.1.1.1", &["192.0.2.66,[2001:db8::1]:4711"], &[LB], "2001:db8::1"),
        ("10.1.1.1", &["192.0.2.66, [2001:db8::1]"], &[LB], "2001:db8::1"),
        ("10.1.1.1", &["192.0.2.66, ::ffff:10.2.2.2"], &[LB], "192.0.2.66"),
        ("10.1.1.1", &["203.0.113.1, junk"], &[LB], "10.1.1.1"),
        ("10.1.1.1", &["203.0.113.1, unknown"], &[LB], "10.1.1.1"),
        ("10.1.1.1", &["203.0.113.1, unknown, 10.2.2.2"], &[LB], "10.2.2.2"),
        ("10.1.1.1", &["203.0.113.1, "], &[LB], "10.1.1.1"),
        ("10.1.1.1", &["\u{ff}, 203.0.113.1"], &[LB], "10.1.1.1"),
        ("10.1.1.1", &["127.0.0.1", "\u{ff}, 203.0.113.1"], &[LB], "10.1.1.1"),
        ("10.1.1.1", &[], &[LB], "10.1.1.1"),
        ("::ffff:10.1.1.1", &["203.0.113.1"], &[LB], "203.0.113.1"),
        ("10.1.1.1", &["10.3.3.3"], &[LB], "10.3.3.3"),
        ("10.1.1.1", &["2001:db8::1"], &[LB], "2001:db8::1"),
        ("10.1.1.1", &["192.0.2.66, 2001:db8::1, 2001:db8:1::2"], &[LB, "2001:db8:1::/48"], "2001:db8::1"),
        ("2001:db8:1::1", &["192.0.2.66, 2001:db8::1, 10.2.2.2"], &[LB, "2001:db8:1::/48"], "2001:db8::1"),
    ] {
        let pairs: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        let found = client(peer, &pairs, trusted, ForwardedHeader::XForwardedFor);
        assert_eq!(found, (expected.to_owned(), false), "{peer} {lines:?}");
        // A `Forwarded` beside it is a client's.
        let both: Vec<_> = [("forwarded", "for=192.0.2.99;proto=https")].into_iter().chain(pairs).collect();
        let found = client(peer, &both, trusted, ForwardedHeader::XForwardedFor);
        assert_eq!(found, (expected.to_owned(), false), "{peer} {lines:?} beside Forwarded");
    }
}

#[test]
fn only_what_trusted_proxies_append_to_forwarded_is_believed() {
    for (peer, lines, expected) in [
        ("198.51.100.7", &["for=203.0.113.1;proto=https"][..], ("198.51.100.7", false)),
        ("10.1.1.1", &["for=203.0.113.1"], ("203.0.113.1", false)),
        ("10.1.1.1", &["for=203.0.113.1:4711;proto=https"], ("203.0.113.1", true)),
        ("10.1.1.1", &["for=\"[2001:db8:cafe::17]:4711\";Proto=HTTPS"], ("2001:db8:cafe::17", true)),
        ("10.1.1.1", &["for=192.0.2.66;proto=https, for=203.0.113.1;proto=http"], ("203.0.113.1", false)),
        ("10.1.1.1", &["for=203.0.113.1;proto=https, for=10.2.2.2;proto=http"], ("203.0.113.1", true)),
        ("10.1.1.1", &["for=192.0.2.66", "for=203.0.113.1", "for=10.2.2.2"], ("203.0.113.1", false)),
        ("10.1.1.1", &["for=192.0.2.66, for=unknown;proto=https"], ("10.1.1.1", true)),
        ("10.1.1.1", &["for=192.0.2.66, for=_hidden, for=10.2.2.2"], ("10.2.2.2", false)),
        ("10.1.1.1", &["for=192.0.2.66, by=10.1.1.1"], ("10.1.1.1", false)),
        ("10.1.1.1", &["for=192.0.2.66, for=\"a"], ("10.1.1.1", false)),
        ("10.1.1.1", &["for=\"192.0.2.66, for=203.0.113.1"], ("203.0.113.1", false)),
        ("10.1.1.1", &["for=192.0.2.66", "\u{ff}"], ("10.1.1.1", false)),
        ("10.1.1.1", &[], ("10.1.1.1", false)),
    ] {
        let pairs: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
        let expected = (expected.0.to_owned(), expected.1);
        let found = client(peer, &pairs, &[LB], ForwardedHeader::Forwarded);
        assert_eq!(found, expected, "{peer} {lines:?}");
        // The others beside it are a client's.
        let others = [("x-forwarded-for", "192.0.2.99"), ("x-forwarded-proto", "https")];
        let both: Vec<_> = others.into_iter().chain(pairs).collect();
        let found = client(peer, &both, &[LB], ForwardedHeader::Forwarded);
        assert_eq!(found, expected, "{peer} {lines:?} beside X-Forwarded-For");
    }
}

#[test]
fn the_scheme_is_the_one_that_was_appended_with_the_clients_address() {
    for (addresses, schemes, expected) in [
        ("203.0.113.1", &["https"][..], true),
        ("203.0.113.1", &["HTTPS"], true),
        ("203.0.113.1", &[" Https "], true),
        ("203.0.113.1", &["http"], false),
        ("203.0.113.1", &[], false),
        ("203.0.113.1", &["wss"], false),
        // Left of what one trusted proxy appends is what the client wrote.
        ("203.0.113.1", &["https,http"], false),
        ("203.0.113.1", &["https", "http"], false),
        ("203.0.113.1", &["http, https"], true),
        ("192.0.2.66, 203.0.113.1", &["https, http"], false),
        // Two trusted ones, of which the first took TLS off.
        ("203.0.113.1, 10.2.2.2", &["https, http"], true),
        ("203.0.113.1, 10.2.2.2", &["https", "http"], true),
        ("203.0.113.1, 10.2.2.2", &["https"], true),
        ("203.0.113.1, 10.2.2.2", &["https, http, http"], false),
        ("unknown, 10.2.2.2", &["https, http"], true),
        ("", &["https, http"], false),
        ("", &["https"], true),
        ("203.0.113.1", &["\u{ff}"], false),
    ] {
        let mut pairs: Vec<_> = schemes.iter().map(|scheme| ("x-forwarded-proto", *scheme)).collect();
        if !addresses.is_empty() {
            pairs.push(("x-forwarded-for", addresses));
        }
        let (_, secure) = client("10.1.1.1", &pairs, &[LB], ForwardedHeader::XForwardedFor);
        assert_eq!(secure, expected, "{addresses} {schemes:?}");
        let (_, secure) = client("198.51.100.7", &pairs, &[LB], ForwardedHeader::XForwardedFor);
        assert!(!secure, "of a stranger: {addresses} {schemes:?}");
    }
}
