//! The TLS handshake with a server, and why it fails.

use std::{
    io::{self, ErrorKind},
    sync::{Arc, OnceLock},
    time::Duration,
};

use rustls::{
    AlertDescription as Alert, Error, SignatureScheme,
    client::{ResolvesClientCert, Resumption},
    pki_types::ServerName,
    sign::CertifiedKey,
};
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use x509_cert::{der::Decode as _, name::Name};

use super::{Endpoint, Fault, certificate, network::STEP_TIMEOUT, site::start_of};
use crate::{code::Code, tls::ClientConfig};

/// Time for a server to refuse a client certificate after the handshake, as TLS 1.3 does.
const REFUSAL_TIMEOUT: Duration = Duration::from_millis(500);

/// Records whether the server requests a client certificate.
#[derive(Debug)]
struct CertificateRequest {
    resolver: Arc<dyn ResolvesClientCert>,
    /// The authorities that the server accepts, if it names any; set when it requests a certificate.
    authorities: OnceLock<Vec<String>>,
}

impl ResolvesClientCert for CertificateRequest {
    fn resolve(&self, authorities: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let names = authorities.iter().filter_map(|name| Name::from_der(name).ok());
        let _ = self.authorities.set(names.map(|name| name.to_string()).collect());
        self.resolver.resolve(authorities, schemes)
    }

    fn has_certs(&self) -> bool {
        self.resolver.has_certs()
    }
}

/// A TLS session that the server has not refused.
///
/// # Errors
/// Why there is none.
pub(super) async fn handshake(
    endpoint: &Endpoint,
    stream: TcpStream,
    config: &ClientConfig,
) -> Result<TlsStream<TcpStream>, Fault> {
    let Endpoint { host, port, setting, .. } = endpoint;
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|error| {
        Fault::new(
            Code::InvalidValue,
            format!("{host} cannot be a name in a certificate: {error}"),
            "the name has characters that host names do not have",
            format!("set {setting} to a host name or an IP address"),
        )
    })?;
    let mut config = rustls::ClientConfig::clone(config);
    let resolver = Arc::clone(&config.client_auth_cert_resolver);
    let request = Arc::new(CertificateRequest { resolver, authorities: OnceLock::new() });
    config.client_auth_cert_resolver = Arc::clone(&request) as _;
    // In a resumed session no certificate is requested.
    config.resumption = Resumption::disabled();
    let session = async {
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        if request.authorities.get().is_some() {
            match timeout(REFUSAL_TIMEOUT, stream.read(&mut [0; 1])).await {
                Ok(Ok(0)) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(Err(error)) => return Err(error),
                Ok(Ok(_)) | Err(_) => {}
            }
        }
        Ok(stream)
    };
    match timeout(STEP_TIMEOUT, session).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(fault(endpoint, &error, &request)),
        Err(_) => Err(Fault::new(
            Code::NoTls,
            format!("no TLS with {host}:{port} within {STEP_TIMEOUT:?}"),
            "the server waits for another protocol than TLS",
            no_tls_fix(setting),
        )),
    }
}

pub(super) fn rustls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn no_tls_fix(setting: &str) -> String {
    format!(
        "http:// (redis:// for Redis) in {setting} if the server does not speak TLS, or the port where it does"
    )
}

fn fault(endpoint: &Endpoint, error: &io::Error, request: &CertificateRequest) -> Fault {
    let Endpoint { host, port, setting, ca_setting, .. } = endpoint;
    let what = format!("no TLS with {host}:{port}: {error}");
    let error = rustls_error(error);
    if let (Some(authorities), true) = (request.authorities.get(), refuses_certificate(error)) {
        let by = match &authorities[..] {
            [] => "an authority that the server knows".to_owned(),
            names => start_of(names.join(" or ").as_bytes()),
        };
        let alert = match error {
            Some(Error::AlertReceived(alert)) => Some(*alert),
            _ => None,
        };
        return client_certificate(ca_setting, what, request.has_certs(), alert, &by);
    }
    let (code, cause, fix) = match error {
        Some(Error::InvalidCertificate(error)) => return certificate::fault(error, host, ca_setting),
        Some(Error::AlertReceived(Alert::ProtocolVersion)) => (
            Code::OldTls,
            "the server speaks only versions of TLS before 1.2, which are not safe".to_owned(),
            "TLS 1.2 or 1.3 there: nginx ssl_protocols TLSv1.2 TLSv1.3, a newer security policy of a load balancer".to_owned(),
        ),
        Some(
            Error::PeerIncompatible(_)
            | Error::AlertReceived(Alert::HandshakeFailure | Alert::InsufficientSecurity),
        ) => (
            Code::NoCommonCipher,
            "the server has no cipher in common with this client, which speaks TLS 1.3, and of TLS 1.2 only ciphers with \
             forward secrecy and AEAD (ECDHE with AES-GCM or ChaCha20-Poly1305); or it speaks older versions only"
                .to_owned(),
            "such a cipher there: Mozilla's \"intermediate\" configuration has them".to_owned(),
        ),
        Some(Error::AlertReceived(Alert::UnrecognisedName)) => (
            Code::CertificateNameMismatch,
            format!("the server says that it has no certificate for {host}"),
            format!("set {setting} to a name that it serves"),
        ),
        Some(Error::InvalidMessage(_)) => {
            (Code::NoTls, "the server speaks another protocol than TLS".to_owned(), no_tls_fix(setting))
        }
        _ => (
            Code::NoTls,
            "the server does not speak TLS, or neither version 1.2 nor 1.3; or it is a load balancer without a server behind it"
                .to_owned(),
            no_tls_fix(setting),
        ),
    };
    Fault::new(code, what, cause, fix)
}

/// Whether a server that requested a certificate refuses the session because of it: by an alert, or by closing.
fn refuses_certificate(error: Option<&Error>) -> bool {
    matches!(
        error,
        None | Some(Error::AlertReceived(
            Alert::CertificateRequired
                | Alert::NoCertificate
                // The alert for this in TLS 1.2.
                | Alert::HandshakeFailure
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::DecryptError
        ))
    )
}

/// The fault of a server that requires a client certificate, issued by `by`.
pub(super) fn client_certificate(
    ca_setting: &str,
    what: String,
    has_one: bool,
    alert: Option<Alert>,
    by: &str,
) -> Fault {
    let settings = match ca_setting.strip_suffix(".ca") {
        Some(section) => format!("{section}.cert and {section}.key"),
        None => "this command has no setting for it".to_owned(),
    };
    if !has_one {
        return Fault::new(
            Code::ClientCertificateRequired,
            what,
            "the server accepts only clients with a certificate that it knows (mTLS), and the gateway has none",
            format!("{settings}: a client certificate issued by {by}, and its key"),
        );
    }
    let cause = match alert {
        Some(Alert::CertificateExpired) => {
            "the gateway's client certificate has expired by the server's clock"
        }
        Some(Alert::CertificateRevoked) => "the gateway's client certificate is revoked",
        Some(Alert::UnknownCA) => {
            "no authority that the server knows issued the gateway's client certificate; or an intermediate certificate is \
             missing after it in its file"
        }
        _ => {
            "the server does not accept the gateway's client certificate: another authority issued it, it has expired, it is not \
             for clients, or an intermediate certificate is missing after it in its file"
        }
    };
    let fix = format!(
        "{settings}: a valid client certificate issued by {by}, followed by its intermediate certificates"
    );
    Fault::new(Code::ClientCertificateRejected, what, cause, fix)
}
