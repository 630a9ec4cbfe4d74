//! Which headers cross the gateway, and which it adds.
//!
//! Hop-by-hop headers, and those that `Connection` names, are dropped (RFC 9110 §7.6.1) before the gateway's own are added, so
//! that no client can have those dropped.

use std::borrow::Cow;

use actix_web::{
    HttpRequest, HttpResponseBuilder,
    http::header::{
        ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED,
        HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, RANGE, SERVER, SET_COOKIE, TE, TRAILER,
        TRANSFER_ENCODING, TryIntoHeaderValue as _, UPGRADE, VARY, VIA,
    },
    http::uri::{Authority, Uri},
};
use actix_web_httpauth::headers::authorization::{Basic, Bearer};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use secrecy::ExposeSecret as _;

use super::{balancer::Member, browsers, caching, egress};
use crate::{
    exchange::Exchange,
    head::PSEUDONYM,
    policy::Grant,
    routing::Route,
    session,
    settings::{HostHeader, Mlflow, Passing, UpstreamAuth},
    telemetry::{TRACESTATE, X_REQUEST_ID},
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const USER_ID: HeaderName = HeaderName::from_static("x-hokusai-user-id");
/// Chooses a workspace of MLflow's; the first of several counts (mlflow/server/workspace_helpers.py).
pub(super) const WORKSPACE: HeaderName = HeaderName::from_static("x-mlflow-workspace");
const KEY_ID: HeaderName = HeaderName::from_static("x-hokusai-key-id");

/// Prefixes of headers that only the gateway sets.
const OWN_PREFIXES: [&str; 2] = ["x-hokusai-", "x-forwarded-"];

/// Of MLflow's own headers, those that its clients send. The others are internal, and steer its AI gateway past the guardrails or as
/// another user (mlflow/gateway/constants.py, guardrails.py).
const MLFLOWS_PREFIX: &str = "x-mlflow-";
const OF_MLFLOWS_CLIENTS: [&str; 4] =
    ["x-mlflow-client-version", "x-mlflow-experiment-id", "x-mlflow-run-id", "x-mlflow-workspace"];

/// Headers that do not pass to MLflow: credentials of any kind, what the gateway sets itself or judges in MLflow's place (which page
/// asks: MLflow does not know its public name, and refuses its own page), and what would make a server behind it
/// read another path, method or address than the one that was authorised.
const NOT_FOR_UPSTREAM: [&str; 16] = [
    "origin",
    "access-control-request-method",
    "access-control-request-headers",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-original-url",
    "x-rewrite-url",
    "x-real-ip",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-request-id",
    "traceparent",
    "tracestate",
];

/// Bytes that are percent-encoded in an identity.
const NOT_IN_IDENTITY: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// The settings of headers, as values.
#[derive(Debug)]
pub(super) struct HeaderRules {
    host: HostHeader,
    passes_cookies: bool,
    passes_server: bool,
    authorization: Option<HeaderValue>,
    via: HeaderValue,
}

impl HeaderRules {
    pub(super) fn new(mlflow: &Mlflow) -> Self {
        Self {
            host: mlflow.host_header.clone(),
            passes_cookies: mlflow.cookies == Passing::Pass,
            passes_server: mlflow.server_header == Passing::Pass,
            authorization: authorization(&mlflow.auth),
            via: HeaderValue::from_str(&format!("1.1 {PSEUDONYM}")).unwrap_or(HeaderValue::from_static("")),
        }
    }

    /// The `Host` for MLflow; `from` are the client's headers, where they may choose it.
    pub(super) fn host<'a>(
        &'a self,
        upstream_host: &'a HeaderValue,
        from: Option<&'a HeaderMap>,
    ) -> &'a HeaderValue {
        match &self.host {
            HostHeader::Fixed(host) => host,
            HostHeader::Upstream => upstream_host,
            HostHeader::Client => from.and_then(|from| from.get(HOST)).unwrap_or(upstream_host),
        }
    }

    /// Adds what every request to MLflow has.
    pub(super) fn of_gateway(&self, to: &mut HeaderMap) {
        self.of_gateway_in(AUTHORIZATION, to);
    }

    /// The same, with MLflow's credential under this name.
    fn of_gateway_in(&self, credential: HeaderName, to: &mut HeaderMap) {
        add(to, credential, self.authorization.clone());
        add(to, VIA, Some(self.via.clone()));
    }

    /// Adds the headers for MLflow, without framing, which is the body's. `plain`: asks for a whole response that is not compressed.
    pub(super) fn to_upstream(
        &self,
        request: &HttpRequest,
        grant: &Grant,
        exchange: &Exchange,
        plain: bool,
        to: &mut HeaderMap,
    ) {
        let (from, client) = (request.headers(), exchange.client());
        let named = named_by_connection(from);
        let principal = grant.principal();
        let calls_out = grant.route().calls_out();
        let may_pass = if calls_out { egress::may_pass } else { may_pass_to_upstream };
        for (name, value) in from {
            let passes = may_pass(name)
                && (self.passes_cookies || *name != COOKIE)
                && (principal.workspace.is_none() || *name != WORKSPACE)
                && (!plain || ![ACCEPT_ENCODING, RANGE].contains(name))
                && !named.iter().any(|named| name.as_str().eq_ignore_ascii_case(named));
            if passes && *name == COOKIE {
                add(to, COOKIE, session::not_ours(value));
            } else if passes {
                to.append(name.clone(), value.clone());
            }
        }

        let credential = if calls_out { egress::CREDENTIAL } else { AUTHORIZATION };
        self.of_gateway_in(credential, to);
        set_workspace(grant, to);
        if calls_out {
            return;
        }
        add(to, USER_ID, principal.user_id.as_deref().and_then(identity));
        add(to, KEY_ID, principal.key_id.as_deref().and_then(identity));
        add(to, X_FORWARDED_FOR, client.ip.and_then(|ip| HeaderValue::try_from(ip.to_string()).ok()));
        add(to, X_FORWARDED_HOST, from.get(HOST).cloned());
        let proto = HeaderValue::from_static(if client.secure { "https" } else { "http" });
        to.append(X_FORWARDED_PROTO, proto);

        let context = exchange.context();
        add(to, TRACEPARENT, HeaderValue::try_from(context.traceparent()).ok());
        add(to, TRACESTATE, context.tracestate(from));
        add(to, X_REQUEST_ID, Some(context.request_id_value().clone()));
    }

    /// Adds MLflow's headers to the response, without framing, hop-by-hop headers and those that the gateway sets.
    pub(super) fn to_client(
        &self,
        from_mlflow: &HeaderMap,
        from: &Member,
        (request, route): (&HttpRequest, &Route),
        response: &mut HttpResponseBuilder,
    ) {
        // MLflow builds its addresses from the host that it was sent.
        let told_host = match &self.host {
            HostHeader::Fixed(host) => Some(host),
            HostHeader::Client => request.headers().get(HOST),
            HostHeader::Upstream => None,
        };
        let named = named_by_connection(from_mlflow);
        for (name, value) in from_mlflow {
            let ends_here = is_hop_by_hop(name)
                || [CACHE_CONTROL, CONTENT_LENGTH, VARY].contains(name)
                || caching::is_for_caches_alone(name)
                || *name == X_REQUEST_ID
                || name.as_str().starts_with("x-hokusai-")
                || (*name == SERVER && !self.passes_server)
                || (*name == SET_COOKIE && !self.passes_cookies)
                || browsers::is_not_mlflows(name, value)
                || named.iter().any(|named| name.as_str().eq_ignore_ascii_case(named));
            if ends_here {
                continue;
            }
            let rewritten =
                if *name == LOCATION { public_location(value, from, told_host, route) } else { None };
            response.append_header((name.clone(), rewritten.unwrap_or_else(|| value.clone())));
        }
        let control = caching::control(from_mlflow.get_all(CACHE_CONTROL));
        response.append_header((CACHE_CONTROL, control));
        response.append_header((VARY, caching::vary(from_mlflow.get_all(VARY))));
        browsers::confine(route, response);
    }
}

/// The public form of a `Location`: MLflow's own address, with or without a host, becomes the path below the mount of the request;
/// any other address stays.
fn public_location(
    location: &HeaderValue,
    from: &Member,
    told_host: Option<&HeaderValue>,
    route: &Route,
) -> Option<HeaderValue> {
    let location = location.to_str().ok()?;
    // http::Uri would drop the fragment.
    let (location, fragment) = location.find('#').map_or((location, ""), |at| location.split_at(at));
    let uri = Uri::try_from(location).ok()?;
    let own_host = |authority: &Authority| {
        let is = |host: &HeaderValue| authority.as_str().as_bytes() == host.as_bytes();
        is(&from.host) || told_host.is_some_and(is)
    };
    if !uri.authority().is_none_or(own_host) || !uri.path().starts_with('/') {
        return None;
    }
    let path = uri.path().strip_prefix(&from.prefix).unwrap_or(uri.path());
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    HeaderValue::try_from(format!("{}{query}{fragment}", route.public_path(path))).ok()
}

fn may_pass_to_upstream(name: &HeaderName) -> bool {
    let text = name.as_str();
    let set_by_us = [HOST, AUTHORIZATION, CONTENT_LENGTH, EXPECT, FORWARDED].contains(name);
    let is_between_mlflows_parts = text.starts_with(MLFLOWS_PREFIX) && !OF_MLFLOWS_CLIENTS.contains(&text);
    !(set_by_us
        || is_between_mlflows_parts
        || is_hop_by_hop(name)
        || NOT_FOR_UPSTREAM.contains(&text)
        || OWN_PREFIXES.iter().any(|prefix| text.starts_with(prefix)))
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE].contains(name)
        || ["keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"]
            .contains(&name.as_str())
}

/// The headers that `Connection` names.
fn named_by_connection(headers: &HeaderMap) -> Vec<&str> {
    let values = headers.get_all(CONNECTION).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).collect()
}

/// Whether a header stays here because `Connection` names it.
pub(crate) fn is_named_by_connection(name: &HeaderName, headers: &HeaderMap) -> bool {
    named_by_connection(headers).iter().any(|named| name.as_str().eq_ignore_ascii_case(named))
}

/// The workspace that the key is bound to, if it is.
pub(super) fn set_workspace(grant: &Grant, to: &mut HeaderMap) {
    let workspace = grant.principal().workspace.as_ref();
    add(to, WORKSPACE, workspace.and_then(|workspace| HeaderValue::from_str(workspace.as_str()).ok()));
}

fn add(to: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        to.append(name, value);
    }
}

fn identity(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&Cow::from(utf8_percent_encode(text, NOT_IN_IDENTITY))).ok()
}

fn authorization(auth: &UpstreamAuth) -> Option<HeaderValue> {
    let mut value = match auth {
        UpstreamAuth::None => return None,
        UpstreamAuth::Bearer(token) => Bearer::new(token.expose_secret().to_owned()).try_into_value().ok()?,
        UpstreamAuth::Basic { username, password } => {
            Basic::new(username.clone(), Some(password.expose_secret().to_owned())).try_into_value().ok()?
        }
    };
    value.set_sensitive(true);
    Some(value)
}
