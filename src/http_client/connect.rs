//! DNS, TCP and, where the server wants it, TLS: a guarded connection at the end.

use std::{io, rc::Rc, sync::Arc};

use actix_rt::net::TcpStream;
use actix_service::Service;
use actix_tls::connect::{
    ConnectError, ConnectInfo, Connection, Connector, ConnectorService, Resolver,
    rustls_0_23::{TlsConnector, TlsConnectorService, reexports::ClientConfig},
};
use actix_web::http::Uri;
use futures_core::future::LocalBoxFuture;

use super::{guard::Guarded, stream::Stream};

#[derive(Clone)]
pub(super) struct GuardedConnector {
    tcp: Rc<ConnectorService>,
    tls: Option<Rc<TlsConnectorService>>,
}

impl GuardedConnector {
    pub(super) fn new(tls: Option<Arc<ClientConfig>>) -> Self {
        Self {
            tcp: Rc::new(Connector::new(Resolver::default()).service()),
            tls: tls.map(|config| Rc::new(TlsConnector::service(config))),
        }
    }
}

impl Service<ConnectInfo<Uri>> for GuardedConnector {
    type Response = Connection<Uri, Guarded>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    actix_service::always_ready!();

    fn call(&self, to: ConnectInfo<Uri>) -> Self::Future {
        let Self { tcp, tls } = self.clone();
        Box::pin(async move {
            let connection: Connection<Uri, TcpStream> = tcp.call(to).await?;
            connection.io_ref().set_nodelay(true).map_err(ConnectError::Io)?;
            let (stream, uri) = match tls {
                None => {
                    let (tcp, uri) = connection.into_parts();
                    (Stream::Tcp(tcp), uri)
                }
                Some(tls) => {
                    let handshake = tls.call(connection).await;
                    let (tls, uri) = handshake.map_err(in_handshake)?.into_parts();
                    (Stream::Tls(Box::new(tls)), uri)
                }
            };
            Ok(Connection::new(uri, Guarded::new(stream)))
        })
    }
}

fn in_handshake(error: io::Error) -> ConnectError {
    ConnectError::Io(io::Error::new(error.kind(), format!("TLS handshake failed: {error}")))
}
