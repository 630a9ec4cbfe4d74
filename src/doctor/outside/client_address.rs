//! The address that the gateway sees for a client: the limits on wrong keys, the log and the audit stream use it.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use super::{Deployment, edge::is_private};
use crate::{
    code::Code,
    doctor::{Fault, Finding, Journal, passed},
};

/// Asks the gateway for it. It answers only with a good key (gateway/own_address.rs).
const QUESTION: (&str, &str) = ("x-hokusai-tell", "client-ip");
const ANSWER: &str = "x-hokusai-client-ip";

impl Deployment {
    pub(super) async fn client_address(&self, journal: &mut Journal) {
        let answer = self.search(&[("authorization", &self.authorization), QUESTION]).await;
        let seen = answer.ok().and_then(|answer| answer.header(ANSWER)?.parse::<IpAddr>().ok());
        let Some(seen) = seen else {
            let why = "no answer: an older gateway, or a proxy that removes X-Hokusai- headers";
            journal.skip("client address", why);
            return;
        };
        let servers = self.url.socket_addrs(|| None).unwrap_or_default();
        journal.check("client address", async { judge(seen, &servers) }).await;
    }
}

fn judge(seen: IpAddr, servers: &[SocketAddr]) -> Finding {
    if is_private(seen) && servers.iter().all(|server| !is_private(server.ip())) {
        return Err(Fault::new(
            Code::UntrustedProxy,
            format!("the gateway takes {seen} for this machine's address, and has a public address itself"),
            "that is the load balancer's address: it sends no X-Forwarded-For, or the gateway does not trust it. All clients share \
             one address, and a few wrong keys of one client lock out all",
            "the networks of the load balancer in server.trusted_proxies; and let it send X-Forwarded-For, or name the header that it \
             sends in server.forwarded_header",
        ));
    }
    let own = if is_of_this_machine(seen, servers) {
        "this machine's own"
    } else {
        "not this machine's own: that of a NAT, of a proxy, or of a load balancer that server.trusted_proxies does not name"
    };
    passed(format!("the gateway sees {seen}, {own}"))
}

/// Whether packets to one of the servers leave with this source address. Sends none.
fn is_of_this_machine(seen: IpAddr, servers: &[SocketAddr]) -> bool {
    let source_address = |server: &SocketAddr| {
        let any: IpAddr = if server.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(server).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    servers.iter().any(|server| source_address(server) == Some(seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_client_address_is_a_load_balancers_if_the_gateways_is_public() {
        let judged = |seen: &str, server: &str| {
            let outcome = judge(seen.parse().unwrap(), &[server.parse().unwrap()]);
            outcome.map(|(_, found)| found.contains("not this")).map_err(|fault| fault.code)
        };
        assert_eq!(judged("127.0.0.1", "127.0.0.1:80"), Ok(false));
        assert_eq!(judged("10.1.2.3", "127.0.0.1:80"), Ok(true));
        assert_eq!(judged("198.51.100.7", "127.0.0.1:80"), Ok(true));
        for inside in ["10.1.2.3", "127.0.0.1", "fd00::1", "192.168.0.1"] {
            assert_eq!(judged(inside, "198.51.100.7:443"), Err(Code::UntrustedProxy), "{inside}");
        }
    }
}
