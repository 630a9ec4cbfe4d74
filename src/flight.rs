//! Single flight: concurrent requests for the same key share one fetch.

use std::{collections::HashMap, future::Future, hash::Hash, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::Instrument as _;

/// The fetches in flight. Bounded by the requests that wait for them.
#[derive(Debug)]
pub(crate) struct Flights<K, V> {
    in_flight: Mutex<HashMap<K, watch::Receiver<Option<V>>>>,
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self { in_flight: Mutex::default() }
    }
}

impl<K: Clone + Eq + Hash + 'static, V: Clone + 'static> Flights<K, V> {
    /// The answer for `key`: of the fetch in flight, or of `fetch`.
    ///
    /// `fetch` runs as a task of its own, so that the request that started it may be cancelled while others wait.
    /// `None` if the task died.
    pub(crate) async fn join<F>(self: &Arc<Self>, key: K, fetch: impl FnOnce() -> F) -> Option<V>
    where
        F: Future<Output = V> + 'static,
    {
        let mut answer = self.board(key, fetch);
        let answer = answer.wait_for(Option::is_some).await.ok()?;
        answer.clone()
    }

    /// Begins the fetch for `key` if there is none in flight, and does not wait for it.
    pub(crate) fn begin<F>(self: &Arc<Self>, key: K, fetch: impl FnOnce() -> F)
    where
        F: Future<Output = V> + 'static,
    {
        drop(self.board(key, fetch));
    }

    fn board<F>(self: &Arc<Self>, key: K, fetch: impl FnOnce() -> F) -> watch::Receiver<Option<V>>
    where
        F: Future<Output = V> + 'static,
    {
        let mut in_flight = self.in_flight.lock();
        if let Some(answer) = in_flight.get(&key) {
            return answer.clone();
        }
        let (sender, answer) = watch::channel(None);
        in_flight.insert(key.clone(), answer.clone());
        drop(in_flight);

        let landing = Landing { flights: Arc::clone(self), key };
        let fetch = fetch();
        // In the span of the request that started it.
        let flying = async move {
            let value = fetch.await;
            drop(landing);
            sender.send_replace(Some(value));
        };
        actix_rt::spawn(flying.in_current_span());
        answer
    }
}

/// Removes a flight when it ends or dies.
struct Landing<K: Clone + Eq + Hash + 'static, V: Clone + 'static> {
    flights: Arc<Flights<K, V>>,
    key: K,
}

impl<K: Clone + Eq + Hash + 'static, V: Clone + 'static> Drop for Landing<K, V> {
    fn drop(&mut self) {
        self.flights.in_flight.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc, time::Duration};

    use actix_rt::{task::yield_now, time::sleep};

    use super::*;

    #[actix_rt::test]
    async fn all_who_ask_meanwhile_get_one_answer() {
        let flights: Arc<Flights<u8, usize>> = Arc::default();
        let fetched = Rc::new(Cell::new(0));
        let asking: Vec<_> = (0..500)
            .map(|_| {
                let (flights, fetched) = (Arc::clone(&flights), Rc::clone(&fetched));
                actix_rt::spawn(async move {
                    let fetch = || async move {
                        sleep(Duration::from_millis(20)).await;
                        fetched.set(fetched.get() + 1);
                        fetched.get()
                    };
                    flights.join(1, fetch).await
                })
            })
            .collect();
        for asked in asking {
            assert_eq!(asked.await.unwrap(), Some(1));
        }
        assert_eq!(fetched.get(), 1);
        assert!(flights.in_flight.lock().is_empty());
    }

    #[actix_rt::test]
    async fn whoever_started_it_may_go_away() {
        let flights: Arc<Flights<u8, u8>> = Arc::default();
        let slow = || async {
            sleep(Duration::from_millis(20)).await;
            7
        };
        let starter = actix_rt::spawn({
            let flights = Arc::clone(&flights);
            async move { flights.join(1, slow).await }
        });
        yield_now().await;
        starter.abort();
        let never = || async { unreachable!("a second fetch was begun") };
        assert_eq!(flights.join(1, never).await, Some(7));
    }

    #[actix_rt::test]
    async fn a_flight_that_dies_leaves_nobody_waiting() {
        let flights: Arc<Flights<u8, u8>> = Arc::default();
        assert_eq!(flights.join(1, || async { panic!("on purpose") }).await, None);
        assert_eq!(flights.join(1, || async { 2 }).await, Some(2));
    }

    #[actix_rt::test]
    async fn different_keys_do_not_wait_for_each_other() {
        let flights: Arc<Flights<u8, u8>> = Arc::default();
        let waiting = actix_rt::spawn({
            let flights = Arc::clone(&flights);
            async move { flights.join(1, std::future::pending).await }
        });
        yield_now().await;
        assert_eq!(flights.join(2, || async { 2 }).await, Some(2));
        waiting.abort();
    }
}
