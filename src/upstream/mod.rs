//! The MLflow servers behind the gateway, shared by all workers: the health of each, and its requests in flight.

mod api_call;
mod probe_response;
mod probe_target;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use url::Url;

pub(crate) use api_call::{list, search};
pub use probe_response::ERROR_SOURCE;
pub(crate) use probe_response::{ProbeOutcome, ProbeResponse, Refusal};
pub(crate) use probe_target::ProbeTarget;

use crate::{code::Code, settings::Mlflow};

/// Failures in a row, of requests and of probes alike, after which a server is ejected: it gets no requests until it answers
/// a probe.
const FAILURES: u32 = 3;

/// All servers, in two groups.
#[derive(Debug)]
pub(crate) struct UpstreamPool {
    pub(crate) mlflow: Vec<Arc<Upstream>>,
    /// The servers of artifacts; the same as `mlflow` if the settings name no others.
    pub(crate) artifacts: Vec<Arc<Upstream>>,
}

/// One server, with a circuit breaker that is closed by the prober, so that no client's request is used to test it.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// The name in logs and in `/health/mlflow`: `mlflow`, `mlflow-2`, `artifacts`.
    pub(crate) name: String,
    pub(crate) url: Url,
    failures: AtomicU32,
    in_flight: AtomicUsize,
    last_probe: ArcSwap<ProbeReport>,
}

/// The outcome of the last probe.
#[derive(Debug, Clone)]
pub(crate) struct ProbeReport {
    pub(crate) state: UpstreamState,
    pub(crate) latency: Duration,
}

/// Why a server, or the gateway, is unhealthy; for `/ready` and `/health/mlflow`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(crate) struct HealthIssue {
    pub(crate) code: Code,
    pub(crate) what: String,
}

/// The state of a server, by its last probes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UpstreamState {
    NotProbed,
    /// It answers `/health`, and no API call yet. A new instance of the gateway is not ready until it does.
    Unconfirmed,
    /// It answers the gateway's API calls.
    Serves,
    /// It does not answer `/health`.
    Unreachable(HealthIssue),
    /// It refuses every request of the gateway; with the status of its answer.
    Refuses(Refusal, u16),
    /// It answers `/health`, and fails on API calls.
    Fails(ApiFailure),
}

/// How an API call of the prober failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ApiFailure {
    Timeout,
    /// The connection ends without an answer.
    NoResponse,
    /// A 2xx here is an answer that broke off.
    Status(u16),
}

impl UpstreamState {
    pub(crate) const fn is_reachable(&self) -> bool {
        matches!(self, Self::Unconfirmed | Self::Serves | Self::Refuses(..) | Self::Fails(_))
    }

    /// Whether enough was seen to log the state.
    pub(crate) const fn is_determined(&self) -> bool {
        !matches!(self, Self::NotProbed | Self::Unconfirmed)
    }

    pub(crate) const fn serves(&self) -> bool {
        matches!(self, Self::Serves)
    }

    /// Whether it may answer clients' requests. A server that fails may fail for some of them only.
    pub(crate) const fn is_usable(&self) -> bool {
        matches!(self, Self::Serves | Self::Fails(_))
    }

    /// What is wrong, in words for the public; `None` if nothing is.
    pub(crate) fn issue(&self) -> Option<HealthIssue> {
        let (code, what) = match self {
            Self::Serves => return None,
            Self::Unreachable(issue) => return Some(issue.clone()),
            Self::Unconfirmed => (Code::NotProbedYet, "has not answered an API call yet".to_owned()),
            Self::NotProbed => (Code::NotProbedYet, "not looked at yet".to_owned()),
            Self::Refuses(Refusal::LeadsBack, _) => (Code::Loop, Refusal::LeadsBack.to_string()),
            Self::Refuses(refusal, status) => {
                (refusal.code(), format!("refuses the gateway: {refusal} ({status})"))
            }
            Self::Fails(ApiFailure::Timeout) => {
                (Code::MlflowSlow, "gives no answer to an API call".to_owned())
            }
            Self::Fails(ApiFailure::NoResponse) => {
                (Code::MlflowProtocol, "ends API calls without an answer".to_owned())
            }
            Self::Fails(ApiFailure::Status(200..=299)) => {
                (Code::MlflowError, "broke off its answer to an API call".to_owned())
            }
            Self::Fails(ApiFailure::Status(status)) => {
                (Code::MlflowError, format!("answered an API call with {status}"))
            }
        };
        Some(HealthIssue { code, what })
    }
}

impl UpstreamPool {
    pub(crate) fn new(settings: &Mlflow) -> Self {
        let named = |name: &str, urls: &[Url]| -> Vec<Arc<Upstream>> {
            let upstream = |(number, url): (usize, &Url)| match number {
                0 => Upstream::new(name.to_owned(), url.clone()),
                _ => Upstream::new(format!("{name}-{}", number + 1), url.clone()),
            };
            urls.iter().enumerate().map(upstream).map(Arc::new).collect()
        };
        let mlflow = named("mlflow", &settings.urls);
        let artifacts = match &settings.artifacts_urls[..] {
            [] => mlflow.clone(),
            urls => named("artifacts", urls),
        };
        Self { mlflow, artifacts }
    }

    /// Whether the artifacts have servers of their own.
    pub(crate) fn has_artifact_servers(&self) -> bool {
        !Arc::ptr_eq(&self.mlflow[0], &self.artifacts[0])
    }

    /// Each server once.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        let artifacts = if self.has_artifact_servers() { &self.artifacts[..] } else { &[] };
        self.mlflow.iter().chain(artifacts)
    }
}

impl Upstream {
    fn new(name: String, url: Url) -> Self {
        let report = ProbeReport { state: UpstreamState::NotProbed, latency: Duration::ZERO };
        Self {
            name,
            url,
            failures: AtomicU32::new(0),
            in_flight: AtomicUsize::new(0),
            last_probe: ArcSwap::from_pointee(report),
        }
    }

    /// It answered, whatever the answer was.
    pub(crate) fn record_success(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// It could not be reached, or broke off; or a probe timed out.
    pub(crate) fn record_failure(&self) {
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 == FAILURES {
            tracing::warn!(
                code = Code::MlflowEjected.text(),
                upstream = self.name,
                "ejected: gets no requests until it answers a health check"
            );
        }
    }

    pub(crate) fn is_ejected(&self) -> bool {
        self.failures.load(Ordering::Relaxed) >= FAILURES
    }

    /// By the last probe. An unhealthy server gets requests only if no other is healthy.
    pub(crate) fn is_healthy(&self) -> bool {
        !matches!(self.last_probe().state, UpstreamState::Refuses(..) | UpstreamState::Fails(_))
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a request as in flight until the returned value is dropped.
    pub(crate) fn track_request(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    pub(crate) fn last_probe(&self) -> arc_swap::Guard<Arc<ProbeReport>> {
        self.last_probe.load()
    }

    pub(crate) fn record_probe(&self, report: ProbeReport) {
        self.last_probe.store(Arc::new(report));
    }
}

/// A request that is counted at a server.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Upstream>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
