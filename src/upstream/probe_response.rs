//! What an answer to an API call of the gateway's own means: MLflow serves the gateway, refuses it, or fails.
//!
//! `/health` does not show that: `--allowed-hosts` and the basic-auth app exempt it (mlflow/server/security_utils.py,
//! mlflow/server/auth), and a load balancer may answer it by itself.

use actix_web::{
    http::{
        StatusCode,
        header::{CONTENT_TYPE, HeaderMap, HeaderName},
    },
    web::Bytes,
};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::{code::Code, http_client::End};

/// Only on responses that a gateway made itself.
pub const ERROR_SOURCE: HeaderName = HeaderName::from_static("x-hokusai-error-source");
/// MLflow's body for a known user without the permission for one thing (mlflow/server/auth).
const NO_PERMISSION: &str = "Permission denied";

/// A response, or its beginning.
#[derive(Debug)]
pub(crate) struct ProbeResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether `body` is all of it.
    pub(crate) end: End,
}

/// What a response means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProbeOutcome {
    /// MLflow read the call and answered it.
    Serves,
    Refuses(Refusal),
    /// MLflow failed, for example without its database.
    Fails,
    /// The answer says nothing about the call: there were too many, for example.
    Busy,
}

/// Why every request of the gateway is refused. Its Display is for `/ready`, which is open to all: no address, no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("its URL leads back to a gateway")]
    LeadsBack,
    #[error("it refuses the Host header")]
    Host,
    #[error("it refuses the gateway's credentials, or requires some")]
    Credentials,
    #[error("it redirects")]
    Redirect,
    #[error("it requires a client certificate")]
    ClientCertificate,
    /// MLflow was started without this part.
    #[error("it was started without the API or the artifacts")]
    Off(ServerPart),
    #[error("the answer is not from MLflow's API")]
    NotMlflow,
}

/// What an MLflow server may be started without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerPart {
    Api,
    Artifacts,
}

impl Refusal {
    pub(crate) const fn code(self) -> Code {
        match self {
            Self::LeadsBack => Code::Loop,
            Self::Host => Code::HostRefused,
            Self::Credentials => Code::MlflowRequiresCredentials,
            Self::Redirect => Code::MlflowRedirects,
            Self::ClientCertificate => Code::ClientCertificateRequired,
            Self::Off(ServerPart::Artifacts) => Code::ArtifactsUnavailable,
            Self::Off(ServerPart::Api) | Self::NotMlflow => Code::ApiNotFound,
        }
    }
}

impl ProbeResponse {
    pub(crate) fn outcome(&self) -> ProbeOutcome {
        if self.status == StatusCode::LOOP_DETECTED || self.headers.contains_key(ERROR_SOURCE) {
            return ProbeOutcome::Refuses(Refusal::LeadsBack);
        }
        let text = String::from_utf8_lossy(&self.body).to_lowercase();
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => ProbeOutcome::Busy,
            status if status.is_redirection() => ProbeOutcome::Refuses(Refusal::Redirect),
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                ProbeOutcome::Refuses(Refusal::Credentials)
            }
            // The rest of the answer is not known.
            _ if self.end == End::BrokeOff => ProbeOutcome::Fails,
            status if status.is_success() && self.is_an_object() => ProbeOutcome::Serves,
            StatusCode::BAD_REQUEST if text.contains("ssl certificate") => {
                ProbeOutcome::Refuses(Refusal::ClientCertificate)
            }
            StatusCode::FORBIDDEN if text.contains("host header") || text.contains("rebinding") => {
                ProbeOutcome::Refuses(Refusal::Host)
            }
            StatusCode::FORBIDDEN if self.body == NO_PERMISSION.as_bytes() => ProbeOutcome::Serves,
            StatusCode::FORBIDDEN => ProbeOutcome::Refuses(Refusal::Credentials),
            StatusCode::SERVICE_UNAVAILABLE if text.contains("disabled due to the mlflow server") => {
                let is_api = text.contains("--artifacts-only");
                let part = if is_api { ServerPart::Api } else { ServerPart::Artifacts };
                ProbeOutcome::Refuses(Refusal::Off(part))
            }
            status if status.is_server_error() => ProbeOutcome::Fails,
            _ if self.is_mlflows_error() => ProbeOutcome::Serves,
            _ => ProbeOutcome::Refuses(Refusal::NotMlflow),
        }
    }

    /// MLflow's own error about the call, an unknown workspace for example; but not that the path does not exist.
    fn is_mlflows_error(&self) -> bool {
        let code = &self.json()["error_code"];
        self.status.is_client_error() && code.as_str().is_some_and(|code| code != "ENDPOINT_NOT_FOUND")
    }

    /// Whether the body is a JSON object, or begins as one. A long body is no fault of MLflow's: clients made its contents.
    fn is_an_object(&self) -> bool {
        if self.end == End::Whole {
            return self.json().is_object();
        }
        let is_cut = serde_json::from_slice::<IgnoredAny>(&self.body).is_err_and(|error| error.is_eof());
        self.content_type() == "application/json" && self.body.trim_ascii_start().starts_with(b"{") && is_cut
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Status and content type, and nothing of the body.
    pub(crate) fn summary(&self) -> String {
        let more = if self.end == End::BrokeOff { " that broke off" } else { "" };
        format!("{} with {}{more}", self.status.as_u16(), self.content_type())
    }

    /// The content type, if it is a usual one: others are not shown.
    fn content_type(&self) -> &'static str {
        let value = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default().trim();
        ["text/html", "application/json", "text/plain"]
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(essence))
            .unwrap_or(if essence.is_empty() { "no content type" } else { "another content type" })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn outcome(status: u16, content: &'static str, body: &str) -> ProbeOutcome {
        outcome_of(status, content, body, End::Whole)
    }

    fn outcome_of(status: u16, content: &'static str, body: &str, end: End) -> ProbeOutcome {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
        let status = StatusCode::from_u16(status).unwrap();
        let body = Bytes::copy_from_slice(body.as_bytes());
        ProbeResponse { status, headers, body, end }.outcome()
    }

    #[test]
    fn an_answer_of_mlflows_is_one_and_what_others_say_in_its_place_is_not() {
        let (json, html, text) = ("application/json", "text/html; charset=utf-8", "text/plain");
        let off = "Endpoint: /x disabled due to the mlflow server running in `--artifacts-only` mode.";
        let refused = ProbeOutcome::Refuses;
        for (status, content, body, expected) in [
            (200, json, r#"{"experiments":[]}"#, ProbeOutcome::Serves),
            (200, json, "{}", ProbeOutcome::Serves),
            (200, html, "<html>", refused(Refusal::NotMlflow)),
            (200, json, "[]", refused(Refusal::NotMlflow)),
            (200, text, "OK", refused(Refusal::NotMlflow)),
            (204, text, "", refused(Refusal::NotMlflow)),
            (301, html, "", refused(Refusal::Redirect)),
            (308, html, "", refused(Refusal::Redirect)),
            (401, text, "You are not authenticated.", refused(Refusal::Credentials)),
            (403, html, "<html>", refused(Refusal::Credentials)),
            (407, html, "", refused(Refusal::Credentials)),
            (403, text, "Permission denied", ProbeOutcome::Serves),
            (
                403,
                text,
                "Invalid Host header - possible DNS rebinding attack detected",
                refused(Refusal::Host),
            ),
            (404, html, "<html>", refused(Refusal::NotMlflow)),
            (404, json, r#"{"detail":"Not Found"}"#, refused(Refusal::NotMlflow)),
            (404, json, r#"{"error_code":"ENDPOINT_NOT_FOUND"}"#, refused(Refusal::NotMlflow)),
            (404, json, r#"{"error_code":"RESOURCE_DOES_NOT_EXIST"}"#, ProbeOutcome::Serves),
            (400, json, r#"{"error_code":"INVALID_PARAMETER_VALUE"}"#, ProbeOutcome::Serves),
            (400, html, "No required SSL certificate was sent", refused(Refusal::ClientCertificate)),
            (400, html, "<html>", refused(Refusal::NotMlflow)),
            (429, html, "", ProbeOutcome::Busy),
            (500, json, r#"{"error_code":"INTERNAL_ERROR"}"#, ProbeOutcome::Fails),
            (502, html, "<html>", ProbeOutcome::Fails),
            (503, text, off, refused(Refusal::Off(ServerPart::Api))),
            (508, json, "{}", refused(Refusal::LeadsBack)),
        ] {
            assert_eq!(outcome(status, content, body), expected, "{status} {content} {body}");
        }
    }

    #[test]
    fn an_answer_that_is_too_long_is_judged_by_its_beginning_and_one_that_broke_off_fails() {
        let (json, html) = ("application/json; charset=utf-8", "text/html");
        let refused = ProbeOutcome::Refuses;
        let object = "\n{\"experiments\": [{\"tags\": [{\"value\": \"\u{e9}";
        for (status, content, body, end, expected) in [
            (200, json, object, End::Longer, ProbeOutcome::Serves),
            (200, json, "{", End::Longer, ProbeOutcome::Serves),
            (200, json, "[{\"experiments\": 1", End::Longer, refused(Refusal::NotMlflow)),
            (200, json, "{ is no JSON", End::Longer, refused(Refusal::NotMlflow)),
            (200, json, "", End::Longer, refused(Refusal::NotMlflow)),
            (200, html, object, End::Longer, refused(Refusal::NotMlflow)),
            (200, html, "<html>", End::Longer, refused(Refusal::NotMlflow)),
            (404, html, "<html>", End::Longer, refused(Refusal::NotMlflow)),
            (403, html, "<html>", End::Longer, refused(Refusal::Credentials)),
            (500, json, object, End::Longer, ProbeOutcome::Fails),
            (200, json, object, End::Whole, refused(Refusal::NotMlflow)),
            (200, json, "", End::Whole, refused(Refusal::NotMlflow)),
            (200, json, object, End::BrokeOff, ProbeOutcome::Fails),
            (200, json, "", End::BrokeOff, ProbeOutcome::Fails),
            (403, html, "", End::BrokeOff, ProbeOutcome::Fails),
            (404, html, "<html>", End::BrokeOff, ProbeOutcome::Fails),
            (401, json, "", End::BrokeOff, refused(Refusal::Credentials)),
            (302, html, "", End::BrokeOff, refused(Refusal::Redirect)),
            (429, html, "", End::BrokeOff, ProbeOutcome::Busy),
        ] {
            assert_eq!(outcome_of(status, content, body, end), expected, "{status} {content} {body} {end:?}");
        }
    }

    #[test]
    fn a_gateways_own_answer_is_no_mlflows() {
        let mut headers = HeaderMap::new();
        headers.insert(ERROR_SOURCE, HeaderValue::from_static("gateway"));
        let response = ProbeResponse {
            status: StatusCode::UNAUTHORIZED,
            headers,
            body: Bytes::from_static(b"{}"),
            end: End::Whole,
        };
        assert_eq!(response.outcome(), ProbeOutcome::Refuses(Refusal::LeadsBack));
    }
}
