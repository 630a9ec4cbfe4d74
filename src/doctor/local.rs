//! A gateway on this machine.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::time::timeout;
use url::Url;

use super::{Response, Site};
use crate::tls;

/// Sends a GET to the gateway that is bound to `bind`, and accepts every certificate: another process that could listen there
/// could also stop this command.
///
/// # Errors
/// Why there is no answer within `limit`.
pub(crate) async fn get(
    bind: SocketAddr,
    over_tls: bool,
    target: &str,
    limit: Duration,
) -> Result<Response, String> {
    let scheme = if over_tls { "https" } else { "http" };
    let url = Url::parse(&format!("{scheme}://{}", reachable(bind))).map_err(|error| error.to_string())?;
    let tls = tls::unverified_config().map_err(|error| error.to_string())?;
    let site = Site::new(&url, Some(&tls));
    let answer = timeout(limit, site.get(target, &[])).await;
    answer.unwrap_or_else(|_| Err(format!("no answer within {limit:?}")))
}

/// The address at which a process on this machine reaches what is bound to `bind`.
pub(crate) fn reachable(mut bind: SocketAddr) -> SocketAddr {
    if bind.ip().is_unspecified() {
        let v4 = bind.is_ipv4();
        bind.set_ip(if v4 { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    bind
}
