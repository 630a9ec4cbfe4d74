//! A check at the start: whether the auth service accepts connections. It is not called: a call needs somebody's key.

use std::io;

use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use crate::{
    code::Code,
    settings::AuthService,
    telemetry::{Dependency, Metrics},
};

/// Connects once, and logs the outcome.
pub(crate) async fn check_reachability(service: AuthService, metrics: Metrics) {
    let host = service.url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = service.url.port_or_known_default().unwrap_or(443);
    let connecting = async {
        let addresses: Vec<_> = match lookup_host((&*host, port)).await {
            Ok(addresses) => addresses.collect(),
            Err(error) => return Err((Code::AuthNameUnknown, error)),
        };
        TcpStream::connect(&*addresses).await.map_err(|error| (Code::AuthUnreachable, error))
    };
    let late = |_| Err((Code::AuthUnreachable, io::ErrorKind::TimedOut.into()));
    let Err((code, error)) = timeout(service.timeout, connecting).await.unwrap_or_else(late) else {
        return tracing::info!("the auth service takes connections");
    };
    metrics.set_dependency_up(Dependency::AuthService, false);
    let (cause, fix) = match code {
        Code::AuthNameUnknown => (
            "the name is misspelt, or unknown to this machine's DNS",
            "set auth.service.url to a name that this machine can resolve",
        ),
        _ => (
            "it is not running, or a firewall blocks this machine",
            "start it, or set auth.service.url to its own address; `hokusai-gateway check --probe` shows more",
        ),
    };
    tracing::warn!(code = code.text(), reason = %error, cause, fix, "the auth service cannot be reached");
}
