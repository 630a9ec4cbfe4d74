//! The socket, and what each connection on it goes through: TLS if there is any, our own look at its bytes, HTTP/1.1.

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
    connection::{Connection, Crowd, Deadlines, Inbound, LINGER, Resettable, Terms},
    files,
    gateway::{Gateway, Shared},
    stall_budget::StallBudget,
    tls::ServerIdentity,
};

/// Bytes that the kernel takes of a response before it has sent those before them. By default it takes megabytes, and then
/// none for so long that a client who reads slowly cannot be told from one who does not read.
const UNSENT: u32 = 128 * 1024;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes that the unfinished heads of all clients may come to.
const ROOM_FOR_HEADS: usize = 32 * 1024 * 1024;

/// Builds the server on a socket that is bound already. It stops when `stop` says so.
///
/// # Errors
/// A socket that cannot be listened on.
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
        .max_concurrent_connections(share + files::passing(settings));
    let draining = builder.graceful_shutdown_signal();
    actix_tls::accept::max_concurrent_tls_connect(files::HANDSHAKES);
    let identity = shared.resources.identity.as_ref().map(ServerIdentity::config).transpose();
    let builder = match identity.map_err(std::io::Error::other)? {
        None => builder.listen("http", listener, move || {
            let gateway = Data::new(Gateway::new(Arc::clone(&shared)));
            let terms = terms(&gateway, share, ROOM_FOR_HEADS / workers);
            let accept = fn_service(move |tcp: TcpStream| {
                let inbound =
                    accepted(&tcp).and_then(|peer| taken_in(Inbound::new(tcp, peer, false, &terms)));
                async { inbound }
            });
            accept.and_then(http(gateway, &endpoints, &draining))
        }),
        Some(config) => builder.listen("https", listener, move || {
            let gateway = Data::new(Gateway::new(Arc::clone(&shared)));
            let terms = terms(&gateway, share, ROOM_FOR_HEADS / workers);
            let mut acceptor = Acceptor::new(config.clone());
            acceptor.set_handshake_timeout(HANDSHAKE_TIMEOUT);
            let accept = acceptor
                .map_init_err(|()| ())
                .map_err(|error| DispatchError::Io(std::io::Error::other(format!("TLS: {error:?}"))))
                .and_then(fn_service(move |tls: TlsStream<TcpStream>| {
                    let peer = accepted(tls.get_ref().0);
                    let inbound = peer.and_then(|peer| taken_in(Inbound::new(tls, peer, true, &terms)));
                    async { inbound }
                }));
            accept.and_then(http(gateway, &endpoints, &draining))
        }),
    };
    Ok(builder?.run())
}

/// Readies a new connection, and tells whose it is.
fn accepted(tcp: &TcpStream) -> Result<Option<SocketAddr>, DispatchError> {
    tcp.set_nodelay(true).map_err(DispatchError::Io)?;
    SockRef::from(tcp).set_tcp_notsent_lowat(UNSENT).map_err(DispatchError::Io)?;
    Ok(tcp.peer_addr().ok())
}

/// What holds for all connections of a worker.
fn terms(gateway: &Data<Gateway>, most: usize, room: usize) -> Rc<Terms> {
    let (gateway, shared) = (gateway.clone(), gateway.shared());
    let settings = &shared.settings.server;
    let deadlines = Deadlines {
        head: settings.head_timeout,
        write: StallBudget::new(settings.body_idle_timeout, settings.min_body_rate.get()),
    };
    let crowd = Crowd::new(most, room, shared.resources.metrics.clone());
    Rc::new(Terms { deadlines, crowd, refuse: Box::new(move |fault, sender| gateway.refuse(fault, sender)) })
}

/// A connection and its peer, if there was room for it.
fn taken_in<T>(inbound: Option<Inbound<T>>) -> Result<(Inbound<T>, Option<SocketAddr>), DispatchError> {
    let inbound = inbound.ok_or_else(|| DispatchError::Io(std::io::Error::other("too many connections")))?;
    let peer = inbound.peer();
    Ok((inbound, peer))
}

/// HTTP/1.1 on a stream, and the application of one worker behind it.
fn http<T>(
    gateway: Data<Gateway>,
    endpoints: &PrometheusMetrics,
    draining: &GracefulShutdownSignal,
) -> impl ServiceFactory<
    (Inbound<T>, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
> + use<T>
where
    T: AsyncRead + AsyncWrite + Resettable + Unpin + 'static,
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
        // From the last response on, also while the next head comes, which actix-http is not told of before it is whole: one that
        // began in time has its own time.
        .keep_alive(keep_alive + head_timeout)
        .client_request_timeout(head_timeout)
        .client_disconnect_timeout(LINGER)
        // A client that closed its side is gone: what was asked for it at MLflow is given up.
        .h1_allow_half_closed(false)
        .on_connect_ext(|stream: &Inbound<T>, data| {
            data.insert(Rc::clone(stream.connection()));
        })
        .expect(expect::decided_first(gateway.clone(), configured(gateway.clone(), endpoints)))
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
        Connection::put_target_back(&mut request);
        app.call(request)
    });
    let app = app.map_err(|error: Error| error.error_response().into());
    map_config(app, |()| AppConfig::default())
}
