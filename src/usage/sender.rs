//! Sends the batches that wait, the oldest first and one at a time, until the service has them.

use std::{fmt::Display, io::ErrorKind, sync::Arc, time::Duration};

use actix_rt::task::spawn_blocking;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    Hub,
    batch::Batch,
    retold::Retold,
    service::{Outcome, UsageService},
    spool::Spool,
    waiting::WaitingBatch,
};
use crate::{code::Code, outage_log::OutageLog, vocabulary::DeliveryOutcome};

/// The pauses after a failure: each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a service that takes no batches is asked again whether it does.
const RECONSIDERED: Duration = Duration::from_secs(60);

/// Answered when no batch waits, or one could not be sent.
pub(super) type Flush = oneshot::Sender<()>;

/// The actor.
pub(crate) struct Sender {
    hub: Arc<Hub>,
    spool: Option<Arc<Spool>>,
    service: UsageService,
    flushes: mpsc::Receiver<Flush>,
    way: Way,
    pause: Duration,
    next_try: Instant,
    /// What is left of a batch that is told request by request.
    retold: Option<Retold>,
    failing: OutageLog,
}

/// How the service wants to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It has not been asked yet.
    Unknown,
    Batches,
    /// Request by request; it is asked again then.
    Singles {
        until: Instant,
    },
}

/// A batch could not be sent, and there is a pause.
struct Paused;

impl Sender {
    pub(super) fn new(
        hub: Arc<Hub>,
        spool: Option<Arc<Spool>>,
        service: UsageService,
        flushes: mpsc::Receiver<Flush>,
    ) -> Self {
        let failing = OutageLog::new(
            "the auth service does not take usage; it is kept, and sent later",
            "the auth service takes usage again",
        );
        let (pause, next_try) = (FIRST_PAUSE, Instant::now());
        Self { hub, spool, service, flushes, way: Way::Unknown, pause, next_try, retold: None, failing }
    }

    /// Ends with the last handle.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::select! {
                () = until_due(&self.hub, self.way, self.next_try) => {
                    let _ = self.go_on().await;
                }
                flush = self.flushes.recv() => {
                    let Some(flush) = flush else { return };
                    while !self.hub.waiting.lock().is_empty() && self.go_on().await.is_ok() {}
                    let _ = flush.send(());
                }
            }
        }
    }

    /// Asks the service how it wants to be told, if that is to be asked, and sends one batch.
    async fn go_on(&mut self) -> Result<(), Paused> {
        let is_to_be_asked = match self.way {
            Way::Unknown => true,
            Way::Batches => false,
            Way::Singles { until } => until <= Instant::now(),
        };
        if is_to_be_asked {
            self.ask().await?;
        }
        let next = self.hub.waiting.lock().begin();
        let Some(next) = next else { return Ok(()) };
        let (bytes, batch) = match self.read(&next).await {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(()),
            Err(error) => {
                self.hub.waiting.lock().failed(next.file.id);
                return Err(self.pause(&error));
            }
        };
        let outcome = match self.way {
            Way::Singles { .. } => self.retell(batch).await,
            Way::Unknown | Way::Batches => match self.service.send_batch(bytes).await {
                // Another version of the service, or something that answers in its place: a single report shows which.
                Outcome::Unknown => match self.retell(batch).await {
                    Outcome::Taken => {
                        self.tell_singly();
                        Outcome::Taken
                    }
                    other => other,
                },
                Outcome::Taken => {
                    self.hub.metrics.usage_reported(DeliveryOutcome::Ok, next.file.requests);
                    Outcome::Taken
                }
                other => other,
            },
        };
        self.settle(&next, outcome).await
    }

    async fn ask(&mut self) -> Result<(), Paused> {
        let Ok(probe) = Batch::empty(self.service.service_id()).to_bytes() else { return Ok(()) };
        match self.service.send_batch(probe).await {
            // That it wants no empty one says that it knows them.
            Outcome::Taken | Outcome::Refused(_) => {
                if self.hub.set_singles(false) {
                    let code = Code::UsageInSingles.text();
                    tracing::info!(code, "the auth service takes usage in batches again");
                }
                self.way = Way::Batches;
                Ok(())
            }
            Outcome::Unknown => {
                self.tell_singly();
                Ok(())
            }
            Outcome::Unavailable(trouble) => {
                if let Way::Singles { until } = &mut self.way {
                    *until = Instant::now() + RECONSIDERED;
                }
                Err(self.pause(&trouble))
            }
        }
    }

    fn tell_singly(&mut self) {
        self.way = Way::Singles { until: Instant::now() + RECONSIDERED };
        if !self.hub.set_singles(true) {
            let code = Code::UsageInSingles.text();
            tracing::warn!(
                code = code,
                "the auth service takes no usage in batches: each request is reported"
            );
        }
    }

    /// `None` if it is no batch any more.
    async fn read(&self, next: &WaitingBatch) -> std::io::Result<Option<(Vec<u8>, Batch)>> {
        if let Some(bytes) = &next.in_memory {
            let batch = serde_json::from_slice(bytes)?;
            return Ok(Some((bytes.to_vec(), batch)));
        }
        let Some(spool) = self.spool.clone() else { return Ok(None) };
        let file = next.file;
        let read = spawn_blocking(move || spool.read(file)).await.unwrap_or_else(|error| Err(error.into()));
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) if is_damage(&error) => {
                let (code, requests) = (Code::UsageSpoolDamaged.text(), file.requests);
                tracing::warn!(code = code, %error, requests, "a file of the usage spool is no batch, and was removed");
                self.hub.metrics.usage_reported(DeliveryOutcome::Dropped, requests);
                self.forget(next).await;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn retell(&mut self, batch: Batch) -> Outcome {
        let begun = self.retold.take().filter(|retold| retold.id() == batch.batch_id);
        let mut retold = begun.unwrap_or_else(|| Retold::new(batch));
        let outcome = retold.tell(&self.service, &self.hub.metrics).await;
        if outcome != Outcome::Taken {
            self.retold = Some(retold);
        }
        outcome
    }

    async fn settle(&mut self, batch: &WaitingBatch, outcome: Outcome) -> Result<(), Paused> {
        let trouble: &dyn Display = match &outcome {
            Outcome::Taken => return self.is_over(batch).await,
            Outcome::Refused(status) => {
                let (code, status, requests) =
                    (Code::UsageUnreported.text(), status.as_u16(), batch.file.requests);
                tracing::warn!(
                    code = code,
                    status,
                    requests,
                    "usage was refused by the auth service, and is lost"
                );
                self.hub.metrics.usage_reported(DeliveryOutcome::Failed, requests);
                return self.is_over(batch).await;
            }
            Outcome::Unknown => &"it knows no call for usage",
            Outcome::Unavailable(trouble) => trouble,
        };
        self.hub.waiting.lock().failed(batch.file.id);
        Err(self.pause(trouble))
    }

    /// The service has answered for a batch.
    async fn is_over(&mut self, batch: &WaitingBatch) -> Result<(), Paused> {
        self.forget(batch).await;
        self.failing.end();
        (self.pause, self.next_try) = (FIRST_PAUSE, Instant::now());
        Ok(())
    }

    fn pause(&mut self, trouble: &dyn Display) -> Paused {
        self.failing.warn(Code::UsageUnreported, trouble);
        self.next_try = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Paused
    }

    async fn forget(&self, batch: &WaitingBatch) {
        // The file first: what is not there is not sent by a later process.
        if batch.in_memory.is_none() {
            self.hub.remove(self.spool.as_ref(), batch.file).await;
        }
        self.hub.waiting.lock().done(batch.file.id);
    }
}

/// Until there is something to do, and the pause is over.
async fn until_due(hub: &Hub, way: Way, next_try: Instant) {
    while (way != Way::Unknown || !hub.is_used()) && hub.waiting.lock().is_empty() {
        match way {
            Way::Singles { until } if until <= Instant::now() => break,
            Way::Singles { until } => {
                tokio::select! {
                    () = hub.has_batches.notified() => {}
                    () = sleep_until(until) => {}
                }
            }
            Way::Unknown | Way::Batches => hub.has_batches.notified().await,
        }
    }
    sleep_until(next_try).await;
}

/// Whether a file will never be what it should.
fn is_damage(error: &std::io::Error) -> bool {
    // A link is one of these.
    let is_link = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    is_link || matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::NotFound)
}
