//! What MLflow's answer to an API call of the gateway's own means: that it serves the gateway, refuses it, or fails.
//!
//! Its `/health` says nothing of that: `--allowed-hosts` and the basic-auth app let it through
//! (mlflow/server/security_utils.py, mlflow/server/auth), and a load balancer answers it by itself.

use std::fmt;

use actix_web::http::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderName},
};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::{code::Code, http_client::End};

/// Only on what a gateway made itself.
pub const ERROR_SOURCE: HeaderName = HeaderName::from_static("x-hokusai-error-source");
/// MLflow's words for somebody that it knows, and who may not see this one thing (mlflow/server/auth).
const NO_PERMISSION: &str = "Permission denied";

/// An answer, or its beginning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    /// Whether `body` is all of it.
    pub(crate) end: End,
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
            status if status.is_redirection() => Verdict::Refuses(Refusal::Redirect),
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Verdict::Refuses(Refusal::Credentials)
            }
            // What it would have said is not known.
            _ if self.end == End::BrokeOff => Verdict::Fails,
            status if status.is_success() && self.is_an_object() => Verdict::Serves,
            StatusCode::BAD_REQUEST if text.contains("ssl certificate") => {
                Verdict::Refuses(Refusal::ClientCertificate)
            }
            StatusCode::FORBIDDEN if text.contains("host header") || text.contains("rebinding") => {
                Verdict::Refuses(Refusal::Host)
            }
            StatusCode::FORBIDDEN if self.body == NO_PERMISSION.as_bytes() => Verdict::Serves,
            StatusCode::FORBIDDEN => Verdict::Refuses(Refusal::Credentials),
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

    /// Whether its body is a JSON object, or begins as one: how much of it there is says nothing against MLflow, because
    /// clients have made what it tells.
    fn is_an_object(&self) -> bool {
        if self.end == End::Whole {
            return self.json().is_object();
        }
        let is_cut = serde_json::from_slice::<IgnoredAny>(self.body).is_err_and(|error| error.is_eof());
        self.content() == "application/json" && self.body.trim_ascii_start().starts_with(b"{") && is_cut
    }

    fn json(&self) -> Value {
        serde_json::from_slice(self.body).unwrap_or_default()
    }

    /// Its status and what it is made of, in words of ours: nothing of what was said.
    pub(crate) fn outline(&self) -> String {
        let more = if self.end == End::BrokeOff { " that broke off" } else { "" };
        format!("{} with {}{more}", self.status.as_u16(), self.content())
    }

    /// Its content type, if it is one of the usual ones.
    fn content(&self) -> &'static str {
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

    fn verdict(status: u16, content: &'static str, body: &str) -> Verdict {
        verdict_of(status, content, body, End::Whole)
    }

    fn verdict_of(status: u16, content: &'static str, body: &str, end: End) -> Verdict {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
        let status = StatusCode::from_u16(status).unwrap();
        Said { status, headers: &headers, body: body.as_bytes(), end }.verdict()
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
    fn an_answer_that_is_too_long_is_judged_by_its_beginning_and_one_that_broke_off_fails() {
        let (json, html) = ("application/json; charset=utf-8", "text/html");
        let refused = Verdict::Refuses;
        let object = "\n{\"experiments\": [{\"tags\": [{\"value\": \"\u{e9}";
        for (status, content, body, end, expected) in [
            (200, json, object, End::Longer, Verdict::Serves),
            (200, json, "{", End::Longer, Verdict::Serves),
            (200, json, "[{\"experiments\": 1", End::Longer, refused(Refusal::NotMlflow)),
            (200, json, "{ is no JSON", End::Longer, refused(Refusal::NotMlflow)),
            (200, json, "", End::Longer, refused(Refusal::NotMlflow)),
            (200, html, object, End::Longer, refused(Refusal::NotMlflow)),
            (200, html, "<html>", End::Longer, refused(Refusal::NotMlflow)),
            (404, html, "<html>", End::Longer, refused(Refusal::NotMlflow)),
            (403, html, "<html>", End::Longer, refused(Refusal::Credentials)),
            (500, json, object, End::Longer, Verdict::Fails),
            (200, json, object, End::Whole, refused(Refusal::NotMlflow)),
            (200, json, "", End::Whole, refused(Refusal::NotMlflow)),
            (200, json, object, End::BrokeOff, Verdict::Fails),
            (200, json, "", End::BrokeOff, Verdict::Fails),
            (403, html, "", End::BrokeOff, Verdict::Fails),
            (404, html, "<html>", End::BrokeOff, Verdict::Fails),
            (401, json, "", End::BrokeOff, refused(Refusal::Credentials)),
            (302, html, "", End::BrokeOff, refused(Refusal::Redirect)),
            (429, html, "", End::BrokeOff, Verdict::Busy),
        ] {
            assert_eq!(verdict_of(status, content, body, end), expected, "{status} {content} {body} {end:?}");
        }
    }

    #[test]
    fn a_gateways_own_answer_is_no_mlflows() {
        let mut headers = HeaderMap::new();
        headers.insert(ERROR_SOURCE, HeaderValue::from_static("gateway"));
        let said = Said { status: StatusCode::UNAUTHORIZED, headers: &headers, body: b"{}", end: End::Whole };
        assert_eq!(said.verdict(), Verdict::Refuses(Refusal::LeadsBack));
    }
}
