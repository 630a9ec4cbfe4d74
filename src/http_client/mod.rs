//! HTTP/1.1 to a server, in two ways: an [`Origin`] for what passes through, an [`HttpClient`] for answers that are read
//! whole.
//!
//! The second is awc, whose defaults are those of a browser: here each is set on purpose, and every connection is a
//! [`guard::Guarded`] one, which judges heads by the same rules. TLS is made below both. `proxy` and `auth` have clients
//! of their own.

mod body;
mod connect;
mod connect_fault;
mod fault;
#[cfg(fuzzing)]
mod fuzzing;
mod guard;
mod idle;
mod origin;
mod request;
mod response;
mod server_patience;
mod stream;
mod wire;

use std::{fmt, time::Duration};

use actix_http::error::ParseError;
use actix_web::http::uri::{Authority, PathAndQuery, Scheme, Uri};
use awc::{Client, Connector, error::SendRequestError, http::Method};
use url::{Position, Url};

pub(crate) use body::{End, ResponseBody};
pub(crate) use connect_fault::ConnectFault;
pub(crate) use fault::TransportFault;
#[cfg(fuzzing)]
pub use fuzzing::fuzz_response_head;
pub(crate) use origin::{Origin, Response, SendError};
pub(crate) use request::{Body, Request};
pub(crate) use response::ResponseHead;
pub(crate) use server_patience::SURELY_OPEN;
/// How TLS is spoken to a server.
pub(crate) type Tls = crate::tls::ClientConfig;

/// The server that a client speaks to.
#[derive(Clone)]
pub(crate) struct HttpClient {
    client: Client,
    authority: Authority,
}

/// How a client treats its connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connections {
    /// Time for DNS, TCP and TLS together.
    pub(crate) connect_timeout: Duration,
    /// How long an idle one is kept.
    pub(crate) keep_alive: Duration,
    /// How many there may be of an [`HttpClient`]'s. Whoever has an [`Origin`] counts by himself.
    pub(crate) limit: usize,
}

/// The age at which a connection is not used again, so that a changed DNS record is seen within a minute.
const LIFETIME: Duration = Duration::from_secs(60);

impl HttpClient {
    /// A client for the server of `url`, whose path does not matter here. `tls` is used if the scheme is https.
    pub(crate) fn new(url: &Url, tls: Option<&Tls>, connections: Connections) -> Self {
        let tls = tls.filter(|_| url.scheme() == "https").cloned();
        let connector = Connector::new()
            .connector(connect::GuardedConnector(connect::Connecting::new(tls)))
            .timeout(connections.connect_timeout)
            .handshake_timeout(connections.connect_timeout)
            .conn_keep_alive(connections.keep_alive)
            .conn_lifetime(LIFETIME)
            .limit(connections.limit)
            .disconnect_timeout(Duration::ZERO);
        let client = Client::builder()
            .connector(connector)
            .disable_timeout()
            .disable_redirects()
            .no_default_headers()
            .finish();
        Self { client, authority: authority(url) }
    }

    /// A request for `target`, with no header but those that the caller adds, and a `Host`.
    pub(crate) fn request(&self, method: Method, target: PathAndQuery) -> awc::ClientRequest {
        // The scheme is always http for awc: the connector knows whether there is TLS below.
        let uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.authority.clone())
            .path_and_query(target)
            .build()
            .unwrap_or_default();
        self.client.request(method, uri).no_decompress()
    }
}

/// Whether the server was closing the idle connection that the request went on.
pub(crate) fn met_a_close(error: &SendRequestError) -> bool {
    let (SendRequestError::Send(error) | SendRequestError::Response(ParseError::Io(error))) = error else {
        return false;
    };
    let fault = error.get_ref().and_then(|source| source.downcast_ref::<TransportFault>());
    matches!(fault, Some(TransportFault::ClosedIdle))
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("authority", &self.authority).finish_non_exhaustive()
    }
}

/// Host and port, as a `Host` header has them: the port only where the scheme does not imply it.
pub(crate) fn host_of(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

/// Where a server is, for those who connect: the scheme is http, for there is TLS below or not.
fn uri(url: &Url) -> Uri {
    let uri = Uri::builder().scheme(Scheme::HTTP).authority(authority(url)).path_and_query("/");
    uri.build().unwrap_or_default()
}

/// Host and port, the port also where the scheme implies it.
fn authority(url: &Url) -> Authority {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    Authority::try_from(format!("{host}:{port}"))
        .unwrap_or_else(|_| Authority::from_static("invalid.invalid"))
}
