//! Requests that the gateway answers by itself, from the parsed head to the response: with the making of the request,
//! all that is wrapped around the walk, the metrics, and the line in the log.

use std::{fs, mem};

use actix_web::{
    dev::Service as _,
    http::{Method, StatusCode},
};
use futures_util::FutureExt as _;
use hokusai_gateway::benching;

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

fn answered(method: Method, target: &'static str, status: StatusCode) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    fs::write(&path, fixtures::key_file(1)).unwrap();
    let settings = settings(&[
        ("HOKUSAI__AUTH__KEY_FILE__PATH", path.to_str().unwrap()),
        ("HOKUSAI__TELEMETRY__LOG", "json"),
        ("HOKUSAI__AUDIT__OUTPUT", "off"),
    ]);
    // As long as the process: to all that are measured in one, the first log is the only one.
    let log = benching::log_to_nowhere(&settings).unwrap();
    let lines = log.requests.clone();
    mem::forget(log);
    let application = benching::application(settings, lines).unwrap().now_or_never().unwrap();
    run(move || {
        let request = requests::asking(method.clone(), target, BEARER).to_request();
        let response = application.call(request).now_or_never().unwrap().unwrap();
        assert_eq!(response.status(), status);
    })
}
