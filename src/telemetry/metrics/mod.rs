//! Prometheus metrics. A label's value is one of the gateway's own words, never a client's: so the number of series is
//! bounded.

mod events;
mod families;
mod worker;

use std::sync::Arc;

use prometheus::{Registry, TextEncoder, proto::MetricFamily};

use crate::{
    GIT_SHA, VERSION,
    vocabulary::{DeliveryOutcome, LookupResult, Reason, UpstreamOutcome},
};
use families::Families;

pub use events::Dependency;
pub use worker::WorkerMetrics;

/// The metrics of one gateway. A clone counts into the same ones; every request has one, so it is one pointer.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<(Registry, Families)>);

impl Metrics {
    /// # Errors
    /// None that does not show at the first start: a name that Prometheus does not allow, or one given twice.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("hokusai_gateway".to_owned()), None)?;
        let families = Families::register(&registry)?;
        families.build_info.with_label_values(&[VERSION, GIT_SHA]).set(1);
        // Alerts need a series before its first failure: Prometheus sees no increase where a series begins.
        for reason in Reason::ALL.into_iter().filter(|reason| reason.is_failure()) {
            families.denied_total.with_label_values(&[reason.word()]);
        }
        for outcome in UpstreamOutcome::ALL {
            families.upstream_requests_total.with_label_values(&[outcome.word()]);
        }
        for result in LookupResult::ALL {
            families.ownership_lookups_total.with_label_values(&[result.word()]);
        }
        for outcome in DeliveryOutcome::ALL {
            families.audit_records_total.with_label_values(&[outcome.word()]);
        }
        Ok(Self(Arc::new((registry, families))))
    }

    /// For families that others count.
    pub(crate) fn registry(&self) -> &Registry {
        &self.0.0
    }

    fn families(&self) -> &Families {
        &self.0.1
    }

    pub(super) fn gather(&self) -> Vec<MetricFamily> {
        self.registry().gather()
    }

    /// All metrics in Prometheus's text format.
    ///
    /// # Errors
    /// A metric that the format cannot hold.
    pub fn encode(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.gather())
    }
}
