//! What a key may do, and how often.

use std::{hint::black_box, sync::Arc};

use actix_web::{
    dev::Payload,
    http::{Method, header::CONTENT_LENGTH},
    web::Bytes,
};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use hokusai_gateway::{benching, policy};

use super::{
    Run,
    fixtures::{BEARER, grant, principal, route, settings},
    requests, run,
};

pub(super) fn policy() -> Run {
    let settings = settings(&[]);
    let (principal, route) = (Arc::new(principal()), route(&settings, Method::GET, requests::RUN));
    run(move || {
        policy::authorize(black_box(&settings.policy), Arc::clone(&principal), route.clone()).unwrap()
    })
}

/// Of a write of which the body is read first.
pub(super) fn policy_of_a_json_body() -> Run {
    let settings = settings(&[]);
    let request = requests::asking(Method::POST, requests::REGISTER, BEARER)
        .insert_header((CONTENT_LENGTH, requests::REGISTER_BODY.len()))
        .to_http_request();
    let grant = grant(&settings, route(&settings, Method::POST, requests::REGISTER));
    run(move || {
        let body = stream::iter([Ok(Bytes::from_static(requests::REGISTER_BODY.as_bytes()))]);
        let payload = Payload::Stream { payload: body.boxed_local() };
        let checked = benching::checked_body(&settings, black_box(&grant), request.head(), payload);
        checked.now_or_never().unwrap().unwrap()
    })
}

pub(super) fn limit() -> Run {
    let settings = settings(&[("HOKUSAI__LIMITS__PER_HOUR", "4000000000")]);
    let limiter = benching::limiter(&settings).unwrap();
    let grant = grant(&settings, route(&settings, Method::GET, requests::RUN));
    run(move || limiter.admit(black_box(&grant)).now_or_never().unwrap().unwrap())
}
