//! HTTP/1.1 to a server: awc on guarded connections.
//!
//! awc's defaults are those of a browser: here each is set on purpose, and every connection is a [`guard::Guarded`] one. TLS is
//! made below awc. `proxy` and `auth` have clients of their own, so that a hung MLflow takes no connection from
//! authentication.

mod beginning;
mod connect;
mod connect_fault;
mod date_tasks;
mod fault;
#[cfg(fuzzing)]
mod fuzzing;
mod guard;
mod idle;
mod idle_timeout;
mod stream;

use std::{fmt, rc::Rc, time::Duration};

use actix_web::{
    body::MessageBody,
    http::uri::{Authority, PathAndQuery, Scheme, Uri},
};
use awc::{Client, ClientRequest, Connector, http::Method};
use url::{Position, Url};

pub(crate) use beginning::{End, beginning};
pub(crate) use connect_fault::ConnectFault;
use date_tasks::{DateTasks, Sending};
pub(crate) use fault::{SendError, TransportFault};
#[cfg(fuzzing)]
pub use fuzzing::fuzz_response_head;
use idle::IdleConnections;
pub(crate) use idle::Reuse;
/// How TLS is spoken to a server.
pub(crate) type Tls = crate::tls::ClientConfig;

/// The way to one server, and the connections to it that are idle. A clone shares them.
#[derive(Clone)]
pub(crate) struct HttpClient {
    any: Client,
    safe: Client,
    never: Client,
    authority: Authority,
    idle: Rc<IdleConnections>,
    date_tasks: Rc<DateTasks>,
}

/// How a client treats its connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connections {
    /// Time for DNS, TCP and TLS together.
    pub(crate) connect_timeout: Duration,
    /// How long an idle one is kept.
    pub(crate) keep_alive: Duration,
    /// How many may be in use for each [`Reuse`].
    pub(crate) limit: usize,
}

impl HttpClient {
    /// A client for the server of `url`; the path does not matter here. `tls` is used if the scheme is https.
    pub(crate) fn new(url: &Url, tls: Option<&Tls>, connections: Connections) -> Self {
        let tls = tls.filter(|_| url.scheme() == "https");
        let idle = IdleConnections::new(connections.keep_alive);
        let client = |reuse| {
            let connector = Connector::new()
                .connector(connect::GuardedConnector::new(tls.cloned(), idle.clone(), reuse))
                .timeout(connections.connect_timeout)
                .conn_keep_alive(Duration::ZERO)
                .limit(connections.limit);
            let builder = Client::builder().connector(connector);
            builder.disable_timeout().disable_redirects().no_default_headers().finish()
        };
        Self {
            any: client(Reuse::Any),
            safe: client(Reuse::Safe),
            never: client(Reuse::Never),
            authority: authority(url),
            idle,
            date_tasks: Rc::default(),
        }
    }

    /// A request for `target`, with no header but those that the caller adds, and a `Host`.
    pub(crate) fn request(&self, method: Method, target: PathAndQuery, reuse: Reuse) -> ClientRequest {
        // The scheme is always http for awc: the connector knows whether there is TLS below.
        let uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.authority.clone())
            .path_and_query(target)
            .build()
            .unwrap_or_default();
        let request = match reuse {
            Reuse::Any => self.any.request(method, uri),
            Reuse::Safe => self.safe.request(method, uri),
            Reuse::Never => self.never.request(method, uri).force_close(),
        };
        request.no_decompress()
    }

    /// Sends a request; the head of its response, or why there is none.
    pub(crate) fn send(&self, request: ClientRequest, body: impl MessageBody + 'static) -> Sending {
        self.idle.watch();
        Sending::new(request.send_body(body), &self.date_tasks)
    }
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

/// Host and port, the port also where the scheme implies it.
fn authority(url: &Url) -> Authority {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    Authority::try_from(format!("{host}:{port}"))
        .unwrap_or_else(|_| Authority::from_static("invalid.invalid"))
}
