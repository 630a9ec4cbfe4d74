//! The actor that probes MLflow's servers: whether each can be reached, and whether it serves the gateway.
//!
//! `/health` alone does not show that: MLflow exempts it from its own refusals, and load balancers answer it in its place.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::http::{StatusCode, uri::PathAndQuery};
use futures_util::future::{join, join_all};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{
    asking::{Unreached, ask},
    each_has,
};
use crate::{
    code::Code,
    fault::{DependencyState, Fault},
    proxy::{Proxy, ProxyError},
    settings::Mlflow,
    telemetry::{Dependency, Metrics},
    upstream::{
        ApiFailure, HealthIssue, ProbeOutcome, ProbeReport, ProbeResponse, ProbeTarget, Refusal, Upstream,
        UpstreamPool, UpstreamState, list, search,
    },
};

/// Probe intervals between two API calls while they succeed: one costs more than `/health`, and in MLflow's basic-auth app
/// a tenth of a second of CPU.
const INTERVALS_BETWEEN_CALLS: u32 = 5;
/// Failed calls in a row after which a server that served counts as failing: a single page of a load balancer, or one slow
/// call, must not take every instance of the gateway out of rotation.
const FAILED_CALLS: u32 = 3;
/// The longest wait between two of these calls.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// Time for an API call; the time of a client's request if that is shorter. A slow server is not a failing one.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// Probes `/health` every `mlflow.probe_interval`, and the API beside it. Never returns.
pub(crate) async fn probe(upstreams: Arc<UpstreamPool>, proxy: Proxy, mlflow: Mlflow, metrics: Metrics) {
    let publish = || {
        metrics.set_dependency_up(Dependency::Upstream, each_has(&upstreams, UpstreamState::is_reachable));
        if upstreams.all().all(|upstream| upstream.last_probe().state.is_determined()) {
            metrics.set_upstream_accepts(each_has(&upstreams, UpstreamState::serves));
        }
    };
    let probes = upstreams.all().map(|upstream| UpstreamProbe::new(upstream, &upstreams, &mlflow, &proxy));
    let probes: Vec<_> = probes.collect();
    let health_checks = join_all(probes.iter().map(|probe| probe.check_health_in_a_loop(&publish)));
    let api_calls = join_all(probes.iter().map(|probe| probe.call_api_in_a_loop(&publish)));
    join(health_checks, api_calls).await;
}

/// What is wrong with a server: the state for `/ready`, and the fault for the log.
type Failure = (UpstreamState, Fault);

/// What an API call shows about a server.
enum ApiCallOutcome {
    Serves,
    Failed(Failure),
    /// The server took the call and ended the connection without an answer.
    BrokeOff(Failure),
    /// Nothing new, or nothing that the health checks do not find themselves.
    Inconclusive,
}

/// The probes of one server, and their latest results.
struct UpstreamProbe<'a> {
    upstream: &'a Arc<Upstream>,
    proxy: &'a Proxy,
    target: ProbeTarget<'a>,
    health_path: PathAndQuery,
    api_path: PathAndQuery,
    /// A server of artifacts only. Its store may fail for the path that is asked for, and for no other.
    has_no_api: bool,
    /// By the last health check: whether it can be reached, and the latency.
    reached: RefCell<Option<Result<(), Failure>>>,
    latency: Cell<Duration>,
    /// By the last conclusive API call.
    served: RefCell<Option<Result<(), Failure>>>,
    logged: RefCell<DependencyState>,
}

impl<'a> UpstreamProbe<'a> {
    fn new(
        upstream: &'a Arc<Upstream>,
        upstreams: &'a UpstreamPool,
        mlflow: &'a Mlflow,
        proxy: &'a Proxy,
    ) -> Self {
        let has_no_api = !upstreams.mlflow.iter().any(|mlflow| Arc::ptr_eq(mlflow, upstream));
        let (setting, api_call) =
            if has_no_api { ("mlflow.artifacts_url", list()) } else { ("mlflow.url", search()) };
        let path = |text: String| PathAndQuery::try_from(text).unwrap_or(PathAndQuery::from_static("/"));
        Self {
            upstream,
            proxy,
            target: ProbeTarget { url: &upstream.url, setting, mlflow },
            health_path: path(format!("{}/health", mlflow.static_prefix)),
            api_path: path(format!("{}{api_call}", ProbeTarget::api_root(mlflow))),
            has_no_api,
            reached: RefCell::default(),
            latency: Cell::default(),
            served: RefCell::default(),
            logged: RefCell::default(),
        }
    }

    async fn check_health_in_a_loop(&self, publish: &impl Fn()) {
        let mut ticks = interval(self.target.mlflow.probe_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let began = Instant::now();
            let outcome = self.check_health().await;
            self.latency.set(began.elapsed());
            self.reached.replace(Some(outcome));
            self.update();
            publish();
        }
    }

    async fn call_api_in_a_loop(&self, publish: &impl Fn()) {
        let every = self.target.mlflow.probe_interval;
        let retry = RETRY_INTERVAL.min(every / 4);
        let mut failed = 0;
        loop {
            while !matches!(*self.reached.borrow(), Some(Ok(()))) {
                sleep(retry).await;
            }
            let (outcome, needed) = match self.call_api().await {
                ApiCallOutcome::Serves => (Some(Ok(())), 1),
                ApiCallOutcome::Failed(failure) if self.serves() => (Some(Err(failure)), FAILED_CALLS),
                ApiCallOutcome::Failed(failure) => (Some(Err(failure)), 1),
                ApiCallOutcome::BrokeOff(failure) => (Some(Err(failure)), FAILED_CALLS),
                ApiCallOutcome::Inconclusive => (None, 1),
            };
            failed = if matches!(outcome, Some(Err(_))) { failed + 1 } else { 0 };
            let is_believed = outcome.is_some() && (failed == 0 || failed >= needed);
            if is_believed {
                self.served.replace(outcome);
                self.update();
                publish();
            }
            sleep(match () {
                () if failed > 0 && !is_believed => retry,
                () if self.serves() => every * INTERVALS_BETWEEN_CALLS,
                () => every,
            })
            .await;
        }
    }

    fn serves(&self) -> bool {
        matches!(*self.served.borrow(), Some(Ok(())))
    }

    /// Whether `/health` answers.
    async fn check_health(&self) -> Result<(), Failure> {
        let timeout = self.target.mlflow.probe_interval;
        let answer = ask(self.upstream, self.proxy, &self.health_path, timeout).await;
        if answer.is_ok() {
            self.upstream.record_success();
        } else {
            self.upstream.record_failure();
        }
        match answer {
            Ok(answer) if answer.status == StatusCode::LOOP_DETECTED => {
                Err(self.refused(Refusal::LeadsBack, &answer))
            }
            Ok(answer) if answer.status.is_server_error() => {
                let why = format!("answered {}", answer.status.as_u16());
                let cause = "MLflow is broken, or the load balancer before it has no server";
                Err(unreachable(Code::MlflowError, why, cause, "look at its own log"))
            }
            Ok(_) => Ok(()),
            Err(Unreached::Late) => {
                let why = format!("no answer within {timeout:?}");
                let cause = "it hangs, is overloaded, or is starting";
                Err(unreachable(Code::MlflowSilent, why, cause, "look at its own log"))
            }
            Err(Unreached::Proxy(ProxyError::Connect(fault))) => {
                let (cause, fix) = fault.remedy(self.target.setting, "mlflow.tls.ca");
                Err(unreachable(fault.code(), ProxyError::Connect(fault).to_string(), cause, &fix))
            }
            Err(Unreached::Proxy(error)) => {
                let cause =
                    "it accepts connections and sends no HTTP response: it speaks TLS, or is not MLflow";
                let fix = format!(
                    "https:// in {} if it speaks TLS; `hokusai-gateway check --probe` shows more",
                    self.target.setting
                );
                Err(unreachable(error.code().unwrap_or(Code::Defect), error.to_string(), cause, &fix))
            }
        }
    }

    /// Whether the API serves the gateway.
    async fn call_api(&self) -> ApiCallOutcome {
        let timeout =
            CALL_TIMEOUT.min(self.target.mlflow.connect_timeout + self.target.mlflow.response_timeout);
        let answer = match ask(self.upstream, self.proxy, &self.api_path, timeout).await {
            Ok(answer) => answer,
            Err(Unreached::Late) => {
                let shown = format!("no answer to an API call within {timeout:?}");
                let fault = Fault { code: Code::MlflowSlow, ..self.target.failure(&shown) };
                return ApiCallOutcome::Failed((UpstreamState::Fails(ApiFailure::Timeout), fault));
            }
            // The health checks find that.
            Err(Unreached::Proxy(ProxyError::Connect(_))) => return ApiCallOutcome::Inconclusive,
            Err(Unreached::Proxy(error)) => {
                let fault = Fault::new(
                    Code::MlflowProtocol,
                    format!("{} ends API calls without an answer ({error})", self.target.url),
                    "MLflow, or a proxy before it, answers /health and breaks off other requests",
                    "look at the logs of both",
                );
                return ApiCallOutcome::BrokeOff((UpstreamState::Fails(ApiFailure::NoResponse), fault));
            }
        };
        match self.target.outcome(&answer) {
            ProbeOutcome::Serves => ApiCallOutcome::Serves,
            ProbeOutcome::Refuses(refusal) => ApiCallOutcome::Failed(self.refused(refusal, &answer)),
            ProbeOutcome::Fails if !self.has_no_api => {
                let fault = self.target.failure(&answer.summary());
                ApiCallOutcome::Failed((
                    UpstreamState::Fails(ApiFailure::Status(answer.status.as_u16())),
                    fault,
                ))
            }
            ProbeOutcome::Fails | ProbeOutcome::Busy if self.served.borrow().is_none() => {
                ApiCallOutcome::Serves
            }
            ProbeOutcome::Fails | ProbeOutcome::Busy => ApiCallOutcome::Inconclusive,
        }
    }

    fn refused(&self, refusal: Refusal, answer: &ProbeResponse) -> Failure {
        let fault = self.target.refusal(refusal, &answer.summary());
        (UpstreamState::Refuses(refusal, answer.status.as_u16()), fault)
    }

    /// Combines both results, publishes the state, and logs it if it has changed.
    fn update(&self) {
        let (reached, served) = (self.reached.borrow(), self.served.borrow());
        let (state, fault) = match (&*reached, &*served) {
            (None, _) => (UpstreamState::NotProbed, None),
            (Some(Err((state, fault))), _) | (Some(Ok(())), Some(Err((state, fault)))) => {
                (state.clone(), Some(fault.clone()))
            }
            (Some(Ok(())), None) => (UpstreamState::Unconfirmed, None),
            (Some(Ok(())), Some(Ok(()))) => (UpstreamState::Serves, None),
        };
        self.upstream.record_probe(ProbeReport { state: state.clone(), latency: self.latency.get() });
        if state.is_determined() {
            self.log_change(&state, fault.as_ref());
        }
    }

    /// One line at the start and at every change of state.
    fn log_change(&self, state: &UpstreamState, fault: Option<&Fault>) {
        let Some(before) = self.logged.borrow_mut().change(fault) else { return };
        let upstream = &*self.upstream.name;
        let Some(Fault { code, what, cause, fix }) = fault else {
            return tracing::info!(code = before.code(), upstream, "MLflow answers the gateway");
        };
        let code = code.text();
        let message = match state {
            UpstreamState::Refuses(..) => "MLflow refuses the gateway",
            UpstreamState::Fails(_) => "MLflow fails",
            _ => "MLflow cannot be reached",
        };
        if matches!(state, UpstreamState::Unreachable(_)) {
            tracing::warn!(code = code, upstream, reason = what, cause, fix, "{message}");
        } else {
            tracing::error!(code = code, upstream, reason = what, cause, fix, "{message}");
        }
    }
}

fn unreachable(code: Code, what: String, cause: &str, fix: &str) -> Failure {
    let fault = Fault::new(code, what.clone(), cause, fix);
    (UpstreamState::Unreachable(HealthIssue { code, what }), fault)
}
