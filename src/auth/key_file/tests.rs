use std::{fs, num::NonZeroU32, path::PathBuf};

use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::{
    KeyFile,
    edit::{self, CreatedKey, EditError, NewKey},
    prune,
};
use crate::auth::{Globs, Rejection, key::Environment};

struct Fixture {
    _folder: TempDir,
    path: PathBuf,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        Self { _folder: folder, path }
    }

    fn create(&self, user: &str) -> CreatedKey {
        edit::create(&self.path, &NewKey::of(user, Environment::Test)).unwrap()
    }

    fn open(&self) -> KeyFile {
        KeyFile::open(&self.path).unwrap()
    }

    fn fault_of(&self, text: &str) -> String {
        fs::write(&self.path, text).unwrap();
        KeyFile::open(&self.path).unwrap_err().fault.to_string()
    }
}

#[test]
fn a_created_key_names_its_user_and_its_file_holds_no_key() {
    let fixture = Fixture::new();
    let created = fixture.create("ada");
    let principal = fixture.open().verify(created.key.expose_secret()).unwrap();
    assert_eq!(principal.user_id.as_deref(), Some("ada"));
    assert_eq!(principal.key_id.as_deref(), Some(created.id.as_str()));
    assert!(!fs::read_to_string(&fixture.path).unwrap().contains(created.key.expose_secret()));
}

#[test]
fn one_user_may_have_several_keys() {
    let fixture = Fixture::new();
    let (first, second) = (fixture.create("ada"), fixture.create("ada"));
    let keys = fixture.open();
    for created in [first, second] {
        assert_eq!(keys.verify(created.key.expose_secret()).unwrap().user_id.as_deref(), Some("ada"));
    }
}

#[test]
fn everything_about_a_key_is_kept_and_passed_on_to_its_successor() {
    let fixture = Fixture::new();
    let expires_at: Timestamp = "2030-01-02T03:04:05Z".parse().unwrap();
    let new = NewKey {
        scopes: Some(vec!["mlflow:read".to_owned()]),
        workspace: Some("team-a".to_owned().try_into().unwrap()),
        models: Some(vec!["acme-*".to_owned(), "{a,b}".to_owned()]),
        experiments: Some(vec![]),
        rate_limit_per_hour: NonZeroU32::new(7),
        concurrent: NonZeroU32::new(8),
        creates_per_hour: NonZeroU32::new(9),
        expires_at: Some(expires_at),
        ..NewKey::of("ada", Environment::Live)
    };
    let created = edit::create(&fixture.path, &new).unwrap();
    let successor = edit::rotate(&fixture.path, &created.id, SignedDuration::from_hours(1)).unwrap();
    let keys = fixture.open();
    for key in [&created, &successor] {
        let principal = keys.verify(key.key.expose_secret()).unwrap();
        assert_eq!(principal.user_id.as_deref(), Some("ada"));
        assert_eq!(principal.scopes, new.scopes);
        assert_eq!(principal.workspace, new.workspace);
        assert_eq!(principal.fence.models.as_ref().map(Globs::patterns), new.models.as_deref());
        assert_eq!(principal.fence.experiments.as_ref().map(Globs::patterns), new.experiments.as_deref());
        assert_eq!(principal.rate_limit_per_hour, new.rate_limit_per_hour);
        assert_eq!(
            (principal.concurrent, principal.creates_per_hour),
            (new.concurrent, new.creates_per_hour)
        );
    }
    let successors = keys.verify(successor.key.expose_secret()).unwrap().expires_at.unwrap();
    assert!(successors.duration_since(expires_at).abs() < SignedDuration::from_mins(1), "{successors}");
}

#[test]
fn unknown_mistyped_and_revoked_keys_are_told_apart_in_the_log() {
    let fixture = Fixture::new();
    let created = fixture.create("ada");
    let stranger = crate::auth::key::generate(Environment::Test);
    edit::revoke(&fixture.path, &created.id).unwrap();
    let keys = fixture.open();
    let revoked = keys.verify(created.key.expose_secret()).unwrap_err();
    assert_eq!(revoked.principal().unwrap().key_id.as_deref(), Some(&*created.id));
    assert!(revoked.to_string().starts_with("revoked at 20"), "{revoked}");
    assert_eq!(keys.verify(stranger.expose_secret()), Err(Rejection::Unknown));
    assert_eq!(keys.verify("hk_test_nonsense"), Err(Rejection::Mistyped));
}

#[test]
fn a_rotated_key_and_its_successor_work_side_by_side_until_the_overlap_ends() {
    let fixture = Fixture::new();
    let old = fixture.create("ada");
    let new = edit::rotate(&fixture.path, &old.id, SignedDuration::from_hours(1)).unwrap();
    let keys = fixture.open();
    let of_old = keys.verify(old.key.expose_secret()).unwrap();
    let of_new = keys.verify(new.key.expose_secret()).unwrap();
    assert_eq!(of_new.user_id.as_deref(), Some("ada"));
    assert_eq!(of_new.expires_at, None);
    let left = of_old.expires_at.unwrap().duration_since(Timestamp::now());
    assert!(left > SignedDuration::from_mins(59) && left <= SignedDuration::from_hours(1), "{left}");
}

#[test]
fn an_overlap_never_prolongs_a_key() {
    let fixture = Fixture::new();
    let soon = Timestamp::now().saturating_add(SignedDuration::from_mins(5)).unwrap();
    let new = NewKey { expires_at: Some(soon), ..NewKey::of("ada", Environment::Test) };
    let old = edit::create(&fixture.path, &new).unwrap();
    edit::rotate(&fixture.path, &old.id, SignedDuration::from_hours(24)).unwrap();
    let expires_at = fixture.open().verify(old.key.expose_secret()).unwrap().expires_at.unwrap();
    assert_eq!(expires_at.as_second(), soon.as_second());
}

#[test]
fn what_a_person_wrote_into_the_file_stays() {
    let fixture = Fixture::new();
    let created = fixture.create("ada");
    let text = fs::read_to_string(&fixture.path).unwrap().replace("[[keys]]", "# the trainer's\n[[keys]]");
    fs::write(&fixture.path, text).unwrap();
    edit::revoke(&fixture.path, &created.id).unwrap();
    assert!(fs::read_to_string(&fixture.path).unwrap().contains("# the trainer's"));
}

#[test]
fn a_key_that_is_not_there_or_revoked_cannot_be_revoked() {
    let fixture = Fixture::new();
    let created = fixture.create("ada");
    assert!(matches!(edit::revoke(&fixture.path, "nobody"), Err(EditError::NoSuchKey)));
    edit::revoke(&fixture.path, &created.id).unwrap();
    assert!(matches!(edit::revoke(&fixture.path, &created.id), Err(EditError::AlreadyRevoked)));
    assert!(matches!(
        edit::rotate(&fixture.path, &created.id, SignedDuration::from_hours(1)),
        Err(EditError::AlreadyRevoked)
    ));
}

#[test]
fn a_file_that_cannot_be_edited_is_said_to_be_so() {
    let fixture = Fixture::new();
    let digest = crate::auth::key::KeyDigest::of("hk_test_example");
    let inline = format!(
        "keys = [{{ id = 'a', user = 'ada', digest = '{digest}', created_at = '2026-01-01T00:00:00Z' }}]"
    );
    fs::write(&fixture.path, inline).unwrap();
    assert!(fixture.open().reload().is_ok());
    let error = edit::revoke(&fixture.path, "a").unwrap_err();
    assert!(error.to_string().contains("write the keys as [[keys]] tables"), "{error}");
}

#[test]
fn an_edit_changes_neither_owner_nor_mode() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    let fixture = Fixture::new();
    let created = fixture.create("ada");
    fs::set_permissions(&fixture.path, fs::Permissions::from_mode(0o640)).unwrap();
    // Only root can give a file away; anybody else keeps what he has.
    let other = if chown(&fixture.path, Some(12345), Some(12345)).is_ok() { Some(12345) } else { None };
    let before = fs::metadata(&fixture.path).unwrap();
    edit::revoke(&fixture.path, &created.id).unwrap();
    let after = fs::metadata(&fixture.path).unwrap();
    assert_eq!((after.uid(), after.gid(), after.mode()), (before.uid(), before.gid(), before.mode()));
    assert!(other.is_none_or(|uid| after.uid() == uid));
}

#[test]
fn the_file_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::new();
    fixture.create("ada");
    assert_eq!(fs::metadata(&fixture.path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn all_that_is_wrong_with_a_file_is_told_at_once_by_its_place() {
    let fixture = Fixture::new();
    assert_eq!(fixture.fault_of(""), "has no keys");
    let record = "[[keys]]\nid = 'a'\nuser = 'ada'\ndigest = 'md5:1'\ncreated_at = '2026-01-01T00:00:00Z'\n";
    assert_eq!(
        fixture.fault_of(&record.repeat(2)),
        "line 1, column 1: the digest of this key is not sha256:<64 hex digits>; \
         line 6, column 1: another key before this one has the same id; \
         line 6, column 1: the digest of this key is not sha256:<64 hex digits>"
    );
    for (text, told) in [
        ("[[keys", "line 1, column 7: not TOML"),
        ("[[keys]]\nid = 'a'\nsecret = 'x'", "line 3, column 1: this field does not exist"),
        ("[[keys]]\nid = 'a'\nid = 'b'", "line 3, column 1: this name is there twice"),
        ("[[keys]]\nuser = 'a'", "line 1, column 1: this key has no id"),
        ("[[keys]]\nid = 3", "line 2, column 6: the id is a text"),
        ("[[keys]]\nexpires_at = 'tomorrow'", "line 2, column 14: expires_at is a time in quotes"),
        ("[[keys]]\nscopes = [ 3 ]", "line 2, column 12: the scopes are a list"),
        ("[[keys]]\nmodels = 'acme-*'", "line 2, column 10: the models of a key are a list of patterns"),
        ("[[keys]]\nexperiments = [3]", "line 2, column 16: the experiments of a key are a list of patterns"),
        ("keys = [{ concurrent = 0 }]", "line 1, column 24: the limit is a whole number"),
        ("keys = [{ creates_per_hour = 'many' }]", "line 1, column 30: the limit is a whole number"),
        ("keys = [{ rate_limit_per_hour = 0 }]", "line 1, column 33: the limit is a whole number"),
        ("keys = 'a'", "line 1, column 8: the keys are [[keys]] tables"),
    ] {
        let fault = fixture.fault_of(text);
        assert!(fault.starts_with(told), "{text}: {fault}");
    }
}

fn record(id: &str, fields: &str) -> String {
    let digest = super::KeyDigest::of(id);
    format!(
        "[[keys]]\nid = '{id}'\nuser = 'ada'\ndigest = '{digest}'\n{fields}\ncreated_at = '2026-01-01T00:00:00Z'\n"
    )
}

#[test]
fn a_pattern_that_cannot_be_read_is_told_with_its_key_and_not_quoted() {
    let fixture = Fixture::new();
    let text = record("a", "models = ['a-*']\nexperiments = []")
        + &record("b", "models = ['a', '[S3CR3T']\nexperiments = ['{S3CR3T']");
    let fault = fixture.fault_of(&text);
    assert!(fault.starts_with("line 8, column 1: the models of the key b: pattern 2 cannot be read"));
    assert!(fault.contains("; line 8, column 1: the experiments of the key b: pattern 1 cannot be read"));
    assert!(!fault.contains("S3CR3T"), "{fault}");
    let long = format!("models = ['{}']", "x".repeat(257));
    assert!(fixture.fault_of(&record("a", &long)).ends_with("pattern 1 has more than 256 characters"));
    let many = format!("experiments = [{}]", "'a',".repeat(101));
    assert!(fixture.fault_of(&record("a", &many)).ends_with("there are more than 100 patterns"));
}

#[test]
fn no_fault_of_a_pattern_shows_a_key() {
    let fixture = Fixture::new();
    let key = format!("hk_live_{}", "a".repeat(33));
    for text in [record("a", &format!("models = ['*{key}*']")), record(&key, "experiments = ['[']")] {
        let fault = fixture.fault_of(&text);
        assert!(fault.contains("contains an API key; keys must not be stored in clear"), "{fault}");
        assert!(!fault.contains("aaaa"), "{fault}");
    }
}

#[test]
fn a_bad_file_leaves_the_keys_in_force() {
    for bad in ["[[keys", &record("a", "models = ['[']"), &record("a", "models = 'a'")] {
        let fixture = Fixture::new();
        let (created, keys) = (fixture.create("ada"), fixture.open());
        fs::write(&fixture.path, bad).unwrap();
        assert!(keys.reload().is_err(), "{bad}");
        assert!(keys.verify(created.key.expose_secret()).is_ok(), "{bad}");
    }
}

#[test]
fn a_scope_that_allows_nothing_is_told_with_its_line_and_the_nearest() {
    let key = |id: &str, scopes: &str| record(id, &format!("scopes = {scopes}"));
    let text = [
        key("a", "['mlflow:read']"),
        key("b", "[\n  'mlflow:write',\n  \"mlflow:raed\",\n  'Admin',\n]"),
        key("c", "['mlflow:raed', 'team:special', 'ours']"),
        key("d", "[]"),
    ];
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text.concat()).unwrap();
    let keys = KeyFile::open(file.path()).unwrap();
    let pairs = [("MLFLOW_SERVER_URL", "http://mlflow"), ("HOKUSAI__POLICY__ALIASES__OURS", "mlflow:ui")];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let policy = crate::settings::Settings::load(None, pairs).unwrap().policy;
    let told: Vec<_> =
        keys.unknown_scopes(&policy).iter().map(|scope| (scope.to_string(), scope.fix())).collect();
    for ((said, fix), (expected, near)) in told.iter().zip([
        ("line 13: `mlflow:raed` of the key b is not a scope, and allows nothing", "mlflow:read; or"),
        ("line 14: `Admin` of the key b", "mlflow:admin; or"),
        ("line 21: `mlflow:raed` of the key c", "mlflow:read; or"),
        ("line 21: `team:special` of the key c", "a scope of docs/ACCESS.md; or"),
    ]) {
        assert!(said.starts_with(expected) && fix.starts_with(near), "{expected}: {said} {fix}");
    }
    assert_eq!(told.len(), 4, "{told:?}");
}

#[test]
fn of_two_keys_with_one_id_only_the_one_that_ended_is_pruned() {
    let fixture = Fixture::new();
    let (ended, live) = (fixture.create("ada"), fixture.create("grace"));
    edit::revoke(&fixture.path, &ended.id).unwrap();
    let text = fs::read_to_string(&fixture.path).unwrap().replace(&live.id, &ended.id);
    fs::write(&fixture.path, text).unwrap();
    let pruned = prune::prune(&fixture.path, Timestamp::now()).unwrap();
    assert_eq!(pruned.removed.len(), 1);
    assert_eq!(fixture.open().verify(live.key.expose_secret()).unwrap().user_id.as_deref(), Some("grace"));
}
