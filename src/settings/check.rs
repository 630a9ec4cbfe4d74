//! Settings that contradict each other.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use super::{Metrics, Mlflow, Server, problem::Problem};
use crate::code::Code;

/// Problems between sections.
pub(super) fn contradictions(server: &Server, mlflow: &Mlflow, metrics: &Metrics) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(bind) = metrics.bind.filter(|bind| bind.port() != 0 && bind.port() == server.bind.port())
        && (bind.ip() == server.bind.ip() || bind.ip().is_unspecified() || server.bind.ip().is_unspecified())
    {
        problems.push(Problem {
            code: Code::ContradictingSettings,
            key: "metrics.bind".to_owned(),
            found: Some(bind.to_string()),
            what: format!("is the address of the gateway itself: server.bind is {}", server.bind),
            fix: "another port, such as 127.0.0.1:9464; or off".to_owned(),
        });
    }
    let urls = mlflow.urls.iter().map(|url| ("mlflow.url", url));
    let urls = urls.chain(mlflow.artifacts_urls.iter().map(|url| ("mlflow.artifacts_url", url)));
    for (key, url) in urls.filter(|(_, url)| is_own_address(url, server.bind)) {
        problems.push(Problem {
            code: Code::Loop,
            key: key.to_owned(),
            found: Some(url.to_string()),
            what: "is the gateway's own address: every request would come back to it".to_owned(),
            fix: "the address of MLflow itself, or another server.bind".to_owned(),
        });
    }
    problems
}

/// Whether `url` is the address that the gateway listens on; without a DNS lookup.
fn is_own_address(url: &Url, bind: SocketAddr) -> bool {
    if bind.port() == 0 || url.port_or_known_default() != Some(bind.port()) {
        return false;
    }
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain("localhost")) => return bind.ip().is_loopback() || bind.ip().is_unspecified(),
        _ => return false,
    };
    address == bind.ip()
        || (bind.ip().is_unspecified() && (address.is_loopback() || address.is_unspecified()))
}
