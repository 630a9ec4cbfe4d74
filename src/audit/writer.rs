//! The thread that writes the stream, to a file or to standard output. What it cannot write it counts, and writes the count
//! as soon as it can.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    AuditError, Lane, Ledger, Message,
    begun::Begun,
    chain::Tip,
    event::{Entry, Event},
    file::{Opened, Rotated},
};
use crate::{
    VERSION,
    code::Code,
    settings::{Audit, AuditOutput, OnFailure},
    vocabulary::DeliveryOutcome,
};

/// Time between two tries to write while no message comes.
const RETRY: Duration = Duration::from_secs(1);
/// The longest sleep when there is nothing to do.
const IDLE: Duration = Duration::from_secs(3600);

/// How long records wait to be written with those that follow.
const PAUSE: Duration = Duration::from_millis(5);

/// Owns the output and the end of the chain.
#[derive(Debug)]
pub(super) struct Writer {
    out: Out,
    tip: Tip,
    /// Events that are written before anything else.
    pending: Vec<Event>,
    /// When a count of losses was last written: not before every line of a long outage.
    losses_written: Option<Instant>,
    is_failing: bool,
    /// None where requests wait for their records.
    pause: Duration,
    ledger: Arc<Ledger>,
}

#[derive(Debug)]
enum Out {
    /// And whether the last line may be cut off.
    Stdout {
        is_open: bool,
    },
    File(Rotated),
}

impl Writer {
    /// `None` where no records are wanted.
    pub(super) fn open(settings: &Audit, ledger: &Arc<Ledger>) -> Result<Option<Self>, AuditError> {
        let (out, tip, torn) = match &settings.output {
            AuditOutput::Off => return Ok(None),
            AuditOutput::Stdout => (Out::Stdout { is_open: false }, Tip::default(), None),
            AuditOutput::File(path) => {
                let failed = |error: io::Error| AuditError { path: path.clone(), what: error.to_string() };
                let Opened { file, tip, torn } =
                    Rotated::open(path, settings.max_size.get()).map_err(failed)?;
                (Out::File(file), tip, torn)
            }
        };
        let started = Event::Started { time: Timestamp::now(), version: VERSION };
        let pending = torn.into_iter().chain([started]).collect();
        let ledger = Arc::clone(ledger);
        let pause = if settings.on_failure == OnFailure::Closed { Duration::ZERO } else { PAUSE };
        Ok(Some(Self { out, tip, pending, losses_written: None, is_failing: false, pause, ledger }))
    }

    /// The thread ends with the last sender.
    pub(super) fn start(mut self, messages: Receiver<Message>) -> Result<(), AuditError> {
        let path = PathBuf::from("audit");
        let thread =
            thread::Builder::new().name("audit_writer".to_owned()).spawn(move || self.run(&messages));
        thread.map(drop).map_err(|error| AuditError { path, what: error.to_string() })
    }

    fn run(&mut self, messages: &Receiver<Message>) {
        loop {
            if !self.is_failing && !self.pending.is_empty() {
                self.write_pending();
            }
            match messages.try_recv().or_else(|_| self.wait(messages)) {
                Ok(message) => self.handle(message),
                Err(RecvTimeoutError::Timeout) => self.write_pending(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.write_sums(self.ledger.refusals.sums(Instant::now()));
        }
    }

    /// Waits for a message. Waking a thread costs who does it more than all else of a record: while this one pauses, nobody has to.
    fn wait(&self, messages: &Receiver<Message>) -> Result<Message, RecvTimeoutError> {
        thread::sleep(self.pause);
        messages.recv_timeout(self.next_wakeup())
    }

    /// How long to wait for a message.
    fn next_wakeup(&self) -> Duration {
        if self.has_pending() {
            return RETRY;
        }
        let due = self.ledger.refusals.due();
        due.map_or(IDLE, |due| due.saturating_duration_since(Instant::now()))
    }

    fn has_pending(&self) -> bool {
        !self.pending.is_empty() || self.ledger.losses.are_there()
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Record { record, lane, _reservation } => {
                if self.write(Some(Entry::Request(&record))).is_err() {
                    self.ledger.lose(DeliveryOutcome::Failed, 1, u64::from(lane == Lane::Changes));
                }
            }
            // The request was refused when it stopped waiting.
            Message::Begin { answer, .. } if answer.is_closed() => {}
            Message::Begin { record, answer, mailbox, reservation } => {
                match self.write(Some(Entry::Request(&record))) {
                    Ok(number) => {
                        if let Err(begun) = answer.send(Begun::new(number, mailbox, reservation)) {
                            self.withdraw(begun.claim());
                        }
                    }
                    Err(_) => self.ledger.lose(DeliveryOutcome::Failed, 1, 0),
                }
            }
            Message::Withdraw { begun, _reservation } => self.withdraw(begun),
            Message::Stop(done) => {
                self.write_sums(self.ledger.refusals.last_sums());
                self.losses_written = None;
                self.write_event(&Event::Stopped { time: Timestamp::now() }, 0);
                let _ = done.send(());
            }
        }
    }

    fn withdraw(&mut self, begun: u64) {
        self.write_event(&Event::Withdrawn { time: Timestamp::now(), begun }, 0);
    }

    fn write_sums(&mut self, sums: Vec<Event>) {
        for sum in sums {
            let Event::More { more, .. } = sum else { continue };
            self.write_event(&sum, more);
        }
    }

    /// Writes an event; if that fails, the `records` that it counts are lost.
    fn write_event(&mut self, event: &Event, records: u64) {
        if self.write(Some(Entry::Event(event))).is_err() && records > 0 {
            self.ledger.lose(DeliveryOutcome::Failed, records, 0);
        }
    }

    /// Tries to write pending events and losses.
    fn write_pending(&mut self) {
        if self.has_pending() {
            let _ = self.write(None);
        }
    }

    /// Writes what is pending and then `entry`, or nothing at all. Returns the number of the last line.
    fn write(&mut self, entry: Option<Entry<'_>>) -> io::Result<u64> {
        let is_due = self.losses_written.is_none_or(|at| at.elapsed() >= RETRY);
        let loss = if is_due { self.ledger.losses.take() } else { None };
        let lost = loss.map(|loss| loss.event());
        let entries = self.pending.iter().chain(&lost).map(Entry::Event).chain(entry);
        let mut tip = self.tip.clone();
        let lines: serde_json::Result<String> = entries.map(|entry| tip.seal(&entry)).collect();
        let written = lines.map_err(io::Error::other).and_then(|lines| self.out.write(&lines, &self.tip));
        match written {
            Ok(()) => {
                if self.is_failing {
                    tracing::info!(code = Code::AuditFailing.text(), "audit records can be written again");
                }
                self.is_failing = false;
                self.pending.clear();
                self.losses_written = loss.map(|_| Instant::now()).or(self.losses_written);
                self.tip = tip;
                let requests = u64::from(matches!(entry, Some(Entry::Request(_))));
                self.ledger.count(DeliveryOutcome::Ok, requests);
                Ok(self.tip.number)
            }
            Err(error) => {
                // The chain is as it was before.
                if let Some(loss) = loss {
                    self.ledger.losses.merge(loss);
                }
                if !self.is_failing {
                    tracing::error!(code = Code::AuditFailing.text(), %error, "an audit record could not be written; records are lost until one can");
                }
                self.is_failing = true;
                Err(error)
            }
        }
    }
}

impl Out {
    /// `tip` is the end of the chain before the lines.
    fn write(&mut self, lines: &str, tip: &Tip) -> io::Result<()> {
        match self {
            Self::File(file) => file.write(lines, tip),
            Self::Stdout { is_open } => {
                let begin = if *is_open { "\n" } else { "" };
                let mut out = io::stdout().lock();
                let written = out.write_all(begin.as_bytes()).and_then(|()| out.write_all(lines.as_bytes()));
                // Nothing can be cut off from standard output.
                *is_open = written.is_err();
                written
            }
        }
    }
}
