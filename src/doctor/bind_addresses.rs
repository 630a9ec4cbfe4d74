//! Whether the gateway could listen at its addresses: `check` tries to bind them.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use super::local;
use crate::{
    server::{self, BindFault},
    settings::{Problem, Settings},
};

/// Time for a running gateway to answer.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Only a gateway has this metric.
const METRIC: &str = "hokusai_gateway_build_info";

/// The problems that the gateway would have with its addresses if it were started here. All are warnings: `check` is run on
/// other machines, as other users, and beside a running gateway.
pub(crate) async fn problems(settings: &Settings) -> Vec<Problem> {
    let over_tls = settings.server.tls.is_some();
    let main = [("server.bind", settings.server.bind, over_tls, "/version", "\"config_hash\"")];
    let metrics = settings.metrics.bind.map(|bind| ("metrics.bind", bind, false, "/metrics", METRIC));
    let mut problems = Vec::new();
    for (key, address, over_tls, target, text) in main.into_iter().chain(metrics) {
        let Err(error) = server::check_bind(address) else { continue };
        let BindFault { code, what, fix } = server::bind_fault(address, &error);
        let mut problem = Problem::new(code, key, what, fix).with_found(format!("{address} ({error})"));
        if error.kind() != ErrorKind::AddrInUse {
            problem.fix = format!("nothing, if the gateway will run elsewhere; or else {}", problem.fix);
        } else if is_gateway(address, over_tls, target, text).await {
            "is in use by a running gateway".clone_into(&mut problem.what);
            problem.fix = format!("nothing, if `check` is run beside this gateway; or else {}", problem.fix);
        }
        problems.push(problem);
    }
    problems
}

/// Whether a gateway answers there. With or without TLS: its settings may have changed since it was started.
async fn is_gateway(address: SocketAddr, over_tls: bool, target: &str, text: &str) -> bool {
    for over_tls in [over_tls, !over_tls] {
        let answer = local::get(address, over_tls, target, TIMEOUT).await;
        if answer.is_ok_and(|answer| answer.text().contains(text)) {
            return true;
        }
    }
    false
}
