//! Takes up what dead processes left.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    fs, io,
    path::Path,
};

use uuid::Uuid;

use super::{FileName, Kind, MAX_BYTES, SealedFile, Spool, lock, read_batch};

/// What was found.
#[derive(Debug, Default)]
pub(in crate::usage) struct Adopted {
    /// Oldest first.
    pub(in crate::usage) batches: Vec<SealedFile>,
    /// Files with the name of a batch that are none: they were removed.
    pub(in crate::usage) damaged: usize,
    /// The requests that their names told of.
    pub(in crate::usage) lost: u64,
}

impl Spool {
    /// Makes the files of dead processes its own. What cannot be taken is left for the next time.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub(in crate::usage) fn adopt(&self) -> io::Result<Adopted> {
        let mut files: HashMap<Uuid, Vec<Kind>> = HashMap::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            if let Some(FileName { owner, kind }) = parsed(&name)
                && owner != self.owner
            {
                files.entry(owner).or_default().push(kind);
            }
        }
        let mut adopted = Adopted::default();
        for (owner, kinds) in files {
            let its_lock = self.path.join(FileName { owner, kind: Kind::Lock }.to_string());
            // What is no lock, or is not ours to open, makes its files nobody's.
            let Ok(Some(_lock)) = lock(&its_lock) else { continue };
            self.take_up(owner, kinds, &mut adopted);
            let _ = fs::remove_file(its_lock);
        }
        adopted.batches.sort_by_key(|batch| batch.from);
        Ok(adopted)
    }

    fn take_up(&self, owner: Uuid, kinds: Vec<Kind>, adopted: &mut Adopted) {
        // A name that was made up could name a batch twice.
        let mut taken = HashSet::new();
        for kind in kinds {
            let path = self.path.join(FileName { owner, kind }.to_string());
            let batch = match kind {
                Kind::Lock => continue,
                Kind::Temporary => None,
                Kind::Open(id) => opened(&path, id),
                Kind::Sealed { from, id, requests } => sealed(&path, from, id, requests),
            };
            match batch.filter(|batch| taken.insert(batch.id)) {
                Some(batch) if fs::rename(&path, self.at(batch.kind())).is_ok() => {
                    adopted.batches.push(batch);
                }
                Some(_) => {}
                // A folder of that name stays.
                None if fs::remove_file(&path).is_ok() && kind != Kind::Temporary => {
                    adopted.damaged += 1;
                    if let Kind::Sealed { requests, .. } = kind {
                        adopted.lost += requests;
                    }
                }
                None => {}
            }
        }
    }
}

fn parsed(name: &OsString) -> Option<FileName> {
    FileName::parse(name.to_str()?)
}

/// A batch that its process did not come to complete.
fn opened(path: &Path, id: Uuid) -> Option<SealedFile> {
    let (bytes, batch) = read_batch(path, id).ok()?;
    let (from, requests) = (batch.from.as_millisecond(), u32::try_from(batch.requests()).ok()?);
    Some(SealedFile { id, from, requests: requests.into(), size: bytes.len() as u64 })
}

/// What is in it is seen when it is sent.
fn sealed(path: &Path, from: i64, id: Uuid, requests: u64) -> Option<SealedFile> {
    let metadata = fs::symlink_metadata(path).ok()?;
    let fits = metadata.is_file() && metadata.len() <= MAX_BYTES as u64;
    fits.then_some(SealedFile { id, from, requests, size: metadata.len() })
}
