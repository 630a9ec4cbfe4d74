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

fn limiter(mode: Mode, per_hour: u32) -> Limiter {
    let one = NonZeroU32::MIN;
    let per_hour = per_hour.try_into().unwrap();
    let settings = Limits { mode, per_hour, artifact_bytes_per_hour: None, instances: one };
    Limiter::new(&settings, None).0
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
