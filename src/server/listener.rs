//! The listening socket, and the layers of each connection: TLS if configured, [`ClientStream`], HTTP/1.1.

use std::{
    net::{SocketAddr, TcpListener},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix_http::{HttpService, Request, Response, error::DispatchError};
use actix_rt::net::TcpStream;
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{
    Service as _, ServiceFactory, ServiceFactoryExt as _, apply_fn_factory, fn_service, map_config,
};
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{AppConfig, ServiceResponse},
    web::Data,
};
use actix_web_prom::PrometheusMetrics;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Listener, app, endpoint_metrics, expect};
use crate::{
    connection::{ClientStream, Connection, ConnectionConfig, ConnectionLimiter, LINGER, ResetOnClose},
    files,
    gateway::{Gateway, Shared},
    stall_budget::StallBudget,
    tls::ServerIdentity,
};

/// Unsent bytes of a response in the kernel. By default it accepts megabytes, and then nothing for so long that a client that reads
/// slowly looks like one that does not read.
const MAX_UNSENT: u32 = 128 * 1024;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of the incomplete heads of all clients together.
const MAX_HEAD_BYTES: usize = 32 * 1024 * 1024;

/// Starts the server on a bound socket. It stops when `stop` resolves.
///
/// # Errors
/// Listening on the socket fails.
pub fn start(
    listener: TcpListener,
    shared: Arc<Shared>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<Server> {
    let settings = &shared.settings.server;
    let endpoints = endpoint_metrics(&shared.resources.metrics, Listener::Main)?;
    let workers = settings.worker_count();
    let share = (shared.resources.max_connections / workers).max(1);
    let builder = Server::build()
        .shutdown_timeout(settings.drain_grace.as_millis().div_ceil(1000) as u64)
        .shutdown_signal(stop)
        .workers(workers)
        .max_concurrent_connections(share + files::accept_margin(settings));
    let draining = builder.graceful_shutdown_signal();
    actix_tls::accept::max_concurrent_tls_connect(files::MAX_HANDSHAKES);
    let identity = shared.resources.identity.as_ref().map(ServerIdentity::config).transpose();
    let builder = match identity.map_err(std::io::Error::other)? {
        None => builder.listen("http", listener, move || {
            let gateway = Data::new(Gateway::new(Arc::clone(&shared)));
            let config = connection_config(&gateway, share, MAX_HEAD_BYTES / workers);
            let accept = fn_service(move |tcp: TcpStream| {
                let accepted =
                    prepare(&tcp).and_then(|peer| admitted(ClientStream::new(tcp, peer, false, &config)));
                async { accepted }
            });
            accept.and_then(http(gateway, &endpoints, &draining))
        }),
        Some(tls_config) => builder.listen("https", listener, move || {
            let gateway = Data::new(Gateway::new(Arc::clone(&shared)));
            let config = connection_config(&gateway, share, MAX_HEAD_BYTES / workers);
            let mut acceptor = Acceptor::new(tls_config.clone());
            acceptor.set_handshake_timeout(HANDSHAKE_TIMEOUT);
            let accept = acceptor
                .map_init_err(|()| ())
                .map_err(|error| DispatchError::Io(std::io::Error::other(format!("TLS: {error:?}"))))
                .and_then(fn_service(move |tls: TlsStream<TcpStream>| {
                    let peer = prepare(tls.get_ref().0);
                    let accepted =
                        peer.and_then(|peer| admitted(ClientStream::new(tls, peer, true, &config)));
                    async { accepted }
                }));
            accept.and_then(http(gateway, &endpoints, &draining))
        }),
    };
    Ok(builder?.run())
}

/// Sets the options of a new socket, and returns its peer.
fn prepare(tcp: &TcpStream) -> Result<Option<SocketAddr>, DispatchError> {
    tcp.set_nodelay(true).map_err(DispatchError::Io)?;
    SockRef::from(tcp).set_tcp_notsent_lowat(MAX_UNSENT).map_err(DispatchError::Io)?;
    Ok(tcp.peer_addr().ok())
}

fn connection_config(
    gateway: &Data<Gateway>,
    max_connections: usize,
    max_head_bytes: usize,
) -> Rc<ConnectionConfig> {
    let (gateway, shared) = (gateway.clone(), gateway.shared());
    let settings = &shared.settings.server;
    let metrics = shared.resources.metrics.clone();
    Rc::new(ConnectionConfig {
        head_timeout: settings.head_timeout,
        write_budget: StallBudget::new(settings.body_idle_timeout, settings.min_body_rate.get()),
        limiter: ConnectionLimiter::new(max_connections, max_head_bytes, metrics),
        refuse: Box::new(move |fault, input| gateway.refuse(fault, input)),
    })
}

/// An admitted stream with its peer.
fn admitted<T>(
    stream: Option<ClientStream<T>>,
) -> Result<(ClientStream<T>, Option<SocketAddr>), DispatchError> {
    let stream = stream.ok_or_else(|| DispatchError::Io(std::io::Error::other("too many connections")))?;
    let peer = stream.peer();
    Ok((stream, peer))
}

/// HTTP/1.1 on a stream, and the application of one worker behind it.
fn http<T>(
    gateway: Data<Gateway>,
    endpoints: &PrometheusMetrics,
    draining: &GracefulShutdownSignal,
) -> impl ServiceFactory<
    (ClientStream<T>, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
> + use<T>
where
    T: AsyncRead + AsyncWrite + ResetOnClose + Unpin + 'static,
{
    let draining = draining.clone();
    let (keep_alive, head_timeout) = {
        let settings = &gateway.shared().settings.server;
        (settings.keep_alive, settings.head_timeout)
    };
    HttpService::build()
        .graceful_shutdown_signal(move || {
            let draining = draining.clone();
            async move { draining.notified().await }
        })
        // actix-http gets the next head when it is complete. So its keep-alive includes the time that a head may take.
        .keep_alive(keep_alive + head_timeout)
        .client_request_timeout(head_timeout)
        .client_disconnect_timeout(LINGER)
        // A client that closed its side has gone: its request to MLflow is cancelled.
        .h1_allow_half_closed(false)
        .on_connect_ext(|stream: &ClientStream<T>, data| {
            data.insert(Rc::clone(stream.connection()));
        })
        .expect(expect::verify_first(gateway.clone(), configured(gateway.clone(), endpoints)))
        .h1(configured(gateway, endpoints))
}

/// The application as a service for actix-http.
fn configured(
    gateway: Data<Gateway>,
    endpoints: &PrometheusMetrics,
) -> impl ServiceFactory<
    Request,
    Config = (),
    Response = ServiceResponse<impl MessageBody + use<>>,
    Error = Response<BoxBody>,
    InitError = (),
> + use<> {
    let app = apply_fn_factory(app(gateway, endpoints), |mut request: Request, app| {
        Connection::restore_target(&mut request);
        app.call(request)
    });
    let app = app.map_err(|error: Error| error.error_response().into());
    map_config(app, |()| AppConfig::default())
}
