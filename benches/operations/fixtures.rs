//! The gateway's settings, and a key with all that is known of it.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use actix_web::http::Method;
use hokusai_gateway::{
    auth::{
        Principal,
        key::{self, Environment, KeyDigest},
    },
    head,
    policy::{self, Grant},
    routing::{Route, Routes},
    settings::Settings,
};
use secrecy::ExposeSecret as _;

use super::requests;

/// As `hokusai-gateway keys create` makes them.
pub(super) const KEY: &str = "hk_live_8Zc1TqYw3RmK5vXb7NnP9sLdFg22dtOAb";
pub(super) const BEARER: &str = "Bearer hk_live_8Zc1TqYw3RmK5vXb7NnP9sLdFg22dtOAb";
/// `ada` and the key, as `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD` are sent.
pub(super) const BASIC: &str = "Basic YWRhOmhrX2xpdmVfOFpjMVRxWXczUm1LNXZYYjdOblA5c0xkRmcyMmR0T0Fi";

pub(super) const CLIENT_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 47));

pub(super) fn settings(pairs: &[(&str, &str)]) -> Settings {
    let pairs = [("MLFLOW_SERVER_URL", "http://mlflow.internal:5000")].iter().chain(pairs);
    Settings::load(None, pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).unwrap()
}

pub(super) fn principal() -> Principal {
    Principal {
        user_id: Some("ada.lovelace@example.com".to_owned()),
        key_id: Some("training-cluster-7".to_owned()),
        scopes: Some(["mlflow:read", "mlflow:write", "mlflow:registry"].map(str::to_owned).into()),
        ..Principal::default()
    }
}

/// The text of a key file that has the key among so many.
pub(super) fn key_file(keys: usize) -> String {
    let record = |id: usize, key: &str| {
        let digest = KeyDigest::of(key);
        format!(
            "[[keys]]\nid = \"key-{id}\"\nuser = \"user-{id}@example.com\"\ndigest = \"{digest}\"\n\
             scopes = [\"mlflow:read\"]\ncreated_at = \"2026-11-22T09:00:00Z\"\n\n"
        )
    };
    let others = (1..keys).map(|id| record(id, key::generate(Environment::Live).expose_secret()));
    [record(0, KEY)].into_iter().chain(others).collect()
}

pub(super) fn route(settings: &Settings, method: Method, target: &str) -> Route {
    let request = requests::asking(method, target, BEARER).to_http_request();
    let routes = Routes::open(&settings.mlflow).unwrap();
    routes.resolve(head::inspect(request.head()).unwrap()).unwrap()
}

pub(super) fn grant(settings: &Settings, route: Route) -> Grant {
    policy::authorize(&settings.policy, Arc::new(principal()), route).unwrap()
}
