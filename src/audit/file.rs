//! The file of the stream: written by one process, in whole lines, and rotated by size.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{
    chain::{self, Tip},
    event::Event,
};
use crate::code::Code;

/// How much of a file's end is read to find its last line.
const TAIL: u64 = 256 * 1024;

/// A file that is renamed when it reaches `max_size`: the number of its last line is put behind its name.
#[derive(Debug)]
pub(super) struct Rotated {
    path: PathBuf,
    file: File,
    /// Its whole lines end here.
    size: u64,
    max_size: u64,
    /// There may be bytes of a failed write behind `size`, which could not be cut off.
    is_ragged: bool,
    /// Its last line has no end, because the process was killed.
    is_open: bool,
    /// The last rotation failed; this is logged once.
    is_stuck: bool,
}

/// A file that was opened, and what is known from its end.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: Rotated,
    /// The end of the chain: in the file, else in the one that was rotated last.
    pub(super) tip: Tip,
    /// The last line, if it is not whole.
    pub(super) torn: Option<Event>,
}

impl Rotated {
    pub(super) fn open(path: &Path, max_size: u64) -> io::Result<Opened> {
        let mut file = open_alone(path)?;
        let end = tail(&mut file)?;
        let text = String::from_utf8_lossy(&end);
        let is_begun = !end.is_empty() && !is_first_line_torn(&text);
        let tip = match rotated_files(path).pop() {
            _ if is_begun => Tip::of(&text),
            Some(previous) => Tip::of(&String::from_utf8_lossy(&tail(&mut File::open(previous)?)?)),
            None => Some(Tip::default()),
        };
        let tip =
            tip.ok_or_else(|| io::Error::other("it does not end like an audit stream: move it away"))?;
        let last = end.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let is_whole = str::from_utf8(last).is_ok_and(|last| chain::read(last).is_ok());
        let torn = (!last.is_empty() && !is_whole).then(|| Event::Torn {
            time: Timestamp::now(),
            torn: last.len(),
            digest: chain::digest(last),
        });
        let (size, is_open) = (file.metadata()?.len(), !last.is_empty());
        let file =
            Self { path: path.to_owned(), file, size, max_size, is_ragged: false, is_open, is_stuck: false };
        Ok(Opened { file, tip, torn })
    }

    /// Writes all lines or none. `tip` is the end of the chain before them.
    pub(super) fn write(&mut self, lines: &str, tip: &Tip) -> io::Result<()> {
        if self.is_ragged {
            self.cut()?;
        }
        let lines = if self.is_open { format!("\n{lines}") } else { lines.to_owned() };
        if self.size > 0 && self.size + lines.len() as u64 > self.max_size && !self.is_open {
            // If rotation fails the file grows on: records matter more than its size.
            let rotated = self.rotate(tip);
            if let (Err(error), false) = (&rotated, self.is_stuck) {
                tracing::error!(code = Code::AuditNotRotated.text(), %error, "audit file not rotated; records are still written to it");
            }
            self.is_stuck = rotated.is_err();
        }
        match self.file.write_all(lines.as_bytes()) {
            Ok(()) => {
                self.size += lines.len() as u64;
                self.is_open = false;
                Ok(())
            }
            Err(error) => {
                self.is_ragged = true;
                let _ = self.cut();
                Err(error)
            }
        }
    }

    /// Cuts off what a failed write left.
    fn cut(&mut self) -> io::Result<()> {
        // The file may have been emptied meanwhile.
        if self.file.metadata()?.len() > self.size {
            self.file.set_len(self.size)?;
        }
        self.is_ragged = false;
        Ok(())
    }

    fn rotate(&mut self, tip: &Tip) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{:012}", tip.number));
        match fs::rename(&self.path, name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.file = open_alone(&self.path)?;
        self.size = self.file.metadata()?.len();
        Ok(())
    }
}

/// Opens a file that no other process writes, readable by its owner and group only.
fn open_alone(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
    file.try_lock().map_err(|error| io::Error::other(format!("another process writes it: {error}")))?;
    Ok(file)
}

/// Whether it is a single line of a stream, and not whole.
fn is_first_line_torn(text: &str) -> bool {
    const BEGINNING: &str = "{\"number\":";
    !text.contains('\n')
        && (text.starts_with(BEGINNING) || BEGINNING.starts_with(text))
        && Tip::of(text).is_none()
}

/// The end of a file.
fn tail(file: &mut File) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    Ok(tail)
}

/// The rotated files, the newest last.
fn rotated_files(path: &Path) -> Vec<PathBuf> {
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
    use serde_json::json;

    use super::*;

    fn append(file: &mut Rotated, tip: &mut Tip) {
        let before = tip.clone();
        let line = tip.seal(&json!({ "path": "/" })).unwrap();
        file.write(&line, &before).unwrap();
    }

    #[test]
    fn where_the_file_is_gone_the_chain_goes_on_from_the_last_rotated_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let Opened { mut file, mut tip, .. } = Rotated::open(&path, 1).unwrap();
        for _ in 0..12 {
            append(&mut file, &mut tip);
        }
        drop(file);
        fs::remove_file(&path).unwrap();
        assert_eq!(rotated_files(&path).len(), 11);
        assert_eq!(Rotated::open(&path, 1).unwrap().tip.number, 11);
    }

    #[test]
    fn a_file_that_is_no_audit_stream_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        fs::write(&path, "something else\n").unwrap();
        assert!(Rotated::open(&path, 1).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "something else\n");
    }

    #[test]
    fn a_line_that_broke_off_is_closed_and_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let mut tip = Tip::default();
        let whole = tip.seal(&json!({ "path": "/" })).unwrap();
        for (left, is_torn) in
            [("{\"number\":2,\"prev", true), ("\u{fffd}", true), (whole.trim_end(), false), ("", false)]
        {
            let before = if is_torn { format!("{whole}{left}") } else { left.to_owned() };
            fs::write(&path, &before).unwrap();
            let Opened { mut file, mut tip, torn } = Rotated::open(&path, 1).unwrap();
            assert_eq!(torn.is_some(), is_torn, "{left}");
            append(&mut file, &mut tip);
            let text = fs::read_to_string(&path).unwrap();
            let end = if left.is_empty() { "" } else { "\n" };
            assert!(text.starts_with(&format!("{before}{end}{{\"number\":{}", tip.number)), "{text}");
        }
        for only in ["{", "{\"number\":1,\"previous"] {
            fs::write(&path, only).unwrap();
            let opened = Rotated::open(&path, 1).unwrap();
            assert_eq!((opened.tip.number, opened.torn.is_some()), (0, true), "{only}");
        }
    }

    #[test]
    fn what_a_failed_write_left_is_cut_off_before_anything_else_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let Opened { mut file, mut tip, .. } = Rotated::open(&path, 1 << 20).unwrap();
        append(&mut file, &mut tip);
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{{\"number\":2")).unwrap();
        file.is_ragged = true;
        append(&mut file, &mut tip);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| chain::read(line).is_ok()), "{text}");
    }
}
