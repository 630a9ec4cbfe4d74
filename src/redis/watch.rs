//! The actor that tests what the gateway needs of Redis, and logs each change of the outcome.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::{Needs, Redis, fault, too_slow};
use crate::fault::{DependencyState, Fault};

/// A self-test is a dozen commands and a connection: seldom enough for a fleet, often enough for an alert.
const INTERVAL: Duration = Duration::from_secs(5);

/// Never returns.
pub(crate) async fn watch(redis: Redis, needs: Needs) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut state = DependencyState::default();
    loop {
        ticks.tick().await;
        let outcome = redis.self_test(needs).await;
        let fault = outcome.as_ref().map_or_else(|error| Some(fault(error)), |took| too_slow(*took));
        redis.set_up(fault.is_none());
        let Some(before) = state.change(fault.as_ref()) else { continue };
        match &fault {
            Some(Fault { code, what, cause, fix }) => {
                tracing::warn!(code = code.text(), reason = what, cause, fix, "Redis cannot be used");
            }
            None => {
                let round_trip_ms = outcome.map_or(0.0, |took| took.as_secs_f64() * 1e3);
                tracing::info!(code = before.code(), round_trip_ms, "Redis can be used");
            }
        }
    }
}
