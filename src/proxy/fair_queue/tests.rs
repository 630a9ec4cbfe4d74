use std::collections::HashMap;

use futures_util::FutureExt as _;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::*;

fn queue(connections: usize, most_waiting: usize) -> FairQueue {
    FairQueue::new(connections, true, Room::new(most_waiting))
}

fn request(owner: &str) -> Turn<'_> {
    Turn { owner, lane: Lane::Requests }
}

fn artifact(owner: &str) -> Turn<'_> {
    Turn { owner, lane: Lane::Artifacts }
}

/// The permits of those whose turn has come, by the names that they wait under.
fn served(waiting: &mut Vec<(&'static str, Waiting)>) -> Vec<(&'static str, Permit)> {
    let mut permits = Vec::new();
    waiting.retain_mut(|(name, waiting)| match waiting.now_or_never() {
        Some(Some(permit)) => {
            permits.push((*name, permit));
            false
        }
        _ => true,
    });
    permits
}

#[test]
fn keys_take_turns_however_many_requests_one_has() {
    let queue = queue(1, 100);
    let held = queue.try_take(Lane::Requests).unwrap();
    let asked = ["a", "a", "a", "a", "b", "c", "c"];
    let mut waiting: Vec<_> = asked.iter().map(|name| (*name, queue.wait(request(name)).unwrap())).collect();
    assert!(queue.try_take(Lane::Requests).is_none());
    let mut order = Vec::new();
    drop(held);
    while let [(name, permit)] = &mut served(&mut waiting)[..] {
        order.push(*name);
        if order.len() == 3 {
            waiting.push(("d", queue.wait(request("d")).unwrap()));
        }
        let _ = permit;
    }
    assert_eq!(order, ["a", "b", "c", "a", "c", "d", "a", "a"]);
}

#[test]
fn artifacts_never_have_all_connections_unless_there_is_only_one() {
    for (connections, for_artifacts) in [(1, 1), (2, 1), (4, 3), (8, 6), (256, 192)] {
        let queue = queue(connections, 1);
        let held: Vec<_> = std::iter::from_fn(|| queue.try_take(Lane::Artifacts)).collect();
        assert_eq!(held.len(), for_artifacts);
        let others: Vec<_> = std::iter::from_fn(|| queue.try_take(Lane::Requests)).collect();
        assert_eq!(others.len(), connections - for_artifacts);
    }
    let apart = FairQueue::new(4, false, Room::new(1));
    assert_eq!(std::iter::from_fn(|| apart.try_take(Lane::Artifacts)).map(std::mem::forget).count(), 4);
}

#[test]
fn a_request_does_not_wait_behind_artifacts_that_may_not_be_sent_yet() {
    let queue = queue(4, 100);
    let uploads: Vec<_> = std::iter::from_fn(|| queue.try_take(Lane::Artifacts)).collect();
    let last = queue.try_take(Lane::Requests).unwrap();
    let mut waiting = vec![
        ("upload", queue.wait(artifact("noisy")).unwrap()),
        ("search", queue.wait(request("quiet")).unwrap()),
    ];
    drop(last);
    let served = served(&mut waiting);
    assert_eq!(served[0].0, "search");
    drop(served);
    assert!(self::served(&mut waiting).is_empty(), "the free one is kept");
    drop(uploads);
    assert_eq!(self::served(&mut waiting)[0].0, "upload");
}

#[test]
fn who_went_away_has_no_turn_also_in_the_moment_in_which_it_comes() {
    let queue = queue(1, 100);
    let held = queue.try_take(Lane::Requests).unwrap();
    let gone = queue.wait(request("a")).unwrap();
    let too_late = queue.wait(request("b")).unwrap();
    let mut waiting = vec![("c", queue.wait(request("c")).unwrap())];
    drop(gone);
    drop(held);
    assert!(served(&mut waiting).is_empty(), "it is b's turn");
    drop(too_late);
    assert_eq!(served(&mut waiting).len(), 1);
    assert!(queue.try_take(Lane::Requests).is_some(), "and free again behind it");
    assert_eq!(queue.0.borrow().room.waiting.get(), 0);
}

#[test]
fn a_full_queue_makes_room_for_who_has_fewer_in_it() {
    let queue = queue(1, 4);
    let _held = queue.try_take(Lane::Requests).unwrap();
    let mut of_a: Vec<_> = (0..4).map(|_| queue.wait(request("a")).unwrap()).collect();
    assert!(queue.wait(request("a")).is_err(), "not for its own");
    let _b = queue.wait(request("b")).unwrap();
    assert!(matches!((&mut of_a[3]).now_or_never(), Some(None)), "the last one of a is told to come again");
    assert!((&mut of_a[2]).now_or_never().is_none());
    let _more_of_b = queue.wait(request("b")).unwrap();
    assert!(queue.wait(request("b")).is_err(), "each has two");
    let _c = queue.wait(request("c")).unwrap();
    assert_eq!(queue.0.borrow().room.waiting.get(), 4);
}

/// Whatever happens in whatever order: no connection is used twice or lost, and whoever is next of a key is served before any key has
/// had two turns.
#[test]
fn nothing_is_lost_and_nobody_is_passed_over_twice() {
    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let (connections, most) = (random.random_range(1..6), random.random_range(1..20));
        let queue = queue(connections, most);
        let mut held: Vec<(&str, Permit)> = Vec::new();
        let mut waiting: Vec<(&str, Waiting)> = Vec::new();
        // Turns of others since a key has waited without one.
        let mut passed: HashMap<&str, HashMap<&str, usize>> = HashMap::new();
        for _ in 0..300 {
            match random.random_range(0..4) {
                0 | 1 => {
                    let name = NAMES[random.random_range(0..NAMES.len())];
                    match queue.try_take(Lane::Requests) {
                        Some(permit) => held.push((name, permit)),
                        None => waiting.extend(queue.wait(request(name)).ok().map(|place| (name, place))),
                    }
                }
                2 if !held.is_empty() => drop(held.swap_remove(random.random_range(0..held.len()))),
                3 if !waiting.is_empty() => drop(waiting.remove(random.random_range(0..waiting.len()))),
                _ => {}
            }
            waiting.retain_mut(|(_, place)| !matches!(place.waiter.progress.get(), Progress::Over));
            for (name, permit) in served(&mut waiting) {
                passed.remove(name);
                for other in NAMES.iter().filter(|other| waiting.iter().any(|(name, _)| name == *other)) {
                    let turns = passed.entry(other).or_default().entry(name).or_default();
                    *turns += 1;
                    assert_eq!(*turns, 1, "seed {seed}: {name} was served twice before {other}");
                }
                held.push((name, permit));
            }
            passed.retain(|name, _| waiting.iter().any(|(other, _)| other == name));
            let state = queue.0.borrow();
            assert_eq!(state.free + held.len(), connections, "seed {seed}");
            assert_eq!(state.room.waiting.get(), waiting.len(), "seed {seed}");
            assert!(waiting.len() <= most && (state.free == 0 || waiting.is_empty()), "seed {seed}");
        }
        drop(waiting);
        drop(held);
        assert_eq!(queue.0.borrow().free, connections);
        assert!(queue.0.borrow().flows.is_empty());
    }
}
