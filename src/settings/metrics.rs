//! Who may read the metrics, and where.

use std::net::SocketAddr;

use ipnet::IpNet;

use super::reader::Reader;

/// `[metrics]`
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Peers that may; everybody else is told that there is no such route.
    pub allow: Vec<IpNet>,
    /// A listener of their own; `None`: the main one.
    pub bind: Option<SocketAddr>,
}

impl Metrics {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let allow = reader.list("metrics.allow");
        let bind = reader.optional("metrics.bind");
        Some(Self { allow: allow?, bind: bind? })
    }
}
