//! The words of refusals: things, users and patterns as they are told to whoever has the key.

use super::thing::ThingKind;
use crate::{redaction::without_keys, routing::Kind};

/// Patterns of a fence that a message tells.
const MAX_TOLD: usize = 10;
/// Characters of a name or a user that a message tells: both come from other users.
pub(super) const LONGEST: usize = 128;

pub(super) fn thing(kind: ThingKind, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("the {} \"{}\"", kind.word(), shown(name)),
        None => format!("this {}", kind.word()),
    }
}

/// What has no name that a fence could have, nor an owner.
pub(super) fn subject(kind: Kind) -> String {
    match kind {
        Kind::Artifact => "a path that is in no experiment".to_owned(),
        Kind::Dataset => "a dataset without an experiment".to_owned(),
        Kind::Location => "artifact_location, the place of an experiment's artifacts,".to_owned(),
        Kind::McpServer => "an MCP server".to_owned(),
        Kind::Mutation => "a GraphQL mutation".to_owned(),
        Kind::Server => "what this route may change without naming it".to_owned(),
        kind => kind.phrase(),
    }
}

/// As MLflow says it (mlflow/store/tracking/sqlalchemy_store.py and mlflow/store/model_registry/sqlalchemy_store.py).
pub(super) fn missing(kind: ThingKind, id: &str) -> String {
    match kind {
        ThingKind::Experiment => format!("No Experiment with id={id} exists"),
        ThingKind::Model => format!("Registered Model with name={} not found", shown(id)),
    }
}

pub(super) fn ownerless(kind: Kind) -> String {
    let what = subject(kind);
    match kind {
        Kind::Location => format!("{what} is chosen by administrators: leave it out"),
        Kind::Dataset => {
            format!(
                "{what} has no owner: name an experiment of your own, or ask an administrator to add it to one"
            )
        }
        Kind::Mutation => format!("{what} is for administrators: use MLflow's REST API"),
        _ => format!("{what} has no owner: only an administrator may change it"),
    }
}

/// A name that another user chose: in one line, without API keys, and not too long.
pub(super) fn shown(name: &str) -> String {
    let name = without_keys(name);
    let mut characters = name.chars();
    let begin: String = characters.by_ref().take(LONGEST).collect();
    let more = if characters.next().is_some() { "…" } else { "" };
    // A tag may hold a line break, or mark the text behind it as right-to-left.
    let quoted = format!("{begin:?}");
    format!("{}{more}", &quoted[1..quoted.len() - 1])
}

pub(super) fn listed(patterns: &[String]) -> String {
    if patterns.is_empty() {
        return "it may change none".to_owned();
    }
    let told = patterns.iter().take(MAX_TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
    match patterns.len().saturating_sub(MAX_TOLD) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}
