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
        let what = format!("is the address of the gateway itself: server.bind is {}", server.bind);
        let fix = "another port, such as 127.0.0.1:9464; or off";
        problems.push(Problem::new(Code::ConflictingSettings, "metrics.bind", what, fix).with_found(bind));
    }
    let urls = mlflow.urls.iter().map(|url| ("mlflow.url", url));
    let urls = urls.chain(mlflow.artifacts_urls.iter().map(|url| ("mlflow.artifacts_url", url)));
    for (key, url) in urls.filter(|(_, url)| is_own_address(url, server.bind)) {
        let what = "is the gateway's own address: every request would come back to it";
        let fix = "the address of MLflow itself, or another server.bind";
        problems.push(Problem::new(Code::Loop, key, what, fix).with_found(url));
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
