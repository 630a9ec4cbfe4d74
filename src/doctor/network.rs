//! The way to a server: DNS, TCP, TLS.

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener, ToSocketAddrs as _},
    sync::Arc,
    thread,
    time::Duration,
};

use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::{net::TcpStream, sync::oneshot, time::timeout};
use tokio_rustls::TlsConnector;
use url::Url;

use super::{
    Fault, Finding, Journal, certificate,
    handshake::{handshake, rustls_error},
    passed,
};
use crate::{code::Code, tls::ClientConfig};

/// Time for each step.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(5);

/// The role of a server: each has codes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Party {
    Mlflow,
    AuthService,
    Issuer,
    Redis,
    Collector,
    Gateway,
}

impl Party {
    /// For a name that does not resolve, and for a server that cannot be reached.
    const fn codes(self) -> [Code; 2] {
        match self {
            Self::Mlflow => [Code::MlflowNameUnknown, Code::MlflowUnreachable],
            Self::AuthService => [Code::AuthNameUnknown, Code::AuthUnreachable],
            Self::Issuer => [Code::IssuerUnreachable, Code::IssuerUnreachable],
            Self::Redis => [Code::RedisNameUnknown, Code::RedisUnreachable],
            Self::Collector => [Code::CollectorNameUnknown, Code::CollectorUnreachable],
            Self::Gateway => [Code::GatewayNameUnknown, Code::GatewayUnreachable],
        }
    }
}

/// The address of a server.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) party: Party,
    pub(super) host: String,
    pub(super) port: u16,
    /// For TLS, if the server speaks it.
    pub(super) tls: Option<ClientConfig>,
    /// The setting or the option that holds this address: `mlflow.url`, `--url`.
    pub(super) setting: &'static str,
    /// The one that holds the certificate authority.
    pub(super) ca_setting: &'static str,
    /// Where the gateway on this machine listens, if the server must be another one.
    pub(super) own_address: Option<SocketAddr>,
}

impl Endpoint {
    /// The endpoint of a URL; with TLS if its scheme is https.
    pub(super) fn of(
        party: Party,
        url: &Url,
        tls: Option<&ClientConfig>,
        [setting, ca_setting]: [&'static str; 2],
    ) -> Self {
        Self {
            party,
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port_or_known_default().unwrap_or(80),
            tls: tls.filter(|_| url.scheme() == "https").cloned(),
            setting,
            ca_setting,
            own_address: None,
        }
    }

    /// Checks the way to the server in three steps: `{name}.dns`, `{name}.tcp`, `{name}.tls`. Skips those behind a failure.
    pub(super) async fn reach(&self, journal: &mut Journal, name: &str) -> Option<Vec<SocketAddr>> {
        let step = |step: &str| if name.is_empty() { step.to_owned() } else { format!("{name}.{step}") };
        let addresses = journal.check(&step("dns"), self.resolve()).await;
        let stream = match &addresses {
            Some(addresses) => journal.check(&step("tcp"), self.connect(addresses)).await,
            None => {
                journal.skip(&step("tcp"), "its name does not resolve");
                None
            }
        };
        let Some(config) = &self.tls else { return stream.and(addresses) };
        let Some(stream) = stream else {
            journal.skip(&step("tls"), "there is no connection");
            return None;
        };
        let handshake = async {
            let stream = handshake(self, stream, config).await?;
            passed(certificate::describe(stream.get_ref().1.peer_certificates()))
        };
        journal.check(&step("tls"), handshake).await.and(addresses)
    }

    pub(super) async fn resolve(&self) -> Finding<Vec<SocketAddr>> {
        let Self { host, port, setting, .. } = self;
        let [name_unknown, _] = self.party.codes();
        let fault = |error: String| {
            Fault::new(
                name_unknown,
                format!("{host} does not resolve: {error}"),
                "the name is misspelt, or the DNS server of this machine does not know it",
                format!("set {setting} to a name that `getent hosts {host}` finds on this machine"),
            )
        };
        let addresses = look_up(host.trim_matches(['[', ']']).to_owned(), *port).await;
        let addresses = addresses.map_err(|error| fault(error.to_string()))?;
        if addresses.is_empty() {
            return Err(fault("it has no address".to_owned()));
        }
        if self.own_address.is_some_and(|bind| leads_to(&addresses, bind)) {
            return Err(Fault::new(
                Code::Loop,
                format!("{host}:{port} is this gateway's own address: every request would come back to it"),
                format!("{setting} holds the public address, or server.bind the address of another service"),
                format!("set {setting} to the address of the server itself, or change server.bind"),
            ));
        }
        let ips: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
        Ok((addresses, format!("{host} is {}", ips.join(", "))))
    }

    /// Connects to the first address that accepts a connection.
    pub(super) async fn connect(&self, addresses: &[SocketAddr]) -> Finding<TcpStream> {
        let mut outcome = Err(io::Error::other("no address"));
        let mut tried = String::new();
        for address in addresses {
            tried = address.to_string();
            let connecting = timeout(STEP_TIMEOUT, TcpStream::connect(address)).await;
            outcome = connecting.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
            if outcome.is_ok() {
                break;
            }
        }
        let Self { port, setting, .. } = self;
        let [_, unreachable] = self.party.codes();
        let fault = |error: io::Error| {
            let (what, cause, fix) = match error.kind() {
                ErrorKind::ConnectionRefused => (
                    format!("nothing listens at {tried}"),
                    "the server is not running, or listens on another port or on its own loopback address only; a load \
                     balancer has no listener on this port",
                    format!("start it, or set {setting} to the address where it listens"),
                ),
                ErrorKind::TimedOut => (
                    format!("no connection to {tried} within {STEP_TIMEOUT:?}"),
                    "a firewall, a security group or a missing route drops the packets",
                    format!("let this machine reach port {port} there"),
                ),
                _ => (
                    format!("no connection to {tried}: {error}"),
                    "this machine has no route to that network",
                    format!("set {setting} to another address, or add a route to this one"),
                ),
            };
            Fault::new(unreachable, what, cause, fix)
        };
        outcome.map(|stream| (stream, format!("{tried} accepts connections"))).map_err(fault)
    }

    /// The server's certificate chain, its own certificate first.
    ///
    /// # Errors
    /// No connection, or no TLS.
    pub(super) async fn chain(&self) -> Result<Vec<Value>, Fault> {
        let Some(config) = &self.tls else { return Ok(Vec::new()) };
        let stream = handshake(self, self.stream().await?, config).await?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        Ok(chain.iter().map(certificate::facts).collect())
    }

    /// # Errors
    /// The name does not resolve, or nothing accepts the connection.
    pub(super) async fn stream(&self) -> Result<TcpStream, Fault> {
        let (addresses, _) = self.resolve().await?;
        Ok(self.connect(&addresses).await?.0)
    }
}

/// Resolves a name on a thread of its own: the resolver's timeout is longer than this command's.
async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let (sender, addresses) = oneshot::channel();
    thread::spawn(move || {
        let _ = sender.send((host.as_str(), port).to_socket_addrs().map(Iterator::collect));
    });
    match timeout(STEP_TIMEOUT, addresses).await {
        Ok(Ok(addresses)) => addresses,
        _ => Err(io::Error::other(format!("no answer within {STEP_TIMEOUT:?}"))),
    }
}

/// Whether a gateway on this machine that is bound to `bind` listens at one of the addresses.
fn leads_to(addresses: &[SocketAddr], bind: SocketAddr) -> bool {
    // Only an address of this machine can be bound.
    let is_here = |address: &SocketAddr| TcpListener::bind((address.ip(), 0)).is_ok();
    addresses.iter().any(|address| {
        address.port() == bind.port()
            && (address.ip() == bind.ip() || (bind.ip().is_unspecified() && is_here(address)))
    })
}

/// Whether the server answers a TLS handshake, with any certificate.
pub(super) async fn speaks_tls(addresses: &[SocketAddr], config: &ClientConfig) -> bool {
    let handshake = async {
        let stream = TcpStream::connect(addresses).await?;
        let name = ServerName::from(addresses.first().map_or([0, 0, 0, 0].into(), SocketAddr::ip));
        TlsConnector::from(Arc::clone(config)).connect(name, stream).await
    };
    match timeout(STEP_TIMEOUT / 5, handshake).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            matches!(
                rustls_error(&error),
                Some(rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_))
            )
        }
        Err(_) => false,
    }
}
