use super::*;
use std::num::NonZeroU64;

use crate::settings::{ClientTls, UsageMode, UsageSettings, UsageSpool};

fn limiter(failures_per_minute: usize, max_in_flight: usize, max_per_second: usize) -> CallLimiter {
    CallLimiter::new(&AuthService {
        url: url::Url::parse("http://auth").unwrap(),
        service_id: "platform".to_owned(),
        tls: ClientTls::default(),
        timeout: Duration::from_secs(2),
        bare_refusals: false,
        usage: UsageSettings {
            mode: UsageMode::Off,
            spool: UsageSpool::Memory,
            spool_size: NonZeroU64::MIN,
            interval: Duration::from_secs(10),
        },
        failures_per_minute: failures_per_minute.try_into().unwrap(),
        max_in_flight: max_in_flight.try_into().unwrap(),
        max_per_second: max_per_second.try_into().unwrap(),
    })
}

fn unknown<'a>(address: impl Into<Option<&'a str>>) -> KeyStatus {
    KeyStatus::Unknown(address.into().map(|text| text.parse().unwrap()))
}

/// With a moment's patience.
async fn admit(limiter: &CallLimiter, key: KeyStatus) -> Result<CallPermit, NotAdmitted> {
    limiter.admit(key, Instant::now() + Duration::from_millis(50)).await
}

/// With more of it than a test takes.
async fn wait(limiter: &CallLimiter, key: KeyStatus) -> Result<CallPermit, NotAdmitted> {
    limiter.admit(key, Instant::now() + Duration::from_secs(20)).await
}

fn is_too_many(outcome: Result<CallPermit, NotAdmitted>) -> bool {
    matches!(outcome, Err(NotAdmitted::TooManyFailures(_)))
}

#[actix_rt::test]
async fn rejections_of_one_client_are_limited_and_leave_others_alone() {
    let limiter = limiter(2, 100, 100);
    for _ in 0..2 {
        admit(&limiter, unknown("192.0.2.1")).await.unwrap().record(CallOutcome::Rejected);
    }
    assert!(is_too_many(admit(&limiter, unknown("192.0.2.1")).await));
    assert!(admit(&limiter, unknown("192.0.2.2")).await.is_ok());
    assert!(admit(&limiter, unknown(None)).await.is_ok());
}

#[actix_rt::test]
async fn what_is_no_rejection_does_not_count_against_the_client() {
    let limiter = limiter(1, 100, 100);
    for outcome in [CallOutcome::Accepted, CallOutcome::CutShort, CallOutcome::Accepted] {
        admit(&limiter, unknown("192.0.2.1")).await.unwrap().record(outcome);
    }
    assert!(admit(&limiter, unknown("192.0.2.1")).await.is_ok());
}

#[actix_rt::test]
async fn the_addresses_of_one_ipv6_network_are_one_client() {
    let limiter = limiter(1, 100, 100);
    admit(&limiter, unknown("2001:db8::1")).await.unwrap().record(CallOutcome::Rejected);
    assert!(is_too_many(admit(&limiter, unknown("2001:db8::2")).await));
    assert!(admit(&limiter, unknown("2001:db8:0:1::1")).await.is_ok());
}

#[actix_rt::test]
async fn calls_under_way_are_limited() {
    let limiter = limiter(100, 3, 100);
    let under_way =
        (admit(&limiter, unknown(None)).await.unwrap(), admit(&limiter, unknown(None)).await.unwrap());
    assert_eq!(admit(&limiter, unknown(None)).await.unwrap_err(), NotAdmitted::Busy);
    under_way.0.record(CallOutcome::Accepted);
    assert!(admit(&limiter, unknown(None)).await.is_ok());
}

#[actix_rt::test]
async fn calls_in_a_second_are_limited_and_what_is_not_made_does_not_count() {
    let limiter = limiter(1, 100, 4);
    for _ in 0..3 {
        admit(&limiter, unknown(None)).await.unwrap().record(CallOutcome::Accepted);
    }
    assert_eq!(admit(&limiter, unknown("192.0.2.1")).await.unwrap_err(), NotAdmitted::Busy);
    assert_eq!(admit(&limiter, unknown("192.0.2.1")).await.unwrap_err(), NotAdmitted::Busy);
}

#[actix_rt::test]
async fn strangers_leave_a_share_to_keys_that_were_good_before() {
    let limiter = limiter(100, 4, 100);
    let mut strangers = Vec::new();
    for _ in 0..3 {
        strangers.push(admit(&limiter, unknown(None)).await.unwrap());
    }
    assert_eq!(admit(&limiter, unknown(None)).await.unwrap_err(), NotAdmitted::Busy);
    assert!(admit(&limiter, KeyStatus::Known).await.is_ok());
}

#[actix_rt::test]
async fn what_a_key_can_provoke_counts_against_its_client_and_not_against_the_service() {
    let limiter = limiter(20, 100, 100);
    for outcome in [
        CallOutcome::NotTheService,
        CallOutcome::Unreadable,
        CallOutcome::Throttled,
        CallOutcome::Unavailable,
    ]
    .repeat(5)
    {
        admit(&limiter, unknown("192.0.2.1")).await.unwrap().record(outcome);
    }
    assert!(is_too_many(admit(&limiter, unknown("192.0.2.1")).await));
    assert!(admit(&limiter, unknown("192.0.2.2")).await.is_ok());
}

#[actix_rt::test]
async fn a_service_that_throttles_opens_nobodys_breaker() {
    let limiter = limiter(100, 100, 100);
    for key in [unknown(None), KeyStatus::Known] {
        for _ in 0..=FAILURES {
            admit(&limiter, key).await.unwrap().record(CallOutcome::Throttled);
        }
        assert!(admit(&limiter, key).await.is_ok());
    }
}

#[actix_rt::test]
async fn tries_that_are_in_use_are_no_failures() {
    let limiter = limiter(2, 100, 100);
    let client = unknown("192.0.2.1");
    let under_way = (admit(&limiter, client).await.unwrap(), admit(&limiter, client).await.unwrap());
    assert_eq!(admit(&limiter, client).await.unwrap_err(), NotAdmitted::Busy);
    under_way.0.record(CallOutcome::Accepted);
    under_way.1.record(CallOutcome::Accepted);
    for _ in 0..2 {
        assert_eq!(limiter.check("192.0.2.1".parse().ok()), Ok(()));
        admit(&limiter, client).await.unwrap().record(CallOutcome::Rejected);
    }
    assert!(matches!(limiter.check("192.0.2.1".parse().ok()), Err(NotAdmitted::TooManyFailures(_))));
    assert!(is_too_many(admit(&limiter, client).await));
}

#[actix_rt::test]
async fn a_service_that_fails_is_left_alone() {
    let limiter = limiter(100, 100, 100);
    for _ in 0..FAILURES {
        admit(&limiter, unknown(None)).await.unwrap().record(CallOutcome::Unavailable);
    }
    assert_eq!(admit(&limiter, unknown(None)).await.unwrap_err(), NotAdmitted::BreakerOpen);
}

#[actix_rt::test]
async fn a_page_for_keys_that_were_good_is_an_outage_and_one_for_strangers_none_of_theirs() {
    let limiter = limiter(100, 100, 100);
    for _ in 0..FAILURES {
        admit(&limiter, unknown(None)).await.unwrap().record(CallOutcome::Unavailable);
    }
    for _ in 0..FAILURES {
        admit(&limiter, KeyStatus::Known).await.unwrap().record(CallOutcome::NotTheService);
    }
    assert_eq!(admit(&limiter, KeyStatus::Known).await.unwrap_err(), NotAdmitted::BreakerOpen);
}

#[actix_rt::test]
async fn whoever_finds_no_place_waits_for_one_in_the_order_of_asking() {
    let limiter = Arc::new(limiter(100, 1, 100));
    let first = admit(&limiter, KeyStatus::Known).await.unwrap();
    assert!(!first.has_waited);
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let waiting: Vec<_> = (0..10)
        .map(|number| {
            let (limiter, order) = (Arc::clone(&limiter), Arc::clone(&order));
            actix_rt::spawn(async move {
                let call =
                    wait(&limiter, if number % 2 == 0 { KeyStatus::Known } else { unknown(None) }).await;
                let call = call.unwrap();
                assert!(call.has_waited);
                order.lock().unwrap().push(number);
                call.record(CallOutcome::Accepted);
            })
        })
        .collect();
    actix_rt::time::sleep(Duration::from_millis(20)).await;
    first.record(CallOutcome::Accepted);
    for waited in waiting {
        waited.await.unwrap();
    }
    let order = order.lock().unwrap();
    assert_eq!(order.len(), 10);
    let of = |parity| order.iter().copied().filter(|number| number % 2 == parity).collect::<Vec<i32>>();
    assert_eq!((of(0), of(1)), (vec![0, 2, 4, 6, 8], vec![1, 3, 5, 7, 9]));
}

#[actix_rt::test]
async fn a_call_too_many_in_this_second_is_made_in_the_next() {
    let limiter = limiter(100, 100, 20);
    for _ in 0..20 {
        wait(&limiter, KeyStatus::Known).await.unwrap().record(CallOutcome::Accepted);
    }
    let began = Instant::now();
    for _ in 0..3 {
        assert!(wait(&limiter, KeyStatus::Known).await.unwrap().has_waited);
    }
    // Three at 20 a second, the first of which has begun to come.
    assert!(began.elapsed() >= Duration::from_millis(80), "{:?}", began.elapsed());
}

#[actix_rt::test]
async fn keys_that_were_good_may_take_what_strangers_leave() {
    let limiter = limiter(100, 4, 100);
    let mut calls = Vec::new();
    for _ in 0..4 {
        calls.push(admit(&limiter, KeyStatus::Known).await.unwrap());
    }
    assert_eq!(admit(&limiter, KeyStatus::Known).await.unwrap_err(), NotAdmitted::Busy);
}

#[actix_rt::test]
async fn strangers_who_wait_are_bounded_and_in_nobodys_way() {
    let limiter = Arc::new(limiter(100, 4, 10_000));
    let mut calls = Vec::new();
    for _ in 0..3 {
        calls.push(admit(&limiter, unknown(None)).await.unwrap());
    }
    let waiting: Vec<_> = (0..WAITING)
        .map(|_| {
            let limiter = Arc::clone(&limiter);
            actix_rt::spawn(async move { wait(&limiter, unknown(None)).await.map(drop) })
        })
        .collect();
    actix_rt::time::sleep(Duration::from_millis(50)).await;
    // At once: there is no place to wait at either.
    assert_eq!(wait(&limiter, unknown(None)).await.unwrap_err(), NotAdmitted::Busy);
    for _ in 0..3 {
        let known = wait(&limiter, KeyStatus::Known).await.unwrap();
        assert!(!known.has_waited);
        known.record(CallOutcome::Accepted);
    }
    drop(calls);
    for waited in waiting {
        assert_eq!(waited.await.unwrap(), Ok(()));
    }
}

#[actix_rt::test]
async fn whoever_waited_for_calls_that_failed_is_told_of_the_outage() {
    let limiter = Arc::new(limiter(100, 5, 100));
    let mut calls = Vec::new();
    for _ in 0..FAILURES {
        calls.push(admit(&limiter, KeyStatus::Known).await.unwrap());
    }
    let waiting = {
        let limiter = Arc::clone(&limiter);
        actix_rt::spawn(async move { wait(&limiter, KeyStatus::Known).await.map(drop) })
    };
    actix_rt::time::sleep(Duration::from_millis(20)).await;
    for call in calls {
        call.record(CallOutcome::Unavailable);
    }
    assert_eq!(waiting.await.unwrap(), Err(NotAdmitted::BreakerOpen));
}

#[actix_rt::test]
async fn a_call_that_was_cut_short_says_nothing_of_the_service_and_nothing_of_the_client() {
    let limiter = limiter(1, 100, 100);
    for _ in 0..=FAILURES {
        admit(&limiter, unknown("192.0.2.1")).await.unwrap().record(CallOutcome::CutShort);
    }
    // Nor does one whose worker died.
    drop(admit(&limiter, unknown("192.0.2.1")).await.unwrap());
    assert!(admit(&limiter, unknown("192.0.2.1")).await.is_ok());
}

#[actix_rt::test]
async fn what_strangers_bring_about_opens_no_breaker_of_keys_that_were_good() {
    let limiter = limiter(100, 100, 100);
    for _ in 0..FAILURES {
        admit(&limiter, unknown(None)).await.unwrap().record(CallOutcome::Unavailable);
    }
    assert_eq!(admit(&limiter, unknown(None)).await.unwrap_err(), NotAdmitted::BreakerOpen);
    assert!(admit(&limiter, KeyStatus::Known).await.is_ok());
}
