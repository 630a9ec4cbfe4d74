//! What MLflow is sent of a request whose headers it passes on, to whoever serves the model that is called.
//!
//! On `/gateway/*` MLflow 3.17.2 sends a provider every header that it got, but for `Host`, `Content-Length` and its own
//! credential in [`CREDENTIAL`] (mlflow/gateway/providers/utils.py, `_STRIPPED_HEADERS`); to a client that says it is
//! `claude-cli`, `codex` or `geminicli`, `Authorization` too, in place of the provider's own key (providers/base.py). So
//! what passes here is a list, and what a provider is to know nothing of is not sent to MLflow at all.

use actix_web::http::header::HeaderName;

/// Where MLflow takes its own credential from on these routes, and strips it before it calls out; since 3.15.
pub(super) const CREDENTIAL: HeaderName = HeaderName::from_static("x-mlflow-authorization");

/// What MLflow reads of such a request itself (mlflow/server/gateway_api.py, mlflow/gateway/tracing_utils.py), and what
/// says how a provider is to read it and to answer. Nothing that names an account: whose it is, the endpoint says.
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
