//! Prometheus metrics. A label's value is one of the gateway's own words, never a client's: so the number of series is
//! bounded.

mod deliveries;
mod dependencies;
mod families;
mod keys;
mod process;
mod requests;
mod worker;

use std::sync::Arc;

use prometheus::{Registry, TextEncoder, proto::MetricFamily};

use families::Families;

pub use dependencies::Dependency;
pub use worker::WorkerMetrics;

/// The metrics of one gateway. A clone counts into the same ones; every request has one, so it is one pointer.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<All>);

#[derive(Debug)]
struct All {
    registry: Registry,
    requests: requests::RequestMetrics,
    dependencies: dependencies::DependencyMetrics,
    keys: keys::KeyMetrics,
    deliveries: deliveries::DeliveryMetrics,
    process: process::ProcessMetrics,
}

impl Metrics {
    /// # Errors
    /// None that does not show at the first start: a name that Prometheus does not allow, or one given twice.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("hokusai_gateway".to_owned()), None)?;
        let families = Families(&registry);
        Ok(Self(Arc::new(All {
            requests: requests::RequestMetrics::new(&families)?,
            dependencies: dependencies::DependencyMetrics::new(&families)?,
            keys: keys::KeyMetrics::new(&families)?,
            deliveries: deliveries::DeliveryMetrics::new(&families)?,
            process: process::ProcessMetrics::new(&families)?,
            registry,
        })))
    }

    /// For families that others count.
    pub(crate) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    pub(super) fn gather(&self) -> Vec<MetricFamily> {
        self.0.registry.gather()
    }

    /// All metrics in Prometheus's text format.
    ///
    /// # Errors
    /// A metric that the format cannot hold.
    pub fn encode(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.gather())
    }
}
