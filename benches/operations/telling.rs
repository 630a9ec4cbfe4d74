//! Requests that the gateway answers by itself, from the parsed head to the response: with the making of the request,
//! all that is wrapped around the walk, the metrics, and the line in the log.

use std::{fs, mem};

use actix_service::{Service, Transform as _, fn_service};
use actix_web::{
    Error, HttpResponse,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode},
};
use futures_util::FutureExt as _;
use hokusai_gateway::{
    benching,
    telemetry::{RequestLog, RequestSpan},
};
use tracing_actix_web::TracingLogger;

use super::{
    Run,
    fixtures::{self, BEARER, settings},
    requests, run,
};

/// A key that may only read asks for a deletion: the whole walk down to the policy, and a 403 with its body.
pub(super) fn denied() -> Run {
    answered(Method::POST, requests::DELETE, StatusCode::FORBIDDEN)
}

pub(super) fn live() -> Run {
    answered(Method::GET, "/live", StatusCode::OK)
}

/// One more use of a key, route and status that were used before.
pub(super) fn usage() -> Run {
    let settings = settings(&[
        ("HOKUSAI_AUTH_SERVICE_URL", "https://auth.internal"),
        ("HOKUSAI__AUTH__SERVICE__USAGE_SPOOL", "memory"),
    ]);
    let route = fixtures::route(&settings, Method::GET, requests::RUN);
    let worker = benching::usage(&settings).unwrap();
    run(move || worker.count("training-cluster-7", route.pattern(), 200))
}

/// A service that answers at once, and nothing else; [`root_span`] has this in it.
pub(super) fn no_span() -> Run {
    log_as_by_default();
    called(fn_service(at_once))
}

/// The same within `TracingLogger` and the span of a request, entered for its one poll.
pub(super) fn root_span() -> Run {
    log_as_by_default();
    let logger = TracingLogger::<RequestSpan>::new();
    called(logger.new_transform(fn_service(at_once)).now_or_never().unwrap().unwrap())
}

async fn at_once(request: ServiceRequest) -> Result<ServiceResponse, Error> {
    Ok(request.into_response(HttpResponse::Ok()))
}

fn called<B: 'static>(
    service: impl Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
) -> Run {
    run(move || {
        let request = requests::asking(Method::GET, requests::RUN, BEARER).to_srv_request();
        service.call(request).now_or_never().unwrap().unwrap()
    })
}

/// As long as the process: to all that are measured in one, the first log is the only one.
fn log_as_by_default() -> RequestLog {
    let log = benching::log_to_nowhere(&settings(&[
        ("HOKUSAI__AUTH__KEY_FILE__PATH", "keys.toml"),
        ("HOKUSAI__TELEMETRY__LOG", "json"),
    ]));
    let log = log.unwrap();
    let lines = log.requests.clone();
    mem::forget(log);
    lines
}

fn answered(method: Method, target: &'static str, status: StatusCode) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    fs::write(&path, fixtures::key_file(1)).unwrap();
    let settings = settings(&[
        ("HOKUSAI__AUTH__KEY_FILE__PATH", path.to_str().unwrap()),
        ("HOKUSAI__TELEMETRY__LOG", "json"),
        ("HOKUSAI__AUDIT__OUTPUT", "off"),
    ]);
    let application = benching::application(settings, log_as_by_default()).unwrap().now_or_never().unwrap();
    run(move || {
        let request = requests::asking(method.clone(), target, BEARER).to_request();
        let response = application.call(request).now_or_never().unwrap().unwrap();
        assert_eq!(response.status(), status);
    })
}
