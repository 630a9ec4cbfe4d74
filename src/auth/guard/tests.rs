use super::*;
use crate::settings::ClientTls;

fn guard(failures_per_minute: usize, max_in_flight: usize, max_per_second: usize) -> Guard {
    Guard::new(&AuthService {
        url: url::Url::parse("http://auth").unwrap(),
        service_id: "platform".to_owned(),
        tls: ClientTls::default(),
        timeout: Duration::from_secs(2),
        bare_refusals: false,
        report_usage: false,
        failures_per_minute: failures_per_minute.try_into().unwrap(),
        max_in_flight: max_in_flight.try_into().unwrap(),
        max_per_second: max_per_second.try_into().unwrap(),
    })
}

fn stranger<'a>(address: impl Into<Option<&'a str>>) -> Asker {
    Asker::Stranger(address.into().map(|text| text.parse().unwrap()))
}

/// With a moment's patience.
async fn admit(guard: &Guard, asker: Asker) -> Result<Call, Refused> {
    guard.admit(asker, Instant::now() + Duration::from_millis(50)).await
}

/// With more of it than a test takes.
async fn wait(guard: &Guard, asker: Asker) -> Result<Call, Refused> {
    guard.admit(asker, Instant::now() + Duration::from_secs(20)).await
}

fn is_too_many(refused: Result<Call, Refused>) -> bool {
    matches!(refused, Err(Refused::TooManyFailures(_)))
}

#[actix_rt::test]
async fn rejections_of_one_client_are_limited_and_leave_others_alone() {
    let guard = guard(2, 100, 100);
    for _ in 0..2 {
        admit(&guard, stranger("192.0.2.1")).await.unwrap().ended(Ended::Rejected);
    }
    assert!(is_too_many(admit(&guard, stranger("192.0.2.1")).await));
    assert!(admit(&guard, stranger("192.0.2.2")).await.is_ok());
    assert!(admit(&guard, stranger(None)).await.is_ok());
}

#[actix_rt::test]
async fn what_is_no_rejection_does_not_count_against_the_client() {
    let guard = guard(1, 100, 100);
    for how in [Ended::Accepted, Ended::CutShort, Ended::Accepted] {
        admit(&guard, stranger("192.0.2.1")).await.unwrap().ended(how);
    }
    assert!(admit(&guard, stranger("192.0.2.1")).await.is_ok());
}

#[actix_rt::test]
async fn the_addresses_of_one_ipv6_network_are_one_client() {
    let guard = guard(1, 100, 100);
    admit(&guard, stranger("2001:db8::1")).await.unwrap().ended(Ended::Rejected);
    assert!(is_too_many(admit(&guard, stranger("2001:db8::2")).await));
    assert!(admit(&guard, stranger("2001:db8:0:1::1")).await.is_ok());
}

#[actix_rt::test]
async fn calls_under_way_are_limited() {
    let guard = guard(100, 3, 100);
    let under_way =
        (admit(&guard, stranger(None)).await.unwrap(), admit(&guard, stranger(None)).await.unwrap());
    assert_eq!(admit(&guard, stranger(None)).await.unwrap_err(), Refused::Busy);
    under_way.0.ended(Ended::Accepted);
    assert!(admit(&guard, stranger(None)).await.is_ok());
}

#[actix_rt::test]
async fn calls_in_a_second_are_limited_and_what_is_not_made_does_not_count() {
    let guard = guard(1, 100, 4);
    for _ in 0..3 {
        admit(&guard, stranger(None)).await.unwrap().ended(Ended::Accepted);
    }
    assert_eq!(admit(&guard, stranger("192.0.2.1")).await.unwrap_err(), Refused::Busy);
    assert_eq!(admit(&guard, stranger("192.0.2.1")).await.unwrap_err(), Refused::Busy);
}

#[actix_rt::test]
async fn strangers_leave_a_share_to_keys_that_were_good_before() {
    let guard = guard(100, 4, 100);
    let mut strangers = Vec::new();
    for _ in 0..3 {
        strangers.push(admit(&guard, stranger(None)).await.unwrap());
    }
    assert_eq!(admit(&guard, stranger(None)).await.unwrap_err(), Refused::Busy);
    assert!(admit(&guard, Asker::Known).await.is_ok());
}

#[actix_rt::test]
async fn what_a_key_can_provoke_counts_against_its_client_and_not_against_the_service() {
    let guard = guard(20, 100, 100);
    for how in [Ended::Foreign, Ended::Misprinted, Ended::Throttled, Ended::Unavailable].repeat(5) {
        admit(&guard, stranger("192.0.2.1")).await.unwrap().ended(how);
    }
    assert!(is_too_many(admit(&guard, stranger("192.0.2.1")).await));
    assert!(admit(&guard, stranger("192.0.2.2")).await.is_ok());
}

#[actix_rt::test]
async fn a_service_that_throttles_opens_nobodys_breaker() {
    let guard = guard(100, 100, 100);
    for asker in [stranger(None), Asker::Known] {
        for _ in 0..=FAILURES {
            admit(&guard, asker).await.unwrap().ended(Ended::Throttled);
        }
        assert!(admit(&guard, asker).await.is_ok());
    }
}

#[actix_rt::test]
async fn tries_that_are_in_use_are_no_failures() {
    let guard = guard(2, 100, 100);
    let client = stranger("192.0.2.1");
    let under_way = (admit(&guard, client).await.unwrap(), admit(&guard, client).await.unwrap());
    assert_eq!(admit(&guard, client).await.unwrap_err(), Refused::Busy);
    under_way.0.ended(Ended::Accepted);
    under_way.1.ended(Ended::Accepted);
    for _ in 0..2 {
        assert_eq!(guard.look("192.0.2.1".parse().ok()), Ok(()));
        admit(&guard, client).await.unwrap().ended(Ended::Rejected);
    }
    assert!(matches!(guard.look("192.0.2.1".parse().ok()), Err(Refused::TooManyFailures(_))));
    assert!(is_too_many(admit(&guard, client).await));
}

#[actix_rt::test]
async fn a_service_that_fails_is_left_alone() {
    let guard = guard(100, 100, 100);
    for _ in 0..FAILURES {
        admit(&guard, stranger(None)).await.unwrap().ended(Ended::Unavailable);
    }
    assert_eq!(admit(&guard, stranger(None)).await.unwrap_err(), Refused::BreakerOpen);
}

#[actix_rt::test]
async fn a_page_for_keys_that_were_good_is_an_outage_and_one_for_strangers_none_of_theirs() {
    let guard = guard(100, 100, 100);
    for _ in 0..FAILURES {
        admit(&guard, stranger(None)).await.unwrap().ended(Ended::Unavailable);
    }
    for _ in 0..FAILURES {
        admit(&guard, Asker::Known).await.unwrap().ended(Ended::Foreign);
    }
    assert_eq!(admit(&guard, Asker::Known).await.unwrap_err(), Refused::BreakerOpen);
}

#[actix_rt::test]
async fn whoever_finds_no_place_waits_for_one_in_the_order_of_asking() {
    let guard = Arc::new(guard(100, 1, 100));
    let first = admit(&guard, Asker::Known).await.unwrap();
    assert!(!first.has_waited);
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let waiting: Vec<_> = (0..10)
        .map(|number| {
            let (guard, order) = (Arc::clone(&guard), Arc::clone(&order));
            actix_rt::spawn(async move {
                let call = wait(&guard, if number % 2 == 0 { Asker::Known } else { stranger(None) }).await;
                let call = call.unwrap();
                assert!(call.has_waited);
                order.lock().unwrap().push(number);
                call.ended(Ended::Accepted);
            })
        })
        .collect();
    actix_rt::time::sleep(Duration::from_millis(20)).await;
    first.ended(Ended::Accepted);
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
    let guard = guard(100, 100, 20);
    for _ in 0..20 {
        wait(&guard, Asker::Known).await.unwrap().ended(Ended::Accepted);
    }
    let began = Instant::now();
    for _ in 0..3 {
        assert!(wait(&guard, Asker::Known).await.unwrap().has_waited);
    }
    // Three at 20 a second, the first of which has begun to come.
    assert!(began.elapsed() >= Duration::from_millis(80), "{:?}", began.elapsed());
}

#[actix_rt::test]
async fn keys_that_were_good_may_take_what_strangers_leave() {
    let guard = guard(100, 4, 100);
    let mut calls = Vec::new();
    for _ in 0..4 {
        calls.push(admit(&guard, Asker::Known).await.unwrap());
    }
    assert_eq!(admit(&guard, Asker::Known).await.unwrap_err(), Refused::Busy);
}

#[actix_rt::test]
async fn strangers_who_wait_are_bounded_and_in_nobodys_way() {
    let guard = Arc::new(guard(100, 4, 10_000));
    let mut calls = Vec::new();
    for _ in 0..3 {
        calls.push(admit(&guard, stranger(None)).await.unwrap());
    }
    let waiting: Vec<_> = (0..WAITING)
        .map(|_| {
            let guard = Arc::clone(&guard);
            actix_rt::spawn(async move { wait(&guard, stranger(None)).await.map(drop) })
        })
        .collect();
    actix_rt::time::sleep(Duration::from_millis(50)).await;
    // At once: there is no place to wait at either.
    assert_eq!(wait(&guard, stranger(None)).await.unwrap_err(), Refused::Busy);
    for _ in 0..3 {
        let known = wait(&guard, Asker::Known).await.unwrap();
        assert!(!known.has_waited);
        known.ended(Ended::Accepted);
    }
    drop(calls);
    for waited in waiting {
        assert_eq!(waited.await.unwrap(), Ok(()));
    }
}

#[actix_rt::test]
async fn whoever_waited_for_calls_that_failed_is_told_of_the_outage() {
    let guard = Arc::new(guard(100, 5, 100));
    let mut calls = Vec::new();
    for _ in 0..FAILURES {
        calls.push(admit(&guard, Asker::Known).await.unwrap());
    }
    let waiting = {
        let guard = Arc::clone(&guard);
        actix_rt::spawn(async move { wait(&guard, Asker::Known).await.map(drop) })
    };
    actix_rt::time::sleep(Duration::from_millis(20)).await;
    for call in calls {
        call.ended(Ended::Unavailable);
    }
    assert_eq!(waiting.await.unwrap(), Err(Refused::BreakerOpen));
}

#[actix_rt::test]
async fn a_call_that_was_cut_short_says_nothing_of_the_service_and_nothing_of_the_client() {
    let guard = guard(1, 100, 100);
    for _ in 0..=FAILURES {
        admit(&guard, stranger("192.0.2.1")).await.unwrap().ended(Ended::CutShort);
    }
    // Nor does one whose worker died.
    drop(admit(&guard, stranger("192.0.2.1")).await.unwrap());
    assert!(admit(&guard, stranger("192.0.2.1")).await.is_ok());
}

#[actix_rt::test]
async fn what_strangers_bring_about_opens_no_breaker_of_keys_that_were_good() {
    let guard = guard(100, 100, 100);
    for _ in 0..FAILURES {
        admit(&guard, stranger(None)).await.unwrap().ended(Ended::Unavailable);
    }
    assert_eq!(admit(&guard, stranger(None)).await.unwrap_err(), Refused::BreakerOpen);
    assert!(admit(&guard, Asker::Known).await.is_ok());
}
