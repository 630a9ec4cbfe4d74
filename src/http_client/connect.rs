//! Connections for awc: an idle one, or DNS, TCP and, where the server wants it, TLS.

use std::{future::ready, io, rc::Rc, sync::Arc};

use actix_rt::net::TcpStream;
use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection, Connector, ConnectorService, Resolver};
use actix_web::http::Uri;
use futures_core::future::LocalBoxFuture;
use futures_util::future::Either;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio_rustls::TlsConnector;

use super::{
    connect_fault::IN_HANDSHAKE,
    guard::Guarded,
    idle::{IdleConnections, Open, Reuse},
    stream::Stream,
};

/// Gives awc guarded connections to one server.
#[derive(Clone)]
pub(super) struct GuardedConnector {
    tcp: Rc<ConnectorService>,
    tls: Option<TlsConnector>,
    idle: Rc<IdleConnections>,
    reuse: Reuse,
}

impl GuardedConnector {
    pub(super) fn new(tls: Option<Arc<ClientConfig>>, idle: Rc<IdleConnections>, reuse: Reuse) -> Self {
        let tcp = Rc::new(Connector::new(Resolver::default()).service());
        Self { tcp, tls: tls.map(TlsConnector::from), idle, reuse }
    }

    async fn connect(self, to: ConnectInfo<Uri>) -> Result<Connection<Uri, Guarded>, ConnectError> {
        let connection: Connection<Uri, TcpStream> = self.tcp.call(to).await?;
        connection.io_ref().set_nodelay(true).map_err(ConnectError::Io)?;
        let (tcp, uri) = connection.into_parts();
        let stream = match &self.tls {
            None => Stream::Tcp(tcp),
            Some(tls) => {
                let name = server_name(&uri).map_err(in_handshake)?;
                Stream::Tls(Box::new(tls.connect(name, tcp).await.map_err(in_handshake)?))
            }
        };
        Ok(Connection::new(uri, Guarded::new(Open::new(stream), None, self.idle, self.reuse)))
    }
}

impl Service<ConnectInfo<Uri>> for GuardedConnector {
    type Response = Connection<Uri, Guarded>;
    type Error = ConnectError;
    type Future = Either<
        std::future::Ready<Result<Self::Response, Self::Error>>,
        LocalBoxFuture<'static, Result<Self::Response, Self::Error>>,
    >;

    actix_service::always_ready!();

    fn call(&self, to: ConnectInfo<Uri>) -> Self::Future {
        if let Some((open, was_idle)) = self.idle.take(self.reuse) {
            let guarded = Guarded::new(open, Some(was_idle), Rc::clone(&self.idle), self.reuse);
            return Either::Left(ready(Ok(Connection::new(to.request().clone(), guarded))));
        }
        Either::Right(Box::pin(self.clone().connect(to)))
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
