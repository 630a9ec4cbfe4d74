//! HG-F…: files on disk.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::place::Place;
use crate::support::certificates::Authority;

fn open_to_everybody(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[actix_web::test]
async fn a_key_file_that_is_not_there() {
    let place = Place::new().await;
    place.check(&[("HOKUSAI__AUTH__KEY_FILE__PATH", "none.toml")]).await.assert_named("HG-F01");
}

#[actix_web::test]
async fn a_key_file_that_everybody_may_write() {
    let place = Place::new().await;
    open_to_everybody(&place.path("keys.toml"), 0o666);
    place.check(&[]).await.assert_named("HG-F02");
}

#[actix_web::test]
async fn a_private_key_that_everybody_may_read() {
    let (place, authority) = (Place::new().await, Authority::new());
    let identity = authority.issue("IP:127.0.0.1", 30);
    open_to_everybody(&identity.key, 0o644);
    let (certificate, key) = (identity.path(), identity.key());
    let tls = [("HOKUSAI__SERVER__TLS__CERT", certificate), ("HOKUSAI__SERVER__TLS__KEY", key)];
    place.check(&tls).await.assert_named("HG-F03");
}

#[actix_web::test]
async fn no_folder_for_the_audit_stream() {
    let place = Place::new().await;
    place.check(&[("HOKUSAI__AUDIT__OUTPUT", "none/audit.jsonl")]).await.assert_named("HG-F04");
}
