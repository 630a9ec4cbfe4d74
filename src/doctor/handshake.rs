//! TLS with a server; and where there is none, whose doing that is.

use std::{
    io::{self, ErrorKind},
    sync::{Arc, OnceLock},
    time::Duration,
};

use rustls::{
    AlertDescription, Error, SignatureScheme,
    client::{ResolvesClientCert, Resumption},
    pki_types::ServerName,
    sign::CertifiedKey,
};
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use x509_cert::{der::Decode as _, name::Name};

use super::{Fault, Place, certificate, network::PATIENCE, site::start_of};
use crate::{code::Code, tls::ClientConfig};

/// Time for a server to refuse a certificate behind the handshake, as it does in TLS 1.3.
const BEHIND: Duration = Duration::from_millis(500);

/// What a server asks to be shown.
#[derive(Debug)]
struct Asked {
    shown: Arc<dyn ResolvesClientCert>,
    /// By whom it wants it to be signed, if it says so; set as soon as it asks.
    authorities: OnceLock<Vec<String>>,
}

impl ResolvesClientCert for Asked {
    fn resolve(&self, authorities: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let names = authorities.iter().filter_map(|name| Name::from_der(name).ok());
        let _ = self.authorities.set(names.map(|name| name.to_string()).collect());
        self.shown.resolve(authorities, schemes)
    }

    fn has_certs(&self) -> bool {
        self.shown.has_certs()
    }
}

/// A session with the server, which has not refused it.
///
/// # Errors
/// Why there is none.
pub(super) async fn shake_hands(
    place: &Place,
    stream: TcpStream,
    config: &ClientConfig,
) -> Result<TlsStream<TcpStream>, Fault> {
    let Place { host, port, written_as, .. } = place;
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|error| {
        Fault::new(
            Code::BadValue,
            format!("{host} is no name that a certificate can have: {error}"),
            "the name has characters that host names do not have",
            format!("a host name or an IP address as {written_as}"),
        )
    })?;
    let mut config = rustls::ClientConfig::clone(config);
    let shown = Arc::clone(&config.client_auth_cert_resolver);
    let asked = Arc::new(Asked { shown, authorities: OnceLock::new() });
    config.client_auth_cert_resolver = Arc::clone(&asked) as _;
    // A session that goes on is asked for nothing.
    config.resumption = Resumption::disabled();
    let session = async {
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        if asked.authorities.get().is_some() {
            match timeout(BEHIND, stream.read(&mut [0; 1])).await {
                Ok(Ok(0)) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(Err(error)) => return Err(error),
                Ok(Ok(_)) | Err(_) => {}
            }
        }
        Ok(stream)
    };
    match timeout(PATIENCE, session).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(fault(place, &error, &asked)),
        Err(_) => Err(Fault::new(
            Code::NoTls,
            format!("no TLS with {host}:{port} within {PATIENCE:?}"),
            "what listens there waits for something else than TLS",
            without_tls(written_as),
        )),
    }
}

pub(super) fn rustls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn without_tls(written_as: &str) -> String {
    format!("http:// (redis:// for Redis) in {written_as} if it speaks no TLS, or the port that does")
}

fn fault(place: &Place, error: &io::Error, asked: &Asked) -> Fault {
    use AlertDescription as Alert;
    let Place { host, port, written_as, ca_written_as, .. } = place;
    let what = format!("no TLS with {host}:{port}: {error}");
    let error = rustls_error(error);
    match error {
        Some(Error::InvalidCertificate(wrong)) => return certificate::fault(wrong, host, ca_written_as),
        Some(Error::AlertReceived(alert))
            if refuses_certificate(*alert) && asked.authorities.get().is_some() =>
        {
            return of_client_certificate(place, what, Some(*alert), asked);
        }
        None if asked.authorities.get().is_some() => return of_client_certificate(place, what, None, asked),
        _ => {}
    }
    let (code, cause, fix) = match error {
        Some(Error::AlertReceived(Alert::ProtocolVersion)) => (
            Code::OldTls,
            "what listens there speaks only versions of TLS before 1.2, which nothing should speak any more".to_owned(),
            "TLS 1.2 or 1.3 there: nginx ssl_protocols TLSv1.2 TLSv1.3, a newer security policy of a load balancer".to_owned(),
        ),
        Some(Error::PeerIncompatible(_) | Error::AlertReceived(Alert::HandshakeFailure | Alert::InsufficientSecurity)) => (
            Code::NoCommonCipher,
            "what listens there has no cipher in common with this client, which speaks TLS 1.3, and of TLS 1.2 only what has \
             forward secrecy and AEAD (ECDHE with AES-GCM or ChaCha20-Poly1305); or it speaks older versions only"
                .to_owned(),
            "such a cipher there: Mozilla's \"intermediate\" configuration has them".to_owned(),
        ),
        Some(Error::AlertReceived(Alert::UnrecognisedName)) => (
            Code::CertificateForOthers,
            format!("the server has no certificate for {host}, and says so"),
            format!("as {written_as} a name that it serves"),
        ),
        Some(Error::InvalidMessage(_)) => (
            Code::NoTls,
            "what listens there speaks something else than TLS".to_owned(),
            without_tls(written_as),
        ),
        _ => (
            Code::NoTls,
            "what listens there speaks no TLS; or none of the versions 1.2 and 1.3; or it is a load balancer without a server \
             behind it"
                .to_owned(),
            without_tls(written_as),
        ),
    };
    Fault::new(code, what, cause, fix)
}

/// Whether a server that asked for a certificate says by this alert that it got none, or no good one.
fn refuses_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::NoCertificate
            // As TLS 1.2 says the same.
            | Alert::HandshakeFailure
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
    )
}

fn of_client_certificate(
    place: &Place,
    what: String,
    alert: Option<AlertDescription>,
    asked: &Asked,
) -> Fault {
    let authorities = asked.authorities.get().map(Vec::as_slice).unwrap_or_default();
    let by = match authorities {
        [] => "an authority that the server knows".to_owned(),
        names => start_of(names.join(" or ").as_bytes()),
    };
    client_certificate(place.ca_written_as, what, asked.has_certs(), alert, &by)
}

/// What is wrong with the certificate that a server wants to be shown. `by`: whose it should be.
pub(super) fn client_certificate(
    ca_written_as: &str,
    what: String,
    has_one: bool,
    alert: Option<AlertDescription>,
    by: &str,
) -> Fault {
    let settings = match ca_written_as.strip_suffix(".ca") {
        Some(section) => format!("{section}.cert and {section}.key"),
        None => "no setting of this command's: it shows no certificate".to_owned(),
    };
    if !has_one {
        return Fault::new(
            Code::ClientCertificateWanted,
            what,
            "what listens there lets in only clients with a certificate that it knows (mTLS), and the gateway has none to show",
            format!("{settings}: a certificate for clients by {by}, and its key"),
        );
    }
    let cause = match alert {
        Some(AlertDescription::CertificateExpired) => {
            "the certificate that the gateway shows has expired by the server's clock"
        }
        Some(AlertDescription::CertificateRevoked) => "the certificate that the gateway shows is revoked",
        Some(AlertDescription::UnknownCA) => {
            "no authority that the server knows vouches for the certificate that the gateway shows; or an intermediate is \
             missing behind it"
        }
        _ => {
            "the server does not take the certificate that the gateway shows: it is by another authority, has expired, is not \
             for clients, or an intermediate is missing behind it"
        }
    };
    let fix = format!(
        "{settings}: a certificate for clients that is valid now, by {by}, with its intermediates behind it"
    );
    Fault::new(Code::ClientCertificateRefused, what, cause, fix)
}
