//! The HTTP server: its route table, and what is wrapped around it.

mod expect;
mod listener;
mod metrics;

use actix_service::ServiceFactory;
use actix_web::{
    App, Error, FromRequest, Handler, HttpRequest, HttpResponse,
    body::MessageBody,
    dev::{HttpServiceFactory, ServiceRequest, ServiceResponse},
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};
use tracing_actix_web::TracingLogger;

pub use listener::{bind, start};
pub use metrics::start_metrics;

use crate::{
    connection, error,
    gateway::{Gateway, admit, forward, measure, unrouted},
    head::HeadError,
    health, telemetry,
};

/// Every route, open ones first; whatever is not open is MLflow's, and goes through [`admit`].
fn routes(app: &mut ServiceConfig) {
    app.service(open("/live", health::live))
        .service(open("/health", health::health))
        .service(open("/ready", health::ready))
        .service(open("/version", health::version))
        .service(open("/metrics", metrics::beside_the_rest));
    for path in ["/health/mlflow", "/api/mlflow/health/mlflow", "/mlflow/health/mlflow"] {
        app.service(open(path, health::mlflow));
    }
    app.default_service(web::to(unrouted));
    app.service(web::scope("").wrap(from_fn(admit)).default_service(web::to(forward)));
}

/// A route without a key, for GET and HEAD.
fn open<F, Args>(path: &str, handler: F) -> impl HttpServiceFactory + use<F, Args>
where
    F: Handler<Args, Output = HttpResponse>,
    Args: FromRequest + 'static,
{
    web::resource(path)
        .route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
        .default_service(web::to(method_not_allowed))
        .wrap(from_fn(measure))
}

async fn method_not_allowed(request: HttpRequest) -> HttpResponse {
    error::respond(&HeadError::Method.into(), &request)
}

/// The application of one worker.
pub(crate) fn app(
    gateway: Data<Gateway>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(gateway)
        .configure(routes)
        // The last one wrapped is the first one run: the id that is stamped is made by the tracing logger.
        .wrap(from_fn(telemetry::stamp_request_id))
        .wrap(TracingLogger::<telemetry::GatewayRootSpan>::new())
        .wrap(from_fn(connection::count))
}
