//! Which address the gateway takes for the client's: limits on wrong keys, the log and the audit stream go by it.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use awc::{body, http::Method};

use super::{Deployment, edge::is_private};
use crate::{
    code::Code,
    doctor::{Fault, Finding, Journal},
    upstream::search,
};

/// Asked of the gateway, which answers whoever has a good key (gateway/own_address.rs).
const ASKED: (&str, &str) = ("x-hokusai-tell", "client-ip");
const ANSWER: &str = "x-hokusai-client-ip";

impl Deployment {
    pub(super) async fn client_address(&self, journal: &mut Journal) {
        let target = format!("{}/api{}", self.mount, search());
        let headers = [("authorization", &*self.authorization), ASKED];
        let answer = self.site.ask(Method::GET, &target, &headers, body::None::new()).await;
        let told = answer.ok().and_then(|answer| answer.header(ANSWER)?.parse::<IpAddr>().ok());
        let Some(seen) = told else {
            journal.skip(
                "client address",
                "not told: an older gateway, or something takes X-Hokusai- headers away",
            );
            return;
        };
        let servers = self.url.socket_addrs(|| None).unwrap_or_default();
        journal.check("client address", async { judge(seen, &servers) }).await;
    }
}

fn judge(seen: IpAddr, servers: &[SocketAddr]) -> Finding {
    if is_private(seen) && servers.iter().all(|server| !is_private(server.ip())) {
        return Err(Fault::new(
            Code::BalancersAddress,
            format!("the gateway takes {seen} for this machine's address, and its own is a public one"),
            "that is the load balancer's address: it sends no X-Forwarded-For, or the gateway does not trust it, so that all \
             clients are one, and a few wrong keys of one lock out all",
            "the networks of the load balancer in server.trusted_proxies; and let it send X-Forwarded-For, or name what it sends in \
             server.forwarded_header",
        ));
    }
    let own = if is_of_this_machine(seen, servers) {
        "this machine's own"
    } else {
        "not this machine's own: a NAT's or a proxy's, or a load balancer's that server.trusted_proxies does not name"
    };
    Ok(((), format!("the gateway sees {seen}, {own}")))
}

/// Whether packets to one of them leave under this address. None are sent.
fn is_of_this_machine(seen: IpAddr, servers: &[SocketAddr]) -> bool {
    let leaves_under = |server: &SocketAddr| {
        let any: IpAddr = if server.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(server).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    servers.iter().any(|server| leaves_under(server) == Some(seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_inside_is_a_load_balancers_where_the_gateway_is_outside() {
        let judged = |seen: &str, server: &str| {
            let outcome = judge(seen.parse().unwrap(), &[server.parse().unwrap()]);
            outcome.map(|(_, told)| told.contains("not this")).map_err(|fault| fault.code)
        };
        assert_eq!(judged("127.0.0.1", "127.0.0.1:80"), Ok(false));
        assert_eq!(judged("10.1.2.3", "127.0.0.1:80"), Ok(true));
        assert_eq!(judged("198.51.100.7", "127.0.0.1:80"), Ok(true));
        for inside in ["10.1.2.3", "127.0.0.1", "fd00::1", "192.168.0.1"] {
            assert_eq!(judged(inside, "198.51.100.7:443"), Err(Code::BalancersAddress), "{inside}");
        }
    }
}
