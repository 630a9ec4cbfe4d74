//! A batch for a service that takes none: as many single reports as it has requests, each with the mean of their times.

use futures_util::future::join_all;
use uuid::Uuid;

use super::{
    batch::{Batch, BatchEntry},
    service::{CONCURRENCY, Outcome, Single, UsageService},
};
use crate::{code::Code, telemetry::Metrics, vocabulary::DeliveryOutcome};

/// What is still to be told.
#[derive(Debug)]
pub(super) struct Retold {
    id: Uuid,
    left: Vec<(Single, u64)>,
}

impl Retold {
    pub(super) fn new(batch: Batch) -> Self {
        let left = batch.entries.into_iter().filter(|entry| entry.count > 0).map(|entry| {
            let BatchEntry { key_id, endpoint, status_code, count, response_time_ms_sum, .. } = entry;
            (Single { key_id, endpoint, status_code, response_time_ms: response_time_ms_sum / count }, count)
        });
        Self { id: batch.batch_id, left: left.collect() }
    }

    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// Tells all that is left, until the service fails; then [`Self::tell`] goes on from there.
    pub(super) async fn tell(&mut self, service: &UsageService, metrics: &Metrics) -> Outcome {
        let (mut refused, mut trouble) = (0, None);
        while !self.left.is_empty() && trouble.is_none() {
            let next = self.take_some();
            let told = join_all(next.iter().map(|(_, single)| service.send_single(single))).await;
            for ((at, _), outcome) in next.iter().zip(told) {
                match outcome {
                    Outcome::Taken => metrics.usage_reported(DeliveryOutcome::Ok, 1),
                    Outcome::Refused(_) => refused += 1,
                    Outcome::Unknown | Outcome::Unavailable(_) => {
                        self.left[*at].1 += 1;
                        trouble = Some(outcome);
                    }
                }
            }
            self.left.retain(|(_, count)| *count > 0);
        }
        if refused > 0 {
            let code = Code::UsageUnreported.text();
            tracing::warn!(
                code = code,
                requests = refused,
                "usage was refused by the auth service, and is lost"
            );
            metrics.usage_reported(DeliveryOutcome::Failed, refused);
        }
        trouble.unwrap_or(Outcome::Taken)
    }

    /// As many reports as are sent at the same time, with their places in the list.
    fn take_some(&mut self) -> Vec<(usize, Single)> {
        let mut some = Vec::with_capacity(CONCURRENCY);
        for (at, (single, count)) in self.left.iter_mut().enumerate() {
            while *count > 0 && some.len() < CONCURRENCY {
                *count -= 1;
                some.push((at, single.clone()));
            }
        }
        some
    }
}
