use actix_web::{http::Method, test::TestRequest};
use jiff::SignedDuration;

use super::*;
use crate::{head, routing::Routes, settings::Settings};

fn settings(mode: &str) -> Settings {
    let pairs = [("MLFLOW_SERVER_URL", "http://mlflow"), ("HOKUSAI__POLICY__MODE", mode)];
    Settings::load(None, pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap()
}

fn route(method: Method, path: &str) -> Route {
    let request = TestRequest::with_uri(path).method(method).insert_header(("host", "a")).to_http_request();
    let routes = Routes::open(&settings("enforce").mlflow).unwrap();
    routes.resolve(head::inspect(request.head()).unwrap()).unwrap()
}

/// Whether a principal may read a run.
fn outcome(now: Timestamp, principal: Principal) -> Result<(), Denied> {
    let route = route(Method::GET, "/api/2.0/mlflow/runs/get");
    authorize_at(now, &settings("enforce").policy, Arc::new(principal), route).map(drop)
}

fn with_scopes(scopes: &[&str]) -> Principal {
    Principal { scopes: Some(scopes.iter().map(|&word| word.to_owned()).collect()), ..Principal::default() }
}

#[test]
fn a_key_ends_at_the_second_of_its_expiry() {
    let at: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
    let principal = Principal { expires_at: Some(at), ..Principal::default() };
    let before = at - SignedDuration::from_nanos(1);
    assert_eq!(outcome(before, principal.clone()), Ok(()));
    assert_eq!(outcome(at, principal), Err(Denied::Expired(at)));
}

#[test]
fn a_key_without_expiry_has_none() {
    assert_eq!(outcome(Timestamp::MAX, Principal::default()), Ok(()));
}

#[test]
fn a_denial_says_what_is_missing_and_what_is_there() {
    let delete = || route(Method::POST, "/ajax-api/2.0/mlflow/runs/delete");
    let policy = settings("enforce").policy;
    for (principal, has) in [
        (Principal::default(), "the default ones"),
        (with_scopes(&[]), "none"),
        (with_scopes(&["mlflow:read", "mlflow:raed"]), "mlflow:read, mlflow:raed"),
    ] {
        let Err(Denied::Scope(missing)) = authorize(&policy, Arc::new(principal), delete()) else {
            panic!("not denied")
        };
        let expected = format!(
            "this API key may not POST /ajax-api/2.0/mlflow/runs/delete: it needs the scope mlflow:delete or \
             mlflow:admin, and has {has}"
        );
        assert_eq!(missing.to_string(), expected);
    }
}

#[test]
fn an_administrator_needs_no_scopes() {
    assert_eq!(outcome(Timestamp::now(), Principal { is_admin: true, ..with_scopes(&[]) }), Ok(()));
}

#[test]
fn scopes_are_asked_for_only_where_the_mode_says_so() {
    for (mode, allowed) in [("off", true), ("report", true), ("enforce", false)] {
        let route = route(Method::GET, "/api/2.0/mlflow/runs/get");
        let outcome = authorize(&settings(mode).policy, Arc::new(with_scopes(&[])), route);
        assert_eq!(outcome.is_ok(), allowed, "{mode}");
    }
}
