//! One question to MLflow: within a deadline, and not at all while MLflow is down.

use std::{sync::Arc, time::Duration};

use actix_web::{http::StatusCode, web::Bytes};
use serde_json::Value;
use tokio::time::timeout;
use tracing::Instrument as _;

use super::{
    lookups::{AskMlflow, Found, Outcome, Question, Unanswered},
    memory::Of,
};
use crate::{breaker::Breaker, code::Code, outage_log::OutageLog, telemetry::spans};

/// For so long MLflow may think about one question.
const DEADLINE: Duration = Duration::from_secs(5);
/// Failures in a row after which nothing is asked for a while.
const FAILURES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of the longest name: MLflow's have 256 characters. A server refuses a target that is too long in words of its own.
const MAX_NAME: usize = 1024;

/// What the questions of all workers have in common.
#[derive(Debug)]
pub(super) struct Asking {
    breaker: Arc<Breaker>,
    outage: OutageLog,
}

impl Asking {
    pub(super) fn new() -> Self {
        Self {
            breaker: Breaker::new(FAILURES, PAUSE),
            outage: OutageLog::new(
                "MLflow does not say whose things are; changes that depend on it are refused",
                "MLflow says again whose things are",
            ),
        }
    }

    pub(super) async fn ask<M: AskMlflow, Q: Question>(
        &self,
        mlflow: &M,
        (workspace, question): &Of<Q>,
    ) -> Outcome<Q::Answer> {
        if question.name().1.len() > MAX_NAME {
            return Ok(Found::NotAnId);
        }
        let path = question.path().ok_or(Unanswered::Unreadable)?;
        let attempt = self.breaker.admit().ok_or(Unanswered::Paused)?;
        let span = spans::call_to_mlflow();
        let asking = mlflow.get(path, workspace.clone(), Q::LONGEST).instrument(span.clone());
        let answer = timeout(DEADLINE, asking).await.unwrap_or(Err(Unanswered::Late));
        match works(&answer) {
            Some(works) => attempt.record(works),
            None => drop(attempt),
        }
        let outcome = answer.and_then(|(status, body)| read(question, status, &body));
        match &outcome {
            Ok(_) => self.outage.end(),
            Err(error) => {
                spans::failed(&span);
                self.outage.warn(Code::OwnersUnknown, error);
            }
        }
        outcome
    }
}

/// Whether MLflow works, as far as its answer shows. `None`: it may fail at this question only, and somebody may ask it on purpose,
/// so that nobody else's are asked. (A server that is silent for all is found by the prober.)
fn works(answer: &Result<(StatusCode, Bytes), Unanswered>) -> Option<bool> {
    match answer {
        Ok((status, body)) if status.is_server_error() => error_code(body).is_none().then_some(false),
        Ok(_) => Some(true),
        Err(Unanswered::Unreached(_)) => Some(false),
        Err(_) => None,
    }
}

fn read<Q: Question>(question: &Q, status: StatusCode, body: &[u8]) -> Outcome<Q::Answer> {
    if status == StatusCode::OK {
        return question.read(body).map(|answer| Found::It(Arc::new(answer))).ok_or(Unanswered::Unreadable);
    }
    // Without MLflow's word for it, a 404 is another server's, or that of a version that does not know the question.
    match (status, error_code(body).as_deref()) {
        (StatusCode::NOT_FOUND, Some("RESOURCE_DOES_NOT_EXIST")) => Ok(Found::Nothing),
        (StatusCode::BAD_REQUEST, Some("INVALID_PARAMETER_VALUE")) => Ok(Found::NotAnId),
        _ => Err(Unanswered::Status(question.name().0, status.as_u16())),
    }
}

/// What MLflow calls an error (mlflow/protos/databricks.proto); other servers do not.
fn error_code(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<Value>(body).ok()?["error_code"].as_str().map(str::to_owned)
}
