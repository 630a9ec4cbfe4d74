//! The listener and its clients.

use std::{
    net::SocketAddr,
    num::{NonZeroU64, NonZeroUsize},
    thread,
    time::Duration,
};

use ipnet::IpNet;

use super::{
    reader::Reader,
    tls::Identity,
    value::{ByteSize, OrZero, words},
};

/// `[server]`
#[derive(Debug, Clone)]
pub struct Server {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Worker threads; 0 is one for each core.
    pub workers: usize,
    /// The most connections of clients; not set: as many as there are files for.
    pub max_connections: Option<NonZeroUsize>,
    /// Peers that are believed who their client is.
    pub trusted_proxies: Vec<IpNet>,
    /// By which header they say so.
    pub forwarded_header: ForwardedHeader,
    /// How long an idle client connection is kept.
    pub keep_alive: Duration,
    /// Time for the head of a connection's first request.
    pub head_timeout: Duration,
    /// Time a client may stall in the middle of a body, either way.
    pub body_idle_timeout: Duration,
    /// Bytes a second that a body must come to, either way, over a time of that length.
    pub min_body_rate: NonZeroU64,
    /// The largest body of a request, in bytes.
    pub max_body: Option<NonZeroU64>,
    /// The certificate that clients are shown; not set: no TLS.
    pub tls: Option<Identity>,
    /// Time after SIGTERM in which the gateway says that it is not ready, and goes on.
    pub settle_time: Duration,
    /// Time for transfers in flight after that.
    pub drain_grace: Duration,
}

/// The header in which proxies say who their client is. Never both: a proxy that sets one passes the other on as a client sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, with `X-Forwarded-Proto`.
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

words!(ForwardedHeader, "x-forwarded-for" => Self::XForwardedFor, "forwarded" => Self::Forwarded);

impl Server {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let bind = reader.value("server.bind");
        let workers = reader.value("server.workers");
        let max_connections = reader.optional("server.max_connections");
        let trusted_proxies = reader.list("server.trusted_proxies");
        let forwarded_header = reader.value("server.forwarded_header");
        let keep_alive = reader.value("server.keep_alive");
        let head_timeout = reader.value("server.head_timeout");
        let body_idle_timeout = reader.value("server.body_idle_timeout");
        let min_body_rate = reader.value::<ByteSize>("server.min_body_rate");
        let max_body = reader.optional::<ByteSize>("server.max_body");
        let tls = Identity::read(reader, "server.tls.cert", "server.tls.key");
        let settle_time = reader.value::<OrZero>("server.settle_time");
        let drain_grace = reader.value("server.drain_grace");
        Some(Self {
            bind: bind?,
            workers: workers?,
            max_connections: max_connections?,
            trusted_proxies: trusted_proxies?,
            forwarded_header: forwarded_header?,
            keep_alive: keep_alive?,
            head_timeout: head_timeout?,
            body_idle_timeout: body_idle_timeout?,
            min_body_rate: min_body_rate?.0,
            max_body: max_body?.map(|bytes| bytes.0),
            tls: tls?,
            settle_time: settle_time?.0,
            drain_grace: drain_grace?,
        })
    }

    /// How many worker threads there are.
    pub fn worker_count(&self) -> usize {
        let of_cores = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
        if self.workers > 0 { self.workers } else { of_cores() }
    }
}
