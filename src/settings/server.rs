//! The listener and its clients.

use std::{
    net::SocketAddr,
    num::{NonZeroU64, NonZeroUsize},
    thread,
    time::Duration,
};

use ipnet::IpNet;
use url::Url;

use super::{
    reader::{Noted, Reader},
    tls::Identity,
    value::{FromText, OrZero, section, words},
};

/// `[server]`
#[derive(Debug, Clone)]
pub struct Server {
    /// The address to listen on; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Worker threads; 0 is one for each core.
    pub workers: usize,
    /// The most client connections; `None`: as many as the limit on open files allows.
    pub max_connections: Option<NonZeroUsize>,
    /// Peers that may name the client's address.
    pub trusted_proxies: Vec<IpNet>,
    /// The header with the client's address.
    pub forwarded_header: ForwardedHeader,
    /// How long an idle client connection is kept.
    pub keep_alive: Duration,
    /// Time for the head of a connection's first request.
    pub head_timeout: Duration,
    /// Time a client may stall in the middle of a body, either way.
    pub body_idle_timeout: Duration,
    /// The least bytes a second of a body, either way, over `body_idle_timeout`.
    pub min_body_rate: NonZeroU64,
    /// The largest body of a request, in bytes.
    pub max_body: Option<NonZeroU64>,
    /// The certificate for clients; `None`: no TLS.
    pub tls: Option<Identity>,
    /// Origins whose pages may use the gateway with a browser's credentials, and read what it answers.
    pub allowed_origins: Vec<WebOrigin>,
    /// Time after SIGTERM in which `/ready` says no and requests are still served.
    pub settle_time: Duration,
    /// Time for requests in flight after that.
    pub drain_grace: Duration,
}

words! {
    /// The header with the client's address. Never both: a proxy that sets one passes the other on as the client sent it.
    pub enum ForwardedHeader {
        /// `X-Forwarded-For`, with `X-Forwarded-Proto`.
        XForwardedFor = "x-forwarded-for",
        /// RFC 7239.
        Forwarded = "forwarded",
    }
}

/// The origin of a page, as browsers write it in `Origin` (RFC 6454 §6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebOrigin(String);

impl WebOrigin {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromText for WebOrigin {
    const FORM: &'static str = "the origin of a page, such as https://dashboards.example.com";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Err("would let every site act as whoever is logged in");
        }
        let url = Url::from_text(text)?;
        if url.path() != "/" {
            return Err("has a path; an origin is a scheme, a host and a port");
        }
        Ok(Self(url.origin().ascii_serialization()))
    }
}

impl Server {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, Noted> {
        section!(Self {
            bind: reader.value("server.bind"),
            workers: reader.value("server.workers"),
            max_connections: reader.optional("server.max_connections"),
            trusted_proxies: reader.list("server.trusted_proxies"),
            forwarded_header: reader.value("server.forwarded_header"),
            keep_alive: reader.value("server.keep_alive"),
            head_timeout: reader.value("server.head_timeout"),
            body_idle_timeout: reader.value("server.body_idle_timeout"),
            min_body_rate: reader.value("server.min_body_rate"),
            max_body: reader.optional("server.max_body"),
            tls: Identity::read(reader, "server.tls.cert", "server.tls.key"),
            allowed_origins: reader.list("server.cors.allowed_origins"),
            settle_time: reader.value::<OrZero>("server.settle_time").map(|time| time.0),
            drain_grace: reader.value("server.drain_grace"),
        })
    }

    /// How many worker threads there are.
    pub fn worker_count(&self) -> usize {
        let of_cores = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
        if self.workers > 0 { self.workers } else { of_cores() }
    }
}
