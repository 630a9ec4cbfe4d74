//! Shows the progress of a transfer on a terminal, and gives a transfer up that is too slow.

use std::{
    collections::VecDeque,
    future,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    code::Code,
    doctor::{Fault, progress},
};

/// Between two samples.
const INTERVAL: Duration = Duration::from_millis(250);
/// The rate is measured over this number of intervals: ten seconds.
const WINDOW: usize = 40;

/// An upload or a download.
#[derive(Debug)]
pub(super) struct Transfer {
    name: &'static str,
    size: u64,
    moved: AtomicU64,
    began: Instant,
    /// Bytes a second.
    min_rate: f64,
}

impl Transfer {
    pub(super) fn new(name: &'static str, size: u64, min_rate: f64) -> Self {
        Self { name, size, moved: AtomicU64::new(0), began: Instant::now(), min_rate }
    }

    pub(super) fn moved(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Does `work`, which is the transfer.
    ///
    /// # Errors
    /// It is too slow.
    pub(super) async fn watched<T>(&self, work: impl Future<Output = T>) -> Result<T, Fault> {
        tokio::select! {
            done = work => Ok(done),
            rate = self.too_slow() => Err(self.given_up(rate)),
        }
    }

    /// The duration and the rate.
    pub(super) fn summary(&self) -> String {
        let took = self.began.elapsed();
        format!("{took:.1?}, {} MB/s", in_mb(self.size as f64 / took.as_secs_f64().max(1e-9)))
    }

    /// Returns the rate of the last ten seconds as soon as it is too low. Never returns after the last byte: the server may take
    /// its time to answer.
    async fn too_slow(&self) -> f64 {
        let mut samples = Samples::default();
        loop {
            sleep(INTERVAL).await;
            let moved = self.moved.load(Ordering::Relaxed);
            if moved >= self.size {
                return future::pending().await;
            }
            let rate = samples.add(moved);
            let (name, of, at) = (self.name, in_mb(self.size as f64), in_mb(rate));
            progress(&format!("…    {name:<34} {} of {of} MB, {at} MB/s", in_mb(moved as f64)));
            if samples.are_enough() && rate < self.min_rate {
                return rate;
            }
        }
    }

    fn given_up(&self, rate: f64) -> Fault {
        let moved = self.moved.load(Ordering::Relaxed);
        Fault::new(
            Code::SlowConnection,
            format!(
                "given up after {:.0?}: {} of {} MB, and {} MB/s in the last ten seconds",
                self.began.elapsed(),
                in_mb(moved as f64),
                in_mb(self.size as f64),
                in_mb(rate)
            ),
            "the network between here and the gateway, or MLflow's store, is slow; or a proxy limits the rate",
            format!(
                "run this on a machine nearer to the gateway to find out which; --min-rate sets another minimum than {} MB/s",
                in_mb(self.min_rate)
            ),
        )
    }
}

/// The bytes that had been moved at the start, and at the end of each interval.
#[derive(Debug)]
struct Samples(VecDeque<u64>);

impl Default for Samples {
    fn default() -> Self {
        Self(VecDeque::from([0]))
    }
}

impl Samples {
    /// Bytes a second since the oldest sample.
    fn add(&mut self, moved: u64) -> f64 {
        if self.are_enough() {
            self.0.pop_front();
        }
        let oldest = self.0.front().copied().unwrap_or(0);
        self.0.push_back(moved);
        (moved - oldest) as f64 / (INTERVAL.as_secs_f64() * (self.0.len() - 1) as f64)
    }

    fn are_enough(&self) -> bool {
        self.0.len() > WINDOW
    }
}

/// In MB, with at least two significant digits.
fn in_mb(bytes: f64) -> String {
    let mb = bytes / 1e6;
    if mb < 10.0 { format!("{mb:.1}") } else { format!("{mb:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_ten_seconds_and_is_not_judged_before() {
        let mut samples = Samples::default();
        for interval in 1..=WINDOW {
            assert!(!samples.are_enough());
            assert_eq!(samples.add(interval as u64 * 500_000), 2e6);
        }
        let moved = WINDOW as u64 * 500_000;
        for interval in 1..=WINDOW {
            let rate = samples.add(moved);
            assert!(samples.are_enough());
            assert_eq!(rate, 2e6 * (WINDOW - interval) as f64 / WINDOW as f64);
        }
    }

    #[actix_rt::test]
    async fn a_transfer_is_not_given_up_after_its_last_byte() {
        let transfer = Transfer::new("up", 1000, f64::INFINITY);
        transfer.moved(1000);
        assert!(transfer.watched(sleep(INTERVAL * 2)).await.is_ok());
    }
}
