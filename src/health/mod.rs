//! What load balancers, operators and humans ask: is it alive, may it have traffic, and is MLflow there.
//!
//! Nothing here waits: MLflow is looked at by an actor ([`mlflow`]), and the last look is what is told.

mod asking;
pub(crate) mod mlflow;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode, Version,
        header::{HeaderName, HeaderValue},
    },
    web::Data,
};
use serde_json::{Map, Value, json};

use crate::{
    GIT_SHA, VERSION,
    actor::Deaths,
    code::Code,
    error,
    gateway::Gateway,
    head::{self, HeadError},
    upstream::{State, Unwell, Upstream, Upstreams},
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
            if let Some(reason) = unusable(group) {
                reasons.push(Unwell { what: format!("{name}: {reason}"), ..reason });
            }
        }
        let died = |name: &&str| Unwell { code: Code::ActorDied, what: format!("actor died: {name}") };
        reasons.extend(self.deaths.names().iter().map(died));
        reasons
    }
}

/// Why no server of a group can answer requests: what is wrong with the first; `None` if one can.
fn unusable(group: &[Arc<Upstream>]) -> Option<Unwell> {
    if group.iter().any(|upstream| upstream.look().state.is_usable()) {
        return None;
    }
    group.first()?.look().state.complaint()
}

/// Whether each group has a server of which `is` is true: MLflow, and its artifacts if they are apart.
fn each_has(upstreams: &Upstreams, is: impl Fn(&State) -> bool) -> bool {
    let has = |group: &[Arc<Upstream>]| group.iter().any(|upstream| is(&upstream.look().state));
    has(&upstreams.mlflow) && has(&upstreams.artifacts)
}

/// Whether MLflow, all that it is made of, can be reached.
fn are_reachable(upstreams: &Upstreams) -> bool {
    each_has(upstreams, State::is_reachable)
}

/// Whether it also answers an API call of the gateway's own.
fn all_serve(upstreams: &Upstreams) -> bool {
    each_has(upstreams, State::serves)
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

/// `GET /ready`: whether the gateway should have traffic, and if not, why; and what is wrong that is no reason to take it
/// away, for every instance would have it.
pub async fn ready(gateway: Data<Gateway>) -> HttpResponse {
    let reasons = gateway.health().unready(gateway.upstreams());
    let mut warnings = Vec::from_iter(gateway.keys_not_reloaded());
    if reasons.is_empty() {
        warnings.extend(complaints(gateway.upstreams()));
    }
    let (status, mut body) = if reasons.is_empty() {
        (StatusCode::OK, json!({"status": "ready"}))
    } else {
        let reasons: Vec<String> = reasons.iter().map(with_code).collect();
        (StatusCode::SERVICE_UNAVAILABLE, json!({"status": "not ready", "reasons": reasons}))
    };
    let codes: Vec<_> = reasons.iter().chain(&warnings).map(|unwell| unwell.code.text()).collect();
    if !codes.is_empty() {
        body["codes"] = codes.into();
    }
    if !warnings.is_empty() {
        body["warnings"] = warnings.iter().map(with_code).collect();
    }
    answer(status, body)
}

/// What is wrong with servers of MLflow's without which it goes on.
fn complaints(upstreams: &Upstreams) -> impl Iterator<Item = Unwell> {
    upstreams.all().filter_map(|upstream| {
        let complaint = upstream.look().state.complaint()?;
        Some(Unwell { what: format!("{}: {complaint}", upstream.name), ..complaint })
    })
}

/// `GET /health/mlflow`: the last look at MLflow.
pub async fn health_of_mlflow(gateway: Data<Gateway>) -> HttpResponse {
    let upstreams = gateway.upstreams();
    let (status, word) = if all_serve(upstreams) {
        (StatusCode::OK, "healthy")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unhealthy")
    };
    let checks: Map<String, Value> = upstreams
        .all()
        .map(|upstream| {
            let complaint = upstream.look().state.complaint();
            let check = complaint.as_ref().map_or_else(|| "ok".to_owned(), with_code);
            (upstream.name.clone(), check.into())
        })
        .collect();
    let failing = upstreams
        .all()
        .filter_map(|upstream| upstream.look().state.complaint().map(|complaint| complaint.code.text()));
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
