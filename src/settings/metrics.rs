//! Who may read the metrics.

use ipnet::IpNet;

use super::reader::Reader;

/// `[metrics]`
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Peers that may; everybody else is told that there is no such route.
    pub allow: Vec<IpNet>,
}

impl Metrics {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        Some(Self { allow: reader.list("metrics.allow")? })
    }
}
