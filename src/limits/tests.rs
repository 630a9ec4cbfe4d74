use std::num::NonZeroU32;

use actix_web::{http::Method, test::TestRequest};

use super::*;
use crate::{auth::Principal, head, policy, routing::Routes, settings::Settings};

fn grant(key_id: Option<&str>, limit: Option<u32>) -> Grant {
    grant_of((Method::GET, "/api/2.0/mlflow/runs/get"), key_id, limit)
}

fn grant_of((method, path): (Method, &str), key_id: Option<&str>, limit: Option<u32>) -> Grant {
    let environment = [("MLFLOW_SERVER_URL".to_owned(), "http://mlflow".to_owned())];
    let settings = Settings::load(None, environment).unwrap();
    let request = TestRequest::with_uri(path).method(method).insert_header(("host", "a"));
    let request = request.to_http_request();
    let route =
        Routes::open(&settings.mlflow).unwrap().resolve(head::inspect(request.head()).unwrap()).unwrap();
    let principal = Principal {
        key_id: key_id.map(str::to_owned),
        rate_limit_per_hour: limit.and_then(NonZeroU32::new),
        ..Principal::default()
    };
    policy::authorize(&settings.policy, Arc::new(principal), route).unwrap()
}

fn settings() -> Limits {
    let environment = [("MLFLOW_SERVER_URL".to_owned(), "http://mlflow".to_owned())];
    Settings::load(None, environment).unwrap().limits
}

fn limiter_of(settings: Limits) -> Limiter {
    Limiter::new(&settings, None, Metrics::new().unwrap()).0
}

fn limiter(mode: Mode, per_hour: u32) -> Limiter {
    limiter_of(Limits { mode, per_hour: per_hour.try_into().unwrap(), ..settings() })
}

async fn admitted(limiter: &Limiter, grant: &Grant) -> u32 {
    let mut count = 0;
    while count < 100 && limiter.admit(grant).await.is_ok() {
        count += 1;
    }
    count
}

#[actix_rt::test]
async fn a_key_gets_its_limit_and_no_more_and_others_get_theirs() {
    let limiter = limiter(Mode::Enforce, 5);
    assert_eq!(admitted(&limiter, &grant(Some("a"), None)).await, 5);
    assert_eq!(admitted(&limiter, &grant(Some("a"), None)).await, 0);
    assert_eq!(admitted(&limiter, &grant(Some("b"), None)).await, 5);
}

#[actix_rt::test]
async fn the_verifiers_number_comes_before_the_settings_and_may_change() {
    let limiter = limiter(Mode::Enforce, 5);
    assert_eq!(admitted(&limiter, &grant(Some("a"), Some(9))).await, 9);
    let refused = limiter.admit(&grant(Some("a"), Some(3))).await.unwrap_err();
    assert_eq!(refused.allowance.limit, 3);
}

#[actix_rt::test]
async fn reads_and_writes_are_counted_apart() {
    let limiter = limiter(Mode::Enforce, 5);
    let asking = |method, path| grant_of((method, path), Some("a"), None);
    let search = asking(Method::POST, "/api/2.0/mlflow/runs/search");
    assert_eq!(admitted(&limiter, &search).await, 5);
    assert_eq!(admitted(&limiter, &asking(Method::GET, "/api/2.0/mlflow/runs/get")).await, 0);
    assert_eq!(admitted(&limiter, &asking(Method::HEAD, "/api/2.0/mlflow/runs/get")).await, 0);
    assert_eq!(admitted(&limiter, &asking(Method::POST, "/api/2.0/mlflow/runs/create")).await, 5);
    assert_eq!(admitted(&limiter, &asking(Method::POST, "/v1/traces")).await, 0);
}

#[actix_rt::test]
async fn keys_without_a_name_share_one_bucket() {
    let limiter = limiter(Mode::Enforce, 5);
    assert_eq!(admitted(&limiter, &grant(None, None)).await, 5);
    assert_eq!(admitted(&limiter, &grant(None, None)).await, 0);
}

#[actix_rt::test]
async fn report_counts_and_lets_through_and_off_does_neither() {
    let report = limiter(Mode::Report, 2);
    assert_eq!(admitted(&report, &grant(Some("a"), None)).await, 100);
    assert_eq!(report.admit(&grant(Some("a"), None)).await.unwrap().allowance.unwrap().remaining, 0);
    assert!(limiter(Mode::Off, 2).admit(&grant(Some("a"), None)).await.unwrap().allowance.is_none());
}

const GET_RUN: (Method, &str) = (Method::GET, "/api/2.0/mlflow/runs/get");
const CREATE_RUN: (Method, &str) = (Method::POST, "/api/2.0/mlflow/runs/create");
const SET_TAG: (Method, &str) = (Method::POST, "/api/2.0/mlflow/runs/set-tag");
const GET_ARTIFACT: (Method, &str) = (Method::GET, "/api/2.0/mlflow-artifacts/artifacts/1/a");

fn of(principal: Principal, request: (Method, &str)) -> Grant {
    policy::authorize(&policy_settings(), Arc::new(principal), grant_of(request, None, None).route().clone())
        .unwrap()
}

fn policy_settings() -> crate::settings::Policy {
    let environment = [("MLFLOW_SERVER_URL".to_owned(), "http://mlflow".to_owned())];
    Settings::load(None, environment).unwrap().policy
}

fn named(key_id: &str) -> Principal {
    Principal { key_id: Some(key_id.to_owned()), ..Principal::default() }
}

async fn places(limiter: &Limiter, grant: &Grant) -> Vec<Admission> {
    let mut admissions = Vec::new();
    while admissions.len() < 100 {
        let Ok(admission) = limiter.admit(grant).await else { break };
        admissions.push(admission);
    }
    admissions
}

#[actix_rt::test]
async fn a_key_has_so_many_requests_at_once_and_artifacts_apart_from_them() {
    // A new token takes a minute.
    let (concurrent, per_hour) = (NonZeroU32::new(3).unwrap(), NonZeroU32::new(60).unwrap());
    let limiter = limiter_of(Limits { concurrent, per_hour, ..settings() });
    let held = places(&limiter, &of(named("a"), GET_RUN)).await;
    assert_eq!(held.len(), 3);
    assert_eq!(places(&limiter, &of(named("a"), CREATE_RUN)).await.len(), 0, "changes are counted with them");
    assert_eq!(places(&limiter, &of(named("b"), GET_RUN)).await.len(), 3, "of another key");
    assert_eq!(places(&limiter, &of(named("a"), GET_ARTIFACT)).await.len(), 3);

    let refused = limiter.admit(&of(named("a"), GET_RUN)).await.unwrap_err();
    assert_eq!(refused.limit, Limit::Concurrent(Lane::Requests, 3));
    assert_eq!(refused.allowance, Allowance { limit: 3, remaining: 0, reset: 1 });
    let left = limiter.left(&named("a")).unwrap();
    assert_eq!((left.concurrent.requests, left.concurrent.artifacts), (3, 0));
    assert_eq!(left.reads.remaining, 60 - 6, "a request without a place costs nothing");
    drop(held);
    assert_eq!(limiter.left(&named("a")).unwrap().concurrent.requests, 0);
    assert_eq!(places(&limiter, &of(named("a"), GET_RUN)).await.len(), 3);
}

#[actix_rt::test]
async fn the_keys_own_number_comes_first_and_each_instance_has_its_part() {
    let instances = NonZeroU32::new(3).unwrap();
    let limiter = limiter_of(Limits { instances, ..settings() });
    assert_eq!(places(&limiter, &of(named("a"), GET_RUN)).await.len(), 22, "64 by three, rounded up");
    let own = Principal { concurrent: NonZeroU32::new(6), ..named("b") };
    assert_eq!(places(&limiter, &of(own, GET_RUN)).await.len(), 2);
    let one = Principal { concurrent: NonZeroU32::new(1), ..named("c") };
    assert_eq!(places(&limiter, &of(one, GET_RUN)).await.len(), 1, "never none");
}

#[actix_rt::test]
async fn a_key_with_requests_under_way_is_not_forgotten_for_others() {
    let mut limiter = limiter_of(Limits { concurrent: NonZeroU32::MIN, ..settings() });
    limiter.keys = at_most(100);
    let held = limiter.admit(&of(named("busy"), GET_RUN)).await.unwrap();
    // Used more than once, they are worth more to the cache than one that was used once.
    for number in 0..10_000 {
        for _ in 0..3 {
            limiter.key(&(number / 50 * 50 + number % 7).to_string());
            limiter.key(&number.to_string());
        }
    }
    assert!(limiter.admit(&of(named("busy"), GET_RUN)).await.is_err());
    assert!(limiter.keys.len() <= 100);
    drop(held);
}

#[actix_rt::test]
async fn creates_have_a_limit_of_their_own_and_cost_no_other_change_when_refused() {
    let limits = || Limits {
        creates_per_hour: NonZeroU32::new(2),
        per_hour: NonZeroU32::new(5).unwrap(),
        ..settings()
    };
    let limiter = limiter_of(limits());
    assert_eq!(admitted(&limiter, &of(named("a"), CREATE_RUN)).await, 2);
    let refused = limiter.admit(&of(named("a"), CREATE_RUN)).await.unwrap_err();
    assert_eq!(refused.limit, Limit::Creates(2));
    assert_eq!((refused.allowance.limit, refused.allowance.remaining), (2, 0));
    assert_eq!(admitted(&limiter, &of(named("a"), SET_TAG)).await, 3, "those that are left of five");
    let own = Principal { creates_per_hour: NonZeroU32::new(4), ..named("b") };
    assert_eq!(admitted(&limiter, &of(own, CREATE_RUN)).await, 4);
    let first = limiter_of(limits()).admit(&of(named("a"), CREATE_RUN)).await.unwrap().allowance.unwrap();
    assert_eq!((first.limit, first.remaining), (2, 1), "the headers tell of what ends first");
    let without = limiter_of(settings());
    assert_eq!(admitted(&without, &of(named("a"), CREATE_RUN)).await, 100, "there is none by default");
}

#[actix_rt::test]
async fn what_makes_an_experiment_a_run_or_a_model_is_a_create() {
    let limiter = limiter_of(Limits { creates_per_hour: Some(NonZeroU32::MIN), ..settings() });
    for path in [
        "/api/2.0/mlflow/experiments/create",
        "/ajax-api/2.0/mlflow/runs/create",
        "/api/2.0/mlflow/logged-models",
        "/api/2.0/mlflow/registered-models/create",
        "/ajax-api/2.0/mlflow/model-versions/create",
    ] {
        let principal = Principal { is_admin: true, ..named(path) };
        assert_eq!(admitted(&limiter, &of(principal, (Method::POST, path))).await, 1, "{path}");
    }
}

#[actix_rt::test]
async fn a_reload_changes_the_numbers_and_forgets_nothing() {
    let limiter = limiter_of(settings());
    let held = places(&limiter, &of(named("a"), GET_RUN)).await;
    assert_eq!(held.len(), 64);
    let concurrent = NonZeroU32::new(66).unwrap();
    let environment = [("MLFLOW_SERVER_URL".to_owned(), "http://mlflow".to_owned())];
    let mut live = Settings::load(None, environment).unwrap().live();
    live.limits = Limits { concurrent, creates_per_hour: Some(NonZeroU32::MIN), ..live.limits };
    limiter.reload(&live);
    assert_eq!(places(&limiter, &of(named("a"), GET_RUN)).await.len(), 2);
    assert_eq!(admitted(&limiter, &of(named("b"), CREATE_RUN)).await, 1);
}

#[actix_rt::test]
async fn report_gives_more_places_than_there_are_and_off_counts_none() {
    let concurrent = NonZeroU32::MIN;
    let report = limiter_of(Limits { mode: Mode::Report, concurrent, ..settings() });
    let held = places(&report, &of(named("a"), GET_RUN)).await;
    assert_eq!(held.len(), 100);
    assert_eq!(report.left(&named("a")).unwrap().concurrent.requests, 100);
    let told = report.metrics.encode().unwrap();
    assert!(told.contains(r#"limits_exceeded_total{limit="concurrent",mode="report"} 99"#), "{told}");
    let off = limiter_of(Limits { mode: Mode::Off, concurrent, ..settings() });
    assert_eq!(places(&off, &of(named("a"), GET_RUN)).await.len(), 100);
}
