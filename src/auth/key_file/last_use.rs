//! When each key was last used, in a small file that `keys list` reads.
//!
//! A request sets a flag of its key and no more; the watcher of the key file collects the flags, and has them written at most
//! once a minute, by a thread of its own: a network file system may hang. Nobody waits for it, and where it cannot be written
//! nothing else is the matter. Several gateways may share it: each adds what it knows to what is there.

use std::{
    collections::{BTreeMap, HashSet},
    mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{self, OwnedMutexGuard, oneshot};
use toml_edit::{DocumentMut, value};

use super::replace::Locked;
use crate::{
    code::Code,
    trusted_file::{self, FileError},
};

const HEADER: &str = "# When each key was last used, within a minute. Written by the gateway for `hokusai-gateway keys list`; \
                      may be removed.\n";
/// The mode of a new file: ids of keys are in logs too, and the operator may be another user than the gateway.
const MODE: u32 = 0o640;
/// Time between two writes.
const INTERVAL: Duration = Duration::from_secs(60);
/// How long a key that this gateway does not have is remembered: it may be another's that shares the file.
const OF_OTHERS: SignedDuration = SignedDuration::from_hours(90 * 24);

/// By the id of the key.
pub type LastUses = BTreeMap<String, Timestamp>;

/// Why the file is not read or written.
#[derive(Debug, thiserror::Error)]
pub enum LastUseError {
    #[error(transparent)]
    File(#[from] FileError),
    /// Nothing is written over it: it may be anything.
    #[error("is no file of last uses; remove it, or name another one")]
    Strange,
}

/// What the file says; nothing where there is none.
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

/// What is yet to be written, and who writes it.
#[derive(Debug)]
pub(super) struct Recorder {
    pending: Arc<Mutex<LastUses>>,
    /// Held while it writes: there is one write at a time, and whoever comes meanwhile starts none.
    writer: Arc<sync::Mutex<Writer>>,
}

impl Recorder {
    pub(super) fn new(path: PathBuf, is_named: bool) -> Self {
        let writer = Writer { path, is_named, tried_at: None, has_failed: false };
        Self { pending: Arc::default(), writer: Arc::new(writer.into()) }
    }

    pub(super) fn note(&self, id: &str, at: Timestamp) {
        lock(&self.pending).insert(id.to_owned(), at);
    }

    /// Begins to write what was noted, if it is time. `ours` are the ids of the keys that this gateway has. What is returned
    /// tells when it has been tried.
    pub(super) fn begin(&self, ours: impl FnOnce() -> HashSet<String>) -> Option<oneshot::Receiver<()>> {
        let writer = Arc::clone(&self.writer).try_lock_owned().ok()?;
        let is_time = !lock(&self.pending).is_empty() && !writer.is_soon();
        is_time.then(|| self.start(writer, ours()))
    }

    /// The same at the end, whenever that is; returns when it has been tried.
    pub(super) async fn finish(&self, ours: impl FnOnce() -> HashSet<String>) {
        let writer = Arc::clone(&self.writer).lock_owned().await;
        if !lock(&self.pending).is_empty() {
            let _ = self.start(writer, ours()).await;
        }
    }

    /// On a thread that nobody has to wait for: a runtime would, when the process ends.
    fn start(&self, mut writer: OwnedMutexGuard<Writer>, ours: HashSet<String>) -> oneshot::Receiver<()> {
        let (done, is_done) = oneshot::channel();
        let pending = Arc::clone(&self.pending);
        let write = move || {
            let uses = mem::take(&mut *lock(&pending));
            if !writer.write(&uses, &ours) {
                // For the next time; a use that was noted meanwhile is the later one.
                let mut pending = lock(&pending);
                uses.into_iter().for_each(|(id, at)| _ = pending.entry(id).or_insert(at));
            }
            drop(writer);
            let _ = done.send(());
        };
        // Without a thread nothing was taken, and the next second tries again.
        let _ = thread::Builder::new().name("last_uses".to_owned()).spawn(write);
        is_done
    }
}

fn lock(pending: &Mutex<LastUses>) -> std::sync::MutexGuard<'_, LastUses> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where it is written, and how that went.
#[derive(Debug)]
struct Writer {
    path: PathBuf,
    /// Whether somebody has named this place: then it is a fault that it cannot be written.
    is_named: bool,
    tried_at: Option<Instant>,
    has_failed: bool,
}

impl Writer {
    fn is_soon(&self) -> bool {
        self.tried_at.is_some_and(|tried| tried.elapsed() < INTERVAL)
    }

    /// Whether they are written.
    fn write(&mut self, uses: &LastUses, ours: &HashSet<String>) -> bool {
        let added = add(&self.path, uses, ours);
        // Somebody changes a file of this folder at this moment.
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
        let (code, path) = (Code::LastUsesNotKept.text(), self.path.display());
        if self.is_named {
            tracing::warn!(code = code, %path, %error, "last uses of keys cannot be written (auth.key_file.last_used)");
        } else {
            tracing::info!(code, %path, %error, "last uses of keys are not kept; auth.key_file.last_used names a place for them");
        }
    }
}

/// Whether it was written, and not put off.
fn add(path: &Path, uses: &LastUses, ours: &HashSet<String>) -> Result<bool, LastUseError> {
    let Some(file) = Locked::now(path)? else { return Ok(false) };
    let mut all = file.read()?.map_or_else(|| Ok(LastUses::new()), |text| parse(&text))?;
    for (id, at) in uses {
        let known = all.entry(id.clone()).or_insert(*at);
        *known = (*known).max(*at);
    }
    let now = Timestamp::now();
    all.retain(|id, at| ours.contains(id) || now.duration_since(*at) < OF_OTHERS);
    let mut document = DocumentMut::new();
    for (id, at) in &all {
        document.insert(id, value(at.strftime("%Y-%m-%dT%H:%MZ").to_string()));
    }
    file.replace(&format!("{HEADER}{document}"), MODE).map_err(FileError::from)?;
    Ok(true)
}

fn parse(text: &str) -> Result<LastUses, LastUseError> {
    let table: toml::Table = text.parse().map_err(|_| LastUseError::Strange)?;
    let uses = table.into_iter().map(|(id, at)| Some((id, at.as_str()?.parse().ok()?)));
    uses.collect::<Option<_>>().ok_or(LastUseError::Strange)
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
            assert!(matches!(add(&path, &uses, &HashSet::new()), Err(LastUseError::Strange)), "{text}");
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
