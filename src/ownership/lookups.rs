//! Finds where a thing belongs and whose that is: in memory, or by asking MLflow once for all who wait.

use std::{fmt, hash::Hash, sync::Arc, time::Instant};

use actix_web::{http::StatusCode, web::Bytes};
use prometheus::IntCounter;

use super::{
    asking::Asking,
    changes::Changes,
    home::{Home, Item},
    memory::{Memory, Of},
    thing::{Container, Thing},
};
use crate::{flight::Flights, routing::Kind, telemetry::Metrics, vocabulary::LookupResult};

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

/// A thing that MLflow can be asked about.
pub(super) trait Question: Clone + fmt::Debug + Eq + Hash + 'static {
    type Answer: fmt::Debug + 'static;

    /// Bytes that are read of an answer.
    const LONGEST: usize;
    /// Bytes of memory for answers, and how many there may be.
    const ROOM: u64;
    const ENTRIES: usize;

    /// Its kind and its id, or the name that is one.
    fn name(&self) -> (Kind, &str);

    /// The path that asks MLflow for it, below the REST prefix.
    fn path(&self) -> Option<String>;

    /// Whether another answer may come later.
    fn may_change(&self) -> bool;

    /// What MLflow's answer says; `None`: it does not say it, or is about another thing.
    fn read(&self, answer: &[u8]) -> Option<Self::Answer>;

    /// Bytes of an answer's texts.
    fn weight(answer: &Self::Answer) -> u64;
}

/// MLflow gave no answer, or none that says whose a thing is. Nothing is changed meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    #[error("MLflow did not say in time whose this is")]
    Late,
    #[error("MLflow is not asked for a moment, after failures in a row")]
    Paused,
    /// Not for a reason that is MLflow's.
    #[error("MLflow was not asked whose this is: {0}")]
    NotAsked(String),
    #[error("MLflow could not be asked whose this is: {0}")]
    Unreached(String),
    #[error("MLflow was asked for {}, and answered with {}", .0.phrase(), .1)]
    Status(Kind, u16),
    #[error("MLflow was asked whose this is, and its answer does not say")]
    Unreadable,
}

/// What there is for a question.
#[derive(Debug)]
pub(super) enum Found<T> {
    It(Arc<T>),
    /// MLflow knows no such thing.
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

pub(super) type Outcome<T> = Result<Found<T>, Unanswered>;
/// With the time when it was asked for.
type Asked<T> = (Instant, Outcome<T>);

#[derive(Debug)]
pub(super) struct Lookups {
    pub(super) homes: Shelf<Item>,
    things: Shelf<Container>,
    pub(super) changes: Arc<Changes>,
    asking: Arc<Asking>,
    metrics: Metrics,
    /// Most look-ups, so that nothing has to be looked up to count them.
    hits: IntCounter,
}

/// The answers to questions of one kind, and those that are awaited.
#[derive(Debug)]
pub(super) struct Shelf<Q: Question> {
    pub(super) memory: Arc<Memory<Q>>,
    flights: Arc<Flights<Of<Q>, Asked<Q::Answer>>>,
}

impl<Q: Question> Shelf<Q> {
    fn new(changes: &Arc<Changes>) -> Self {
        Self { memory: Arc::new(Memory::new(Arc::clone(changes))), flights: Arc::default() }
    }
}

impl Lookups {
    pub(super) fn new(metrics: Metrics) -> Self {
        let changes = Arc::new(Changes::new());
        Self {
            homes: Shelf::new(&changes),
            things: Shelf::new(&changes),
            changes,
            asking: Arc::new(Asking::new()),
            hits: metrics.owners_looked_up(LookupResult::Hit),
            metrics,
        }
    }

    /// Where an item belongs.
    pub(super) async fn home<M: AskMlflow>(&self, mlflow: &M, item: &Of<Item>) -> Outcome<Home> {
        self.look_up(&self.homes, mlflow, item).await
    }

    /// An experiment or a registered model.
    pub(super) async fn thing<M: AskMlflow>(&self, mlflow: &M, container: &Of<Container>) -> Outcome<Thing> {
        self.look_up(&self.things, mlflow, container).await
    }

    /// What MLflow said after every change that this instance knew of when it was asked here, and says anew soon enough. A change that
    /// passes meanwhile, such as another thread's of the same owner, may count or not.
    async fn look_up<M: AskMlflow, Q: Question>(
        &self,
        shelf: &Shelf<Q>,
        mlflow: &M,
        question: &Of<Q>,
    ) -> Outcome<Q::Answer> {
        let ask = || self.ask(shelf, mlflow, question);
        if let Some(known) = shelf.memory.get(question) {
            if known.is_aging {
                shelf.flights.begin(question.clone(), ask);
            }
            self.hits.inc();
            return Ok(Found::It(known.answer));
        }
        let began = Instant::now();
        let outcome = loop {
            let joined = shelf.flights.join(question.clone(), ask).await;
            let Some((asked, answered)) = joined else { break Err(Unanswered::Late) };
            // Of others' flights only the first can be older than this request. It may have been made since then, by whom asks now.
            let is_good = !matches!(answered, Ok(Found::Nothing)) && !shelf.memory.is_void(question, asked);
            if asked >= began || is_good {
                break answered;
            }
        };
        let result = match &outcome {
            Ok(Found::It(_)) => LookupResult::Found,
            Ok(Found::Nothing | Found::NotAnId) => LookupResult::Missing,
            Err(_) => LookupResult::Unavailable,
        };
        self.metrics.owners_looked_up(result).inc();
        outcome
    }

    /// Asks MLflow, and remembers what it says, whoever still waits for it.
    fn ask<M: AskMlflow, Q: Question>(
        &self,
        shelf: &Shelf<Q>,
        mlflow: &M,
        question: &Of<Q>,
    ) -> impl Future<Output = Asked<Q::Answer>> + 'static {
        let (asking, memory) = (Arc::clone(&self.asking), Arc::clone(&shelf.memory));
        let (mlflow, question) = (mlflow.clone(), question.clone());
        async move {
            let asked = Instant::now();
            let outcome = asking.ask(&mlflow, &question).await;
            if let Ok(Found::It(answer)) = &outcome {
                memory.remember(question, Arc::clone(answer), asked);
            }
            (asked, outcome)
        }
    }
}

#[cfg(test)]
mod tests;
