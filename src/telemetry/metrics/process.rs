//! The process: its build, its connections and certificates, its panics.

use prometheus::{IntCounter, IntGaugeVec};

use super::{Metrics, families::Families};
use crate::{GIT_SHA, VERSION};

#[derive(Debug)]
pub(super) struct ProcessMetrics {
    connections_dropped: IntCounter,
    certificate_expiry: IntGaugeVec,
    panics: IntCounter,
}

impl ProcessMetrics {
    pub(super) fn new(families: &Families<'_>) -> Result<Self, prometheus::Error> {
        let build = families.gauges(
            "build_info",
            "Always 1: its labels say which build is running.",
            &["version", "git_sha"],
        )?;
        build.with_label_values(&[VERSION, GIT_SHA]).set(1);
        Ok(Self {
            connections_dropped: families.counter(
                "connections_dropped_total",
                "Connections that were closed, or not accepted, because there were too many.",
            )?,
            certificate_expiry: families.gauges(
                "certificate_expiry_timestamp_seconds",
                "Unix time at which a certificate that the gateway presents, or an authority that it trusts, expires.",
                &["certificate"],
            )?,
            panics: families.counter(
                "panics_total",
                "Requests that ended in a panic of the gateway: each is a bug.",
            )?,
        })
    }
}

impl Metrics {
    pub fn connection_dropped(&self) {
        self.0.process.connections_dropped.inc();
    }

    /// `at` in seconds since 1970.
    pub fn set_certificate_expiry(&self, certificate: &str, at: i64) {
        self.0.process.certificate_expiry.with_label_values(&[certificate]).set(at);
    }

    pub fn panicked(&self) {
        self.0.process.panics.inc();
    }
}
