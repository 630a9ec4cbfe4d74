//! Why MLflow does not write, read or delete an artifact. Its answer is no more than `Internal Server Error`: the error of its
//! store is only in its log.

use super::{Fault, Response, excerpt};
use crate::code::Code;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreOperation {
    Write,
    Read,
    Delete,
}

impl StoreOperation {
    /// The participle, as it stands after "an artifact cannot be", and S3's permission for it.
    pub(super) const fn words(self) -> [&'static str; 2] {
        match self {
            Self::Write => ["written", "s3:PutObject"],
            Self::Read => ["read back", "s3:GetObject"],
            Self::Delete => ["deleted", "s3:DeleteObject"],
        }
    }
}

/// The fault behind MLflow's answer; `None` where its status alone says more.
pub(super) fn fault(operation: StoreOperation, answer: &Response) -> Option<Fault> {
    let [participle, s3_permission] = operation.words();
    let what = format!("an artifact cannot be {participle}: {}", excerpt(answer));
    let text = answer.text();
    Some(match answer.status.as_u16() {
        413 => Fault::new(
            Code::MlflowProxyBodyLimit,
            what,
            "a proxy between the gateway and MLflow limits the size of bodies",
            "no limit there (nginx: client_max_body_size 0), or MLflow's own address as mlflow.url",
        ),
        503 if text.contains("--serve-artifacts") => Fault::new(
            Code::ArtifactsUnavailable,
            what,
            "MLflow was started with --no-serve-artifacts: clients would use the store themselves",
            "mlflow server --serve-artifacts --artifacts-destination s3://… (or a path)",
        ),
        507 => store_is_full(what),
        500 | 502..=504 if text.contains("No space left") => store_is_full(what),
        500..=599 => Fault::new(
            if operation == StoreOperation::Write { Code::StoreRejectsWrites } else { Code::StoreFails },
            what,
            format!(
                "MLflow's artifact store failed. The usual reasons, in this order: it is full; it is read-only, or its files belong \
                 to another user than MLflow's; it has no credentials, or they do not permit this ({s3_permission}); it cannot be reached"
            ),
            "look at MLflow's log for the same moment: `No space left on device`, `Read-only file system`, `Permission denied`, \
             `AccessDenied` or `Could not connect` there shows which",
        ),
        _ => return None,
    })
}

fn store_is_full(what: String) -> Fault {
    let fix = "free space in the destination of mlflow server's --artifacts-destination";
    Fault::new(Code::StoreRejectsWrites, what, "MLflow's artifact store is full", fix)
}
