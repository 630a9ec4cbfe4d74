//! Who did what to what: one record for every change, every refusal and all administration, in a stream of its own.
//!
//! Records wait in three lanes, each with room of its own: changes; refusals of keys; refusals of strangers. Of refusals only so
//! many have a record of their own, the rest is counted ([`refusals`]). What could not be kept is itself a line of the stream
//! ([`losses`]).

mod begun;
mod chain;
mod event;
mod file;
mod losses;
mod record;
mod refusals;
mod room;
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

pub(crate) use record::{Operation, Record};
pub(crate) use refusals::Source;
pub use verify::{Fault, Lost, Verification};

use crate::{
    settings::{Audit, OnFailure},
    vocabulary::DeliveryOutcome,
};
use begun::Begun;
use losses::Losses;
use refusals::Refusals;
use room::{Room, Space};
use writer::Writer;

/// Bytes that may wait in each lane.
const CHANGES: usize = 8 << 20;
const KEYS: usize = 2 << 20;
const STRANGERS: usize = 1 << 20;
/// How long a request waits until it is known that its record is written.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {what}", path = path.display())]
pub struct AuditError {
    path: PathBuf,
    what: String,
}

/// A change whose record cannot be kept, where there has to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its record could not be written to the audit stream")]
pub struct NotKept;

/// What a record waits among.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    Changes,
    Keys,
    Strangers,
}

/// Where records go. Whoever adds one never waits; whoever begins one does, where it must be kept.
#[derive(Debug, Clone)]
pub(crate) struct AuditTrail(Option<Arc<Open>>);

#[derive(Debug)]
struct Open {
    /// What is in it is bounded by the rooms.
    mailbox: Sender<Message>,
    changes: Room,
    keys: Room,
    strangers: Room,
    ledger: Arc<Ledger>,
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

/// What the writer is sent.
#[derive(Debug)]
enum Message {
    Record {
        record: Box<Record>,
        lane: Lane,
        _space: Space,
    },
    /// Answered when it is written; not answered when it could not be.
    Begin {
        record: Box<Record>,
        answer: oneshot::Sender<Begun>,
        mailbox: Sender<Message>,
        space: Space,
    },
    /// The request whose record has this number is not forwarded after all.
    Withdraw {
        begun: u64,
        _space: Space,
    },
    /// Answered when all before it is written, and what was only counted.
    Stop(oneshot::Sender<()>),
}

impl AuditTrail {
    /// Opens the stream and starts its writer, a thread. `counter` counts records by their outcome.
    ///
    /// # Errors
    /// A file that cannot be written, or is being written by another process.
    pub(crate) fn open(settings: &Audit, counter: IntCounterVec) -> Result<Self, AuditError> {
        let ledger = Arc::new(Ledger::new(counter));
        let writer = Writer::open(&settings.output, settings.max_size.get(), &ledger)?;
        let Some(writer) = writer else { return Ok(Self::off()) };
        let (mailbox, messages) = channel();
        writer.start(messages)?;
        Ok(Self(Some(Arc::new(Open {
            mailbox,
            changes: Room::of(CHANGES),
            keys: Room::of(KEYS),
            strangers: Room::of(STRANGERS),
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

    /// Whether a change is to be begun by [`AuditTrail::begin`].
    pub(crate) fn must_keep(&self) -> bool {
        self.0.as_ref().is_some_and(|open| open.must_keep)
    }

    /// The lane of a refusal that is to have a record; if it is to have none, it is counted.
    pub(crate) fn admit_refusal(&self, source: &Source) -> Option<Lane> {
        let open = self.0.as_ref()?;
        let lane = match source {
            Source::Key(_) => Lane::Keys,
            Source::Stranger(_) => Lane::Strangers,
        };
        open.ledger.refusals.admit(source, Instant::now()).then_some(lane)
    }

    /// Writes a record of what is about to happen, and waits until it is written: its number.
    ///
    /// # Errors
    /// A record that could not be written, or not in time. It is then not in the stream, or a line behind it says that it is void;
    /// so it does where whoever waits goes.
    pub(crate) async fn begin(&self, record: Record) -> Result<u64, NotKept> {
        let open = self.0.as_ref().ok_or(NotKept)?;
        let (answer, written) = oneshot::channel();
        let mailbox = open.mailbox.clone();
        let message = |record, space| Message::Begin { record, answer, mailbox, space };
        open.send(Lane::Changes, record, message, 0).ok_or(NotKept)?;
        match timeout(PATIENCE, written).await {
            Ok(begun) => begun.map(Begun::claim).map_err(|_| NotKept),
            // Nothing is lost: nothing is forwarded.
            Err(_) => {
                open.ledger.count(DeliveryOutcome::Dropped, 1);
                Err(NotKept)
            }
        }
    }

    pub(crate) fn add(&self, lane: Lane, record: Record) {
        let Some(open) = &self.0 else { return };
        let message = |record, _space| Message::Record { record, lane, _space };
        open.send(lane, record, message, u64::from(lane == Lane::Changes));
    }

    /// Waits until all that was added is written, and says so in the stream.
    pub(crate) async fn stop(&self) {
        let Some(open) = &self.0 else { return };
        let (done, written) = oneshot::channel();
        if open.mailbox.send(Message::Stop(done)).is_ok() {
            let _ = written.await;
        }
    }
}

impl Open {
    /// `None` if there is no room, or nobody to write it: then it is lost, and `changes` with it.
    fn send(
        &self,
        lane: Lane,
        record: Record,
        message: impl FnOnce(Box<Record>, Space) -> Message,
        changes: u64,
    ) -> Option<()> {
        let room = match lane {
            Lane::Changes => &self.changes,
            Lane::Keys => &self.keys,
            Lane::Strangers => &self.strangers,
        };
        let Some(space) = room.take(record.weight()) else {
            self.ledger.lose(DeliveryOutcome::Dropped, 1, changes);
            return None;
        };
        if self.mailbox.send(message(Box::new(record), space)).is_err() {
            self.ledger.lose(DeliveryOutcome::Failed, 1, changes);
            return None;
        }
        Some(())
    }
}
