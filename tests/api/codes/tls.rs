//! HG-T…: TLS and certificates. What nginx says to a client without a certificate is in tests/e2e/faults.

use std::fs;

use super::place::Place;
use crate::support::{
    certificates::{Authority, Certificate},
    commands::Report,
    openssl_server::TlsServer,
};

const OURS: &str = "IP:127.0.0.1";

/// What `check --probe` says of an MLflow behind TLS, where an authority is trusted.
async fn trusting(authority: &Authority, url: &str) -> Report {
    let ca = authority.certificate();
    Place::new().await.probe(&[("MLFLOW_SERVER_URL", url), ("HOKUSAI__MLFLOW__TLS__CA", &ca)]).await
}

/// The same of a server that shows this identity of a new authority's.
async fn shown(name: &str, days: i64) -> Report {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.issue(name, days), &[]);
    trusting(&authority, &server.url).await
}

/// The same of a server with these options.
async fn of_server(options: &[&str]) -> Report {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.issue_rsa(OURS, 30), options);
    trusting(&authority, &server.url).await
}

/// What `check` says of an identity of the gateway's own.
async fn own(certificate: &Certificate, key: &Certificate) -> Report {
    let (certificate, key) = (certificate.path(), key.key());
    let tls = [("HOKUSAI__SERVER__TLS__CERT", certificate), ("HOKUSAI__SERVER__TLS__KEY", key)];
    Place::new().await.check(&tls).await
}

/// A server that wants a certificate of its authority's.
fn verifying(authority: &Authority, options: &[&str]) -> TlsServer {
    let ca = authority.certificate();
    let verify = ["-Verify", "1", "-verify_return_error", "-CAfile", &ca];
    TlsServer::start(&authority.issue(OURS, 30), &[&verify, options].concat())
}

/// What is said of such a server where the gateway shows this certificate.
async fn showing(authority: &Authority, identity: &Certificate) -> Report {
    let (server, ca) = (verifying(authority, &[]), authority.certificate());
    let (certificate, key) = (identity.path(), identity.key());
    let settings = [
        ("MLFLOW_SERVER_URL", &*server.url),
        ("HOKUSAI__MLFLOW__TLS__CA", &ca),
        ("HOKUSAI__MLFLOW__TLS__CERT", certificate),
        ("HOKUSAI__MLFLOW__TLS__KEY", key),
    ];
    Place::new().await.probe(&settings).await
}

#[actix_web::test]
async fn a_certificate_that_has_expired() {
    shown(OURS, -3).await.assert_named("HG-T01");
}

#[actix_web::test]
async fn a_certificate_of_our_own_that_has_expired() {
    let authority = Authority::new();
    let identity = authority.issue(OURS, -3);
    own(&identity, &identity).await.assert_named("HG-T01");
}

#[actix_web::test]
async fn a_certificate_of_the_future() {
    shown(OURS, 90).await.assert_named("HG-T02");
}

#[actix_web::test]
async fn a_certificate_of_our_own_that_is_of_the_future() {
    let authority = Authority::new();
    let identity = authority.issue(OURS, 90);
    own(&identity, &identity).await.assert_named("HG-T02");
}

#[actix_web::test]
async fn a_certificate_for_another_name() {
    shown("DNS:mlflow.example.com", 30).await.assert_named("HG-T03");
}

#[actix_web::test]
async fn a_certificate_of_nobody_known() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.issue(OURS, 30), &[]);
    Place::new().await.probe(&[("MLFLOW_SERVER_URL", &server.url)]).await.assert_named("HG-T04");
}

#[actix_web::test]
async fn a_server_without_its_intermediate() {
    let authority = Authority::new();
    let below = authority.intermediate();
    let server = TlsServer::start(&below.issue(OURS, 30), &[]);
    trusting(&authority, &server.url).await.assert_named("HG-T04");
}

#[actix_web::test]
async fn a_certificate_of_an_authority() {
    let authority = Authority::new();
    let identity = authority.issue_itself();
    let server = TlsServer::start(&identity, &[]);
    let trusted = [("MLFLOW_SERVER_URL", &*server.url), ("HOKUSAI__MLFLOW__TLS__CA", identity.path())];
    Place::new().await.probe(&trusted).await.assert_named("HG-T05");
}

#[actix_web::test]
async fn a_server_without_tls() {
    let place = Place::new().await;
    let url = place.mlflow.url().replace("http://", "https://");
    place.probe(&[("MLFLOW_SERVER_URL", &url)]).await.assert_named("HG-T06");
}

#[actix_web::test]
async fn a_server_with_tls() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.issue(OURS, 30), &[]);
    let url = server.url.replace("https://", "http://");
    Place::new().await.probe(&[("MLFLOW_SERVER_URL", &url)]).await.assert_named("HG-T07");
}

#[actix_web::test]
async fn a_server_that_wants_a_certificate_by_tls_1_2() {
    let authority = Authority::new();
    let server = verifying(&authority, &["-tls1_2"]);
    trusting(&authority, &server.url).await.assert_named("HG-T08");
}

#[actix_web::test]
async fn an_auth_service_that_wants_a_certificate() {
    let authority = Authority::new();
    let (server, ca) = (verifying(&authority, &[]), authority.certificate());
    let service = [("HOKUSAI_AUTH_SERVICE_URL", &*server.url), ("HOKUSAI__AUTH__SERVICE__TLS__CA", &ca)];
    Place::new().await.probe(&service).await.assert_named("HG-T08");
}

#[actix_web::test]
async fn a_certificate_that_is_none() {
    let authority = Authority::new();
    let identity = authority.issue(OURS, 30);
    fs::write(&identity.path, "no certificate\n").unwrap();
    own(&identity, &identity).await.assert_named("HG-T09");
}

#[actix_web::test]
async fn a_file_that_holds_a_key_in_a_certificates_place() {
    let authority = Authority::new();
    let identity = authority.issue(OURS, 30);
    fs::copy(&identity.key, &identity.path).unwrap();
    own(&identity, &identity).await.assert_named("HG-T09");
}

#[actix_web::test]
async fn a_renewed_certificate_that_is_none() {
    let (place, authority) = (Place::new().await, Authority::new());
    let identity = authority.issue(OURS, 30);
    let (certificate, key) = (identity.path(), identity.key());
    let tls = [("HOKUSAI__SERVER__TLS__CERT", certificate), ("HOKUSAI__SERVER__TLS__KEY", key)];
    let gateway = place.serve(&tls);
    fs::write(certificate, "no certificate\n").unwrap();
    gateway.logs("HG-T10").await;
}

#[actix_web::test]
async fn a_machine_without_authorities() {
    let place = Place::new().await;
    fs::create_dir(place.path("none")).unwrap();
    place.write("none.pem", "");
    let nowhere = [
        ("MLFLOW_SERVER_URL", "https://mlflow.example.com"),
        ("SSL_CERT_FILE", "none.pem"),
        ("SSL_CERT_DIR", "none"),
    ];
    place.check(&nowhere).await.assert_named("HG-T11");
}

#[actix_web::test]
async fn a_key_of_another_certificate() {
    let authority = Authority::new();
    own(&authority.issue(OURS, 30), &authority.issue(OURS, 30)).await.assert_named("HG-T12");
}

#[actix_web::test]
async fn a_certificate_that_ends_soon() {
    let authority = Authority::new();
    let identity = authority.issue(OURS, 3);
    own(&identity, &identity).await.assert_named("HG-T13");
}

#[actix_web::test]
async fn a_certificate_of_ours_by_another_authority() {
    let (authority, another) = (Authority::new(), Authority::new());
    showing(&authority, &another.issue("DNS:gateway", 30)).await.assert_named("HG-T14");
}

#[actix_web::test]
async fn a_certificate_of_ours_that_a_server_finds_expired() {
    let authority = Authority::new();
    showing(&authority, &authority.issue("DNS:gateway", -3)).await.assert_named_beside("HG-T14", &["HG-T01"]);
}

#[actix_web::test]
async fn a_server_of_tls_1_1() {
    of_server(&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]).await.assert_named("HG-T15");
}

#[actix_web::test]
async fn a_server_of_ciphers_without_forward_secrecy() {
    of_server(&["-tls1_2", "-cipher", "AES128-SHA"]).await.assert_named("HG-T16");
}
