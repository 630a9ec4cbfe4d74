//! What it means when MLflow does not keep, give back or delete an artifact. MLflow itself says no more than
//! `Internal Server Error`: what its store said stands in its log.

use super::{Answer, Fault, excerpt};
use crate::code::Code;

/// What was asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Write,
    Read,
    Delete,
}

impl Asked {
    pub(super) const fn done(self) -> &'static str {
        self.words()[0]
    }

    const fn words(self) -> [&'static str; 2] {
        match self {
            Self::Write => ["written", "s3:PutObject"],
            Self::Read => ["read back", "s3:GetObject"],
            Self::Delete => ["deleted", "s3:DeleteObject"],
        }
    }
}

/// The fault of an answer of MLflow's, or of what stands before it; `None` where the answer says more by itself.
pub(super) fn fault(asked: Asked, answer: &Answer) -> Option<Fault> {
    let [done, right] = asked.words();
    let what = format!("an artifact cannot be {done}: {}", excerpt(answer));
    let text = answer.text();
    Some(match answer.status.as_u16() {
        413 => Fault::new(
            Code::MlflowFrontLimitsBodies,
            what,
            "a proxy between the gateway and MLflow limits the size of bodies",
            "no limit there (nginx: client_max_body_size 0), or MLflow's own address as mlflow.url",
        ),
        503 if text.contains("--serve-artifacts") => Fault::new(
            Code::ArtifactsUnavailable,
            what,
            "MLflow was started with --no-serve-artifacts, so that clients would go to the store themselves",
            "mlflow server --serve-artifacts --artifacts-destination s3://… (or a path)",
        ),
        507 => no_room(what),
        500 | 502..=504 if text.contains("No space left") => no_room(what),
        500..=599 => Fault::new(
            if asked == Asked::Write { Code::StoreTakesNoWrites } else { Code::StoreFails },
            what,
            format!(
                "MLflow's artifact store failed. In this order: it is full; it is read-only, or its files are not those of the \
                 user that MLflow runs as; its credentials are none or may not do this ({right}); it cannot be reached"
            ),
            "MLflow's own log for the same moment: `No space left on device`, `Read-only file system`, `Permission denied`, \
             `AccessDenied` or `Could not connect` there tells which",
        ),
        _ => return None,
    })
}

fn no_room(what: String) -> Fault {
    let fix = "room in what mlflow server's --artifacts-destination names";
    Fault::new(Code::StoreTakesNoWrites, what, "MLflow's artifact store is full", fix)
}
