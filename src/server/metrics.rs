//! `GET /metrics`: Prometheus's text format, on a listener of its own.

use std::{io, net::TcpListener, sync::Arc};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::Server,
    guard,
    web::{self, Data},
};

use crate::{
    error, files,
    gateway::Shared,
    routing::{Methods, RouteError},
};

/// A listener for nothing but the metrics. It ends with the process.
///
/// # Errors
/// A socket that cannot be listened on.
pub fn start_metrics(listener: TcpListener, shared: Arc<Shared>) -> io::Result<Server> {
    let app = move || {
        App::new()
            .app_data(Data::from(Arc::clone(&shared)))
            .service(
                web::resource("/metrics")
                    .route(web::route().guard(guard::Any(guard::Get()).or(guard::Head())).to(tell))
                    .default_service(web::to(not_so)),
            )
            .default_service(web::to(unknown))
    };
    let server = HttpServer::new(app).workers(1).max_connections(files::OF_METRICS).disable_signals();
    Ok(server.listen(listener)?.run())
}

/// Whoever may not read them is not told that they are there.
async fn tell(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    if !shared.may_read_metrics(request.head()) {
        return unknown(request).await;
    }
    match shared.resources.metrics.encode() {
        Ok(text) => HttpResponse::Ok().content_type(prometheus::TEXT_FORMAT).body(text),
        Err(error) => error::respond(&error.into(), &request),
    }
}

async fn not_so(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    if !shared.may_read_metrics(request.head()) {
        return unknown(request).await;
    }
    error::respond(&RouteError::Method(Methods::READS).into(), &request)
}

async fn unknown(request: HttpRequest) -> HttpResponse {
    error::respond(&RouteError::Unknown.into(), &request)
}
