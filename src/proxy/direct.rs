//! Transfers between clients and the artifact store itself, where they are denied: MLflow's client is answered so that it
//! moves the bytes through here instead, and is not told that there is another way.
//!
//! Tried on the clients of MLflow 3.17.2 and 3.18.0 (mlflow/store/artifact/http_artifact_repo.py, mlflow_artifacts_repo.py):
//! both fall back on a 501 with the server's own words for a store that cannot do it.

use serde_json::{Map, Value};

use super::ProxyError;
use crate::routing::{Reach, Rule};

/// What `server-info` may say yes to: it has nothing to do with where artifacts go (mlflow/server/handlers.py,
/// `build_server_info_payload`). What nobody knows may be another way past the gateway.
const HARMLESS: [&str; 5] = [
    "artifact_serving_enabled",
    "gateway",
    "scheduled_issue_detection",
    "trace_archival_enabled",
    "workspaces_enabled",
];

/// What is answered in MLflow's place, if it is not to be asked: an error on which the client moves the bytes through here.
pub(crate) fn answer(rule: &Rule) -> Option<ProxyError> {
    if rule.reach != Reach::PastGateway {
        return None;
    }
    Some(ProxyError::Direct(if rule.pattern.contains("/mpu/") {
        "Multipart upload is not supported for the current artifact repository"
    } else if rule.pattern.ends_with("/presigned-upload-url") {
        "Presigned upload is not supported for the current artifact repository"
    } else {
        "Presigned download is not supported for the current artifact repository"
    }))
}

/// Makes a no of every yes that is not [`HARMLESS`].
pub(super) fn deny(told: &mut Map<String, Value>) {
    for (name, value) in told {
        match value {
            Value::Bool(said) if !HARMLESS.contains(&name.as_str()) => *said = false,
            Value::Object(more) => deny(more),
            _ => {}
        }
    }
}
