//! The thread that writes the stream, to a file or to standard output; and what it could not write, as soon as it can again.

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
use crate::{VERSION, code::Code, settings::AuditOutput, vocabulary::DeliveryOutcome};

/// Time between two tries to write what was lost, where no record comes.
const PAUSE: Duration = Duration::from_secs(1);
/// How long it sleeps where there is nothing to do.
const IDLE: Duration = Duration::from_secs(3600);

/// Owns the output and the end of the chain.
#[derive(Debug)]
pub(super) struct Writer {
    out: Out,
    tip: Tip,
    /// Goes before whatever is written next.
    owed: Vec<Event>,
    /// When losses were last written: not with every line, where there are ever more.
    lost_told: Option<Instant>,
    is_failing: bool,
    ledger: Arc<Ledger>,
}

#[derive(Debug)]
enum Out {
    /// And whether a line of ours may have broken off.
    Stdout {
        is_open: bool,
    },
    File(Rotated),
}

impl Writer {
    /// `None` where no records are wanted.
    pub(super) fn open(
        output: &AuditOutput,
        max_size: u64,
        ledger: &Arc<Ledger>,
    ) -> Result<Option<Self>, AuditError> {
        let (out, tip, torn) = match output {
            AuditOutput::Off => return Ok(None),
            AuditOutput::Stdout => (Out::Stdout { is_open: false }, Tip::default(), None),
            AuditOutput::File(path) => {
                let failed = |error: io::Error| AuditError { path: path.clone(), what: error.to_string() };
                let Opened { file, tip, torn } = Rotated::open(path, max_size).map_err(failed)?;
                (Out::File(file), tip, torn)
            }
        };
        let started = Event::Started { time: Timestamp::now(), version: VERSION };
        let owed = torn.into_iter().chain([started]).collect();
        let ledger = Arc::clone(ledger);
        Ok(Some(Self { out, tip, owed, lost_told: None, is_failing: false, ledger }))
    }

    /// It ends with the last sender.
    pub(super) fn start(mut self, messages: Receiver<Message>) -> Result<(), AuditError> {
        let path = PathBuf::from("audit");
        let thread =
            thread::Builder::new().name("audit_writer".to_owned()).spawn(move || self.run(&messages));
        thread.map(drop).map_err(|error| AuditError { path, what: error.to_string() })
    }

    fn run(&mut self, messages: &Receiver<Message>) {
        loop {
            if !self.is_failing && !self.owed.is_empty() {
                self.settle();
            }
            match messages.recv_timeout(self.patience()) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => self.settle(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.sum_up(self.ledger.refusals.sums(Instant::now()));
        }
    }

    /// How long there is nothing to do if no message comes.
    fn patience(&self) -> Duration {
        if self.is_owing() {
            return PAUSE;
        }
        let due = self.ledger.refusals.due();
        due.map_or(IDLE, |due| due.saturating_duration_since(Instant::now()))
    }

    fn is_owing(&self) -> bool {
        !self.owed.is_empty() || self.ledger.losses.are_there()
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Record { record, lane, _space } => {
                if self.write(Some(Entry::Request(&record))).is_err() {
                    self.ledger.lose(DeliveryOutcome::Failed, 1, u64::from(lane == Lane::Changes));
                }
            }
            // Whoever does not wait any more has refused the request.
            Message::Begin { answer, .. } if answer.is_closed() => {}
            Message::Begin { record, answer, mailbox, space } => {
                match self.write(Some(Entry::Request(&record))) {
                    Ok(number) => {
                        if let Err(begun) = answer.send(Begun::new(number, mailbox, space)) {
                            self.withdraw(begun.claim());
                        }
                    }
                    Err(_) => self.ledger.lose(DeliveryOutcome::Failed, 1, 0),
                }
            }
            Message::Withdraw { begun, _space } => self.withdraw(begun),
            Message::Stop(done) => {
                self.sum_up(self.ledger.refusals.last_sums());
                self.lost_told = None;
                self.tell(&Event::Stopped { time: Timestamp::now() }, 0);
                let _ = done.send(());
            }
        }
    }

    fn withdraw(&mut self, begun: u64) {
        self.tell(&Event::Withdrawn { time: Timestamp::now(), begun }, 0);
    }

    fn sum_up(&mut self, sums: Vec<Event>) {
        for sum in sums {
            let Event::More { more, .. } = sum else { continue };
            self.tell(&sum, more);
        }
    }

    /// Writes an event; if that is not possible, what it stands for is lost.
    fn tell(&mut self, event: &Event, records: u64) {
        if self.write(Some(Entry::Event(event))).is_err() && records > 0 {
            self.ledger.lose(DeliveryOutcome::Failed, records, 0);
        }
    }

    /// Writes what is owed, if anything is.
    fn settle(&mut self) {
        if self.is_owing() {
            let _ = self.write(None);
        }
    }

    /// Writes a line, behind what is owed; all of it or nothing. The number of the last line.
    fn write(&mut self, entry: Option<Entry<'_>>) -> io::Result<u64> {
        let may_tell = self.lost_told.is_none_or(|at| at.elapsed() >= PAUSE);
        let loss = if may_tell { self.ledger.losses.take() } else { None };
        let mut tip = self.tip.clone();
        let written = self.seal(&mut tip, loss.map(|loss| loss.event()).as_ref(), entry.as_ref());
        let written = written.map_err(io::Error::other).and_then(|lines| self.out.write(&lines, &self.tip));
        match written {
            Ok(()) => {
                if self.is_failing {
                    tracing::info!(code = Code::AuditFailing.text(), "audit records can be written again");
                }
                self.is_failing = false;
                self.owed.clear();
                self.lost_told = loss.map(|_| Instant::now()).or(self.lost_told);
                self.tip = tip;
                let requests = u64::from(matches!(entry, Some(Entry::Request(_))));
                self.ledger.count(DeliveryOutcome::Ok, requests);
                Ok(self.tip.number)
            }
            Err(error) => {
                // A line that is not written leaves the chain as it is.
                if let Some(loss) = loss {
                    self.ledger.losses.merge(loss);
                }
                if !self.is_failing {
                    tracing::error!(code = Code::AuditFailing.text(), %error, "an audit record could not be written");
                }
                self.is_failing = true;
                Err(error)
            }
        }
    }

    fn seal(
        &self,
        tip: &mut Tip,
        loss: Option<&Event>,
        entry: Option<&Entry<'_>>,
    ) -> serde_json::Result<String> {
        let owed = self.owed.iter().chain(loss).map(Entry::Event);
        let mut lines = String::new();
        for event in owed {
            lines += &tip.seal(&event)?;
        }
        if let Some(entry) = entry {
            lines += &tip.seal(entry)?;
        }
        Ok(lines)
    }
}

impl Out {
    /// Lines, of which `tip` is the end before them.
    fn write(&mut self, lines: &str, tip: &Tip) -> io::Result<()> {
        match self {
            Self::File(file) => file.write(lines, tip),
            Self::Stdout { is_open } => {
                let begin = if *is_open { "\n" } else { "" };
                let mut out = io::stdout().lock();
                let written = out.write_all(begin.as_bytes()).and_then(|()| out.write_all(lines.as_bytes()));
                // What is written there cannot be cut off.
                *is_open = written.is_err();
                written
            }
        }
    }
}
