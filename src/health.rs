//! What load balancers, operators and humans ask: is it alive, may it have traffic, and is MLflow there.
//!
//! Nothing here waits: MLflow is looked at by an actor, and the last look is what is told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode, Version,
        header::{HeaderName, HeaderValue},
        uri::PathAndQuery,
    },
    web::Data,
};
use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::{
    GIT_SHA, VERSION,
    actor::Deaths,
    code::Code,
    error,
    gateway::Gateway,
    head::{self, HeadError},
    proxy::Proxy,
    telemetry::{Dependency, Metrics},
    upstream::{Look, Unwell, Upstream, Upstreams},
};

/// What is known of the process.
#[derive(Debug, Default)]
pub struct Health {
    draining: AtomicBool,
    pub(crate) deaths: Deaths,
}

impl Health {
    /// From now on the gateway is not ready.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Why the gateway should have no traffic; empty when it should.
    fn unready(&self, upstreams: &Upstreams) -> Vec<Unwell> {
        let mut reasons = Vec::new();
        if self.draining.load(Ordering::Relaxed) {
            reasons.push(Unwell { code: Code::Draining, what: "draining".to_owned() });
        }
        let groups = [("MLflow", &upstreams.mlflow), ("artifacts", &upstreams.artifacts)];
        for (name, group) in groups.into_iter().take(if upstreams.are_apart() { 2 } else { 1 }) {
            if let Some(reason) = unreachable(group) {
                reasons.push(Unwell { what: format!("{name}: {reason}"), ..reason });
            }
        }
        let died = |name: &&str| Unwell { code: Code::ActorDied, what: format!("actor died: {name}") };
        reasons.extend(self.deaths.names().iter().map(died));
        reasons
    }
}

/// Why no server of a group can be reached: what is wrong with the first; `None` if one can.
fn unreachable(group: &[Arc<Upstream>]) -> Option<Unwell> {
    let mut outcomes = group.iter().map(|upstream| upstream.look().outcome.clone());
    let first = outcomes.next()?.err()?;
    outcomes.all(|outcome| outcome.is_err()).then_some(first)
}

/// Whether MLflow, all that it is made of, can be reached.
fn are_reachable(upstreams: &Upstreams) -> bool {
    unreachable(&upstreams.mlflow).is_none() && unreachable(&upstreams.artifacts).is_none()
}

/// The actor that looks at MLflow's servers, at their own `/health`, once every `every`. Never returns.
pub(crate) async fn probe_upstreams(
    upstreams: Arc<Upstreams>,
    proxy: Proxy,
    target: PathAndQuery,
    every: Duration,
    metrics: Metrics,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        join_all(upstreams.all().map(|upstream| look_at(upstream, &proxy, &target, every))).await;
        metrics.found(Dependency::Upstream, are_reachable(&upstreams));
    }
}

async fn look_at(upstream: &Arc<Upstream>, proxy: &Proxy, target: &PathAndQuery, patience: Duration) {
    let started = Instant::now();
    let asking = async { proxy.ask(upstream, target).await.map(|response| response.head.status) };
    let answer = timeout(patience, asking).await;
    // Whatever it answers: it can be spoken to.
    if matches!(answer, Ok(Ok(_))) {
        upstream.answered();
    } else {
        upstream.failed();
    }
    let outcome = match answer {
        Ok(Ok(status)) if status.is_success() => Ok(()),
        Ok(Ok(StatusCode::LOOP_DETECTED)) => {
            Err(Unwell { code: Code::Loop, what: "its URL leads back to a gateway".to_owned() })
        }
        Ok(Ok(status)) => {
            Err(Unwell { code: code_of(status), what: format!("answered {}", status.as_u16()) })
        }
        Ok(Err(error)) => Err(Unwell { code: error.code().unwrap_or(Code::Defect), what: error.to_string() }),
        Err(_) => Err(Unwell { code: Code::MlflowSilent, what: format!("no answer within {patience:?}") }),
    };
    let before = upstream.looked_at(Look { outcome: outcome.clone(), latency: started.elapsed() });
    match (&before.outcome, &outcome) {
        (Err(before), Ok(())) => {
            tracing::info!(code = before.code.text(), upstream = upstream.name, "MLflow can be reached");
        }
        (Ok(()), Err(Unwell { code, what: reason })) => {
            tracing::warn!(code = code.text(), upstream = upstream.name, reason, "MLflow cannot be reached");
        }
        _ => {}
    }
}

/// What the status of an answer to a probe tells of MLflow.
fn code_of(status: StatusCode) -> Code {
    match status {
        StatusCode::FORBIDDEN => Code::HostRefused,
        StatusCode::UNAUTHORIZED => Code::MlflowWantsCredentials,
        StatusCode::NOT_FOUND => Code::ApiNotFound,
        status if status.is_redirection() => Code::MlflowRedirects,
        _ => Code::MlflowUnwell,
    }
}

/// `GET /live`: the process works.
pub async fn live() -> HttpResponse {
    answer(StatusCode::OK, json!({"status": "ok"}))
}

/// `GET /health`: the same, with the version, for load balancers. It never depends on anything.
/// Where a gateway asks, its `mlflow.url` leads here: this must not look like MLflow's own `/health`.
pub async fn health(request: HttpRequest) -> HttpResponse {
    if head::has_been_here(request.headers()) {
        return error::respond(&HeadError::Loop.into(), &request);
    }
    answer(StatusCode::OK, json!({"status": "ok", "version": VERSION}))
}

/// `GET /ready`: whether the gateway should have traffic, and if not, why.
pub async fn ready(gateway: Data<Gateway>) -> HttpResponse {
    let reasons = gateway.health().unready(gateway.upstreams());
    if reasons.is_empty() {
        answer(StatusCode::OK, json!({"status": "ready"}))
    } else {
        let body = json!({
            "status": "not ready",
            "reasons": reasons.iter().map(with_code).collect::<Vec<_>>(),
            "codes": reasons.iter().map(|reason| reason.code.text()).collect::<Vec<_>>(),
        });
        answer(StatusCode::SERVICE_UNAVAILABLE, body)
    }
}

/// `GET /health/mlflow`: the last look at MLflow.
pub async fn mlflow(gateway: Data<Gateway>) -> HttpResponse {
    let upstreams = gateway.upstreams();
    let (status, word) = if are_reachable(upstreams) {
        (StatusCode::OK, "healthy")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unhealthy")
    };
    let checks: Map<String, Value> = upstreams
        .all()
        .map(|upstream| {
            let look = upstream.look();
            let check = look.outcome.as_ref().err().map_or_else(|| "ok".to_owned(), with_code);
            (upstream.name.clone(), check.into())
        })
        .collect();
    let failing = upstreams
        .all()
        .filter_map(|upstream| upstream.look().outcome.as_ref().err().map(|it| it.code.text()));
    let codes: Vec<&str> = failing.collect();
    let latency = upstreams.all().map(|upstream| upstream.look().latency).max().unwrap_or_default();
    let latency_ms = (latency.as_secs_f64() * 1e6).round() / 1e3;
    answer(status, json!({"status": word, "checks": checks, "codes": codes, "latency_ms": latency_ms}))
}

/// Says in which HTTP the gateway was asked: 1.0 or 1.1. A proxy before it may speak another one than its clients.
pub(crate) const HTTP_VERSION: HeaderName = HeaderName::from_static("x-hokusai-http-version");

/// `GET /version`: which code and which settings are running.
pub async fn version(request: HttpRequest, gateway: Data<Gateway>) -> HttpResponse {
    let asked_in = if request.version() < Version::HTTP_11 { "1.0" } else { "1.1" };
    let body = json!({"version": VERSION, "git_sha": GIT_SHA, "config_hash": gateway.config_hash()});
    let mut answer = answer(StatusCode::OK, body);
    answer.headers_mut().insert(HTTP_VERSION, HeaderValue::from_static(asked_in));
    answer
}

/// As a text for people begins.
fn with_code(unwell: &Unwell) -> String {
    format!("{} {unwell}", unwell.code)
}

fn answer(status: StatusCode, body: Value) -> HttpResponse {
    HttpResponse::build(status).insert_header(("cache-control", "no-store")).json(body)
}
