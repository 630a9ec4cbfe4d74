//! An address as proxies write it: with a port, in brackets, with a zone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address of a node: `192.0.2.1`, `192.0.2.1:4711` (Azure's Application Gateway), `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:4711`, with or without a zone (RFC 4007 §11), with an obfuscated port (RFC 7239 §6). `None` for `unknown`, `_hidden`
/// and anything else.
pub(super) fn address(node: &str) -> Option<IpAddr> {
    let node = node.trim_matches([' ', '\t']);
    if let Some(rest) = node.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        let is_valid = after.is_empty() || after.strip_prefix(':').is_some_and(is_port);
        return v6(host).filter(|_| is_valid);
    }
    match node.split_once(':') {
        None => v4(node),
        Some((host, port)) if !port.contains(':') => v4(host).filter(|_| is_port(port)),
        // More than one colon: IPv6 without a port, which could not be distinguished from the last group.
        Some(_) => v6(node),
    }
}

fn v4(text: &str) -> Option<IpAddr> {
    text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

/// An IPv4-mapped address becomes an IPv4 address.
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
    fn an_address_is_found_with_ports_brackets_and_zones() {
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
    fn anything_else_is_not_an_address() {
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
