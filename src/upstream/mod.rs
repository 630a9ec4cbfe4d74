//! The MLflow servers behind the gateway, as all workers see them: who answers, and how much each has to do.

mod asked;
mod call;
mod verdict;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use url::Url;

pub(crate) use asked::Asked;
pub(crate) use call::{list, search};
pub use verdict::ERROR_SOURCE;
pub(crate) use verdict::{Refusal, Said, Verdict};

use crate::{code::Code, settings::Mlflow};

/// Failures in a row, of requests and of the prober's looks alike, after which a server gets no requests until a look
/// is answered.
const FAILURES: u32 = 3;

/// All of them.
#[derive(Debug)]
pub(crate) struct Upstreams {
    pub(crate) mlflow: Vec<Arc<Upstream>>,
    /// Those that hold the artifacts; the same ones, if the settings name no others.
    pub(crate) artifacts: Vec<Arc<Upstream>>,
}

/// One of them. A circuit breaker whose probe is the prober's, so that no client's request is spent on it.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// What it is called in public: `mlflow`, `mlflow-2`, `artifacts`.
    pub(crate) name: String,
    pub(crate) url: Url,
    failures: AtomicU32,
    in_flight: AtomicUsize,
    look: ArcSwap<Look>,
    /// Whether the last look found it good: those that are not get requests only where none is.
    is_good: AtomicBool,
}

/// The last look at a server.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) state: State,
    pub(crate) latency: Duration,
}

/// Why a server cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(crate) struct Unwell {
    pub(crate) code: Code,
    pub(crate) what: String,
}

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    NotLookedAt,
    /// It can be spoken to, and has not said yet whether it serves the gateway: a new instance waits for that.
    NotCalled,
    /// It answers an API call of the gateway's own.
    Serves,
    /// It cannot be spoken to.
    Unreachable(Unwell),
    /// Every request will be refused; the status that said so.
    Refuses(Refusal, u16),
    /// It can be spoken to, and fails.
    Fails(Failing),
}

/// How an API call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failing {
    Late,
    /// The connection ends without an answer.
    Unanswered,
    /// Of 2xx the rest is missing.
    Status(u16),
}

impl State {
    pub(crate) const fn is_reachable(&self) -> bool {
        matches!(self, Self::NotCalled | Self::Serves | Self::Refuses(..) | Self::Fails(_))
    }

    /// Whether there is anything to tell of it.
    pub(crate) const fn is_known(&self) -> bool {
        !matches!(self, Self::NotLookedAt | Self::NotCalled)
    }

    pub(crate) const fn serves(&self) -> bool {
        matches!(self, Self::Serves)
    }

    /// Whether a client's request may be answered as it wants. A server that fails does so for some requests only, perhaps.
    pub(crate) const fn is_usable(&self) -> bool {
        matches!(self, Self::Serves | Self::Fails(_))
    }

    /// What is wrong, for everybody to read; `None` if nothing is.
    pub(crate) fn complaint(&self) -> Option<Unwell> {
        let (code, what) = match self {
            Self::Serves => return None,
            Self::Unreachable(unwell) => return Some(unwell.clone()),
            Self::NotCalled => (Code::NotLookedAtYet, "has not answered an API call yet".to_owned()),
            Self::NotLookedAt => (Code::NotLookedAtYet, "not looked at yet".to_owned()),
            Self::Refuses(Refusal::LeadsBack, _) => (Code::Loop, Refusal::LeadsBack.to_string()),
            Self::Refuses(refusal, status) => {
                (refusal.code(), format!("refuses the gateway: {refusal} ({status})"))
            }
            Self::Fails(Failing::Late) => (Code::MlflowSlow, "gives no answer to an API call".to_owned()),
            Self::Fails(Failing::Unanswered) => {
                (Code::MlflowProtocol, "ends API calls without an answer".to_owned())
            }
            Self::Fails(Failing::Status(200..=299)) => {
                (Code::MlflowUnwell, "broke off its answer to an API call".to_owned())
            }
            Self::Fails(Failing::Status(status)) => {
                (Code::MlflowUnwell, format!("answered an API call with {status}"))
            }
        };
        Some(Unwell { code, what })
    }
}

impl Upstreams {
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

    /// Whether the artifacts are on servers of their own.
    pub(crate) fn are_apart(&self) -> bool {
        !Arc::ptr_eq(&self.mlflow[0], &self.artifacts[0])
    }

    /// Each of them once.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        let artifacts = if self.are_apart() { &self.artifacts[..] } else { &[] };
        self.mlflow.iter().chain(artifacts)
    }
}

impl Upstream {
    fn new(name: String, url: Url) -> Self {
        let look = Look { state: State::NotLookedAt, latency: Duration::ZERO };
        Self {
            name,
            url,
            failures: AtomicU32::new(0),
            in_flight: AtomicUsize::new(0),
            look: ArcSwap::from_pointee(look),
            is_good: AtomicBool::new(true),
        }
    }

    /// It answered something, whatever it was.
    pub(crate) fn answered(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// It could not be reached, or broke off; or did not answer the prober in time.
    pub(crate) fn failed(&self) {
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 == FAILURES {
            tracing::warn!(
                code = Code::MlflowEjected.text(),
                upstream = self.name,
                "ejected: it gets no requests until it answers the prober"
            );
        }
    }

    pub(crate) fn is_ejected(&self) -> bool {
        self.failures.load(Ordering::Relaxed) >= FAILURES
    }

    pub(crate) fn is_good(&self) -> bool {
        self.is_good.load(Ordering::Relaxed)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a request until the guard is dropped.
    pub(crate) fn occupy(self: &Arc<Self>) -> Occupied {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Occupied(Arc::clone(self))
    }

    pub(crate) fn look(&self) -> arc_swap::Guard<Arc<Look>> {
        self.look.load()
    }

    /// Remembers a look.
    pub(crate) fn looked_at(&self, look: Look) {
        self.is_good.store(!matches!(look.state, State::Refuses(..) | State::Fails(_)), Ordering::Relaxed);
        self.look.store(Arc::new(look));
    }
}

/// A request's place at a server.
#[derive(Debug)]
pub(crate) struct Occupied(Arc<Upstream>);

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
