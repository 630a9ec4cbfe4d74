//! Reports to the auth service what its keys were used for, in the background.

use std::time::Duration;

use actix_web::http::{Method, header::CONTENT_TYPE, uri::PathAndQuery};
use futures_util::{StreamExt as _, stream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};

use crate::{
    code::Code,
    http_client::{Connections, HttpClient, Reuse},
    resources::Resources,
    telemetry::Metrics,
    vocabulary::DeliveryOutcome,
};

/// Reports that may wait; further ones are dropped, and counted.
const MAILBOX: usize = 4096;
/// Reports that are taken from the mailbox at once, and that are sent at the same time.
const BATCH: usize = 128;
const CONCURRENCY: usize = 8;
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// The pauses between the tries to send a report.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(500)];
/// Bytes of an endpoint that are reported.
const MAX_ENDPOINT: usize = 512;

/// One use of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Usage {
    #[serde(skip)]
    pub(crate) key_id: String,
    /// The path, without a query.
    pub(crate) endpoint: String,
    pub(crate) response_time_ms: u64,
    pub(crate) status_code: u16,
}

/// A message for the reporter.
#[derive(Debug)]
enum Mail {
    Usage(Usage),
    /// Answered when every report before it is sent or given up.
    Flush(oneshot::Sender<()>),
}

/// The handle on the reporter, for every worker.
#[derive(Debug, Clone)]
pub(crate) struct UsageReports {
    mailbox: mpsc::Sender<Mail>,
    metrics: Metrics,
}

impl UsageReports {
    /// The handle and the actor, if usage is to be reported.
    pub(crate) fn open(resources: &Resources) -> Option<(Self, Reporter)> {
        let settings = resources.keys.usage_service()?;
        let (mailbox, reports) = mpsc::channel(MAILBOX);
        let reporter = Reporter {
            reports,
            metrics: resources.metrics.clone(),
            client: HttpClient::new(
                &settings.url,
                resources.auth_tls.as_ref(),
                Connections { connect_timeout: settings.timeout, keep_alive: KEEP_ALIVE, limit: CONCURRENCY },
            ),
            base: settings.url.path().trim_end_matches('/').to_owned(),
            service_id: settings.service_id.clone(),
            timeout: settings.timeout,
        };
        Some((Self { mailbox, metrics: resources.metrics.clone() }, reporter))
    }

    /// Queues a report; drops it if too many wait.
    pub(crate) fn add(&self, mut usage: Usage) {
        // A path may have 64 KiB, and thousands of reports may wait.
        usage.endpoint.truncate(usage.endpoint.floor_char_boundary(MAX_ENDPOINT));
        usage.endpoint.shrink_to_fit();
        if self.mailbox.try_send(Mail::Usage(usage)).is_err() {
            self.metrics.usage_reported(DeliveryOutcome::Dropped, 1);
        }
    }

    /// Waits until the reports so far are sent or given up.
    pub(crate) async fn flush(&self) {
        let (sender, done) = oneshot::channel();
        if self.mailbox.send(Mail::Flush(sender)).await.is_ok() {
            let _ = done.await;
        }
    }
}

/// The actor that sends reports.
pub(crate) struct Reporter {
    reports: mpsc::Receiver<Mail>,
    metrics: Metrics,
    client: HttpClient,
    base: String,
    service_id: String,
    timeout: Duration,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    usage: &'a Usage,
    service_id: &'a str,
}

impl Reporter {
    /// Ends with the last handle.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.reports.recv_many(&mut batch, BATCH).await > 0 {
            let (mut reports, mut flushes) = (Vec::new(), Vec::new());
            for mail in batch.drain(..) {
                match mail {
                    Mail::Usage(usage) => reports.push(usage),
                    Mail::Flush(flush) => flushes.push(flush),
                }
            }
            let count = reports.len();
            let outcomes = stream::iter(reports).map(|usage| self.send(usage)).buffer_unordered(CONCURRENCY);
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

    async fn send(&self, usage: Usage) -> bool {
        let mut pauses = PAUSES.into_iter();
        loop {
            match self.try_once(&usage).await {
                Outcome::Sent => return true,
                Outcome::Refused => return false,
                Outcome::Unavailable => {
                    let Some(pause) = pauses.next() else { return false };
                    sleep(pause).await;
                }
            }
        }
    }

    async fn try_once(&self, usage: &Usage) -> Outcome {
        let key_id = utf8_percent_encode(&usage.key_id, NON_ALPHANUMERIC);
        let target = PathAndQuery::try_from(format!("{}/api/v1/usage/{key_id}", self.base));
        let report = serde_json::to_vec(&Report { usage, service_id: &self.service_id });
        let (Ok(target), Ok(report)) = (target, report) else { return Outcome::Refused };
        let request = self
            .client
            .request(Method::POST, target, Reuse::Safe)
            .insert_header((CONTENT_TYPE, "application/json"));
        match timeout(self.timeout, self.client.send(request, report)).await {
            Ok(Ok(response)) if response.status().is_success() => Outcome::Sent,
            Ok(Ok(response)) if response.status().is_client_error() && response.status() != 429 => {
                Outcome::Refused
            }
            _ => Outcome::Unavailable,
        }
    }
}

enum Outcome {
    Sent,
    /// Trying again would not help.
    Refused,
    Unavailable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_mailbox_drops_and_counts_and_never_waits() {
        let (mailbox, _reports) = mpsc::channel(1);
        let reports = UsageReports { mailbox, metrics: Metrics::new().unwrap() };
        let usage = Usage {
            key_id: "k-1".to_owned(),
            endpoint: "/".to_owned(),
            response_time_ms: 1,
            status_code: 200,
        };
        for _ in 0..3 {
            reports.add(usage.clone());
        }
        let metrics = reports.metrics.encode().unwrap();
        assert!(metrics.contains(r#"usage_reports_total{outcome="dropped"} 2"#), "{metrics}");
    }
}
