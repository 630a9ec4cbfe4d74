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

fn is_too_many(refused: Result<Call, Refused>) -> bool {
    matches!(refused, Err(Refused::TooManyFailures(_)))
}

#[test]
fn rejections_of_one_client_are_limited_and_leave_others_alone() {
    let guard = guard(2, 100, 100);
    for _ in 0..2 {
        guard.admit(stranger("192.0.2.1")).unwrap().ended(Ended::Rejected);
    }
    assert!(is_too_many(guard.admit(stranger("192.0.2.1"))));
    assert!(guard.admit(stranger("192.0.2.2")).is_ok());
    assert!(guard.admit(stranger(None)).is_ok());
}

#[test]
fn what_is_no_rejection_does_not_count_against_the_client() {
    let guard = guard(1, 100, 100);
    for how in [Ended::Accepted, Ended::Unavailable, Ended::Accepted] {
        guard.admit(stranger("192.0.2.1")).unwrap().ended(how);
    }
    assert!(guard.admit(stranger("192.0.2.1")).is_ok());
}

#[test]
fn the_addresses_of_one_ipv6_network_are_one_client() {
    let guard = guard(1, 100, 100);
    guard.admit(stranger("2001:db8::1")).unwrap().ended(Ended::Rejected);
    assert!(is_too_many(guard.admit(stranger("2001:db8::2"))));
    assert!(guard.admit(stranger("2001:db8:0:1::1")).is_ok());
}

#[test]
fn calls_under_way_are_limited() {
    let guard = guard(100, 3, 100);
    let under_way = (guard.admit(stranger(None)).unwrap(), guard.admit(stranger(None)).unwrap());
    assert_eq!(guard.admit(stranger(None)).unwrap_err(), Refused::Busy);
    under_way.0.ended(Ended::Accepted);
    assert!(guard.admit(stranger(None)).is_ok());
}

#[test]
fn calls_in_a_second_are_limited_and_what_is_not_made_does_not_count() {
    let guard = guard(1, 100, 4);
    for _ in 0..3 {
        guard.admit(stranger(None)).unwrap().ended(Ended::Accepted);
    }
    assert_eq!(guard.admit(stranger("192.0.2.1")).unwrap_err(), Refused::Busy);
    assert_eq!(guard.admit(stranger("192.0.2.1")).unwrap_err(), Refused::Busy);
}

#[test]
fn strangers_leave_a_share_to_keys_that_were_good_before() {
    let guard = guard(100, 4, 100);
    let _strangers: Vec<_> = (0..3).map(|_| guard.admit(stranger(None)).unwrap()).collect();
    assert_eq!(guard.admit(stranger(None)).unwrap_err(), Refused::Busy);
    assert!(guard.admit(Asker::Known).is_ok());
}

#[test]
fn what_a_key_can_provoke_counts_against_its_client_and_not_against_the_service() {
    let guard = guard(20, 100, 100);
    for how in [Ended::Foreign, Ended::Misprinted].repeat(10) {
        guard.admit(stranger("192.0.2.1")).unwrap().ended(how);
    }
    assert!(is_too_many(guard.admit(stranger("192.0.2.1"))));
    assert!(guard.admit(stranger("192.0.2.2")).is_ok());
}

#[test]
fn a_service_that_fails_is_left_alone() {
    let guard = guard(100, 100, 100);
    for _ in 0..FAILURES {
        guard.admit(stranger(None)).unwrap().ended(Ended::Unavailable);
    }
    assert_eq!(guard.admit(stranger(None)).unwrap_err(), Refused::BreakerOpen);
}

#[test]
fn a_page_for_keys_that_were_good_is_an_outage_and_one_for_strangers_none_of_theirs() {
    let guard = guard(100, 100, 100);
    for _ in 0..FAILURES {
        guard.admit(stranger(None)).unwrap().ended(Ended::Unavailable);
    }
    for _ in 0..FAILURES {
        guard.admit(Asker::Known).unwrap().ended(Ended::Foreign);
    }
    assert_eq!(guard.admit(Asker::Known).unwrap_err(), Refused::BreakerOpen);
}
