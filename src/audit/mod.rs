//! The audit stream: one record for every change, every refusal and all administration.
//!
//! Records wait in three lanes, each with a capacity of its own: changes, refusals of known keys, refusals of strangers. Only
//! so many refusals have a record of their own; the others are counted ([`refusals`]). Lost records are counted too, in a
//! line of the stream ([`losses`]).

mod begun;
mod capacity;
mod chain;
mod event;
mod file;
mod losses;
mod record;
mod refusals;
mod subject;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    time::{Duration, Instant},
};

use prometheus::IntCounterVec;
use tokio::{sync::oneshot, time::timeout};

pub(crate) use record::Record;
pub(crate) use refusals::RefusalSource;
pub(crate) use subject::{About, Name, Operation};
pub use verify::{Fault, Lost, Verification};

use crate::{
    settings::{Audit, OnFailure},
    vocabulary::DeliveryOutcome,
};
use begun::Begun;
use capacity::{Capacity, Reservation};
use losses::Losses;
use refusals::Refusals;
use writer::Writer;

/// Bytes that may wait in each lane, in the order of [`Lane`].
const CAPACITIES: [usize; 3] = [8 << 20, 2 << 20, 1 << 20];
/// How long a request waits for its record to be written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the stream cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {what}", path = path.display())]
pub struct AuditError {
    path: PathBuf,
    what: String,
}

/// The record of a change could not be written, and `audit.on_failure` is `closed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its record could not be written to the audit stream")]
pub struct NotKept;

/// The queue that a record waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    Changes,
    Keys,
    Strangers,
}

/// The handle on the stream, for all workers. [`add`](Self::add) never waits; [`begin`](Self::begin) does.
#[derive(Debug, Clone)]
pub(crate) struct AuditTrail(Option<Arc<Open>>);

#[derive(Debug)]
struct Open {
    /// Bounded by the capacities.
    mailbox: Sender<Message>,
    /// Of each [`Lane`].
    capacities: [Capacity; 3],
    ledger: Arc<Ledger>,
    /// `audit.on_failure` is `closed`.
    must_keep: bool,
}

/// What all count, and the writer writes down.
#[derive(Debug)]
struct Ledger {
    refusals: Refusals,
    losses: Losses,
    /// Records, by [`DeliveryOutcome`].
    records: IntCounterVec,
}

impl Ledger {
    fn new(records: IntCounterVec) -> Self {
        Self { refusals: Refusals::default(), losses: Losses::default(), records }
    }

    fn count(&self, outcome: DeliveryOutcome, records: u64) {
        self.records.with_label_values(&[outcome.word()]).inc_by(records);
    }

    /// Counts records that are lost, and how many of them are of changes.
    fn lose(&self, outcome: DeliveryOutcome, records: u64, changes: u64) {
        self.losses.add(records, changes);
        self.count(outcome, records);
    }
}

/// A message for the writer.
#[derive(Debug)]
enum Message {
    Record {
        record: Box<Record>,
        lane: Lane,
        _reservation: Reservation,
    },
    /// Answered when the record is written; the answer is dropped if it could not be.
    Begin {
        record: Box<Record>,
        answer: oneshot::Sender<Begun>,
        mailbox: Sender<Message>,
        reservation: Reservation,
    },
    /// The request of the `begun` record with this number was not forwarded.
    Withdraw {
        begun: u64,
        _reservation: Reservation,
    },
    /// Answered when everything before it is written, and the counts.
    Stop(oneshot::Sender<()>),
}

impl AuditTrail {
    /// Opens the stream and starts its writer, a thread. `counter` counts records by their outcome.
    ///
    /// # Errors
    /// A file that cannot be written, or is being written by another process.
    pub(crate) fn open(settings: &Audit, counter: IntCounterVec) -> Result<Self, AuditError> {
        let ledger = Arc::new(Ledger::new(counter));
        let writer = Writer::open(settings, &ledger)?;
        let Some(writer) = writer else { return Ok(Self::off()) };
        let (mailbox, messages) = channel();
        writer.start(messages)?;
        Ok(Self(Some(Arc::new(Open {
            mailbox,
            capacities: CAPACITIES.map(Capacity::of),
            ledger,
            must_keep: settings.on_failure == OnFailure::Closed,
        }))))
    }

    /// Keeps no records.
    pub(crate) const fn off() -> Self {
        Self(None)
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Whether a change needs [`begin`](Self::begin) before it is forwarded.
    pub(crate) fn must_keep(&self) -> bool {
        self.0.as_ref().is_some_and(|open| open.must_keep)
    }

    /// The lane for the record of a refusal. `None`: it was only counted.
    pub(crate) fn admit_refusal(&self, source: &RefusalSource) -> Option<Lane> {
        let open = self.0.as_ref()?;
        let lane = match source {
            RefusalSource::Key(_) => Lane::Keys,
            RefusalSource::Stranger(_) => Lane::Strangers,
        };
        open.ledger.refusals.admit(source, Instant::now()).then_some(lane)
    }

    /// Writes the record of a change that is about to be forwarded, and waits until it is written. Returns its number.
    ///
    /// # Errors
    /// The record could not be written, or not in time. Then it is not in the stream, or a later line withdraws it; the same
    /// where the caller stops waiting.
    pub(crate) async fn begin(&self, record: Record) -> Result<u64, NotKept> {
        let open = self.0.as_ref().ok_or(NotKept)?;
        let (answer, written) = oneshot::channel();
        let mailbox = open.mailbox.clone();
        let message = |record, reservation| Message::Begin { record, answer, mailbox, reservation };
        open.send(Lane::Changes, record, message, 0).ok_or(NotKept)?;
        match timeout(WRITE_TIMEOUT, written).await {
            Ok(begun) => begun.map(Begun::claim).map_err(|_| NotKept),
            // Not a loss: the request is not forwarded.
            Err(_) => {
                open.ledger.count(DeliveryOutcome::Dropped, 1);
                Err(NotKept)
            }
        }
    }

    pub(crate) fn add(&self, lane: Lane, record: Record) {
        let Some(open) = &self.0 else { return };
        let message = |record, _reservation| Message::Record { record, lane, _reservation };
        open.send(lane, record, message, u64::from(lane == Lane::Changes));
    }

    /// Waits until every added record is written, and ends the stream with a line that says so.
    pub(crate) async fn stop(&self) {
        let Some(open) = &self.0 else { return };
        let (done, written) = oneshot::channel();
        if open.mailbox.send(Message::Stop(done)).is_ok() {
            let _ = written.await;
        }
    }
}

impl Open {
    /// `None` if the lane is full, or the writer is gone: then the record is lost, and counts as so many `changes`.
    fn send(
        &self,
        lane: Lane,
        record: Record,
        message: impl FnOnce(Box<Record>, Reservation) -> Message,
        changes: u64,
    ) -> Option<()> {
        let Some(reservation) = self.capacities[lane as usize].reserve(record.weight()) else {
            self.ledger.lose(DeliveryOutcome::Dropped, 1, changes);
            return None;
        };
        if self.mailbox.send(message(Box::new(record), reservation)).is_err() {
            self.ledger.lose(DeliveryOutcome::Failed, 1, changes);
            return None;
        }
        Some(())
    }
}
