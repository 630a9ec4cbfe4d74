//! The one right answer to a request, and the meaning of every other answer.

use serde_json::Value;

use crate::{
    code::Code,
    doctor::{Fault, Response, excerpt},
    vocabulary::Reason,
};

/// The meaning of each of the gateway's reasons for an operator; docs/TROUBLESHOOTING.md explains them.
const REASONS: [(Reason, Code, &str, &str); 18] = [
    (
        Reason::CredentialMissing,
        Code::CredentialsChanged,
        "a proxy before the gateway removes the Authorization header",
        "let the load balancer or CDN pass Authorization on",
    ),
    (
        Reason::CredentialRejected,
        Code::KeyRejected,
        "the key is unknown, expired or revoked; or the gateway asks the auth service about another service id",
        "`hokusai-gateway check --probe` beside the gateway, with the same key, shows which",
    ),
    (
        Reason::ScopeMissing,
        Code::PermissionDenied,
        "the key does not permit this",
        "a key with mlflow:read, mlflow:write and mlflow:delete; `hokusai-gateway explain` shows what a key permits",
    ),
    (
        Reason::RateLimited,
        Code::RateLimited,
        "the key has used up its limit",
        "wait as long as Retry-After says, or a key with a higher limit",
    ),
    (
        Reason::AuthUnavailable,
        Code::AuthServiceFailing,
        "the auth service does not answer, or not as agreed",
        "`hokusai-gateway check --probe` beside the gateway shows why",
    ),
    (
        Reason::AuditUnavailable,
        Code::AuditFailing,
        "the gateway cannot write its audit stream, and refuses changes until it can (audit.on_failure)",
        "free space on the disk of audit.output; the gateway's log shows why",
    ),
    (
        Reason::UpstreamUnavailable,
        Code::MlflowUnreachable,
        "the gateway cannot reach MLflow",
        "`hokusai-gateway check --probe` beside the gateway shows why",
    ),
    (
        Reason::UpstreamTimeout,
        Code::MlflowSlow,
        "MLflow hangs, or its database does",
        "look at MLflow's log; mlflow.response_timeout",
    ),
    (
        Reason::UpstreamProtocol,
        Code::MlflowProtocol,
        "MLflow, or a proxy before it, aborts its answer, or answers in a way that cannot be passed on",
        "look at MLflow's log; mlflow.url should lead to MLflow itself",
    ),
    (
        Reason::LoopDetected,
        Code::Loop,
        "mlflow.url leads back to a gateway",
        "set mlflow.url to the address of MLflow itself, which only the gateway uses",
    ),
    (
        Reason::RouteUnknown,
        Code::RequestsChanged,
        "the gateway is older than this command, or a proxy before it changes paths",
        "let the load balancer pass paths on unchanged",
    ),
    (
        Reason::BadRequest,
        Code::RequestsChanged,
        "a proxy before the gateway changes requests",
        "let the load balancer pass requests on unchanged",
    ),
    (
        Reason::BodyTimeout,
        Code::ProxyBuffering,
        "a proxy sends bodies too slowly, or holds them back",
        "no buffering of requests before the gateway",
    ),
    (
        Reason::CredentialAmbiguous,
        Code::CredentialsChanged,
        "a proxy before the gateway adds credentials of its own",
        "let it pass Authorization and X-API-Key on unchanged",
    ),
    (
        Reason::BadPath,
        Code::RequestsChanged,
        "a proxy before the gateway changes paths",
        "let the load balancer pass paths on unchanged",
    ),
    (
        Reason::MethodNotAllowed,
        Code::RequestsChanged,
        "a proxy before the gateway changes methods",
        "let the load balancer pass methods on unchanged",
    ),
    (
        Reason::BodyTooLarge,
        Code::BodyTooLarge,
        "server.max_body is smaller than this upload",
        "a larger server.max_body",
    ),
    (
        Reason::Internal,
        Code::Defect,
        "a defect of the gateway",
        "report it with the request id and the gateway's log",
    ),
];

/// The answer, if its status is `status`.
///
/// # Errors
/// Another answer, or none, and its meaning.
pub(super) fn expect(answer: Result<Response, String>, status: u16) -> Result<Response, Fault> {
    let answer = answer.map_err(|error| {
        Fault::new(
            Code::GatewaySilent,
            format!("no answer: {error}"),
            "the connection broke, or the gateway or a proxy before it hangs",
            "look at the gateway's log; and at the load balancer's idle timeout",
        )
    })?;
    if answer.status.as_u16() == status { Ok(answer) } else { Err(unexpected(&answer, status)) }
}

/// The meaning of an answer whose status is not `wanted`.
pub(super) fn unexpected(answer: &Response, wanted: u16) -> Fault {
    let what = format!("expected {wanted}, got {}", excerpt(answer));
    let reason = answer.json()["reason"].as_str().and_then(Reason::from_word);
    if reason == Some(Reason::BadRequest) && answer.text().contains("in HTTP/1.0") {
        return Fault::new(
            Code::RequestsChanged,
            what,
            "the proxy before the gateway speaks HTTP/1.0 to it, the default of nginx",
            "nginx: proxy_http_version 1.1",
        );
    }
    if let Some((_, code, cause, fix)) = REASONS.iter().find(|(known, ..)| Some(*known) == reason) {
        return Fault::new(*code, what, *cause, *fix);
    }
    let (code, cause, fix) = meaning_of_status(answer);
    Fault::new(code, what, cause, fix)
}

/// The meaning of an answer without one of the gateway's reasons.
fn meaning_of_status(answer: &Response) -> (Code, &'static str, &'static str) {
    let from_behind = answer.header("x-request-id").is_some();
    let text = answer.text().to_lowercase();
    match answer.status.as_u16() {
        403 if text.contains("host header") => (
            Code::HostRefused,
            "MLflow refuses the Host that the gateway sends",
            "mlflow server --allowed-hosts, or mlflow.host_header",
        ),
        _ if answer.is_from_gateway() => {
            (Code::RequestsChanged, "the gateway refused it", "look for the request id in its log")
        }
        _ if from_behind => (
            Code::MlflowError,
            "MLflow, or a proxy between it and the gateway, gave this answer",
            "look at MLflow's log for the same moment; `hokusai-gateway check --probe` beside the gateway",
        ),
        301..=308 => (
            Code::PublicAddressRedirects,
            "the address redirects: clients lose the body of their uploads",
            "set MLFLOW_TRACKING_URI to the address that it redirects to",
        ),
        413 => (
            Code::ProxyBodyLimit,
            "a proxy before the gateway limits the size of bodies",
            "nginx: client_max_body_size 0; a CDN or firewall: no limit for this host",
        ),
        400 if text.contains("https port") => {
            (Code::TlsExpected, "the port speaks TLS, and the address says http", "https:// in --url")
        }
        502..=504 => (
            Code::NoHealthyGateway,
            "the load balancer has no healthy gateway behind it",
            "its target group's health: /health, on the gateway's port, without a key",
        ),
        _ => (
            Code::NotTheGateway,
            "a proxy before the gateway answers in its place",
            "the check `mount …` above shows whether requests reach the gateway",
        ),
    }
}

/// The text at a JSON pointer in an answer of MLflow.
///
/// # Errors
/// There is none: the answer is not MLflow's.
pub(super) fn text_at(answer: &Response, pointer: &str) -> Result<String, Fault> {
    let json = answer.json();
    let text = json.pointer(pointer).map(|value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    text.ok_or_else(|| not_mlflows(answer, &format!("no {pointer}")))
}

/// # Errors
/// The text at a JSON pointer is not the one that is wanted, but what `otherwise` says.
pub(super) fn expect_text(
    answer: &Response,
    pointer: &str,
    wanted: &str,
    otherwise: &str,
) -> Result<(), Fault> {
    if text_at(answer, pointer)? == wanted { Ok(()) } else { Err(not_mlflows(answer, otherwise)) }
}

/// Checks an answer to a search of experiments: a list, or an empty object if there are none.
///
/// # Errors
/// The answer is not MLflow's.
pub(super) fn are_experiments(answer: &Response) -> Result<(), Fault> {
    let json = answer.json();
    let is_mlflows =
        json.as_object().is_some_and(|fields| fields.is_empty() || json["experiments"].is_array());
    if is_mlflows { Ok(()) } else { Err(not_mlflows(answer, "no experiments")) }
}

/// A 200 without the expected content.
pub(super) fn not_mlflows(answer: &Response, what: &str) -> Fault {
    Fault::new(
        Code::MlflowInconsistent,
        format!("{what} in {}", excerpt(answer)),
        "another server than MLflow answers, or MLflow did not keep what it accepted",
        "`hokusai-gateway check --probe` beside the gateway; several MLflow servers must share one database",
    )
}
