//! Denies transfers between clients and the artifact store past the gateway: MLflow's client gets an error on which it moves the
//! bytes through the gateway instead, and `server-info` does not offer direct transfers.
//!
//! The clients of MLflow 3.17.2 and 3.18.0 (mlflow/store/artifact/http_artifact_repo.py, mlflow_artifacts_repo.py) fall back on a
//! 501 with MLflow's own message for a store that has no direct transfers.

use actix_web::http::Method;
use serde_json::{Map, Value};

use super::ProxyError;
use crate::routing::{Artifact, BodyCheck, Reach, Rule};

/// Fields of `server-info` that may stay true: they have nothing to do with artifacts (mlflow/server/handlers.py,
/// `build_server_info_payload`). An unknown field may be a new kind of direct transfer.
const HARMLESS: [&str; 5] = [
    "artifact_serving_enabled",
    "gateway",
    "scheduled_issue_detection",
    "trace_archival_enabled",
    "workspaces_enabled",
];

/// The error for a route of direct transfers; `None` for every other route.
pub(crate) fn denied(rule: &Rule) -> Option<ProxyError> {
    if rule.reach != Reach::PastGateway {
        return None;
    }
    Some(ProxyError::DirectTransfer(match (&rule.artifact, rule.check) {
        (_, Some(BodyCheck::ArtifactPath)) => {
            "Presigned upload is not supported for the current artifact repository"
        }
        (Some(Artifact::Path(_)), _) if rule.method == Method::POST => {
            "Multipart upload is not supported for the current artifact repository"
        }
        _ => "Presigned download is not supported for the current artifact repository",
    }))
}

/// Sets every true field to false that is not [`HARMLESS`].
pub(super) fn deny(fields: &mut Map<String, Value>) {
    for (name, value) in fields {
        match value {
            Value::Bool(value) if !HARMLESS.contains(&name.as_str()) => *value = false,
            Value::Object(inner) => deny(inner),
            _ => {}
        }
    }
}
