//! Requests and responses as they are seen between MLflow 3.17's client and its server.

use actix_web::{
    http::{
        Method,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    test::TestRequest,
};

pub(super) const RUN: &str = "/api/2.0/mlflow/runs/get?run_id=0c9f3a51d2f84f0e9c7d8e1b2a3f4c5d";
pub(super) const ARTIFACT: &str = "/api/2.0/mlflow-artifacts/artifacts/7/0c9f3a51d2f84f0e9c7d8e1b2a3f4c5d/artifacts/\
                            models/churn%20forest%20%28v2%29/m%C3%BCnchen/feature%20importance%2Bshap.png";
pub(super) const DELETE: &str = "/api/2.0/mlflow/runs/delete";
pub(super) const REGISTER: &str = "/api/2.0/mlflow/model-versions/create";
pub(super) const REGISTER_BODY: &str = r#"{"name": "churn-forest", "source": "mlflow-artifacts:/7/0c9f3a51d2f84f0e9c7d8e1b2a3f4c5d/artifacts/models/churn-forest", "run_id": "0c9f3a51d2f84f0e9c7d8e1b2a3f4c5d", "tags": [{"key": "team", "value": "growth"}, {"key": "validated", "value": "true"}], "description": "Random forest, 400 trees, trained on the last 90 days"}"#;

/// What the UI asks for when it compares a hundred runs: the longest target that there usually is.
pub(super) fn compare_runs() -> String {
    let runs: String = (0..100).map(|run| format!("&run_ids={run:032x}")).collect();
    format!("/ajax-api/2.0/mlflow/metrics/get-history-bulk?metric_key=val_loss{runs}")
}

/// As MLflow's Python client asks.
pub(super) fn asking(method: Method, target: &str, authorization: &str) -> TestRequest {
    TestRequest::with_uri(target)
        .method(method)
        .insert_header(("host", "mlflow.example.com"))
        .insert_header(("user-agent", "mlflow-python-client/3.17.2"))
        .insert_header(("accept-encoding", "gzip, deflate"))
        .insert_header(("accept", "*/*"))
        .insert_header(("connection", "keep-alive"))
        .insert_header(("authorization", authorization))
}

/// The headers of what MLflow's server answers, uvicorn's own among them.
pub(super) fn answer() -> HeaderMap {
    let fields = [
        ("date", "Mon, 23 Nov 2026 09:00:00 GMT"),
        ("server", "uvicorn"),
        ("content-type", "application/json"),
        ("content-length", "1204"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "SAMEORIGIN"),
    ];
    let field = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    fields.into_iter().map(field).collect()
}
