//! The last use of each key, in a small file that `keys list` reads.
//!
//! A request only sets a flag of its key. The watcher of the key file collects the flags, and at most once a minute a thread of
//! its own writes them, because a network file system may hang. Nothing waits for the file or depends on it. Several gateways
//! may share it: each merges its uses into it.

use std::{
    collections::{BTreeMap, HashSet},
    mem,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::{self, OwnedMutexGuard, oneshot};
use toml_edit::{DocumentMut, value};

use super::replace::LockedFile;
use crate::{
    code::Code,
    trusted_file::{self, FileError},
};

const HEADER: &str = "# When each key was last used, within a minute. Written by the gateway for `hokusai-gateway keys list`; \
                      may be removed.\n";
/// The mode of a new file. Key ids are no secret, and the operator may be another user than the gateway.
const MODE: u32 = 0o640;
/// Time between two writes.
const INTERVAL: Duration = Duration::from_secs(60);
/// How long a key that this gateway does not have is kept: it may belong to another gateway that shares the file.
const FOREIGN_LIFETIME: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Last uses by key id.
pub type LastUses = BTreeMap<String, Timestamp>;

/// Why the file is not read or written.
#[derive(Debug, thiserror::Error)]
pub enum LastUseError {
    #[error(transparent)]
    File(#[from] FileError),
    /// Not overwritten: it may be anything.
    #[error("is not a file of last uses; remove it, or set another path")]
    OtherFormat,
}

/// The contents of the file; empty if there is none.
///
/// # Errors
/// A file that cannot be read.
pub fn read(path: &Path) -> Result<LastUses, LastUseError> {
    match trusted_file::read_file(path) {
        Ok(text) => parse(&text),
        Err(FileError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(LastUses::new()),
        Err(error) => Err(error.into()),
    }
}

/// The uses to be written, and the writer.
#[derive(Debug)]
pub(super) struct Recorder {
    pending: Arc<Mutex<LastUses>>,
    /// Locked during a write, so that there is one at a time.
    writer: Arc<sync::Mutex<Writer>>,
}

impl Recorder {
    pub(super) fn new(path: PathBuf, is_named: bool) -> Self {
        let writer = Writer { path, is_named, tried_at: None, has_failed: false };
        Self { pending: Arc::default(), writer: Arc::new(writer.into()) }
    }

    pub(super) fn note(&self, id: &str, at: Timestamp) {
        self.pending.lock().insert(id.to_owned(), at);
    }

    /// Starts to write, if it is time. `ours` are the ids of this gateway's keys. The receiver is notified when the write has been
    /// tried.
    pub(super) fn begin(&self, ours: impl FnOnce() -> HashSet<String>) -> Option<oneshot::Receiver<()>> {
        let writer = Arc::clone(&self.writer).try_lock_owned().ok()?;
        let is_time = !self.pending.lock().is_empty() && !writer.is_soon();
        is_time.then(|| self.start(writer, ours()))
    }

    /// The same at shutdown, without regard to the time; waits until the write has been tried.
    pub(super) async fn finish(&self, ours: impl FnOnce() -> HashSet<String>) {
        let writer = Arc::clone(&self.writer).lock_owned().await;
        if !self.pending.lock().is_empty() {
            let _ = self.start(writer, ours()).await;
        }
    }

    /// On a thread of its own: a runtime would wait for a blocking task when the process ends.
    fn start(&self, mut writer: OwnedMutexGuard<Writer>, ours: HashSet<String>) -> oneshot::Receiver<()> {
        let (done, is_done) = oneshot::channel();
        let pending = Arc::clone(&self.pending);
        let write = move || {
            let uses = mem::take(&mut *pending.lock());
            if !writer.write(&uses, &ours) {
                // Kept for the next time, unless a later use was noted meanwhile.
                let mut pending = pending.lock();
                uses.into_iter().for_each(|(id, at)| _ = pending.entry(id).or_insert(at));
            }
            drop(writer);
            let _ = done.send(());
        };
        // If no thread can be started, nothing was taken, and the next tick tries again.
        let _ = thread::Builder::new().name("last_uses".to_owned()).spawn(write);
        is_done
    }
}

/// Writes the file, and remembers how that went.
#[derive(Debug)]
struct Writer {
    path: PathBuf,
    /// Whether the settings name this path: then a failure is a warning.
    is_named: bool,
    tried_at: Option<Instant>,
    has_failed: bool,
}

impl Writer {
    fn is_soon(&self) -> bool {
        self.tried_at.is_some_and(|tried| tried.elapsed() < INTERVAL)
    }

    /// Returns whether the uses were written.
    fn write(&mut self, uses: &LastUses, ours: &HashSet<String>) -> bool {
        let added = add(&self.path, uses, ours);
        // Another process has the lock on the folder.
        if matches!(added, Ok(false)) {
            return false;
        }
        self.tried_at = Some(Instant::now());
        match &added {
            Ok(_) => self.has_failed = false,
            Err(error) => self.failed(error),
        }
        added.is_ok()
    }

    fn failed(&mut self, error: &LastUseError) {
        if self.has_failed {
            return;
        }
        self.has_failed = true;
        let (code, path) = (Code::LastUsedNotSaved.text(), self.path.display());
        if self.is_named {
            tracing::warn!(code = code, %path, %error, "last uses of keys cannot be written (auth.key_file.last_used)");
        } else {
            tracing::info!(code, %path, %error, "last uses of keys are not recorded; auth.key_file.last_used sets a path for them");
        }
    }
}

/// Merges uses into the file. `false` if another process has the lock.
fn add(path: &Path, uses: &LastUses, ours: &HashSet<String>) -> Result<bool, LastUseError> {
    let Some(file) = LockedFile::try_now(path)? else { return Ok(false) };
    let mut all = file.read()?.map_or_else(|| Ok(LastUses::new()), |text| parse(&text))?;
    for (id, at) in uses {
        let last = all.entry(id.clone()).or_insert(*at);
        *last = (*last).max(*at);
    }
    let now = Timestamp::now();
    all.retain(|id, at| ours.contains(id) || now.duration_since(*at) < FOREIGN_LIFETIME);
    let mut document = DocumentMut::new();
    for (id, at) in &all {
        document.insert(id, value(at.strftime("%Y-%m-%dT%H:%MZ").to_string()));
    }
    file.replace(&format!("{HEADER}{document}"), MODE).map_err(FileError::from)?;
    Ok(true)
}

fn parse(text: &str) -> Result<LastUses, LastUseError> {
    let table: toml::Table = text.parse().map_err(|_| LastUseError::OtherFormat)?;
    let uses = table.into_iter().map(|(id, at)| Some((id, at.as_str()?.parse().ok()?)));
    uses.collect::<Option<_>>().ok_or(LastUseError::OtherFormat)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_several_gateways_know_comes_together_and_the_latest_use_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("uses.toml");
        let now = Timestamp::now();
        let long_ago = at("2020-01-01T00:00:00Z");
        let of = |uses: &[(&str, Timestamp)]| uses.iter().map(|(id, at)| ((*id).to_owned(), *at)).collect();
        let ours = HashSet::from(["old".to_owned()]);
        assert!(add(&path, &of(&[("a.b c", now), ("gone", long_ago), ("old", long_ago)]), &ours).unwrap());
        assert!(add(&path, &of(&[("a.b c", long_ago), ("d", now)]), &ours).unwrap());
        let read = read(&path).unwrap();
        assert_eq!(read.keys().collect::<Vec<_>>(), ["a.b c", "d", "old"]);
        assert!(now.duration_since(read["a.b c"]) < SignedDuration::from_mins(1));
    }

    #[test]
    fn nothing_is_written_over_a_file_of_another_kind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        for text in ["[[keys]]\nid = 'a'\n", "a = 1\n", "no toml", "a = 'never'\n"] {
            fs::write(&path, text).unwrap();
            let uses = LastUses::from([("a".to_owned(), Timestamp::now())]);
            assert!(matches!(add(&path, &uses, &HashSet::new()), Err(LastUseError::OtherFormat)), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[actix_rt::test]
    async fn it_is_written_at_most_once_a_minute_and_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("uses.toml");
        let recorder = Recorder::new(path.clone(), true);
        for (id, is_the_end, written) in [("a", false, 1), ("b", false, 1), ("c", true, 3)] {
            recorder.note(id, Timestamp::now());
            if is_the_end {
                recorder.finish(HashSet::new).await;
            } else if let Some(done) = recorder.begin(HashSet::new) {
                done.await.unwrap();
            }
            assert_eq!(read(&path).unwrap().len(), written, "{id}");
        }
    }

    #[actix_rt::test]
    async fn what_could_not_be_written_is_written_the_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("not/yet/uses.toml");
        let recorder = Recorder::new(path.clone(), false);
        recorder.note("a", Timestamp::now());
        recorder.begin(HashSet::new).unwrap().await.unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        recorder.note("b", Timestamp::now());
        recorder.finish(HashSet::new).await;
        assert_eq!(read(&path).unwrap().into_keys().collect::<Vec<_>>(), ["a", "b"]);
    }
}
