//! Headers of requests that MLflow passes on to a provider of models.
//!
//! On `/gateway/*` MLflow 3.17.2 sends a provider every header that it got, but for `Host`, `Content-Length` and its own
//! credential in [`CREDENTIAL`] (mlflow/gateway/providers/utils.py, `_STRIPPED_HEADERS`); to a client that says it is
//! `claude-cli`, `codex` or `geminicli`, `Authorization` too, in place of the provider's own key (providers/base.py). So
//! only the headers of a list pass, and what a provider must not learn is not sent to MLflow at all.

use actix_web::http::header::HeaderName;

/// The header of MLflow's own credential on these routes, which MLflow (since 3.15) strips before it calls the provider.
pub(super) const CREDENTIAL: HeaderName = HeaderName::from_static("x-mlflow-authorization");

/// Headers that MLflow itself reads (mlflow/server/gateway_api.py, mlflow/gateway/tracing_utils.py), and those that tell a provider
/// how to read the request and how to answer. None names an account: the endpoint does.
const PASSING: [&str; 8] = [
    "accept",
    "anthropic-beta",
    "anthropic-version",
    "content-encoding",
    "content-type",
    "openai-beta",
    "user-agent",
    "x-mlflow-workspace",
];

pub(super) fn may_pass(name: &HeaderName) -> bool {
    PASSING.contains(&name.as_str())
}
