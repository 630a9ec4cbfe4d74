//! Heads on their way to MLflow, and back.

use std::hint::black_box;

use actix_web::http::Method;
use hokusai_gateway::{benching, client_ip::Client};

use super::{
    Run,
    fixtures::{BEARER, CLIENT_IP, grant, route, settings},
    requests, run,
};

pub(super) fn to_mlflow() -> Run {
    let settings = settings(&[]);
    let proxy = benching::proxy(&settings);
    let request = requests::asking(Method::GET, requests::RUN, BEARER).to_http_request();
    let grant = grant(&settings, route(&settings, Method::GET, requests::RUN));
    let client = Client { ip: Some(CLIENT_IP), secure: true };
    let observed = requests::asking(Method::GET, requests::RUN, BEARER).to_srv_request();
    let exchange = benching::exchange(&observed, client).unwrap();
    run(move || proxy.head_to_upstream(black_box(&request), &grant, &exchange).unwrap())
}

pub(super) fn to_client() -> Run {
    let settings = settings(&[]);
    let proxy = benching::proxy(&settings);
    let request = requests::asking(Method::GET, requests::RUN, BEARER).to_http_request();
    let route = route(&settings, Method::GET, requests::RUN);
    let answer = requests::answer();
    run(move || proxy.head_to_client(black_box(&answer), &request, &route).finish())
}
