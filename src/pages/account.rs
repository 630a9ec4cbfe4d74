//! The account: who holds the key, and what it may do.

use actix_web::{HttpResponse, http::StatusCode};
use maud::{Markup, html};
use serde::Serialize;

use super::sheet::{Framing, page};
use crate::{
    auth::{Globs, Principal},
    limits::{Allowance, Concurrent, Left},
    vocabulary::RouteClass,
};

/// Also an answer for programs.
#[derive(Debug, Serialize)]
pub(crate) struct Account<'a> {
    #[serde(flatten)]
    pub(crate) principal: &'a Principal,
    /// Whose word the session is on; `null`: it is a key.
    pub(crate) issuer: Option<&'a str>,
    /// The classes of routes that it may use.
    pub(crate) may: Vec<RouteClass>,
    /// `null` where there are none.
    pub(crate) limits: Option<Left>,
}

/// `address`: the gateway's, for MLflow's client.
pub(crate) fn account(account: &Account<'_>, address: &str) -> HttpResponse {
    let Account { principal, issuer, may, limits } = account;
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "—".to_owned());
    let body = html! {
        h1 { "Your account" }
        nav { a href="/mlflow/" { "Open MLflow" } }
        dl {
            dt { "User" } dd { (text(&principal.user_id)) }
            @match issuer {
                Some(issuer) => { dt { "Logged in at" } dd { (issuer) } }
                None => { dt { "Key" } dd { (text(&principal.key_id)) } }
            }
            dt { "Scopes" } dd { (scopes(principal)) }
            dt { "May" } dd { (may.iter().map(|class| class.word().replace('_', " ")).collect::<Vec<_>>().join(", ")) }
            dt { "Workspace" } dd { (principal.workspace.as_ref().map_or("any", |workspace| workspace.as_str())) }
            dt { "Models it may change" } dd { (globs(principal.fence.models.as_ref())) }
            dt { "Experiments it may change" } dd { (globs(principal.fence.experiments.as_ref())) }
            dt { (if issuer.is_some() { "Session ends" } else { "Expires" }) }
            dd { (principal.expires_at.map_or_else(|| "never".to_owned(), |at| at.strftime("%F %H:%M UTC").to_string())) }
            @if let Some(limits) = limits {
                dt { "Reads left" } dd { (left(limits.reads)) }
                dt { "Changes left" } dd { (left(limits.writes)) }
                @if let Some(creates) = limits.creates {
                    dt { "New experiments, runs and models left" } dd { (left(creates)) }
                }
                @if let Some(bytes) = limits.artifact_bytes {
                    dt { "Bytes of artifacts left" } dd { (left(bytes)) }
                }
                dt { "At once" } dd { (at_once(limits.concurrent)) }
            }
        }
        h2 { "For MLflow’s client" }
        pre {
            "export MLFLOW_TRACKING_URI=" (address) "/api/mlflow\n"
            "export MLFLOW_TRACKING_TOKEN=…   # your API key"
        }
        form method="post" action="/logout" { button type="submit" { "Log out" } }
    };
    page(StatusCode::OK, Framing::Nobody, "Your account", &body)
}

fn scopes(principal: &Principal) -> String {
    match principal.scopes.as_deref() {
        _ if principal.is_admin => "administrator".to_owned(),
        None => "the default ones".to_owned(),
        Some([]) => "none".to_owned(),
        Some(scopes) => scopes.join(", "),
    }
}

fn globs(globs: Option<&Globs>) -> Markup {
    html! {
        @match globs.map(Globs::patterns) {
            None => "any",
            Some([]) => "none",
            Some(patterns) => @for (at, pattern) in patterns.iter().enumerate() {
                @if at > 0 { ", " }
                code { (pattern) }
            },
        }
    }
}

fn at_once(Concurrent { limit, requests, artifacts }: Concurrent) -> String {
    format!(
        "{limit} requests, of which {requests} are under way, and {limit} transfers of artifacts, of which {artifacts} are"
    )
}

fn left(Allowance { limit, remaining, .. }: Allowance) -> String {
    format!("{remaining} now, {limit} an hour")
}
