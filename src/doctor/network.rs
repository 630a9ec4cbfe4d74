//! The way to a server: its name, a connection, TLS.

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
    handshake::{rustls_error, shake_hands},
};
use crate::{code::Code, tls::ClientConfig};

/// Time for each step.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Whose server it is: each has its own code for not being found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Party {
    Mlflow,
    AuthService,
    Redis,
    Collector,
    Gateway,
}

impl Party {
    const fn name_unknown(self) -> Code {
        match self {
            Self::Mlflow => Code::MlflowNameUnknown,
            Self::AuthService => Code::AuthNameUnknown,
            Self::Redis => Code::RedisNameUnknown,
            Self::Collector => Code::CollectorNameUnknown,
            Self::Gateway => Code::GatewayNameUnknown,
        }
    }

    const fn unreachable(self) -> Code {
        match self {
            Self::Mlflow => Code::MlflowUnreachable,
            Self::AuthService => Code::AuthUnreachable,
            Self::Redis => Code::RedisUnreachable,
            Self::Collector => Code::CollectorUnreachable,
            Self::Gateway => Code::GatewayUnreachable,
        }
    }
}

/// Where a server should be.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) party: Party,
    pub(super) host: String,
    pub(super) port: u16,
    /// How TLS is spoken to it, if it is.
    pub(super) tls: Option<ClientConfig>,
    /// Where this address, and the authority of its certificate, are written: `mlflow.url`, `--url`.
    pub(super) written_as: &'static str,
    pub(super) ca_written_as: &'static str,
    /// Where this machine's own gateway listens, if the server must be another.
    pub(super) not_at: Option<SocketAddr>,
}

impl Place {
    /// Where a URL leads, spoken to over TLS if it is https.
    pub(super) fn of(
        party: Party,
        url: &Url,
        tls: Option<&ClientConfig>,
        [written_as, ca_written_as]: [&'static str; 2],
    ) -> Self {
        Self {
            party,
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port_or_known_default().unwrap_or(80),
            tls: tls.filter(|_| url.scheme() == "https").cloned(),
            written_as,
            ca_written_as,
            not_at: None,
        }
    }

    /// Looks for the server, step by step: `{name}.dns`, `{name}.tcp`, `{name}.tls`. What cannot be tried is skipped.
    pub(super) async fn reach(&self, journal: &mut Journal, name: &str) -> Option<Vec<SocketAddr>> {
        let [dns, tcp, tls] = ["dns", "tcp", "tls"].map(|step| step_of(name, step));
        let addresses = journal.check(&dns, self.resolve()).await;
        let stream = match &addresses {
            Some(addresses) => journal.check(&tcp, self.connect(addresses)).await,
            None => {
                journal.skip(&tcp, "its name is not known");
                None
            }
        };
        let Some(config) = &self.tls else { return stream.and(addresses) };
        let Some(stream) = stream else {
            journal.skip(&tls, "there is no connection");
            return None;
        };
        journal.check(&tls, self.handshake(stream, config)).await.and(addresses)
    }

    pub(super) async fn resolve(&self) -> Finding<Vec<SocketAddr>> {
        let Self { host, port, written_as, .. } = self;
        let found = look_up(host.trim_matches(['[', ']']).to_owned(), *port).await;
        let fault = |error: String| {
            let fix = format!("as {written_as} a name that `getent hosts {host}` finds on this machine");
            Fault::new(
                self.party.name_unknown(),
                format!("{host} does not resolve: {error}"),
                "the name is misspelt, or the DNS that this machine asks does not know it",
                fix,
            )
        };
        let addresses = found.map_err(|error| fault(error.to_string()))?;
        if addresses.is_empty() {
            return Err(fault("it has no address".to_owned()));
        }
        if self.not_at.is_some_and(|bind| leads_to(&addresses, bind)) {
            return Err(Fault::new(
                Code::Loop,
                format!("{host}:{port} is this gateway's own address: every request would come back to it"),
                "this is the public address, or another service's, or server.bind is",
                format!("as {written_as} the address of the server itself, or another server.bind"),
            ));
        }
        let ips: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
        Ok((addresses, format!("{host} is {}", ips.join(", "))))
    }

    /// The first address that takes a connection.
    pub(super) async fn connect(&self, addresses: &[SocketAddr]) -> Finding<TcpStream> {
        let mut outcome = Err(io::Error::other("no address"));
        let mut tried = String::new();
        for address in addresses {
            tried = address.to_string();
            let connecting = timeout(PATIENCE, TcpStream::connect(address)).await;
            outcome = connecting.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
            if outcome.is_ok() {
                break;
            }
        }
        let Self { port, written_as, .. } = self;
        outcome.map(|stream| (stream, format!("{tried} takes connections"))).map_err(|error| match error.kind() {
            ErrorKind::ConnectionRefused => Fault::new(self.party.unreachable(),
                format!("nothing listens at {tried}"),
                "the server is not running, or listens on another port or on its own loopback address only; a load \
                 balancer has no listener on this port",
                format!("start it, or write the address at which it listens as {written_as}"),
            ),
            ErrorKind::TimedOut => Fault::new(self.party.unreachable(),
                format!("no connection to {tried} within {PATIENCE:?}"),
                "a firewall, a security group or a missing route drops the packets",
                format!("let this machine reach port {port} there"),
            ),
            _ => Fault::new(self.party.unreachable(),
                format!("no connection to {tried}: {error}"),
                "there is no way from this machine to that network",
                format!("another address as {written_as}, or a route to this one"),
            ),
        })
    }

    /// The certificates that are shown there, the server's own first.
    ///
    /// # Errors
    /// No way to the server, or no TLS.
    pub(super) async fn chain(&self) -> Result<Vec<Value>, Fault> {
        let Some(config) = &self.tls else { return Ok(Vec::new()) };
        let (addresses, _) = self.resolve().await?;
        let (stream, _) = self.connect(&addresses).await?;
        let stream = shake_hands(self, stream, config).await?;
        Ok(stream
            .get_ref()
            .1
            .peer_certificates()
            .unwrap_or_default()
            .iter()
            .map(certificate::facts)
            .collect())
    }

    async fn handshake(&self, stream: TcpStream, config: &ClientConfig) -> Finding {
        let stream = shake_hands(self, stream, config).await?;
        Ok(((), certificate::describe(stream.get_ref().1.peer_certificates())))
    }
}

/// On a thread that nobody waits for: the resolver's own patience is longer than this command's.
async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let (tell, told) = oneshot::channel();
    thread::spawn(move || {
        let _ = tell.send((host.as_str(), port).to_socket_addrs().map(Iterator::collect));
    });
    match timeout(PATIENCE, told).await {
        Ok(Ok(found)) => found,
        _ => Err(io::Error::other(format!("no answer within {PATIENCE:?}"))),
    }
}

/// Whether one of these is what a gateway on this machine binds to.
fn leads_to(addresses: &[SocketAddr], bind: SocketAddr) -> bool {
    // An address can be bound to where it is this machine's.
    let is_here = |address: &SocketAddr| TcpListener::bind((address.ip(), 0)).is_ok();
    addresses.iter().any(|address| {
        address.port() == bind.port()
            && (address.ip() == bind.ip() || (bind.ip().is_unspecified() && is_here(address)))
    })
}

/// Whether what listens there answers to a TLS handshake, with whatever certificate.
pub(super) async fn speaks_tls(addresses: &[SocketAddr], config: &ClientConfig) -> bool {
    let handshake = async {
        let stream = TcpStream::connect(addresses).await?;
        let name = ServerName::from(addresses.first().map_or([0, 0, 0, 0].into(), SocketAddr::ip));
        TlsConnector::from(Arc::clone(config)).connect(name, stream).await
    };
    match timeout(PATIENCE / 5, handshake).await {
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

fn step_of(name: &str, step: &str) -> String {
    if name.is_empty() { step.to_owned() } else { format!("{name}.{step}") }
}
