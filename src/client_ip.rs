//! Who the client is: the peer of the connection, or what trusted proxies say it is.
//!
//! Each proxy appends what it saw to what it was sent, so an account of the way is read from the right, and only while the address
//! that appended an entry is trusted. What is left of the first one that is not is the client's own claim. One header is
//! believed ([`ForwardedHeader`]) and the other is nobody's: a proxy that sets one passes the other on as the client sent it.

mod forwarded;
mod node;

use std::net::{IpAddr, Ipv6Addr};

use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::settings::ForwardedHeader;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What is known of who sent a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Client {
    pub ip: Option<IpAddr>,
    /// Over TLS.
    pub secure: bool,
}

/// The proxies that are believed, and by which header.
#[derive(Debug, Clone, Copy)]
pub struct Proxies<'a> {
    pub trusted: &'a [IpNet],
    pub header: ForwardedHeader,
}

impl Proxies<'_> {
    fn trust(self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// Who sent a request that came from `peer`, over TLS or not.
    pub fn client(self, peer: IpAddr, over_tls: bool, headers: &HeaderMap) -> Client {
        let peer = peer.to_canonical();
        if !self.trust(peer) {
            return Client { ip: Some(peer), secure: over_tls };
        }
        let (ip, over_https) = match self.header {
            ForwardedHeader::XForwardedFor => self.by_x_forwarded(peer, headers),
            ForwardedHeader::Forwarded => self.by_forwarded(peer, headers),
        };
        Client { ip: Some(ip), secure: over_tls || over_https }
    }

    fn by_x_forwarded(self, peer: IpAddr, headers: &HeaderMap) -> (IpAddr, bool) {
        let (mut client, mut hops) = (peer, 0);
        for entry in lines(headers, &X_FORWARDED_FOR).flat_map(|line| line.rsplit(',')) {
            hops += 1;
            let Some(address) = node::address(entry) else { break };
            client = address;
            if !self.trust(client) {
                break;
            }
        }
        // The entry that was appended with the client's address; or of fewer the first, for many proxies write one anew.
        let schemes = lines(headers, &X_FORWARDED_PROTO).flat_map(|line| line.rsplit(','));
        let scheme = schemes.take(hops.max(1)).last();
        (client, scheme.is_some_and(is_https))
    }

    fn by_forwarded(self, peer: IpAddr, headers: &HeaderMap) -> (IpAddr, bool) {
        let (mut client, mut over_https) = (peer, false);
        for hop in lines(headers, &FORWARDED).flat_map(forwarded::hops_from_right) {
            let Some(hop) = hop else { break };
            over_https = hop.proto.is_some_and(is_https);
            let Some(address) = hop.node.and_then(node::address) else { break };
            client = address;
            if !self.trust(client) {
                break;
            }
        }
        (client, over_https)
    }
}

/// What stands for a line that is no text: it has no address, no scheme and no pair, and ends the walk.
const UNREADABLE: &str = "?";

/// The lines of a header, the last one first.
fn lines<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> + use<'a> {
    let lines: Vec<&str> = headers.get_all(name).map(|line| line.to_str().unwrap_or(UNREADABLE)).collect();
    lines.into_iter().rev()
}

fn is_https(scheme: &str) -> bool {
    scheme.trim().eq_ignore_ascii_case("https")
}

/// Whom an address belongs to: in IPv6 a single customer has at least a /64.
pub fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests;
