//! The HTTP server: its route table, and what is wrapped around it.

use std::{net::TcpListener, sync::Arc};

use actix_web::{
    App, FromRequest, Handler, HttpRequest, HttpResponse, HttpServer, Resource,
    dev::Server,
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};
use tracing_actix_web::TracingLogger;

use crate::{
    error,
    gateway::{Gateway, Shared, admit, forward, unrouted},
    health,
    routing::RouteError,
    telemetry,
};

/// Every route, open ones first; whatever is not open is MLflow's, and goes through [`admit`].
fn routes(app: &mut ServiceConfig) {
    app.service(open("/live", health::live))
        .service(open("/health", health::health))
        .service(open("/ready", health::ready))
        .service(open("/version", health::version))
        .service(open("/metrics", metrics));
    for path in ["/health/mlflow", "/api/mlflow/health/mlflow", "/mlflow/health/mlflow"] {
        app.service(open(path, health::mlflow));
    }
    app.default_service(web::to(unrouted));
    app.service(web::scope("").wrap(from_fn(admit)).default_service(web::to(forward)));
}

/// A route without a key, for GET and HEAD.
fn open<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args, Output = HttpResponse>,
    Args: FromRequest + 'static,
{
    web::resource(path)
        .route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
        .default_service(web::to(method_not_allowed))
}

/// `GET /metrics`: Prometheus's text format. Whoever may not read it is not told that it is there.
async fn metrics(request: HttpRequest, gateway: Data<Gateway>) -> HttpResponse {
    if !gateway.may_read_metrics(request.head()) {
        return error::respond(&RouteError::Unknown.into(), &request);
    }
    match gateway.metrics().encode() {
        Ok(text) => HttpResponse::Ok().content_type(prometheus::TEXT_FORMAT).body(text),
        Err(error) => error::respond(&error.into(), &request),
    }
}

async fn method_not_allowed(request: HttpRequest) -> HttpResponse {
    error::respond(&RouteError::MethodNotAllowed.into(), &request)
}

/// Builds the server on a socket that is bound already.
///
/// # Errors
/// A socket that cannot be listened on.
pub fn start(
    listener: TcpListener,
    shared: Arc<Shared>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<Server> {
    let settings = shared.settings.server.clone();
    let mut server = HttpServer::new(move || {
        App::new()
            .app_data(Data::new(Gateway::new(Arc::clone(&shared))))
            .configure(routes)
            // The last one wrapped is the first one run: the id that is stamped is made by the tracing logger.
            .wrap(from_fn(telemetry::stamp_request_id))
            .wrap(TracingLogger::<telemetry::GatewayRootSpan>::new())
    })
    .keep_alive(settings.keep_alive)
    .client_request_timeout(settings.head_timeout)
    .client_disconnect_timeout(LINGER)
    // A client that closed its side is gone: what was asked for it at MLflow is given up.
    .h1_allow_half_closed(false)
    .tcp_nodelay(true)
    .backlog(BACKLOG)
    .shutdown_timeout(settings.drain_grace.as_millis().div_ceil(1000) as u64)
    .shutdown_signal(stop);
    if settings.workers > 0 {
        server = server.workers(settings.workers);
    }
    Ok(server.listen(listener)?.run())
}

/// How long a refused client may go on sending its body before its connection is reset.
const LINGER: std::time::Duration = std::time::Duration::from_secs(5);
const BACKLOG: u32 = 2048;
