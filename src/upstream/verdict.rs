//! What MLflow's answer to an API call of the gateway's own means: that it serves the gateway, refuses it, or fails.
//!
//! Its `/health` says nothing of that: `--allowed-hosts` and the basic-auth app let it through
//! (mlflow/server/security_utils.py, mlflow/server/auth), and a load balancer answers it by itself.

use std::fmt;

use actix_web::http::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderName},
};
use serde_json::Value;

use crate::code::Code;

/// An API call that changes nothing and that every MLflow knows, below its REST prefix.
pub(crate) const SEARCH: &str = "/2.0/mlflow/experiments/search?max_results=1";
/// The same of a server of artifacts alone: what is below a path that nobody has.
pub(crate) const LIST: &str = "/2.0/mlflow-artifacts/artifacts?path=hokusai-gateway-look";
/// Only on what a gateway made itself.
pub const ERROR_SOURCE: HeaderName = HeaderName::from_static("x-hokusai-error-source");
/// MLflow's words for somebody that it knows, and who may not see this one thing (mlflow/server/auth).
const NO_PERMISSION: &str = "Permission denied";

/// An answer that was read whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// What it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// MLflow has read the call, and answered it.
    Serves,
    Refuses(Refusal),
    /// It failed itself: its database, say.
    Fails,
    /// It said nothing of the call itself: too many at once, say.
    Busy,
}

/// Why every request of the gateway's is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    LeadsBack,
    Host,
    Credentials,
    Redirect,
    ClientCertificate,
    /// The part of MLflow that is asked was switched off when it was started.
    Off(Part),
    NotMlflow,
}

/// What a server of MLflow's may be started without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Api,
    Artifacts,
}

impl Refusal {
    /// In a few words that name nobody: `/ready` is open to all.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::LeadsBack => "its URL leads back to a gateway",
            Self::Host => "it refuses the Host that it is sent",
            Self::Credentials => "it refuses the gateway's credentials, or wants some",
            Self::Redirect => "it redirects",
            Self::ClientCertificate => "it wants to be shown a certificate",
            Self::Off(_) => "it was started without what is asked of it",
            Self::NotMlflow => "something else than MLflow's API answers",
        }
    }
}

impl Refusal {
    pub(crate) const fn code(self) -> Code {
        match self {
            Self::LeadsBack => Code::Loop,
            Self::Host => Code::HostRefused,
            Self::Credentials => Code::MlflowWantsCredentials,
            Self::Redirect => Code::MlflowRedirects,
            Self::ClientCertificate => Code::ClientCertificateWanted,
            Self::Off(Part::Artifacts) => Code::ArtifactsUnavailable,
            Self::Off(Part::Api) | Self::NotMlflow => Code::ApiNotFound,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl Said<'_> {
    pub(crate) fn verdict(&self) -> Verdict {
        if self.status == StatusCode::LOOP_DETECTED || self.headers.contains_key(ERROR_SOURCE) {
            return Verdict::Refuses(Refusal::LeadsBack);
        }
        let text = String::from_utf8_lossy(self.body).to_lowercase();
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => Verdict::Busy,
            status if status.is_success() && self.json().is_object() => Verdict::Serves,
            status if status.is_redirection() => Verdict::Refuses(Refusal::Redirect),
            StatusCode::BAD_REQUEST if text.contains("ssl certificate") => {
                Verdict::Refuses(Refusal::ClientCertificate)
            }
            StatusCode::FORBIDDEN if text.contains("host header") || text.contains("rebinding") => {
                Verdict::Refuses(Refusal::Host)
            }
            StatusCode::FORBIDDEN if self.body == NO_PERMISSION.as_bytes() => Verdict::Serves,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Verdict::Refuses(Refusal::Credentials)
            }
            StatusCode::SERVICE_UNAVAILABLE if text.contains("disabled due to the mlflow server") => {
                let is_api = text.contains("--artifacts-only");
                Verdict::Refuses(Refusal::Off(if is_api { Part::Api } else { Part::Artifacts }))
            }
            status if status.is_server_error() => Verdict::Fails,
            _ if self.is_mlflows_error() => Verdict::Serves,
            _ => Verdict::Refuses(Refusal::NotMlflow),
        }
    }

    /// MLflow's own way to say that a call was wrong, an unknown workspace say; but for a path that it does not have.
    fn is_mlflows_error(&self) -> bool {
        let code = &self.json()["error_code"];
        self.status.is_client_error() && code.as_str().is_some_and(|code| code != "ENDPOINT_NOT_FOUND")
    }

    fn json(&self) -> Value {
        serde_json::from_slice(self.body).unwrap_or_default()
    }

    /// Its status and what it is made of, in words of ours: nothing of what was said.
    pub(crate) fn outline(&self) -> String {
        let value = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default().trim();
        let content = ["text/html", "application/json", "text/plain"]
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(essence))
            .unwrap_or(if essence.is_empty() { "no content type" } else { "another content type" });
        format!("{} with {content}", self.status.as_u16())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn verdict(status: u16, content: &'static str, body: &str) -> Verdict {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
        let status = StatusCode::from_u16(status).unwrap();
        Said { status, headers: &headers, body: body.as_bytes() }.verdict()
    }

    #[test]
    fn an_answer_of_mlflows_is_one_and_what_others_say_in_its_place_is_not() {
        let (json, html, text) = ("application/json", "text/html; charset=utf-8", "text/plain");
        let off = "Endpoint: /x disabled due to the mlflow server running in `--artifacts-only` mode.";
        let refused = Verdict::Refuses;
        for (status, content, body, expected) in [
            (200, json, r#"{"experiments":[]}"#, Verdict::Serves),
            (200, json, "{}", Verdict::Serves),
            (200, html, "<html>", refused(Refusal::NotMlflow)),
            (200, json, "[]", refused(Refusal::NotMlflow)),
            (200, text, "OK", refused(Refusal::NotMlflow)),
            (204, text, "", refused(Refusal::NotMlflow)),
            (301, html, "", refused(Refusal::Redirect)),
            (308, html, "", refused(Refusal::Redirect)),
            (401, text, "You are not authenticated.", refused(Refusal::Credentials)),
            (403, html, "<html>", refused(Refusal::Credentials)),
            (407, html, "", refused(Refusal::Credentials)),
            (403, text, "Permission denied", Verdict::Serves),
            (
                403,
                text,
                "Invalid Host header - possible DNS rebinding attack detected",
                refused(Refusal::Host),
            ),
            (404, html, "<html>", refused(Refusal::NotMlflow)),
            (404, json, r#"{"detail":"Not Found"}"#, refused(Refusal::NotMlflow)),
            (404, json, r#"{"error_code":"ENDPOINT_NOT_FOUND"}"#, refused(Refusal::NotMlflow)),
            (404, json, r#"{"error_code":"RESOURCE_DOES_NOT_EXIST"}"#, Verdict::Serves),
            (400, json, r#"{"error_code":"INVALID_PARAMETER_VALUE"}"#, Verdict::Serves),
            (400, html, "No required SSL certificate was sent", refused(Refusal::ClientCertificate)),
            (400, html, "<html>", refused(Refusal::NotMlflow)),
            (429, html, "", Verdict::Busy),
            (500, json, r#"{"error_code":"INTERNAL_ERROR"}"#, Verdict::Fails),
            (502, html, "<html>", Verdict::Fails),
            (503, text, off, refused(Refusal::Off(Part::Api))),
            (508, json, "{}", refused(Refusal::LeadsBack)),
        ] {
            assert_eq!(verdict(status, content, body), expected, "{status} {content} {body}");
        }
    }

    #[test]
    fn a_gateways_own_answer_is_no_mlflows() {
        let mut headers = HeaderMap::new();
        headers.insert(ERROR_SOURCE, HeaderValue::from_static("gateway"));
        let said = Said { status: StatusCode::UNAUTHORIZED, headers: &headers, body: b"{}" };
        assert_eq!(said.verdict(), Verdict::Refuses(Refusal::LeadsBack));
    }
}
