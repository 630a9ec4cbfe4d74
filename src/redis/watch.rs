//! The actor that tries out on Redis what the gateway needs of it, and tells what is wrong once, when it begins.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::{Needs, Redis, fault, too_slow};
use crate::fault::Fault;

/// A trial is a dozen commands and a connection: seldom enough for a fleet, often enough for an alert.
const INTERVAL: Duration = Duration::from_secs(5);

/// Never returns.
pub(crate) async fn watch(redis: Redis, needs: Needs) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // `None` of it: that all is well.
    let mut told: Option<Option<Fault>> = None;
    loop {
        ticks.tick().await;
        let outcome = redis.try_out(needs).await;
        let fault = outcome.as_ref().map_or_else(|error| Some(fault(error)), |took| too_slow(*took));
        redis.tried(fault.is_none());
        let kind = |fault: &Option<Fault>| fault.as_ref().map(|fault| (fault.code, fault.cause.clone()));
        if told.as_ref().is_some_and(|told| kind(told) == kind(&fault)) {
            continue;
        }
        match &fault {
            Some(Fault { code, what, cause, fix }) => {
                tracing::warn!(code = code.text(), reason = what, cause, fix, "Redis cannot be used");
            }
            None => {
                let over = told.iter().flatten().map(|fault| fault.code.text()).next();
                let round_trip_ms = outcome.map_or(0.0, |took| took.as_secs_f64() * 1e3);
                tracing::info!(code = over, round_trip_ms, "Redis can be used");
            }
        }
        told = Some(fault);
    }
}
