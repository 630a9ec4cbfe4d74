//! The listener of the metrics, and its clients.

use std::net::SocketAddr;

use ipnet::IpNet;

use super::{reader::Reader, value::FromText};

/// `[metrics]`
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Never the main listener: a proxy that adds no headers would make the metrics public. `None`: no listener.
    pub bind: Option<SocketAddr>,
    /// Peers that may read them; others get a 404.
    pub allow: Vec<IpNet>,
}

/// An address, or `off`.
struct OrOff(Option<SocketAddr>);

impl FromText for OrOff {
    const FORM: &'static str =
        "an IP address and a port, such as 127.0.0.1:9464; port 0 for any that is free; or off";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        if text == "off" { Ok(Self(None)) } else { SocketAddr::from_text(text).map(Some).map(Self) }
    }
}

impl Metrics {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let bind = reader.value::<OrOff>("metrics.bind");
        let allow = reader.list("metrics.allow");
        Some(Self { bind: bind?.0, allow: allow? })
    }
}
