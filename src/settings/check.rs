//! Settings that are right one by one and wrong together.

use std::net::IpAddr;

use url::{Host, Url};

use super::{Settings, problem::Problem};

/// The problems that only the whole of the settings shows.
pub(super) fn contradictions(settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |key: &str, found: String, what: &str, fix: &str| {
        problems.push(Problem {
            key: key.to_owned(),
            found: Some(found),
            what: what.to_owned(),
            fix: fix.to_owned(),
        });
    };

    if is_own_address(&settings.mlflow.url, settings) {
        problem(
            "mlflow.url",
            settings.mlflow.url.to_string(),
            "is the gateway's own address: every request would come back to it",
            "the address of MLflow itself, or another server.bind",
        );
    }
    if settings.mlflow.max_connections == 0 {
        problem("mlflow.max_connections", "0".to_owned(), "lets no request through", "1 or more");
    }
    problems
}

/// Whether `url` names the address that the gateway listens on, as far as can be told without asking DNS.
fn is_own_address(url: &Url, settings: &Settings) -> bool {
    let bind = settings.server.bind;
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
