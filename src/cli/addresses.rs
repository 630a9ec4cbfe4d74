//! Whether the gateway can listen where it should: `check` tries.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use super::neighbour;
use crate::{
    server::{self, Unbound},
    settings::{Problem, Settings},
};

/// Time for a gateway that may be there to say so.
const PATIENCE: Duration = Duration::from_secs(1);
const MOST: u64 = 256 * 1024;
/// What only a gateway's metrics have.
const OF_METRICS: &str = "hokusai_gateway_build_info";

/// What would be wrong with the addresses if the gateway were started here. All of it are warnings: `check` is run on other
/// machines, as other users, and beside the gateway itself, which has taken them.
pub(super) fn examine(settings: &Settings) -> Vec<Problem> {
    let over_tls = settings.server.tls.is_some();
    let main = [("server.bind", settings.server.bind, over_tls, "/version", "\"config_hash\"")];
    let metrics = settings.metrics.bind.map(|bind| ("metrics.bind", bind, false, "/metrics", OF_METRICS));
    let mut warnings = Vec::new();
    for (key, address, over_tls, path, sign) in main.into_iter().chain(metrics) {
        let Err(error) = server::try_out(address) else { continue };
        let Unbound { code, what, fix } = server::meaning(address, &error);
        let mut problem =
            Problem { code, key: key.to_owned(), found: Some(format!("{address} ({error})")), what, fix };
        if error.kind() != ErrorKind::AddrInUse {
            problem.fix = format!("nothing, if the gateway is to run elsewhere; or else {}", problem.fix);
        } else if is_a_gateway(address, over_tls, path, sign) {
            "is taken by a gateway that runs already".clone_into(&mut problem.what);
            problem.fix =
                format!("nothing, if this is the one that `check` is run beside; or else {}", problem.fix);
        }
        warnings.push(problem);
    }
    warnings
}

fn is_a_gateway(address: SocketAddr, over_tls: bool, path: &str, sign: &str) -> bool {
    let says = |over_tls| {
        let answer = neighbour::get(neighbour::local(address), over_tls, path, MOST, PATIENCE);
        answer.is_ok_and(|answer| answer.contains(sign))
    };
    // One that was started before its settings changed speaks as they were.
    says(over_tls) || says(!over_tls)
}
