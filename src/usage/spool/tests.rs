use std::os::unix::fs::symlink;

use jiff::Timestamp;

use super::*;
use crate::usage::batch::BatchEntry;

fn batch(id: Uuid, requests: u64) -> Vec<u8> {
    let entry = BatchEntry {
        key_id: "k".to_owned(),
        endpoint: "/a".to_owned(),
        status_code: 200,
        count: requests,
        response_time_ms_sum: 1,
        response_time_ms_max: 1,
        bytes_in: 0,
        bytes_out: 0,
    };
    let now = Timestamp::from_millisecond(5000).unwrap();
    let batch =
        Batch { batch_id: id, service_id: "platform".to_owned(), from: now, to: now, entries: vec![entry] };
    batch.to_bytes().unwrap()
}

fn seal(spool: &Spool, from: i64) -> SealedFile {
    let (id, requests) = (Uuid::new_v4(), 7);
    let bytes = batch(id, requests);
    let file = SealedFile { id, from, requests, size: bytes.len() as u64 };
    spool.seal(file, &bytes).unwrap();
    file
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_a_dead_process_left_is_taken_up_with_the_batch_that_it_did_not_complete() {
    let folder = tempfile::tempdir().unwrap();
    let dead = Spool::open(folder.path()).unwrap();
    let (second, first, open) = (seal(&dead, 20), seal(&dead, 10), Uuid::new_v4());
    for requests in [1, 3] {
        dead.write_open(open, &batch(open, requests)).unwrap();
    }
    let next = Spool::open(folder.path()).unwrap();
    // It lives.
    assert_eq!(next.adopt().unwrap().batches, []);
    drop(dead);
    let adopted = next.adopt().unwrap();
    let open = SealedFile { id: open, from: 5000, requests: 3, size: batch(open, 3).len() as u64 };
    assert_eq!((adopted.batches, adopted.damaged), (vec![first, second, open], 0));
    assert_eq!(next.read(open).unwrap().1.requests(), 3);
    // Its lock is gone with it, and nobody else takes anything up.
    assert!(Spool::open(folder.path()).unwrap().adopt().unwrap().batches.is_empty());
    for file in [first, second, open] {
        next.remove(file).unwrap();
        next.remove(file).unwrap();
    }
    assert_eq!(names(folder.path()).len(), 2, "{:?}", names(folder.path()));
}

#[test]
fn of_two_that_find_a_dead_one_each_batch_goes_to_one() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..20 {
        let dead = Spool::open(folder.path()).unwrap();
        let mut left: Vec<_> = (0..20).map(|from| seal(&dead, from).id).collect();
        drop(dead);
        let two = [Spool::open(folder.path()).unwrap(), Spool::open(folder.path()).unwrap()];
        let adopted = std::thread::scope(|scope| {
            let both = two.each_ref().map(|spool| scope.spawn(|| spool.adopt().unwrap()));
            both.map(|thread| thread.join().unwrap())
        });
        let mut taken = Vec::new();
        for (spool, adopted) in two.iter().zip(adopted) {
            assert_eq!(adopted.damaged, 0);
            for file in adopted.batches {
                taken.push(file.id);
                spool.read(file).unwrap();
                spool.remove(file).unwrap();
            }
        }
        left.sort();
        taken.sort();
        assert_eq!(left, taken);
    }
}

#[test]
fn hostile_files_are_neither_followed_nor_fatal_and_what_is_not_ours_stays() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "not usage").unwrap();
    let dead = Uuid::new_v4();
    let named = |kind: Kind| folder.path().join(FileName { owner: dead, kind }.to_string());
    let sealed = |requests| Kind::Sealed { from: 1, id: Uuid::new_v4(), requests };
    // Links: of a batch, of one that is open, of a temporary file.
    symlink(&secret, named(sealed(1))).unwrap();
    // What it leads to is a batch, and even so not one of the spool.
    let outside = (tempfile::NamedTempFile::new().unwrap(), Uuid::new_v4());
    fs::write(&outside.0, batch(outside.1, 99)).unwrap();
    symlink(outside.0.path(), named(Kind::Open(outside.1))).unwrap();
    symlink(&secret, named(Kind::Temporary)).unwrap();
    // A gigabyte, a folder, half a batch, another batch than its name says.
    fs::File::create(named(sealed(2))).unwrap().set_len(1 << 30).unwrap();
    fs::create_dir(named(sealed(4))).unwrap();
    let half = Uuid::new_v4();
    fs::write(named(Kind::Open(half)), &batch(half, 1)[..50]).unwrap();
    let other = SealedFile { id: Uuid::new_v4(), from: 2, requests: 8, size: 0 };
    fs::write(named(other.kind()), batch(Uuid::new_v4(), 8)).unwrap();
    // Locks that are none.
    for kind in ["a folder", "a link", "a pipe"] {
        let owner = Uuid::new_v4();
        let lock = folder.path().join(FileName { owner, kind: Kind::Lock }.to_string());
        fs::write(folder.path().join(FileName { owner, kind: sealed(1) }.to_string()), "").unwrap();
        match kind {
            "a folder" => fs::create_dir(lock).unwrap(),
            "a link" => symlink(&secret, lock).unwrap(),
            _ => rustix::fs::mknodat(
                rustix::fs::CWD,
                lock,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RUSR,
                0,
            )
            .unwrap(),
        }
    }
    let spool = Spool::open(folder.path()).unwrap();
    let adopted = spool.adopt().unwrap();
    assert_eq!(adopted.batches.iter().map(|file| file.requests).collect::<Vec<_>>(), [8]);
    assert_eq!((adopted.damaged, adopted.lost), (4, 3));
    assert_eq!(spool.read(adopted.batches[0]).unwrap_err().kind(), ErrorKind::InvalidData);
    assert_eq!(fs::read_to_string(&secret).unwrap(), "not usage");
    // Three that are no locks with what they guard, a folder with a name of ours, the secret, its own lock and one batch.
    assert_eq!(names(folder.path()).len(), 6 + 1 + 1 + 2, "{:?}", names(folder.path()));
    assert!(spool.adopt().unwrap().batches.is_empty());
}

#[test]
fn a_lock_that_was_removed_meanwhile_is_nobodys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let first = lock(&path).unwrap().unwrap();
    assert!(lock(&path).unwrap().is_none());
    // Opened before it was removed, and locked after: by then the name is another file's.
    let late = File::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    drop(first);
    let second = lock(&path).unwrap();
    assert!(second.is_some() && claim(late, &path).unwrap().is_none());
}

#[test]
fn a_folder_that_others_may_write_or_that_is_none_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("open")).unwrap();
    fs::set_permissions(at("open"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(at("file"), "").unwrap();
    assert!(matches!(check(&at("open")), Err(SpoolFault::Untrusted(_))));
    assert!(matches!(check(&at("file")), Err(SpoolFault::NoFolder)));
    assert!(matches!(check(&at("file/below")), Err(SpoolFault::Io(_) | SpoolFault::NoFolder)));
    assert!(matches!(check(&at("none/below")), Err(SpoolFault::NoParent(_))));
    assert!(check(&at("new")).is_ok() && !at("new").exists());
    make(&at("new"), false).unwrap();
    assert_eq!(fs::metadata(at("new")).unwrap().permissions().mode() & 0o777, 0o700);
    make(&at("more/and/more"), true).unwrap();
}
