//! What load balancers, operators and humans ask: is it alive, may it have traffic, and is MLflow there.
//!
//! Nothing here waits: MLflow is looked at by an actor, and the last look is what is told.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use actix_web::{
    HttpResponse,
    http::{StatusCode, uri::PathAndQuery},
    web::Data,
};
use arc_swap::ArcSwap;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::{GIT_SHA, VERSION, actor::Deaths, gateway::Gateway, proxy::Proxy};

/// What is known of the process and of MLflow.
#[derive(Debug)]
pub struct Health {
    upstream: ArcSwap<Probe>,
    draining: AtomicBool,
    pub(crate) deaths: Deaths,
}

/// The last look at MLflow.
#[derive(Debug, Clone)]
struct Probe {
    outcome: Result<(), String>,
    latency: Duration,
}

impl Default for Health {
    fn default() -> Self {
        let probe = Probe { outcome: Err("not looked at yet".to_owned()), latency: Duration::ZERO };
        Self {
            upstream: ArcSwap::from_pointee(probe),
            draining: AtomicBool::new(false),
            deaths: Deaths::default(),
        }
    }
}

impl Health {
    /// From now on the gateway is not ready.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Why the gateway should have no traffic; empty when it should.
    fn unready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.draining.load(Ordering::Relaxed) {
            reasons.push("draining".to_owned());
        }
        if let Err(reason) = &self.upstream.load().outcome {
            reasons.push(format!("MLflow: {reason}"));
        }
        reasons.extend(self.deaths.names().iter().map(|name| format!("actor died: {name}")));
        reasons
    }
}

/// The actor that looks at MLflow, at its own `/health`, once every `every`. Never returns.
pub(crate) async fn probe_upstream(
    health: std::sync::Arc<Health>,
    proxy: Proxy,
    target: PathAndQuery,
    every: Duration,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let started = Instant::now();
        let outcome = match timeout(every, proxy.probe(target.clone())).await {
            Ok(Ok(status)) if status.is_success() => Ok(()),
            Ok(Ok(status)) => Err(format!("answered {}", status.as_u16())),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {every:?}")),
        };
        let before =
            health.upstream.swap(Probe { outcome: outcome.clone(), latency: started.elapsed() }.into());
        match (&before.outcome, &outcome) {
            (Err(_), Ok(())) => tracing::info!("MLflow can be reached"),
            (Ok(()), Err(reason)) => tracing::warn!(reason, "MLflow cannot be reached"),
            _ => {}
        }
    }
}

/// `GET /live`: the process works.
pub async fn live() -> HttpResponse {
    answer(StatusCode::OK, json!({"status": "ok"}))
}

/// `GET /health`: the same, with the version, for load balancers. It never depends on anything.
pub async fn health() -> HttpResponse {
    answer(StatusCode::OK, json!({"status": "ok", "version": VERSION}))
}

/// `GET /ready`: whether the gateway should have traffic, and if not, why.
pub async fn ready(gateway: Data<Gateway>) -> HttpResponse {
    let reasons = gateway.health().unready();
    if reasons.is_empty() {
        answer(StatusCode::OK, json!({"status": "ready"}))
    } else {
        answer(StatusCode::SERVICE_UNAVAILABLE, json!({"status": "not ready", "reasons": reasons}))
    }
}

/// `GET /health/mlflow`: the last look at MLflow.
pub async fn mlflow(gateway: Data<Gateway>) -> HttpResponse {
    let probe = gateway.health().upstream.load();
    let (status, word, check) = match &probe.outcome {
        Ok(()) => (StatusCode::OK, "healthy", "ok"),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy", reason.as_str()),
    };
    let latency_ms = (probe.latency.as_secs_f64() * 1e6).round() / 1e3;
    answer(status, json!({"status": word, "checks": {"mlflow": check}, "latency_ms": latency_ms}))
}

/// `GET /version`: which code and which settings are running.
pub async fn version(gateway: Data<Gateway>) -> HttpResponse {
    let body = json!({"version": VERSION, "git_sha": GIT_SHA, "config_hash": gateway.config_hash()});
    answer(StatusCode::OK, body)
}

fn answer(status: StatusCode, body: Value) -> HttpResponse {
    HttpResponse::build(status).insert_header(("cache-control", "no-store")).json(body)
}
