//! The latency of a small request, from here through the gateway to MLflow and back.

use super::{
    Deployment,
    expectation::{are_experiments, expect},
};
use crate::doctor::{Finding, Journal, milliseconds};

const REQUESTS: usize = 50;

impl Deployment {
    pub(super) async fn latency(&self, journal: &mut Journal) {
        journal.check("latency", self.measure()).await;
    }

    async fn measure(&self) -> Finding {
        let mut times = Vec::with_capacity(REQUESTS);
        for _ in 0..REQUESTS {
            let answer = expect(self.search(Some(&self.authorization)).await, 200)?;
            are_experiments(&answer)?;
            times.push(answer.took);
        }
        times.sort_unstable();
        let percentile = |share: usize| milliseconds(times[(REQUESTS * share).div_ceil(100) - 1]);
        let worst = milliseconds(times[REQUESTS - 1]);
        Ok((
            (),
            format!(
                "{REQUESTS} reads one after the other: p50 {}, p90 {}, p99 {}, worst {worst}",
                percentile(50),
                percentile(90),
                percentile(99)
            ),
        ))
    }
}
