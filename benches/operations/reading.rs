//! What is read of a request before anybody is asked: its head, its target, its credential.

use std::hint::black_box;

use actix_web::http::Method;
use hokusai_gateway::{credentials, head, routing::Routes};

use super::{
    Run,
    fixtures::{BASIC, BEARER, settings},
    requests, run,
};

pub(super) fn head() -> Run {
    let request = requests::asking(Method::GET, requests::RUN, BEARER).to_http_request();
    run(move || head::inspect(black_box(request.head())).map(|_| ()).unwrap())
}

pub(super) fn route() -> Run {
    routed(requests::RUN)
}

pub(super) fn route_of_an_artifact() -> Run {
    routed(requests::ARTIFACT)
}

pub(super) fn route_of_a_long_target() -> Run {
    routed(&requests::compare_runs())
}

pub(super) fn bearer() -> Run {
    extracted(BEARER)
}

pub(super) fn basic() -> Run {
    extracted(BASIC)
}

fn routed(target: &str) -> Run {
    let routes = Routes::open(&settings(&[]).mlflow).unwrap();
    let request = requests::asking(Method::GET, target, BEARER).to_http_request();
    run(move || {
        let sound = head::inspect(black_box(request.head())).unwrap();
        routes.resolve(sound).unwrap()
    })
}

fn extracted(authorization: &str) -> Run {
    let request = requests::asking(Method::GET, requests::RUN, authorization).to_http_request();
    run(move || credentials::extract(black_box(request.headers())).unwrap())
}
