//! Who the client is: the peer of the connection, or what trusted proxies say it is.

use std::net::{IpAddr, Ipv6Addr};

use actix_web::http::header::{HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What is known of who sent a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Client {
    pub ip: Option<IpAddr>,
    /// Over TLS.
    pub secure: bool,
}

/// Whether a trusted proxy says that the client came to it over TLS.
pub fn came_over_https(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> bool {
    let peer = peer.to_canonical();
    trusted.iter().any(|network| network.contains(&peer))
        && headers.get(X_FORWARDED_PROTO).is_some_and(|value| value == "https")
}

/// The address of the client.
///
/// `X-Forwarded-For` is read from the right, and only while the address that added an entry is trusted; what is
/// left of the first address that is not trusted is the client's own claim.
pub fn resolve(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    if !is_trusted(&client) {
        return client;
    }
    // A line that is no text is an entry that is no address: the walk ends there.
    let values: Vec<&str> =
        headers.get_all(X_FORWARDED_FOR).map(|value| value.to_str().unwrap_or_default()).collect();
    for entry in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        let Ok(address) = entry.trim().parse::<IpAddr>() else { break };
        client = address.to_canonical();
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

/// Whom an address belongs to: in IPv6 a single customer has at least a /64.
pub fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn resolved(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        resolve(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_what_trusted_proxies_say_is_believed() {
        let lb = "10.0.0.0/8";
        for (peer, forwarded, trusted, client) in [
            ("198.51.100.7", &["203.0.113.1"][..], &[lb][..], "198.51.100.7"),
            ("198.51.100.7", &["203.0.113.1"], &[], "198.51.100.7"),
            ("10.1.1.1", &["203.0.113.1"], &[lb], "203.0.113.1"),
            ("10.1.1.1", &["192.0.2.66, 203.0.113.1"], &[lb], "203.0.113.1"),
            ("10.1.1.1", &["192.0.2.66", "203.0.113.1, 10.2.2.2"], &[lb], "203.0.113.1"),
            ("10.1.1.1", &["203.0.113.1, junk"], &[lb], "10.1.1.1"),
            ("10.1.1.1", &["\u{ff}, 203.0.113.1"], &[lb], "10.1.1.1"),
            ("10.1.1.1", &["127.0.0.1", "\u{ff}, 203.0.113.1"], &[lb], "10.1.1.1"),
            ("10.1.1.1", &[], &[lb], "10.1.1.1"),
            ("::ffff:10.1.1.1", &["203.0.113.1"], &[lb], "203.0.113.1"),
            ("10.1.1.1", &["10.3.3.3"], &[lb], "10.3.3.3"),
            ("10.1.1.1", &["2001:db8::1"], &[lb], "2001:db8::1"),
        ] {
            assert_eq!(resolved(peer, forwarded, trusted), client, "{peer} {forwarded:?}");
        }
    }
}
