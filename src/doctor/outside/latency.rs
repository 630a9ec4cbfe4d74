//! The latency of a small request, from here through the gateway to MLflow and back.

use super::Deployment;
use crate::doctor::{Finding, Journal, milliseconds, passed};

const REQUESTS: usize = 50;

impl Deployment {
    pub(super) async fn latency(&self, journal: &mut Journal) {
        journal.check("latency", self.measure()).await;
    }

    async fn measure(&self) -> Finding {
        let mut times = Vec::with_capacity(REQUESTS);
        for _ in 0..REQUESTS {
            times.push(self.allowed(&self.authorization).await?.0.took);
        }
        times.sort_unstable();
        let percentile = |share: usize| milliseconds(times[(REQUESTS * share).div_ceil(100) - 1]);
        let worst = milliseconds(times[REQUESTS - 1]);
        let [p50, p90, p99] = [50, 90, 99].map(percentile);
        passed(format!(
            "{REQUESTS} reads one after the other: p50 {p50}, p90 {p90}, p99 {p99}, worst {worst}"
        ))
    }
}
