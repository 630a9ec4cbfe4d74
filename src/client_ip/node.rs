//! An address as proxies write it: with a port, in brackets, with a zone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address of a node: `192.0.2.1`, `192.0.2.1:4711` (as Azure's Application Gateway has it), `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:4711`, with or without a zone (RFC 4007 §11). RFC 7239 §6 may hide the port. `None` for what is no address:
/// `unknown`, `_hidden`.
pub(super) fn address(node: &str) -> Option<IpAddr> {
    let node = node.trim_matches([' ', '\t']);
    if let Some(rest) = node.strip_prefix('[') {
        let (host, behind) = rest.split_once(']')?;
        let is_well = behind.is_empty() || behind.strip_prefix(':').is_some_and(is_port);
        return v6(host).filter(|_| is_well);
    }
    match node.split_once(':') {
        None => v4(node),
        Some((host, port)) if !port.contains(':') => v4(host).filter(|_| is_port(port)),
        // More than one colon is IPv6, in which a port could not be told from the last group.
        Some(_) => v6(node),
    }
}

fn v4(text: &str) -> Option<IpAddr> {
    text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

/// An address of IPv4 that is written as one of IPv6 is one of IPv4.
fn v6(text: &str) -> Option<IpAddr> {
    let host = text.split_once('%').map_or(text, |(host, _)| host);
    host.parse::<Ipv6Addr>().ok().map(|address| address.to_canonical())
}

fn is_port(text: &str) -> bool {
    let is_number = !text.starts_with('+') && text.parse::<u16>().is_ok();
    is_number || (text.len() > 1 && text.starts_with('_'))
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_address_is_found_in_whatever_it_is_wrapped() {
        for (node, expected) in [
            ("203.0.113.9", "203.0.113.9"),
            (" \t203.0.113.9 ", "203.0.113.9"),
            ("203.0.113.9:4711", "203.0.113.9"),
            ("203.0.113.9:_port", "203.0.113.9"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("[2001:db8::1]:_x", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:80", "fe80::1"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("[::ffff:203.0.113.9]:1", "203.0.113.9"),
        ] {
            assert_eq!(address(node).map(|address| address.to_string()).as_deref(), Some(expected), "{node}");
        }
    }

    #[test]
    fn what_is_no_address_is_none() {
        for node in [
            "",
            "unknown",
            "_hidden",
            "localhost",
            "203.0.113",
            "203.0.113.9:",
            "203.0.113.9:x",
            "203.0.113.9:70000",
            "203.0.113.9:+1",
            "203.0.113.9:_",
            "203.0.113.9%eth0",
            "203.0.113.09",
            "[203.0.113.9]",
            "[203.0.113.9]:80",
            "[2001:db8::1",
            "2001:db8::1]",
            "[2001:db8::1]4711",
            "[2001:db8::1]:",
            "[]",
            "\"203.0.113.9\"",
            "203.0.113.9 203.0.113.8",
        ] {
            assert_eq!(address(node), None, "{node}");
        }
    }
}
