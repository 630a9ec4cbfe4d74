//! `GET /metrics`: Prometheus's text format, on the management listener, by actix-web-prom.

use std::{io, net::TcpListener, sync::Arc};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::Server,
    guard::{self, GuardContext},
    web::{self, Data},
};

use super::endpoints::{Listener, METRICS, endpoint_metrics};
use crate::{
    error, files,
    gateway::Shared,
    routing::{Methods, RouteError},
};

/// As actix-web-prom says it for GET.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Starts the management listener, which serves nothing but the metrics and ends with the process.
///
/// # Errors
/// A socket that cannot be listened on.
pub fn start_metrics(listener: TcpListener, shared: Arc<Shared>) -> io::Result<Server> {
    let endpoints = endpoint_metrics(&shared.resources.metrics, Listener::Management)?;
    let app = move || {
        // actix-web-prom answers for its endpoint whatever the route within it answers, so strangers must not come this far.
        let of_guard = Arc::clone(&shared);
        let may_read = move |context: &GuardContext<'_>| of_guard.may_read_metrics(context.head());
        App::new()
            .app_data(Data::from(Arc::clone(&shared)))
            .service(
                web::resource(METRICS)
                    .guard(guard::fn_guard(may_read))
                    .route(web::get().to(HttpResponse::Ok).wrap(endpoints.clone()))
                    .route(web::head().to(head).wrap(endpoints.clone()))
                    .default_service(web::to(method_not_allowed)),
            )
            .default_service(web::to(unknown))
    };
    let server =
        HttpServer::new(app).workers(1).max_connections(files::METRICS_CONNECTIONS).disable_signals();
    Ok(server.listen(listener)?.run())
}

/// actix-web-prom answers GET alone.
async fn head(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    match shared.resources.metrics.encode() {
        Ok(text) => HttpResponse::Ok().content_type(TEXT_FORMAT).body(text),
        Err(error) => error::respond(&error.into(), &request),
    }
}

async fn method_not_allowed(request: HttpRequest) -> HttpResponse {
    error::respond(&RouteError::Method(Methods::READS).into(), &request)
}

async fn unknown(request: HttpRequest) -> HttpResponse {
    error::respond(&RouteError::Unknown.into(), &request)
}
