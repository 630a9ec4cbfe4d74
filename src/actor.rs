//! Actors: named tasks that outlive a request. The death of one fails readiness.

use std::sync::Arc;

use futures_core::future::LocalBoxFuture;
use parking_lot::Mutex;

use crate::code::Code;

/// The names of dead actors.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deaths(Arc<Mutex<Vec<&'static str>>>);

impl Deaths {
    /// In the order of their deaths.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.0.lock().clone()
    }

    fn add(&self, name: &'static str) {
        tracing::error!(
            code = Code::ActorDied.text(),
            actor = name,
            "actor died: the gateway is no longer ready"
        );
        self.0.lock().push(name);
    }
}

/// Runs an actor on the current runtime. An actor never ends; if it returns or panics, it is dead.
pub(crate) fn spawn(name: &'static str, deaths: &Deaths, actor: LocalBoxFuture<'static, ()>) {
    let deaths = deaths.clone();
    let task = actix_rt::spawn(actor);
    actix_rt::spawn(async move {
        let _ = task.await;
        deaths.add(name);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn an_actor_that_ends_or_panics_is_dead() {
        let deaths = Deaths::default();
        spawn("ended", &deaths, Box::pin(async {}));
        spawn("panicked", &deaths, Box::pin(async { panic!("on purpose") }));
        spawn("alive", &deaths, Box::pin(std::future::pending()));
        while deaths.names().len() < 2 {
            actix_rt::task::yield_now().await;
        }
        assert_eq!(deaths.names(), ["ended", "panicked"]);
    }
}
