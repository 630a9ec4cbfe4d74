//! A transfer that is watched: told on a terminal while it lasts, and given up where the line is too slow for it.

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

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// The rate that counts is that of so many looks: ten seconds.
const WINDOW: usize = 40;

/// One way of so many bytes.
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

    /// What `work` comes to, unless the line is too slow.
    ///
    /// # Errors
    /// The line is too slow.
    pub(super) async fn watched<T>(&self, work: impl Future<Output = T>) -> Result<T, Fault> {
        tokio::select! {
            done = work => Ok(done),
            rate = self.too_slow() => Err(self.given_up(rate)),
        }
    }

    /// How long it took, and the rate.
    pub(super) fn told(&self) -> String {
        let took = self.began.elapsed();
        format!("{took:.1?}, {} MB/s", in_mb(self.size as f64 / took.as_secs_f64().max(1e-9)))
    }

    /// The rate of the last ten seconds, as soon as it is too low. Never, when all has been moved: the rest is the server's.
    async fn too_slow(&self) -> f64 {
        let mut looks = Looks::default();
        loop {
            sleep(LOOK).await;
            let moved = self.moved.load(Ordering::Relaxed);
            if moved >= self.size {
                return future::pending().await;
            }
            let rate = looks.add(moved);
            let (name, of, at) = (self.name, in_mb(self.size as f64), in_mb(rate));
            progress(&format!("…    {name:<34} {} of {of} MB, {at} MB/s", in_mb(moved as f64)));
            if looks.are_enough() && rate < self.min_rate {
                return rate;
            }
        }
    }

    fn given_up(&self, rate: f64) -> Fault {
        let moved = self.moved.load(Ordering::Relaxed);
        Fault::new(
            Code::SlowLine,
            format!(
                "given up after {:.0?}: {} of {} MB, and {} MB/s in the last ten seconds",
                self.began.elapsed(),
                in_mb(moved as f64),
                in_mb(self.size as f64),
                in_mb(rate)
            ),
            "the line between here and the gateway is slow, or something on the way limits the rate; or MLflow's store is",
            format!(
                "the same from a machine nearer to the gateway tells which; --min-rate for another floor than {} MB/s",
                in_mb(self.min_rate)
            ),
        )
    }
}

/// How much had been moved at each of the last looks, the first of which was at the beginning.
#[derive(Debug)]
struct Looks(VecDeque<u64>);

impl Default for Looks {
    fn default() -> Self {
        Self(VecDeque::from([0]))
    }
}

impl Looks {
    /// Bytes a second since the oldest look.
    fn add(&mut self, moved: u64) -> f64 {
        if self.are_enough() {
            self.0.pop_front();
        }
        let oldest = self.0.front().copied().unwrap_or(0);
        self.0.push_back(moved);
        (moved - oldest) as f64 / (LOOK.as_secs_f64() * (self.0.len() - 1) as f64)
    }

    fn are_enough(&self) -> bool {
        self.0.len() > WINDOW
    }
}

/// In MB, with so many digits as say something.
fn in_mb(bytes: f64) -> String {
    let mb = bytes / 1e6;
    if mb < 10.0 { format!("{mb:.1}") } else { format!("{mb:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_ten_seconds_and_none_is_judged_before() {
        let mut looks = Looks::default();
        for look in 1..=WINDOW {
            assert!(!looks.are_enough());
            assert_eq!(looks.add(look as u64 * 500_000), 2e6);
        }
        let moved = WINDOW as u64 * 500_000;
        for look in 1..=WINDOW {
            let rate = looks.add(moved);
            assert!(looks.are_enough());
            assert_eq!(rate, 2e6 * (WINDOW - look) as f64 / WINDOW as f64);
        }
    }

    #[actix_rt::test]
    async fn what_is_moved_is_not_given_up_however_long_the_answer_takes() {
        let transfer = Transfer::new("up", 1000, f64::INFINITY);
        transfer.moved(1000);
        assert!(transfer.watched(sleep(LOOK * 2)).await.is_ok());
    }
}
