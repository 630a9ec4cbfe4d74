//! Transfers between clients and the artifact store itself, where they are denied: MLflow's client is answered so that it
//! moves the bytes through here instead, and is not told that there is another way.
//!
//! Tried on MLflow 3.17.2's client (mlflow/store/artifact/http_artifact_repo.py, mlflow_artifacts_repo.py): an upload falls
//! back on the server's own words for a store that has no multipart uploads; a download on an address without a size.

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header::CACHE_CONTROL},
};
use serde_json::{Map, Value, json};

use super::ProxyError;
use crate::{
    http_client::Response,
    routing::{Reach, Rule},
};

/// The largest answer that is rewritten, in bytes; MLflow's has a few hundred.
const MAX_ANSWER: usize = 64 * 1024;

/// What is answered in MLflow's place, if it is not to be asked; an error makes the client move the bytes through here.
pub(crate) fn answer(rule: &Rule) -> Option<Result<HttpResponse, ProxyError>> {
    if rule.reach != Reach::PastGateway {
        return None;
    }
    let unsupported = |what| Some(Err(ProxyError::Direct(what)));
    if rule.pattern.contains("/presigned/") {
        let nowhere = json!({ "url": "", "headers": {} });
        return Some(Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(nowhere)));
    }
    if rule.pattern.contains("/mpu/") {
        return unsupported("Multipart upload is not supported for the current artifact repository");
    }
    if rule.pattern.ends_with("/presigned-download-url") {
        return unsupported("Presigned download is not supported for the current artifact repository");
    }
    unsupported("Presigned upload is not supported for the current artifact repository")
}

/// Whether a route's answer tells of transfers past the gateway.
pub(super) fn is_advertised_by(rule: &Rule) -> bool {
    rule.pattern.ends_with("/mlflow/server-info")
}

/// The answer without them, behind `response`'s head.
///
/// # Errors
/// One in which nobody can tell what it says.
pub(super) async fn unadvertised(
    upstream: Response,
    mut response: HttpResponseBuilder,
) -> Result<HttpResponse, ProxyError> {
    let unclear = |what: String| ProxyError::Protocol(format!("told of itself what cannot be read: {what}"));
    if upstream.head.status != StatusCode::OK {
        return Err(unclear(format!("a {}", upstream.head.status)));
    }
    let body = upstream.body.read(MAX_ANSWER).await.map_err(|error| unclear(error.to_string()))?;
    let mut told: Map<String, Value> =
        serde_json::from_slice(&body).map_err(|error| unclear(error.to_string()))?;
    for (name, value) in &mut told {
        if name.starts_with("multipart_") || name.starts_with("presigned_") {
            *value = false.into();
        }
    }
    Ok(response.body(Value::Object(told).to_string()))
}
