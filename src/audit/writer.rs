//! The thread that writes the stream: to a file that it alone writes and puts aside when it is large, or to standard output.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

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
            Out::File(file) => file.write(line, &self.tip),
        }
    }
}

/// A file that is put aside under the number of its last line when it has reached a size.
struct Rotated {
    path: PathBuf,
    file: File,
    size: u64,
    max_size: u64,
}

impl Rotated {
    /// And the end of the chain: in it, else in the file that was put aside last.
    fn open(path: &Path, max_size: u64) -> io::Result<(Self, Tip)> {
        let mut file = lone(path)?;
        let mut tail = tail(&mut file)?;
        let tip = match aside(path).pop() {
            _ if !tail.is_empty() => Tip::of(&tail),
            Some(elder) => {
                tail.clear();
                Tip::of(&self::tail(&mut File::open(elder)?)?)
            }
            None => Some(Tip::default()),
        };
        let tip = tip.ok_or_else(|| io::Error::other("its end is no audit stream: put it aside"))?;
        if !tail.is_empty() && !tail.ends_with('\n') {
            // What a crash broke off stays, for `audit verify` to find, and nothing is written behind it.
            file.write_all(b"\n")?;
        }
        let size = file.metadata()?.len();
        Ok((Self { path: path.to_owned(), file, size, max_size }, tip))
    }

    /// Writes a line, of which `tip` is the end before it; all of it, or nothing.
    fn write(&mut self, line: &str, tip: &Tip) -> io::Result<()> {
        if self.size > 0 && self.size + line.len() as u64 > self.max_size {
            // A file that cannot be put aside goes on growing: its records count more than its size.
            if let Err(error) = self.rotate(tip) {
                tracing::error!(%error, "the audit file could not be put aside");
            }
        }
        let written = self.file.write_all(line.as_bytes());
        match written {
            Ok(()) => self.size += line.len() as u64,
            Err(_) => self.file.set_len(self.size)?,
        }
        written
    }

    fn rotate(&mut self, tip: &Tip) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{:012}", tip.number()));
        match fs::rename(&self.path, name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.file = lone(&self.path)?;
        self.size = self.file.metadata()?.len();
        Ok(())
    }
}

/// A file that no other process writes, and that only its owner and group read.
fn lone(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
    file.try_lock().map_err(|error| io::Error::other(format!("another process writes it: {error}")))?;
    Ok(file)
}

/// The end of a file, as far as it is text.
fn tail(file: &mut File) -> io::Result<String> {
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    Ok(String::from_utf8_lossy(&tail).into_owned())
}

/// The files that were put aside, the newest last.
fn aside(path: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
    let prefix = format!("{}.", name.to_string_lossy());
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries
        .filter(|file| {
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name.strip_prefix(&prefix).is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_file_is_gone_the_chain_goes_on_behind_the_one_that_was_put_aside_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let seal = |tip: &mut Tip| tip.seal(&crate::audit::chain::tests::record("/")).unwrap();
        let (mut file, mut tip) = Rotated::open(&path, 1).unwrap();
        for _ in 0..12 {
            let before = tip.clone();
            file.write(&seal(&mut tip), &before).unwrap();
        }
        drop(file);
        fs::remove_file(&path).unwrap();
        assert_eq!(aside(&path).len(), 11);
        let (_, tip) = Rotated::open(&path, 1).unwrap();
        assert_eq!(tip.number(), 11);
    }

    #[test]
    fn a_file_that_is_no_audit_stream_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        fs::write(&path, "something else\n").unwrap();
        assert!(Rotated::open(&path, 1).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "something else\n");
    }
}
