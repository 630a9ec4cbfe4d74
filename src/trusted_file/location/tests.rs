use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown, lchown, symlink},
};

use super::*;

const SOMEBODY: u32 = 12_345;

/// `bob/` of somebody's, and `ours/` with a file; `None` without root's rights, which it takes to give files away.
fn bobs() -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().unwrap();
    for name in ["bob", "bob/real", "ours"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("ours/keys.toml"), "ours").unwrap();
    fs::write(folder.path().join("bob/keys.toml"), "bob's").unwrap();
    for name in ["bob", "bob/real", "bob/keys.toml"] {
        chown(folder.path().join(name), Some(SOMEBODY), None).ok()?;
    }
    Some(folder)
}

#[test]
fn a_link_of_somebody_elses_leads_only_to_what_is_theirs() {
    for (target, name, theirs_leads) in [
        ("ours/keys.toml", "link", false),
        ("ours/new.toml", "link", false),
        ("ours", "link/keys.toml", false),
        ("ours", "link/new.toml", false),
        ("bob/alias", "link", false),
        ("bob/keys.toml", "link", true),
        ("bob/new.toml", "link", true),
        ("bob/real", "link/new.toml", true),
        ("bob/real", "link/../../ours/keys.toml", true),
    ] {
        let Some(folder) = bobs() else { return };
        let (at, link) = (|name: &str| folder.path().join(name), folder.path().join("bob/link"));
        // Root's, and lets nobody else's lead through it.
        symlink(at("ours/keys.toml"), at("bob/alias")).unwrap();
        symlink(at(target), &link).unwrap();
        let path = at("bob").join(name);
        assert!(FileLocation::find(&path).is_ok(), "{target} {name}: our own leads anywhere");
        lchown(&link, Some(SOMEBODY), None).unwrap();
        let found = FileLocation::find(&path);
        assert_eq!(found.is_ok(), theirs_leads, "{target} {name}: {found:?}");
        assert!(
            !matches!(found, Err(ref error) if !matches!(error, FileError::Link { owner: SOMEBODY, .. }))
        );
    }
}

#[test]
fn a_folder_that_is_exchanged_afterwards_is_not_gone_to() {
    let folder = tempfile::tempdir().unwrap();
    let (inner, victim) = (folder.path().join("inner"), folder.path().join("victim"));
    for (path, text) in [(&inner, "inner"), (&victim, "victim")] {
        fs::create_dir(path).unwrap();
        fs::write(path.join("keys.toml"), text).unwrap();
    }
    let place = FileLocation::find(&inner.join("keys.toml")).unwrap();
    fs::rename(&inner, folder.path().join("aside")).unwrap();
    symlink(&victim, &inner).unwrap();
    let text =
        fs::File::open(folder.path().join("aside/keys.toml")).map(io::read_to_string).unwrap().unwrap();
    assert_eq!(text, "inner");
    assert!(place.look().unwrap().is_some());
    assert_eq!(place.read().unwrap().as_deref(), Some("inner"));
    // Nor is a link that has come in place of the file.
    fs::remove_file(folder.path().join("aside/keys.toml")).unwrap();
    symlink(victim.join("keys.toml"), folder.path().join("aside/keys.toml")).unwrap();
    assert!(place.read().is_err());
}

#[test]
fn links_as_kubernetes_lays_them_lead_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("..2026")).unwrap();
    fs::set_permissions(at("..2026"), fs::Permissions::from_mode(0o711)).unwrap();
    fs::write(at("..2026/keys.toml"), "mounted").unwrap();
    symlink("..2026", at("..data")).unwrap();
    symlink("..data/keys.toml", at("keys.toml")).unwrap();
    assert_eq!(FileLocation::find(&at("keys.toml")).unwrap().read().unwrap().as_deref(), Some("mounted"));
    symlink("round", at("round")).unwrap();
    let round = FileLocation::find(&at("round")).unwrap_err().to_string();
    assert!(round.contains("leads back to itself"), "{round}");
}
