//! The way to the gateway: DNS, TCP, TLS; and that nobody can take it without.

use std::net::{IpAddr, SocketAddr};

use awc::{body, http::Method};

use super::Deployment;
use crate::{
    code::Code,
    doctor::{Fault, Finding, Journal, Party, Place, Site, excerpt, start_of},
};

impl Deployment {
    pub(super) async fn edge(&self, journal: &mut Journal) -> Option<()> {
        let is_https = self.url.scheme() == "https";
        let place = Place::of(Party::Gateway, &self.url, self.tls.as_ref(), ["--url", "--ca"]);
        let addresses = place.reach(journal, "").await?;
        if !is_https {
            journal.check("tls", in_the_clear(&addresses)).await;
        } else if self.url.port().is_none() {
            let plain = Place { port: 80, tls: None, ..place };
            journal.check("http on port 80", self.plain_http(&plain)).await;
        }
        Some(())
    }

    /// Port 80 is closed, or leads to https: what answers there is sent keys in the clear.
    async fn plain_http(&self, place: &Place) -> Finding {
        let (addresses, _) = place.resolve().await?;
        if place.connect(&addresses).await.is_err() {
            return Ok(((), "port 80 takes no connections".to_owned()));
        }
        let mut url = self.url.clone();
        let _ = url.set_scheme("http");
        let site = Site::new(&url, None);
        let target = format!("{}/health/mlflow", self.mount);
        let answer = site.ask(Method::GET, &target, &[], body::None::new()).await;
        let fault = |what: String| {
            Fault::new(
                Code::PlainHttp,
                what,
                "the HTTP listener forwards to the gateway, or to something else, instead of redirecting",
                "on port 80 nothing but a redirect to https, or no listener",
            )
        };
        let answer =
            answer.map_err(|error| fault(format!("port 80 is open and does not answer: {error}")))?;
        let location = answer.header("location").unwrap_or_default();
        if answer.status.is_redirection() && location.starts_with("https://") {
            Ok(((), format!("{} to {}", answer.status.as_u16(), start_of(location.as_bytes()))))
        } else {
            Err(fault(format!("http://… answers {}: keys would travel in the clear", excerpt(&answer))))
        }
    }
}

/// Without TLS only between machines that trust the network between them.
async fn in_the_clear(addresses: &[SocketAddr]) -> Finding {
    if addresses.iter().all(|address| is_private(address.ip())) {
        return Ok(((), "none; the address is a private one".to_owned()));
    }
    Err(Fault::new(
        Code::PlainHttp,
        "http:// to a public address: keys and artifacts travel in the clear",
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
