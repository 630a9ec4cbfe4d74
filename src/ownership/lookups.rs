//! Asks MLflow where a thing belongs and whose that is: once for all who wait, within a deadline, and not at all while it does
//! not answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{http::StatusCode, web::Bytes};
use serde_json::Value;
use tokio::time::timeout;

use super::{
    home::{Home, Item},
    memory::{Memory, Of},
    thing::{Container, Thing},
};
use crate::{breaker::Breaker, flight::Flights, telemetry::Metrics, vocabulary::LookupResult};

/// For so long MLflow may think about one question.
const DEADLINE: Duration = Duration::from_secs(5);
/// Failures in a row after which nothing is asked for a while.
const FAILURES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// How often a thing is asked for that is changed meanwhile.
const TRIES: usize = 3;
/// Bytes that are read of an answer about an experiment or a model: its tags are at the end.
const MAX_THING: usize = 4 * 1024 * 1024;
/// Bytes that are read of an answer about an item: its experiment is at the beginning.
const MAX_ITEM: usize = 256 * 1024;

/// Asks MLflow, as the gateway.
pub(crate) trait AskMlflow: Clone + 'static {
    /// The status of the answer to a GET of `path`, which is below MLflow's REST prefix, in this workspace; and the beginning of
    /// its body.
    ///
    /// # Errors
    /// No answer.
    fn get(
        &self,
        path: String,
        workspace: Option<Arc<str>>,
        most: usize,
    ) -> impl Future<Output = Result<(StatusCode, Bytes), Unanswered>>;
}

/// MLflow gave no answer, or none that says whose a thing is. Nothing is changed meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    #[error("MLflow did not say in time whose this is")]
    Late,
    #[error("MLflow answers no questions at the moment")]
    Paused,
    #[error("MLflow could not be asked: {0}")]
    Unreached(String),
    #[error("MLflow was asked whose this is, and answered with {0}")]
    Status(u16),
    #[error("MLflow was asked whose this is, and its answer does not say")]
    Unreadable,
}

/// What there is for a question.
#[derive(Debug)]
pub(super) enum Found<T> {
    It(Arc<T>),
    /// MLflow knows no such thing: the 404 is its own to give.
    Nothing,
    /// MLflow takes the id for none.
    NotAnId,
}

impl<T> Clone for Found<T> {
    fn clone(&self) -> Self {
        match self {
            Self::It(it) => Self::It(Arc::clone(it)),
            Self::Nothing => Self::Nothing,
            Self::NotAnId => Self::NotAnId,
        }
    }
}

type Outcome<T> = Result<Found<T>, Unanswered>;

#[derive(Debug)]
pub(super) struct Lookups {
    pub(super) memory: Memory,
    homes: Arc<Flights<Of<Item>, Outcome<Home>>>,
    things: Arc<Flights<Of<Container>, (Instant, Outcome<Thing>)>>,
    breaker: Arc<Breaker>,
    metrics: Metrics,
}

impl Lookups {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self {
            memory: Memory::new(),
            homes: Arc::default(),
            things: Arc::default(),
            breaker: Breaker::new(FAILURES, PAUSE),
            metrics,
        }
    }

    /// Where an item belongs.
    pub(super) async fn home<M: AskMlflow>(&self, mlflow: &M, item: &Of<Item>) -> Outcome<Home> {
        if let Some(home) = self.memory.home(item) {
            self.metrics.owner_looked_up(LookupResult::Hit);
            return Ok(Found::It(home));
        }
        let since = Instant::now();
        let (workspace, asked) = item.clone();
        let Some(path) = asked.path() else { return Ok(Found::Nothing) };
        let asking = || {
            let answer = self.ask(mlflow, path, workspace, MAX_ITEM);
            async move { answer.await?.read(|body| asked.home(body)) }
        };
        let outcome = self.homes.join(item.clone(), asking).await.unwrap_or(Err(Unanswered::Late));
        self.count(&outcome);
        if let Ok(Found::It(home)) = &outcome {
            self.memory.remember_home(item.clone(), Arc::clone(home), since);
        }
        outcome
    }

    /// An experiment or a registered model, as it is after every change that this instance has seen.
    pub(super) async fn thing<M: AskMlflow>(&self, mlflow: &M, container: &Of<Container>) -> Outcome<Thing> {
        if let Some(thing) = self.memory.thing(container) {
            self.metrics.owner_looked_up(LookupResult::Hit);
            return Ok(Found::It(thing));
        }
        for _ in 0..TRIES {
            let (workspace, asked) = container.clone();
            let asking = || {
                let answer = self.ask(mlflow, asked.path(), workspace, MAX_THING);
                let began = Instant::now();
                async move {
                    let parse = |body: &[u8]| Thing::parse(asked.kind(), body).ok();
                    (began, answer.await.and_then(|answer| answer.read(parse)))
                }
            };
            let answered = self.things.join(container.clone(), asking).await;
            let (began, outcome) = answered.unwrap_or((Instant::now(), Err(Unanswered::Late)));
            if self.memory.was_changed_since(container, began) {
                continue;
            }
            self.count(&outcome);
            if let Ok(Found::It(thing)) = &outcome {
                self.memory.remember_thing(container.clone(), Arc::clone(thing), began);
            }
            return outcome;
        }
        Err(Unanswered::Late)
    }

    /// One question, with its deadline.
    fn ask<M: AskMlflow>(
        &self,
        mlflow: &M,
        path: String,
        workspace: Option<Arc<str>>,
        most: usize,
    ) -> impl Future<Output = Result<Answer, Unanswered>> + 'static {
        let (mlflow, attempt) = (mlflow.clone(), self.breaker.admit());
        async move {
            let attempt = attempt.ok_or(Unanswered::Paused)?;
            let answer = timeout(DEADLINE, mlflow.get(path, workspace, most)).await;
            let answer = answer.unwrap_or(Err(Unanswered::Late));
            attempt.record(answer.as_ref().is_ok_and(|(status, _)| !status.is_server_error()));
            answer.map(|(status, body)| Answer { status, body })
        }
    }

    fn count<T>(&self, outcome: &Outcome<T>) {
        self.metrics.owner_looked_up(match outcome {
            Ok(Found::It(_)) => LookupResult::Found,
            Ok(Found::Nothing | Found::NotAnId) => LookupResult::Missing,
            Err(_) => LookupResult::Unavailable,
        });
    }
}

struct Answer {
    status: StatusCode,
    body: Bytes,
}

impl Answer {
    fn read<T>(&self, parse: impl FnOnce(&[u8]) -> Option<T>) -> Outcome<T> {
        // A 404 without MLflow's word for it is another server's, or another version's that has no such question.
        let code =
            || serde_json::from_slice::<Value>(&self.body).ok()?["error_code"].as_str().map(str::to_owned);
        match self.status {
            StatusCode::OK => {
                parse(&self.body).map(|it| Found::It(Arc::new(it))).ok_or(Unanswered::Unreadable)
            }
            StatusCode::NOT_FOUND if code().as_deref() == Some("RESOURCE_DOES_NOT_EXIST") => {
                Ok(Found::Nothing)
            }
            StatusCode::BAD_REQUEST if code().as_deref() == Some("INVALID_PARAMETER_VALUE") => {
                Ok(Found::NotAnId)
            }
            status => Err(Unanswered::Status(status.as_u16())),
        }
    }
}
