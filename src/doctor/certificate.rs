//! The certificate of a server: its description, and why it is not trusted.

use jiff::Timestamp;
use rustls::{
    CertificateError,
    pki_types::{CertificateDer, UnixTime},
};
use x509_cert::{
    Certificate,
    der::Decode as _,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use serde_json::{Value, json};

use super::Fault;
use crate::code::Code;

/// Describes the server's certificate: its names, issuer and end.
pub(super) fn describe(chain: Option<&[CertificateDer<'_>]>) -> String {
    let leaf = chain.and_then(<[_]>::first).and_then(|leaf| Certificate::from_der(leaf).ok());
    let Some(leaf) = leaf else { return "a trusted certificate".to_owned() };
    let leaf = leaf.tbs_certificate();
    let until = leaf.validity().not_after.to_unix_duration();
    let until = Timestamp::from_second(until.as_secs() as i64).unwrap_or(Timestamp::MAX);
    let days = until.duration_since(Timestamp::now()).as_hours() / 24;
    let soon = if days < 14 { ": renew it soon" } else { "" };
    let names = names(leaf).join(", ");
    format!(
        "the certificate is for {names}, issued by {}, valid until {until} ({days} days{soon})",
        leaf.issuer()
    )
}

/// The fields of a certificate, for a bundle.
pub(super) fn facts(certificate: &CertificateDer<'_>) -> Value {
    let Ok(certificate) = Certificate::from_der(certificate) else { return "cannot be read".into() };
    let fields = certificate.tbs_certificate();
    let moment = |seconds: u64| Timestamp::from_second(seconds as i64).ok().map(|moment| moment.to_string());
    json!({
        "subject": fields.subject().to_string(),
        "issuer": fields.issuer().to_string(),
        "names": names(fields),
        "not_before": moment(fields.validity().not_before.to_unix_duration().as_secs()),
        "not_after": moment(fields.validity().not_after.to_unix_duration().as_secs()),
        "serial": fields.serial_number().to_string(),
        "signature": certificate.signature_algorithm().oid.to_string(),
    })
}

fn names(certificate: &x509_cert::TbsCertificate) -> Vec<String> {
    let names = certificate.get_extension::<SubjectAltName>().ok().flatten();
    let names = names.iter().flat_map(|(_, names)| &names.0).filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => address(bytes.as_bytes()),
        _ => None,
    });
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        vec![format!("{} (no subject alternative name)", certificate.subject())]
    } else {
        names
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string())).ok()
}

/// Why the certificate of `host` is not trusted.
pub(super) fn fault(error: &CertificateError, host: &str, ca_setting: &str) -> Fault {
    match error {
        CertificateError::ExpiredContext { not_after, .. } => Fault::new(
            Code::CertificateExpired,
            format!("the certificate of {host} expired at {}", moment(*not_after)),
            "it was not renewed; or the server did not load the renewed one; or this machine's clock is wrong",
            "renew it, and make the server load it",
        ),
        CertificateError::NotValidYetContext { not_before, .. } => Fault::new(
            Code::CertificateNotYetValid,
            format!("the certificate of {host} is not valid before {}", moment(*not_before)),
            "this machine's clock is behind, or the certificate was made for later",
            "set the clock, or use a certificate that is valid now",
        ),
        CertificateError::NotValidForNameContext { presented, .. } => Fault::new(
            Code::CertificateNameMismatch,
            format!("the certificate is for {}, and not for {host}", plain(presented).join(", ")),
            "the address leads to another server, or uses a name that the certificate does not have",
            format!("use a name of the certificate as the address, or a certificate with the name {host}"),
        ),
        CertificateError::UnknownIssuer => Fault::new(
            Code::UnknownIssuer,
            format!("no trusted authority issued the certificate of {host}"),
            "it is self-signed or issued by a private authority; or the server does not send the intermediate certificate",
            format!(
                "set {ca_setting} to the authority's certificate; or make the server send its whole chain"
            ),
        ),
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => Fault::new(
            Code::InvalidCertificate,
            format!("the certificate of {host} is the certificate of an authority"),
            "it was made with CA:TRUE, the default of openssl",
            "a certificate with basicConstraints=CA:FALSE and a subjectAltName",
        ),
        other if format!("{other:?}").contains("UnsupportedCertVersion") => Fault::new(
            Code::InvalidCertificate,
            format!("the certificate of {host} has version 1, which has no names"),
            "it was made by `openssl x509 -req` without extensions",
            "a certificate with a subjectAltName (openssl: -copy_extensions copy, or -extfile)",
        ),
        other => Fault::new(
            Code::InvalidCertificate,
            format!("the certificate of {host} is not valid: {other}"),
            "it was not made for a server, or is damaged",
            format!(
                "a certificate for a server (not that of an authority), issued by an authority in {ca_setting}"
            ),
        ),
    }
}

/// The names without rustls's `DnsName("…")` around them.
fn plain(presented: &[String]) -> Vec<&str> {
    presented.iter().map(|name| name.split('"').nth(1).unwrap_or(name)).collect()
}

fn moment(time: UnixTime) -> String {
    Timestamp::from_second(time.as_secs() as i64).map_or_else(|_| "?".to_owned(), |moment| moment.to_string())
}
