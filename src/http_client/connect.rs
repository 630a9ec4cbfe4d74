//! DNS, TCP and, where the server wants it, TLS.

use std::{io, rc::Rc, sync::Arc};

use actix_rt::net::TcpStream;
use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection, Connector, ConnectorService, Resolver};
use actix_web::http::Uri;
use futures_core::future::LocalBoxFuture;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio_rustls::TlsConnector;

use super::{connect_fault::IN_HANDSHAKE, guard::Guarded, stream::Stream};

/// What a connection is made with.
#[derive(Clone)]
pub(super) struct Connecting {
    tcp: Rc<ConnectorService>,
    tls: Option<TlsConnector>,
}

impl Connecting {
    pub(super) fn new(tls: Option<Arc<ClientConfig>>) -> Self {
        Self { tcp: Rc::new(Connector::new(Resolver::default()).service()), tls: tls.map(TlsConnector::from) }
    }

    /// A connection to the host and port of `uri`.
    ///
    /// # Errors
    /// None that can be made.
    pub(super) async fn connect(&self, uri: Uri) -> Result<Stream, ConnectError> {
        self.to(ConnectInfo::new(uri)).await.map(|(stream, _)| stream)
    }

    async fn to(&self, to: ConnectInfo<Uri>) -> Result<(Stream, Uri), ConnectError> {
        let connection: Connection<Uri, TcpStream> = self.tcp.call(to).await?;
        connection.io_ref().set_nodelay(true).map_err(ConnectError::Io)?;
        let (tcp, uri) = connection.into_parts();
        let Some(tls) = &self.tls else { return Ok((Stream::Tcp(tcp), uri)) };
        let name = server_name(&uri).map_err(in_handshake)?;
        Ok((Stream::Tls(Box::new(tls.connect(name, tcp).await.map_err(in_handshake)?)), uri))
    }
}

/// The same for awc, guarded.
#[derive(Clone)]
pub(super) struct GuardedConnector(pub(super) Connecting);

impl Service<ConnectInfo<Uri>> for GuardedConnector {
    type Response = Connection<Uri, Guarded>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    actix_service::always_ready!();

    fn call(&self, to: ConnectInfo<Uri>) -> Self::Future {
        let Self(connecting) = self.clone();
        Box::pin(async move {
            let (stream, uri) = connecting.to(to).await?;
            Ok(Connection::new(uri, Guarded::new(stream)))
        })
    }
}

/// An IPv6 address stands in brackets in a URL, and without them in a certificate.
fn server_name(uri: &Uri) -> io::Result<ServerName<'static>> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    ServerName::try_from(host.to_owned()).map_err(io::Error::other)
}

fn in_handshake(error: io::Error) -> ConnectError {
    ConnectError::Io(io::Error::new(error.kind(), format!("{IN_HANDSHAKE}: {error}")))
}
