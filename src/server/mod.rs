//! The HTTP server: its route table, and what is wrapped around it.

mod address;
mod cors;
mod endpoints;
mod expect;
mod listener;
mod metrics;

use actix_service::ServiceFactory;
use actix_web::{
    App, Error, FromRequest, Handler, HttpRequest, HttpResponse, Route,
    body::MessageBody,
    dev::{HttpServiceFactory, ServiceRequest, ServiceResponse},
    guard::{self, GuardContext},
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};
use actix_web_prom::PrometheusMetrics;
use tracing_actix_web::TracingLogger;

pub use address::bind;
pub(crate) use address::{BindFault, bind_fault, check_bind};
pub(crate) use endpoints::{Listener, endpoint_metrics};
pub use listener::start;
pub use metrics::start_metrics;

use crate::{
    error,
    gateway::{self, Gateway, admit, forward},
    health,
    routing::{Methods, RouteError},
    session,
    telemetry::RequestSpan,
};

/// Every route, open ones first; whatever is not open is MLflow's, and goes through [`admit`].
fn routes(app: &mut ServiceConfig, endpoints: &PrometheusMetrics) {
    app.service(open("/live", health::live, endpoints))
        .service(open("/health", health::health, endpoints))
        .service(open("/ready", health::ready, endpoints))
        .service(open("/version", health::version, endpoints));
    app.service(open("/", gateway::home, endpoints))
        .service(open("/account", gateway::account, endpoints))
        .service(
            web::resource("/login")
                .route(reads().to(gateway::login).wrap(endpoints.clone()))
                .route(web::post().to(gateway::log_in).wrap(endpoints.clone()))
                .default_service(web::to(method_not_allowed)),
        )
        .service(
            web::resource("/login/callback")
                .route(web::get().to(gateway::callback).wrap(endpoints.clone()))
                .default_service(web::to(method_not_allowed)),
        )
        .service(
            web::resource("/login/{number}")
                .route(web::post().to(gateway::sign_on).wrap(endpoints.clone()))
                .default_service(web::to(method_not_allowed)),
        )
        .service(
            web::resource("/logout")
                .route(web::post().to(gateway::log_out).wrap(endpoints.clone()))
                .default_service(web::to(method_not_allowed)),
        );
    for path in ["/mlflow", "/api/mlflow"] {
        let opens = |context: &GuardContext<'_>| session::browser::opens(context.head()).is_some();
        app.service(web::resource(path).guard(guard::fn_guard(opens)).route(reads().to(gateway::with_slash)));
    }
    for path in ["/health/mlflow", "/api/mlflow/health/mlflow", "/mlflow/health/mlflow"] {
        app.service(open(path, health::health_of_mlflow, endpoints));
    }
    app.default_service(web::to(forward).wrap(from_fn(admit)));
}

/// A route without a key, for GET and HEAD. Only these two are counted by actix-web-prom: its label is the method as the
/// client wrote it.
fn open<F, Args>(
    path: &str,
    handler: F,
    endpoints: &PrometheusMetrics,
) -> impl HttpServiceFactory + use<F, Args>
where
    F: Handler<Args, Output = HttpResponse>,
    Args: FromRequest + 'static,
{
    web::resource(path)
        .route(reads().to(handler).wrap(endpoints.clone()))
        .default_service(web::to(method_not_allowed))
}

fn reads() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

async fn method_not_allowed(request: HttpRequest) -> HttpResponse {
    error::respond(&RouteError::Method(Methods::READS).into(), &request)
}

/// The application of one worker.
pub(crate) fn app(
    gateway: Data<Gateway>,
    endpoints: &PrometheusMetrics,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = Error,
        InitError = (),
    > + use<>,
> {
    // The last one wraps the others. Outermost first:
    // - connection: a request that may not be served, because the one before it closed the connection, is nobody's request.
    // - TracingLogger: the span of the request, in which all below happens, so that every event has the request's id.
    // - exchange: the request's one account, which is reported however the request ends; and its id on every response.
    // - cors: the answer to a preflight, and what a page of an allowed site may read of any.
    // - on the open routes, their metrics (`routes`); on all that is MLflow's, admit: the decision, which the exchange learns of.
    let cors = cors::cors(&gateway.shared().settings.server.allowed_origins);
    App::new()
        .app_data(gateway)
        .configure(|app| routes(app, endpoints))
        .wrap(cors)
        .wrap(from_fn(gateway::exchange))
        .wrap(TracingLogger::<RequestSpan>::new())
        .wrap(from_fn(gateway::connection))
}
