//! `GET /metrics`: Prometheus's text format, beside the other routes or on a listener of its own.

use std::{io, net::TcpListener, sync::Arc};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::Server,
    web::{self, Data},
};

use crate::{
    error,
    gateway::{Gateway, Shared},
    routing::RouteError,
};

/// On the main listener: nothing is there if the metrics have one of their own.
pub(super) async fn beside_the_rest(request: HttpRequest, gateway: Data<Gateway>) -> HttpResponse {
    let shared = gateway.shared();
    if shared.settings.metrics.bind.is_some() { unknown(&request) } else { tell(&request, shared) }
}

/// A listener for nothing but the metrics. It ends with the process.
///
/// # Errors
/// A socket that cannot be listened on.
pub fn start_metrics(listener: TcpListener, shared: Arc<Shared>) -> io::Result<Server> {
    let app =
        move || App::new().app_data(Data::from(Arc::clone(&shared))).route("/metrics", web::get().to(alone));
    Ok(HttpServer::new(app).workers(1).disable_signals().listen(listener)?.run())
}

async fn alone(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    tell(&request, &shared)
}

/// Whoever may not read them is not told that they are there.
fn tell(request: &HttpRequest, shared: &Shared) -> HttpResponse {
    if !shared.may_read_metrics(request.head()) {
        return unknown(request);
    }
    match shared.resources.metrics.encode() {
        Ok(text) => HttpResponse::Ok().content_type(prometheus::TEXT_FORMAT).body(text),
        Err(error) => error::respond(&error.into(), request),
    }
}

fn unknown(request: &HttpRequest) -> HttpResponse {
    error::respond(&RouteError::Unknown.into(), request)
}
