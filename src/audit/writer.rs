//! The thread that writes the stream: to a file that it alone writes and puts aside when it is large, or to standard output.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use jiff::Timestamp;

use super::{Message, chain::Tip};
use crate::{
    settings::AuditOutput,
    telemetry::{Delivery, Metrics},
};

/// Records that may wait to be written.
const MAILBOX: usize = 8 * 1024;
/// How much of a file's end is read to find its last line.
const TAIL: u64 = 256 * 1024;

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {what}", path = path.display())]
pub struct AuditError {
    path: PathBuf,
    what: String,
}

/// Opens the output and starts the thread, unless no records are wanted. It ends with the last sender.
pub(super) fn start(
    output: &AuditOutput,
    max_size: u64,
    metrics: Metrics,
) -> Result<Option<SyncSender<Message>>, AuditError> {
    let mut writer = match output {
        AuditOutput::Off => return Ok(None),
        AuditOutput::Stdout => Writer { out: Out::Stdout, tip: Tip::default(), metrics },
        AuditOutput::File(path) => {
            let failed = |error: io::Error| AuditError { path: path.clone(), what: error.to_string() };
            let (file, tip) = Rotated::open(path, max_size).map_err(failed)?;
            Writer { out: Out::File(file), tip, metrics }
        }
    };
    let (mailbox, messages) = sync_channel(MAILBOX);
    let path = PathBuf::from("audit");
    let thread = thread::Builder::new().name("audit_writer".to_owned()).spawn(move || writer.run(&messages));
    thread.map_err(|error| AuditError { path, what: error.to_string() })?;
    Ok(Some(mailbox))
}

struct Writer {
    out: Out,
    tip: Tip,
    metrics: Metrics,
}

enum Out {
    Stdout,
    File(Rotated),
}

impl Writer {
    fn run(&mut self, messages: &Receiver<Message>) {
        while let Ok(message) = messages.recv() {
            match message {
                Message::Record(record) => {
                    // A line that is not written leaves the chain as it is.
                    let mut tip = self.tip.clone();
                    let written =
                        tip.seal(&record).map_err(io::Error::other).and_then(|line| self.write(&line));
                    match written {
                        Ok(()) => {
                            self.tip = tip;
                            self.metrics.audited(Delivery::Ok, 1);
                        }
                        Err(error) => {
                            tracing::error!(%error, "an audit record could not be written");
                            self.metrics.audited(Delivery::Failed, 1);
                        }
                    }
                }
                Message::Flush(done) => {
                    let _ = done.send(());
                }
            }
        }
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        match &mut self.out {
            Out::Stdout => io::stdout().lock().write_all(line.as_bytes()),
            Out::File(file) => file.write(line),
        }
    }
}

/// A file that is put aside under the time of its end when it has reached a size.
struct Rotated {
    path: PathBuf,
    file: File,
    size: u64,
    max_size: u64,
}

impl Rotated {
    /// And the end of the chain in it.
    fn open(path: &Path, max_size: u64) -> io::Result<(Self, Tip)> {
        let mut file = lone(path)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let tail = String::from_utf8_lossy(&tail);
        if !tail.is_empty() && !tail.ends_with('\n') {
            // What a crash broke off stays, for `audit verify` to find, and nothing is written behind it.
            file.write_all(b"\n")?;
        }
        let tip = Tip::of(&tail).unwrap_or_default();
        Ok((Self { path: path.to_owned(), file, size, max_size }, tip))
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        if self.size > 0 && self.size + line.len() as u64 > self.max_size {
            let mut aside = self.path.clone().into_os_string();
            aside.push(format!(".{}", Timestamp::now().strftime("%Y%m%dT%H%M%S.%fZ")));
            fs::rename(&self.path, aside)?;
            self.file = lone(&self.path)?;
            self.size = 0;
        }
        self.file.write_all(line.as_bytes())?;
        self.size += line.len() as u64;
        Ok(())
    }
}

/// A file that no other process writes.
fn lone(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    file.try_lock().map_err(|error| io::Error::other(format!("another process writes it: {error}")))?;
    Ok(file)
}
