//! The way to the gateway: DNS, TCP, TLS; and no way without TLS.

use std::net::{IpAddr, SocketAddr};

use super::Deployment;
use crate::{
    code::Code,
    doctor::{Endpoint, Fault, Finding, Journal, Party, Site, excerpt, passed, start_of},
};

impl Deployment {
    pub(super) async fn edge(&self, journal: &mut Journal) -> Option<()> {
        let is_https = self.url.scheme() == "https";
        let endpoint = Endpoint::of(Party::Gateway, &self.url, self.tls.as_ref(), ["--url", "--ca"]);
        let addresses = endpoint.reach(journal, "").await?;
        if !is_https {
            journal.check("tls", without_tls(&addresses)).await;
        } else if self.url.port().is_none() {
            let plain = Endpoint { port: 80, tls: None, ..endpoint };
            journal.check("http on port 80", self.plain_http(&plain)).await;
        }
        Some(())
    }

    /// Port 80 must be closed, or redirect to https: a server there would receive keys in clear text.
    async fn plain_http(&self, endpoint: &Endpoint) -> Finding {
        let (addresses, _) = endpoint.resolve().await?;
        if endpoint.connect(&addresses).await.is_err() {
            return passed("port 80 accepts no connections");
        }
        let mut url = self.url.clone();
        let _ = url.set_scheme("http");
        let site = Site::new(&url, None);
        let answer = site.get(&format!("{}/health/mlflow", self.mount), &[]).await;
        let fault = |what: String| {
            Fault::new(
                Code::PlainHttp,
                what,
                "the HTTP listener forwards to the gateway, or to another service, and does not redirect",
                "only a redirect to https on port 80, or no listener",
            )
        };
        let answer =
            answer.map_err(|error| fault(format!("port 80 is open and does not answer: {error}")))?;
        let location = answer.header("location").unwrap_or_default();
        if answer.status.is_redirection() && location.starts_with("https://") {
            passed(format!("{} to {}", answer.status.as_u16(), start_of(location.as_bytes())))
        } else {
            Err(fault(format!("http://… answers {}: keys would travel in clear text", excerpt(&answer))))
        }
    }
}

/// Without TLS the address must be a private one.
async fn without_tls(addresses: &[SocketAddr]) -> Finding {
    if addresses.iter().all(|address| is_private(address.ip())) {
        return passed("none; the address is private");
    }
    Err(Fault::new(
        Code::PlainHttp,
        "http:// to a public address: keys and artifacts travel in clear text",
        "the gateway has no certificate, and no load balancer before it ends TLS; or --url says http",
        "https:// in --url; server.tls.cert, or a load balancer with an HTTPS listener",
    ))
}

pub(super) fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}
