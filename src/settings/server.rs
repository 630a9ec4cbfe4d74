//! The listener and its clients.

use std::{net::SocketAddr, time::Duration};

use ipnet::IpNet;

use super::reader::Reader;

/// `[server]`
#[derive(Debug, Clone)]
pub struct Server {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Worker threads; 0 is one for each core.
    pub workers: usize,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long an idle client connection is kept.
    pub keep_alive: Duration,
    /// Time for the head of a connection's first request.
    pub head_timeout: Duration,
    /// Time a client may stall in the middle of its body.
    pub body_idle_timeout: Duration,
    /// Time for transfers in flight at SIGTERM.
    pub drain_grace: Duration,
}

impl Server {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let bind = reader.value("server.bind");
        let workers = reader.value("server.workers");
        let trusted_proxies = reader.list("server.trusted_proxies");
        let keep_alive = reader.value("server.keep_alive");
        let head_timeout = reader.value("server.head_timeout");
        let body_idle_timeout = reader.value("server.body_idle_timeout");
        let drain_grace = reader.value("server.drain_grace");
        Some(Self {
            bind: bind?,
            workers: workers?,
            trusted_proxies: trusted_proxies?,
            keep_alive: keep_alive?,
            head_timeout: head_timeout?,
            body_idle_timeout: body_idle_timeout?,
            drain_grace: drain_grace?,
        })
    }
}
