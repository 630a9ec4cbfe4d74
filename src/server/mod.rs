//! The HTTP server: its route table, and what is wrapped around it.

mod address;
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

pub use address::bind;
pub(crate) use address::{Unbound, meaning, try_out};
pub use listener::start;
pub use metrics::start_metrics;

use crate::{
    error,
    gateway::{Gateway, admit, forward, observe},
    health,
    routing::{Methods, RouteError},
};

/// Every route, open ones first; whatever is not open is MLflow's, and goes through [`admit`].
fn routes(app: &mut ServiceConfig) {
    app.service(open("/live", health::live))
        .service(open("/health", health::health))
        .service(open("/ready", health::ready))
        .service(open("/version", health::version));
    for path in ["/health/mlflow", "/api/mlflow/health/mlflow", "/mlflow/health/mlflow"] {
        app.service(open(path, health::health_of_mlflow));
    }
    app.default_service(web::to(forward).wrap(from_fn(admit)));
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
}

async fn method_not_allowed(request: HttpRequest) -> HttpResponse {
    error::respond(&RouteError::Method(Methods::READS).into(), &request)
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
    App::new().app_data(gateway).configure(routes).wrap(from_fn(observe))
}
