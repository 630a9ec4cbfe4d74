//! The listener of the metrics, and its clients.

use std::net::SocketAddr;

use ipnet::IpNet;

use super::{
    reader::{Noted, Reader},
    value::{FromText, section},
};

/// `[metrics]`
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Never the main listener: a proxy that adds no headers would make the metrics public. `None`: no listener.
    pub bind: Option<SocketAddr>,
    /// Peers that may read them; others get a 404.
    pub allow: Vec<IpNet>,
}

/// An address, or `off`.
impl FromText for Option<SocketAddr> {
    const FORM: &'static str =
        "an IP address and a port, such as 127.0.0.1:9464; port 0 for any that is free; or off";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        if text == "off" { Ok(None) } else { SocketAddr::from_text(text).map(Some) }
    }
}

impl Metrics {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, Noted> {
        section!(Self { bind: reader.value("metrics.bind"), allow: reader.list("metrics.allow") })
    }
}
