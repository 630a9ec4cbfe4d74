//! The answers for load balancers and operators: is the gateway alive, is it ready for traffic, is MLflow healthy.
//!
//! Nothing here waits: an actor probes MLflow ([`mlflow`]), and these routes report its last probe.

mod asking;
pub(crate) mod mlflow;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
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
    telemetry::milliseconds,
    upstream::{HealthIssue, Upstream, UpstreamPool, UpstreamState},
};

/// The health of the process.
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

    /// Why the gateway should get no traffic; empty if it should.
    fn unready_reasons(&self, upstreams: &UpstreamPool) -> Vec<HealthIssue> {
        let mut reasons = Vec::new();
        if self.draining.load(Ordering::Relaxed) {
            reasons.push(HealthIssue { code: Code::Draining, what: "draining".to_owned() });
        }
        let groups = [("MLflow", &upstreams.mlflow), ("artifacts", &upstreams.artifacts)];
        for (name, group) in groups.into_iter().take(if upstreams.has_artifact_servers() { 2 } else { 1 }) {
            if let Some(reason) = unusable(group) {
                reasons.push(HealthIssue { what: format!("{name}: {reason}"), ..reason });
            }
        }
        let died = |name: &&str| HealthIssue { code: Code::ActorDied, what: format!("actor died: {name}") };
        reasons.extend(self.deaths.names().iter().map(died));
        reasons
    }
}

/// The issue of the first server of a group, if no server of it can answer requests.
fn unusable(group: &[Arc<Upstream>]) -> Option<HealthIssue> {
    if group.iter().any(|upstream| upstream.last_probe().state.is_usable()) {
        return None;
    }
    group.first()?.last_probe().state.issue()
}

/// Whether each group, MLflow and artifacts, has a server for which `is` is true.
fn each_has(upstreams: &UpstreamPool, is: impl Fn(&UpstreamState) -> bool) -> bool {
    let has = |group: &[Arc<Upstream>]| group.iter().any(|upstream| is(&upstream.last_probe().state));
    has(&upstreams.mlflow) && has(&upstreams.artifacts)
}

/// `GET /live`: the process is alive.
pub async fn live() -> HttpResponse {
    answer(StatusCode::OK, json!({"status": "ok"}))
}

/// `GET /health`: the same, with the version, for load balancers. It depends on nothing else.
/// A gateway that asks here has this address as its `mlflow.url`: the answer must not look like MLflow's own `/health`.
pub async fn health(request: HttpRequest) -> HttpResponse {
    if head::has_been_here(request.headers()) {
        return error::respond(&HeadError::Loop.into(), &request);
    }
    answer(StatusCode::OK, json!({"status": "ok", "version": VERSION}))
}

/// `GET /ready`: whether the gateway should get traffic, and the reasons if not. Warnings are faults that every instance would
/// have, so that they are no reason to send the traffic elsewhere.
pub async fn ready(gateway: Data<Gateway>) -> HttpResponse {
    let reasons = gateway.health().unready_reasons(gateway.upstreams());
    let mut warnings = Vec::from_iter(gateway.keys_not_reloaded());
    if reasons.is_empty() {
        warnings.extend(issues(gateway.upstreams()));
    }
    let (status, mut body) = if reasons.is_empty() {
        (StatusCode::OK, json!({"status": "ready"}))
    } else {
        let reasons: Vec<String> = reasons.iter().map(with_code).collect();
        (StatusCode::SERVICE_UNAVAILABLE, json!({"status": "not ready", "reasons": reasons}))
    };
    let codes: Vec<_> = reasons.iter().chain(&warnings).map(|issue| issue.code.text()).collect();
    if !codes.is_empty() {
        body["codes"] = codes.into();
    }
    if !warnings.is_empty() {
        body["warnings"] = warnings.iter().map(with_code).collect();
    }
    answer(status, body)
}

/// The issues of single MLflow servers.
fn issues(upstreams: &UpstreamPool) -> impl Iterator<Item = HealthIssue> {
    upstreams.all().filter_map(|upstream| {
        let issue = upstream.last_probe().state.issue()?;
        Some(HealthIssue { what: format!("{}: {issue}", upstream.name), ..issue })
    })
}

/// `GET /health/mlflow`: the last probe of MLflow.
pub async fn health_of_mlflow(gateway: Data<Gateway>) -> HttpResponse {
    let upstreams = gateway.upstreams();
    let (status, word) = if each_has(upstreams, UpstreamState::serves) {
        (StatusCode::OK, "healthy")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unhealthy")
    };
    let (mut checks, mut codes, mut latency) = (Map::new(), Vec::new(), Duration::ZERO);
    for upstream in upstreams.all() {
        let probe = upstream.last_probe();
        let issue = probe.state.issue();
        let check = issue.as_ref().map_or_else(|| "ok".to_owned(), with_code);
        checks.insert(upstream.name.clone(), check.into());
        codes.extend(issue.map(|issue| issue.code.text()));
        latency = latency.max(probe.latency);
    }
    let body = json!({
        "status": word, "checks": checks, "codes": codes, "latency_ms": milliseconds(latency)
    });
    answer(status, body)
}

/// The HTTP version of the request as the gateway got it: 1.0 or 1.1. A proxy before it may use another one than its clients.
pub(crate) const HTTP_VERSION: HeaderName = HeaderName::from_static("x-hokusai-http-version");

/// `GET /version`: the running code and settings.
pub async fn version(request: HttpRequest, gateway: Data<Gateway>) -> HttpResponse {
    let asked_in = if request.version() < Version::HTTP_11 { "1.0" } else { "1.1" };
    let body = json!({"version": VERSION, "git_sha": GIT_SHA, "config_hash": gateway.config_hash()});
    let mut answer = answer(StatusCode::OK, body);
    answer.headers_mut().insert(HTTP_VERSION, HeaderValue::from_static(asked_in));
    answer
}

/// The issue with its code in front.
fn with_code(issue: &HealthIssue) -> String {
    format!("{} {issue}", issue.code)
}

fn answer(status: StatusCode, body: Value) -> HttpResponse {
    HttpResponse::build(status).insert_header(("cache-control", "no-store")).json(body)
}
