//! Tells the service of each request by itself, where it takes no batches.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use super::service::{CONCURRENCY, Outcome, Single, UsageService};
use crate::{code::Code, telemetry::Metrics, vocabulary::DeliveryOutcome};

/// Reports that may wait; further ones are dropped, and counted.
const MAILBOX: usize = 4096;
/// Reports that are taken from the mailbox at once.
const AT_ONCE: usize = 128;
/// The pauses between the tries to send a report.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(500)];
/// Bytes of an endpoint that are reported.
const MAX_ENDPOINT: usize = 512;

/// A message for the reporter.
#[derive(Debug)]
enum Mail {
    Single(Single),
    /// Answered when every report before it is sent or given up.
    Flush(oneshot::Sender<()>),
}

/// The handle on the reporter.
#[derive(Debug, Clone)]
pub(super) struct Singles {
    mailbox: mpsc::Sender<Mail>,
    metrics: Metrics,
}

/// The actor that sends reports.
pub(crate) struct SinglesReporter {
    mailbox: mpsc::Receiver<Mail>,
    metrics: Metrics,
    service: UsageService,
}

impl Singles {
    pub(super) fn new(service: UsageService, metrics: &Metrics) -> (Self, SinglesReporter) {
        let (sender, mailbox) = mpsc::channel(MAILBOX);
        let reporter = SinglesReporter { mailbox, metrics: metrics.clone(), service };
        (Self { mailbox: sender, metrics: metrics.clone() }, reporter)
    }

    /// Queues a report; drops it if too many wait.
    pub(super) fn add(&self, mut single: Single) {
        // A path may be long, and thousands of reports may wait.
        single.endpoint.truncate(single.endpoint.floor_char_boundary(MAX_ENDPOINT));
        single.endpoint.shrink_to_fit();
        if self.mailbox.try_send(Mail::Single(single)).is_err() {
            self.metrics.usage_reported(DeliveryOutcome::Dropped, 1);
        }
    }

    /// Waits until the reports so far are sent or given up.
    pub(super) async fn flush(&self) {
        let (sender, done) = oneshot::channel();
        if self.mailbox.send(Mail::Flush(sender)).await.is_ok() {
            let _ = done.await;
        }
    }
}

impl SinglesReporter {
    /// Ends with the last handle.
    pub(crate) async fn run(mut self) {
        let mut mail = Vec::with_capacity(AT_ONCE);
        while self.mailbox.recv_many(&mut mail, AT_ONCE).await > 0 {
            let (mut singles, mut flushes) = (Vec::new(), Vec::new());
            for mail in mail.drain(..) {
                match mail {
                    Mail::Single(single) => singles.push(single),
                    Mail::Flush(flush) => flushes.push(flush),
                }
            }
            let count = singles.len();
            let outcomes =
                stream::iter(singles).map(|single| self.send(single)).buffer_unordered(CONCURRENCY);
            let sent = outcomes.filter(|sent| std::future::ready(*sent)).count().await;
            let failed = count - sent;
            self.metrics.usage_reported(DeliveryOutcome::Ok, sent as u64);
            self.metrics.usage_reported(DeliveryOutcome::Failed, failed as u64);
            if failed > 0 {
                tracing::warn!(
                    code = Code::UsageUnreported.text(),
                    failed,
                    "usage was not reported; the auth service does not know of these requests"
                );
            }
            for flush in flushes {
                let _ = flush.send(());
            }
        }
    }

    async fn send(&self, single: Single) -> bool {
        let mut pauses = PAUSES.into_iter();
        loop {
            match self.service.send_single(&single).await {
                Outcome::Taken => return true,
                Outcome::Refused(_) | Outcome::Unknown => return false,
                Outcome::Unavailable(_) => {
                    let Some(pause) = pauses.next() else { return false };
                    sleep(pause).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_mailbox_drops_and_counts_and_never_waits() {
        let (mailbox, _reports) = mpsc::channel(1);
        let singles = Singles { mailbox, metrics: Metrics::new().unwrap() };
        let single = Single {
            key_id: "k-1".to_owned(),
            endpoint: "/".to_owned(),
            response_time_ms: 1,
            status_code: 200,
        };
        for _ in 0..3 {
            singles.add(single.clone());
        }
        let metrics = singles.metrics.encode().unwrap();
        assert!(metrics.contains(r#"usage_reports_total{outcome="dropped"} 2"#), "{metrics}");
    }
}
