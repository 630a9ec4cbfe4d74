//! One question of the prober's, and its answer.

use std::{sync::Arc, time::Duration};

use actix_web::{
    http::{Method, uri::PathAndQuery},
    web::Bytes,
};
use tokio::time::timeout;

use crate::{
    http_client::{TransportFault, beginning},
    proxy::{Proxy, ProxyError},
    upstream::{ProbeResponse, Upstream},
};

/// The most that is read of an answer, in bytes: what it is shows at its beginning.
const MAX_ANSWER: usize = 64 * 1024;

/// Why there is no answer.
pub(super) enum Unreached {
    Late,
    Proxy(ProxyError),
}

/// Asks a server of MLflow's, as the gateway.
pub(super) async fn ask(
    upstream: &Arc<Upstream>,
    proxy: &Proxy,
    target: &PathAndQuery,
    patience: Duration,
) -> Result<ProbeResponse, Unreached> {
    let asking = async {
        let get = || proxy.ask(upstream, &Method::GET, target, Bytes::new());
        let answer = match get().await {
            // Nothing is wrong with a server that closes what is idle.
            Err(ProxyError::Transport(TransportFault::ClosedIdle)) => get().await,
            answer => answer,
        };
        let answer = answer.map_err(Unreached::Proxy)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        // Read to its end, if that is near, so that the connection can be used again.
        let (body, end) = beginning(answer, MAX_ANSWER).await;
        Ok(ProbeResponse { status, headers, body, end })
    };
    timeout(patience, asking).await.unwrap_or(Err(Unreached::Late))
}
