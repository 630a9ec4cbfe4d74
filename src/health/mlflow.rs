//! The actor that looks at MLflow's servers: whether each can be reached, and whether it serves the gateway.
//!
//! `/health` alone would not tell: MLflow exempts it from its own refusals, and load balancers answer it in its place.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::http::{StatusCode, uri::PathAndQuery};
use futures_util::future::{join, join_all};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{
    all_serve, are_reachable,
    asking::{Answer, Unreached, ask},
};
use crate::{
    code::Code,
    fault::Fault,
    proxy::{Proxy, ProxyError},
    settings::Mlflow,
    telemetry::{Dependency, Metrics},
    upstream::{Asked, Failing, Look, Refusal, State, Unwell, Upstream, Upstreams, Verdict, list, search},
};

/// Looks from an API call that was answered well to the next: it costs more than `/health`, and in MLflow's basic-auth app
/// a tenth of a second of CPU.
const BETWEEN_CALLS: u32 = 5;
/// Calls in a row that went otherwise, after which a server that served does not: one page of a balancer's, or one call that
/// was late, must not take every instance out of the rotation.
const CALLS: u32 = 3;
/// From one of these to the next, at most.
const SOON: Duration = Duration::from_millis(500);
/// Time for an API call, or that of a request if it is shorter: one that is slow is none that fails.
const PATIENCE: Duration = Duration::from_secs(15);

/// Looks once every `mlflow.probe_interval`, and calls beside it. Never returns.
pub(crate) async fn probe(upstreams: Arc<Upstreams>, proxy: Proxy, mlflow: Mlflow, metrics: Metrics) {
    let found = || {
        metrics.found(Dependency::Upstream, are_reachable(&upstreams));
        if upstreams.all().all(|upstream| upstream.look().state.is_known()) {
            metrics.accepted_upstream(all_serve(&upstreams));
        }
    };
    let watched = upstreams.all().map(|upstream| Watched::new(upstream, &upstreams, &mlflow, &proxy));
    let watched: Vec<_> = watched.collect();
    let looks = join_all(watched.iter().map(|watched| watched.look_often(&found)));
    let calls = join_all(watched.iter().map(|watched| watched.call_seldom(&found)));
    join(looks, calls).await;
}

/// What is wrong with a server, for `/ready` and for the log.
type Trouble = (State, Fault);

/// What an API call says of a server.
enum Called {
    Well,
    Badly(Trouble),
    /// It took the call and gave no answer.
    Broken(Trouble),
    /// Nothing that is not known, or that the looks do not find.
    Unsaid,
}

/// A server, and what is known of it.
struct Watched<'a> {
    upstream: &'a Arc<Upstream>,
    proxy: &'a Proxy,
    asked: Asked<'a>,
    health: PathAndQuery,
    api: PathAndQuery,
    /// A server of artifacts alone, whose store may fail for the path that is asked for and for no other.
    has_no_api: bool,
    /// By the last look: that it can be spoken to, and how long that took.
    reached: RefCell<Option<Result<(), Trouble>>>,
    latency: Cell<Duration>,
    /// By the last call that said something.
    served: RefCell<Option<Result<(), Trouble>>>,
    /// What was told last; `None` of it: that all is well.
    told: RefCell<Option<Option<Fault>>>,
}

impl<'a> Watched<'a> {
    fn new(
        upstream: &'a Arc<Upstream>,
        upstreams: &'a Upstreams,
        mlflow: &'a Mlflow,
        proxy: &'a Proxy,
    ) -> Self {
        let has_no_api = !upstreams.mlflow.iter().any(|mlflow| Arc::ptr_eq(mlflow, upstream));
        let (written_as, call) =
            if has_no_api { ("mlflow.artifacts_url", list()) } else { ("mlflow.url", search()) };
        let target = |text: String| PathAndQuery::try_from(text).unwrap_or(PathAndQuery::from_static("/"));
        Self {
            upstream,
            proxy,
            asked: Asked { url: &upstream.url, written_as, mlflow },
            health: target(format!("{}/health", mlflow.static_prefix)),
            api: target(format!("{}{call}", Asked::api_root(mlflow))),
            has_no_api,
            reached: RefCell::default(),
            latency: Cell::default(),
            served: RefCell::default(),
            told: RefCell::default(),
        }
    }

    async fn look_often(&self, found: &impl Fn()) {
        let mut ticks = interval(self.asked.mlflow.probe_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let began = Instant::now();
            let outcome = self.look().await;
            self.latency.set(began.elapsed());
            self.reached.replace(Some(outcome));
            self.settle();
            found();
        }
    }

    async fn call_seldom(&self, found: &impl Fn()) {
        let every = self.asked.mlflow.probe_interval;
        let soon = SOON.min(every / 4);
        let mut otherwise = 0;
        loop {
            while !matches!(*self.reached.borrow(), Some(Ok(()))) {
                sleep(soon).await;
            }
            let (outcome, wanted) = match self.call().await {
                Called::Well => (Some(Ok(())), 1),
                Called::Badly(trouble) if self.serves() => (Some(Err(trouble)), CALLS),
                Called::Badly(trouble) => (Some(Err(trouble)), 1),
                Called::Broken(trouble) => (Some(Err(trouble)), CALLS),
                Called::Unsaid => (None, 1),
            };
            otherwise = if matches!(outcome, Some(Err(_))) { otherwise + 1 } else { 0 };
            let is_believed = outcome.is_some() && (otherwise == 0 || otherwise >= wanted);
            if is_believed {
                self.served.replace(outcome);
                self.settle();
                found();
            }
            sleep(match () {
                () if otherwise > 0 && !is_believed => soon,
                () if self.serves() => every * BETWEEN_CALLS,
                () => every,
            })
            .await;
        }
    }

    fn serves(&self) -> bool {
        matches!(*self.served.borrow(), Some(Ok(())))
    }

    /// Whether it can be spoken to.
    async fn look(&self) -> Result<(), Trouble> {
        let patience = self.asked.mlflow.probe_interval;
        let answer = ask(self.upstream, self.proxy, &self.health, patience).await;
        // Whatever it answers: it can be spoken to.
        if answer.is_ok() {
            self.upstream.answered();
        } else {
            self.upstream.failed();
        }
        match answer {
            Ok(answer) if answer.status == StatusCode::LOOP_DETECTED => {
                Err(self.refused(Refusal::LeadsBack, &answer))
            }
            Ok(answer) if answer.status.is_server_error() => {
                let why = format!("answered {}", answer.status.as_u16());
                let cause = "MLflow is broken, or the load balancer before it has no server";
                Err(unreachable(Code::MlflowUnwell, why, cause, "look at its own log"))
            }
            Ok(_) => Ok(()),
            Err(Unreached::Late) => {
                let why = format!("no answer within {patience:?}");
                let cause = "it hangs, it has too much to do, or it is about to start";
                Err(unreachable(Code::MlflowSilent, why, cause, "look at its own log"))
            }
            Err(Unreached::Proxy(ProxyError::Connect(fault))) => {
                let (cause, fix) = fault.remedy(self.asked.written_as, "mlflow.tls.ca");
                Err(unreachable(fault.code(), ProxyError::Connect(fault).to_string(), cause, &fix))
            }
            Err(Unreached::Proxy(error)) => {
                let cause =
                    "it takes connections and gives no HTTP answer: it speaks TLS, or is something else";
                let fix = format!(
                    "https:// in {} if it speaks TLS; `hokusai-gateway check --probe` tells more",
                    self.asked.written_as
                );
                Err(unreachable(error.code().unwrap_or(Code::Defect), error.to_string(), cause, &fix))
            }
        }
    }

    /// Whether it serves the gateway.
    async fn call(&self) -> Called {
        let patience = PATIENCE.min(self.asked.mlflow.connect_timeout + self.asked.mlflow.response_timeout);
        let answer = match ask(self.upstream, self.proxy, &self.api, patience).await {
            Ok(answer) => answer,
            Err(Unreached::Late) => {
                let shown = format!("no answer to an API call within {patience:?}");
                let fault = Fault { code: Code::MlflowSlow, ..self.asked.failure(&shown) };
                return Called::Badly((State::Fails(Failing::Late), fault));
            }
            // For the looks to find.
            Err(Unreached::Proxy(ProxyError::Connect(_))) => return Called::Unsaid,
            Err(Unreached::Proxy(error)) => {
                let fault = Fault::new(
                    Code::MlflowProtocol,
                    format!("{} ends API calls without an answer ({error})", self.asked.url),
                    "MLflow, or what stands before it, answers /health and breaks other requests off",
                    "look at the logs of both",
                );
                return Called::Broken((State::Fails(Failing::Unanswered), fault));
            }
        };
        match self.asked.verdict(&answer.said()) {
            Verdict::Serves => Called::Well,
            Verdict::Refuses(refusal) => Called::Badly(self.refused(refusal, &answer)),
            Verdict::Fails if !self.has_no_api => {
                let fault = self.asked.failure(&answer.said().outline());
                Called::Badly((State::Fails(Failing::Status(answer.status.as_u16())), fault))
            }
            Verdict::Fails | Verdict::Busy if self.served.borrow().is_none() => Called::Well,
            Verdict::Fails | Verdict::Busy => Called::Unsaid,
        }
    }

    fn refused(&self, refusal: Refusal, answer: &Answer) -> Trouble {
        let fault = self.asked.refusal(refusal, &answer.said().outline());
        (State::Refuses(refusal, answer.status.as_u16()), fault)
    }

    /// Puts both together, for everybody to read; and tells what is new.
    fn settle(&self) {
        let (reached, served) = (self.reached.borrow(), self.served.borrow());
        let (state, fault) = match (&*reached, &*served) {
            (None, _) => (State::NotLookedAt, None),
            (Some(Err((state, fault))), _) | (Some(Ok(())), Some(Err((state, fault)))) => {
                (state.clone(), Some(fault.clone()))
            }
            (Some(Ok(())), None) => (State::NotCalled, None),
            (Some(Ok(())), Some(Ok(()))) => (State::Serves, None),
        };
        let is_known = state.is_known();
        self.upstream.looked_at(Look { state: state.clone(), latency: self.latency.get() });
        if is_known {
            self.tell(&state, fault);
        }
    }

    /// One line at the start and at every change: of what is wrong, not of how often.
    fn tell(&self, state: &State, fault: Option<Fault>) {
        let mut told = self.told.borrow_mut();
        let kind = |fault: &Option<Fault>| fault.as_ref().map(|fault| (fault.code, fault.cause.clone()));
        if told.as_ref().is_some_and(|told| kind(told) == kind(&fault)) {
            return;
        }
        let upstream = &*self.upstream.name;
        match (&fault, state) {
            (None, _) => {
                let over = told.iter().flatten().map(|fault| fault.code.text()).next();
                tracing::info!(code = over, upstream, "MLflow answers the gateway");
            }
            (Some(Fault { code, what, cause, fix }), State::Refuses(..)) => {
                let code = code.text();
                tracing::error!(
                    code = code,
                    upstream,
                    reason = what,
                    cause,
                    fix,
                    "MLflow refuses the gateway"
                );
            }
            (Some(Fault { code, what, cause, fix }), State::Fails(_)) => {
                tracing::error!(code = code.text(), upstream, reason = what, cause, fix, "MLflow fails");
            }
            (Some(Fault { code, what, cause, fix }), _) => {
                let code = code.text();
                tracing::warn!(code = code, upstream, reason = what, cause, fix, "MLflow cannot be reached");
            }
        }
        *told = Some(fault);
    }
}

fn unreachable(code: Code, what: String, cause: &str, fix: &str) -> Trouble {
    let fault = Fault::new(code, what.clone(), cause, fix);
    (State::Unreachable(Unwell { code, what }), fault)
}
