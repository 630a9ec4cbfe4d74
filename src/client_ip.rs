//! The client's address: the peer of the connection, or what trusted proxies say.
//!
//! Each proxy appends an entry to the header that it received. So entries are read from the right, as long as the address that appended
//! one is trusted; everything to the left is the client's own claim. Only one of the two headers is read ([`ForwardedHeader`]): a proxy
//! that sets one forwards the other as the client sent it.

mod forwarded;
mod node;

use std::net::{IpAddr, Ipv6Addr};

use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::settings::ForwardedHeader;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The client of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Client {
    pub ip: Option<IpAddr>,
    /// Whether it used TLS.
    pub secure: bool,
}

/// The trusted proxies, and the header that they set.
#[derive(Debug, Clone, Copy)]
pub struct Proxies<'a> {
    pub trusted: &'a [IpNet],
    pub header: ForwardedHeader,
}

impl Proxies<'_> {
    fn is_trusted(self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// Whether `X-Forwarded-Host` is the word of `peer`: a proxy that says `Forwarded` passes it on as the client wrote it.
    pub fn say_host(self, peer: IpAddr) -> bool {
        self.header == ForwardedHeader::XForwardedFor && self.is_trusted(peer.to_canonical())
    }

    /// The client of a request that came from `peer`.
    pub fn client(self, peer: IpAddr, over_tls: bool, headers: &HeaderMap) -> Client {
        let peer = peer.to_canonical();
        if !self.is_trusted(peer) {
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
            if !self.is_trusted(client) {
                break;
            }
        }
        // The entry of the proxy that appended the client's address. With fewer entries the first: many proxies overwrite the header.
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
            if !self.is_trusted(client) {
                break;
            }
        }
        (client, over_https)
    }
}

/// In place of a line that is not text. It is not an address, so reading ends there.
const UNREADABLE: &str = "?";

/// The lines of a header, the last one first.
fn lines<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> + use<'a> {
    let lines: Vec<&str> = headers.get_all(name).map(|line| line.to_str().unwrap_or(UNREADABLE)).collect();
    lines.into_iter().rev()
}

fn is_https(scheme: &str) -> bool {
    scheme.trim().eq_ignore_ascii_case("https")
}

/// The network of one customer: in IPv6 that is a /64 at least.
pub fn customer_network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests;
