use std::cell::{Cell, RefCell};

use jsonwebtoken::Algorithm;

use super::*;
use crate::settings::TokenAlgorithm;

/// What an issuer answers, and how often it was asked.
struct Issuer {
    keys: Keys,
    published: RefCell<Vec<&'static str>>,
    is_down: Cell<bool>,
    asked: Cell<usize>,
}

impl Issuer {
    fn with(published: &[&'static str]) -> Self {
        Self {
            keys: Keys::new(),
            published: RefCell::new(published.to_vec()),
            is_down: Cell::new(false),
            asked: Cell::new(0),
        }
    }

    /// The actor runs while `test` does; time passes only where somebody waits.
    async fn run(&self, test: impl Future<Output = ()>) {
        let actor = self.keys.keep(async || {
            self.asked.set(self.asked.get() + 1);
            let fault = KeysFault::Status { address: "issuer".to_owned(), status: 500 };
            if self.is_down.get() { Err(fault) } else { Ok(set(&self.published.borrow())) }
        });
        tokio::select! {
            biased;
            () = test => {}
            () = actor => {}
        }
    }

    /// Whether a token of this key is good, for all that is known.
    fn has(&self, id: &str) -> bool {
        has(&self.keys.known(), id)
    }
}

fn has(known: &Known, id: &str) -> bool {
    known.are_usable() && !known.keys.fitting(Some(id), Algorithm::EdDSA).is_empty()
}

fn set(ids: &[&str]) -> KeySet {
    // Any text of this length is a key, and its id makes it another one.
    let key = |id: &&str| {
        let x = format!("{id:A<42}A");
        serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": id })
    };
    let keys: Vec<_> = ids.iter().map(key).collect();
    KeySet::read(serde_json::json!({ "keys": keys }).to_string().as_bytes(), &[TokenAlgorithm::EdDsa])
        .unwrap()
}

const MOMENT: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn the_key_of_a_rotation_is_good_at_once_if_the_issuer_was_not_asked_a_moment_ago() {
    let issuer = Issuer::with(&["old"]);
    issuer
        .run(async {
            sleep(MIN_INTERVAL + MOMENT).await;
            issuer.published.borrow_mut().push("new");
            assert!(!issuer.has("new"));
            let began = Instant::now();
            let known = issuer.keys.renewed().await;
            assert!(has(&known, "new") && has(&known, "old"));
            assert_eq!((began.elapsed(), issuer.asked.get()), (Duration::ZERO, 2));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_issuer_is_asked_once_in_ten_seconds_whatever_comes() {
    let issuer = Issuer::with(&["a"]);
    issuer
        .run(async {
            for seconds in 0..60_u64 {
                for _ in 0..200 {
                    issuer.keys.renewed().await;
                }
                let asked = issuer.asked.get();
                assert!(asked <= 1 + seconds as usize / 10, "{asked} times in {seconds} s");
                sleep(Duration::from_secs(1)).await;
            }
            assert!(issuer.asked.get() >= 6);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn all_that_wait_for_the_first_keys_wait_for_one_question() {
    let issuer = Issuer::with(&["a"]);
    let waiting = futures_util::future::join_all((0..24).map(|_| issuer.keys.renewed()));
    issuer
        .run(async {
            assert!(waiting.await.iter().all(|known| has(known, "a")));
            assert_eq!(issuer.asked.get(), 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn keys_are_read_again_when_they_are_five_minutes_old() {
    let issuer = Issuer::with(&["old"]);
    issuer
        .run(async {
            sleep(MOMENT).await;
            *issuer.published.borrow_mut() = vec!["new"];
            sleep(FRESH - MOMENT * 2).await;
            assert!(issuer.has("old") && !issuer.has("new"));
            sleep(MOMENT * 4).await;
            assert!(!issuer.has("old") && issuer.has("new"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_last_keys_count_for_an_hour_and_no_longer_while_the_issuer_is_down() {
    let issuer = Issuer::with(&["a"]);
    issuer
        .run(async {
            sleep(MOMENT).await;
            issuer.is_down.set(true);
            sleep(STALE - MOMENT * 2).await;
            assert!(issuer.has("a"));
            sleep(MOMENT * 2).await;
            assert!(!issuer.has("a") && !issuer.keys.are_usable());
            issuer.is_down.set(false);
            sleep(MIN_INTERVAL).await;
            assert!(issuer.has("a"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_down_is_asked_again_without_a_request() {
    let issuer = Issuer::with(&["a"]);
    issuer.is_down.set(true);
    issuer
        .run(async {
            sleep(MOMENT).await;
            assert!(matches!(issuer.keys.known().fault(), KeysFault::Status { .. }));
            issuer.is_down.set(false);
            sleep(MIN_INTERVAL).await;
            assert!(issuer.has("a"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_does_not_wait_longer_than_its_patience_for_an_issuer_that_hangs() {
    let keys = Keys::new();
    let began = Instant::now();
    tokio::select! {
        known = keys.renewed() => assert!(matches!(known.fault(), KeysFault::NotYet)),
        () = keys.keep(async || std::future::pending().await) => {}
    }
    assert_eq!(began.elapsed(), PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_gone_is_a_withdrawal_and_one_that_is_new_or_not_answered_is_not() {
    let issuer = Issuer::with(&["a"]);
    issuer
        .run(async {
            let ask = async |is_down: bool, published: &[&'static str]| {
                issuer.is_down.set(is_down);
                *issuer.published.borrow_mut() = published.to_vec();
                sleep(MIN_INTERVAL + MOMENT).await;
                issuer.keys.renewed().await;
                issuer.keys.withdrawals()
            };
            assert_eq!(ask(false, &["a"]).await, 0);
            assert_eq!(ask(false, &["a", "b"]).await, 0);
            assert_eq!(ask(true, &[]).await, 0);
            assert_eq!(ask(false, &["b"]).await, 1);
        })
        .await;
}

#[test]
fn a_token_of_an_unknown_key_is_refused_only_if_the_issuer_was_asked_since_it_was_issued() {
    let now = Timestamp::now();
    let began = Instant::now();
    let fault = KeysFault::NotYet;
    for (asked, is_answered, issued_at, is_newer) in [
        (began, true, None, true),
        (began - MOMENT, true, None, false),
        (began - MOMENT, true, Some(now.as_second() - 1), true),
        (began - MOMENT, true, Some(now.as_second()), false),
        (began, false, Some(0), false),
    ] {
        let keys = Keys::new();
        keys.learn((asked, now), Ok(set(&["a"])));
        if !is_answered {
            keys.learn((asked, now), Err(fault.clone()));
        }
        assert_eq!(keys.known().are_newer_than(issued_at, began), is_newer, "{issued_at:?} {is_answered}");
    }
}
