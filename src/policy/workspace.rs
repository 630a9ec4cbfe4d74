//! Keeps a key that is bound to one workspace of MLflow's inside it.
//!
//! MLflow separates the data of workspaces by a header, which the last step sets; it checks no more than that. What is
//! here are the ways around it, each tried on MLflow 3.17.2: docs/ACCESS.md tells them.

use std::{io, sync::LazyLock};

use actix_web::{dev::Payload, error::PayloadError};
use futures_util::StreamExt as _;
use serde_json::Value;

use super::collation::{Name, Search};
use crate::{
    auth::{Principal, Workspace},
    routing::{self, ArtifactPath, Reach, Route, Rule, WORKSPACES},
};

/// The tags of a trace from which MLflow takes where its data is, and opens it with rights of its own
/// (mlflow/tracing/constant.py). Some of them it looks up in the database (mlflow/store/tracking/sqlalchemy_store.py,
/// `_select_archived_traces_for_delete`), which takes other spellings for them.
static TAGS_OF_PLACES: LazyLock<[Name; 3]> = LazyLock::new(|| {
    ["mlflow.artifactLocation", "mlflow.trace.archiveLocation", "mlflow.trace.spansLocation"].map(Name::new)
});
/// Where a model version's files may be: addresses that MLflow resolves inside the workspace, and the words for versions
/// without files.
const SOURCES: [&str; 5] = ["runs:/", "models:/", "mlflow-artifacts:/", "dummy-source", "prompt-template"];

const ELSEWHERE: &str = "this artifact is not in it";

/// A request by which one workspace could reach another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this API key is bound to the workspace `{workspace}`, and {what}")]
pub struct Outside {
    workspace: String,
    what: &'static str,
}

/// What a body names that MLflow does not look for in the workspace itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Mentions {
    /// Logged models that metrics are written to.
    pub(crate) model_ids: Vec<String>,
}

/// The folder of all files of skills.
const SKILLS: &str = "skills";
/// More models than one request of MLflow's client ever writes metrics of.
const MAX_MODELS: usize = 16;

impl Outside {
    /// A logged model that is not in the workspace of its writer.
    pub(crate) fn model(writer: &Principal) -> Self {
        let workspace = writer.workspace.as_ref().map(|workspace| workspace.as_str().to_owned());
        Self { workspace: workspace.unwrap_or_default(), what: "the logged model is not in it" }
    }
}

fn outside(workspace: &Workspace, what: &'static str) -> Outside {
    Outside { workspace: workspace.as_str().to_owned(), what }
}

/// A tag by which MLflow's server would run a job with secrets that it does not look for in the workspace.
pub(super) fn order(workspace: &Workspace) -> Outside {
    outside(workspace, "this tag has the server run a job with secrets of every workspace")
}

/// # Errors
/// A route or a path that leads out of the workspace.
pub(super) fn check_route(workspace: &Workspace, route: &Route) -> Result<(), Outside> {
    let refuse = |what| Err(outside(workspace, what));
    if route.rule().reach == Reach::EveryWorkspace {
        return refuse("this route reaches every workspace");
    }
    // MLflow sets no workspace at all for a path that ends like this one (mlflow/server/workspace_helpers.py).
    if route.path().trim_end_matches('/').ends_with("/mlflow/server-info")
        && !route.rule().pattern.ends_with("/mlflow/server-info")
    {
        return refuse("this path would be served without one");
    }
    let is_inside =
        |artifact: Result<ArtifactPath<'_>, _>| artifact.is_ok_and(|path| holds(workspace, &path));
    let mut artifacts = route.artifacts().peekable();
    // A route of the store that names none could reach all of it.
    let is_elsewhere = artifacts.peek().is_none() && route.is_artifact_stores() && is_default(workspace);
    if is_elsewhere || !artifacts.all(is_inside) {
        return refuse(ELSEWHERE);
    }
    Ok(())
}

fn is_default(workspace: &Workspace) -> bool {
    workspace.as_str() == "default"
}

/// Whether an artifact is the workspace's (mlflow/server/handlers.py, `_get_workspace_scoped_repo_path_if_enabled`).
///
/// What does not begin with `workspaces` MLflow puts below `workspaces/NAME/`. The default workspace's it takes from the root
/// of the store, where all are: of its own there are the folders of experiments, which are older than workspaces, and of
/// skills (mlflow/store/tracking/skill_registry/artifact_paths.py); what else it has made since is below
/// `workspaces/default/` (mlflow/store/tracking/sqlalchemy_workspace_store.py, `_get_artifact_location`).
fn holds(workspace: &Workspace, artifact: &ArtifactPath<'_>) -> bool {
    if !artifact.is_of_store() {
        return true;
    }
    let (first, rest) = artifact.split();
    if first.eq_ignore_ascii_case(WORKSPACES) {
        return first == WORKSPACES && rest.split('/').next() == Some(workspace.as_str());
    }
    let is_experiment = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    !is_default(workspace) || is_experiment || first == SKILLS
}

/// Whether a route's body may name logged models that are not looked for in the workspace.
pub(super) fn names_models(rule: &Rule) -> bool {
    rule.pattern.ends_with("/runs/log-metric") || rule.pattern.ends_with("/runs/log-batch")
}

/// # Errors
/// A body that names what is not the workspace's.
pub(super) fn check_body(workspace: &Workspace, route: &Route, body: &Value) -> Result<Mentions, Outside> {
    let refuse = |what| Err(outside(workspace, what));
    if has_tag_of_place(body) {
        return refuse("a trace's tags may not say where its data is");
    }
    if !routing::artifact_in_body(route.rule(), body)
        .all(|artifact| artifact.is_ok_and(|path| holds(workspace, &path)))
    {
        return refuse(ELSEWHERE);
    }
    let pattern = route.rule().pattern.as_str();
    if pattern.ends_with("/mlflow/model-versions/create") {
        let source = body["source"].as_str().unwrap_or_default();
        if !SOURCES.iter().any(|allowed| source.starts_with(allowed)) {
            return refuse("a model version's source may be runs:/…, models:/… or mlflow-artifacts:/… only");
        }
    }
    if pattern.ends_with("/3.0/mlflow/traces") && has_field(body, &["assessmentid", "overrides"]) {
        return refuse("the assessments of a new trace may not name others");
    }
    let mut mentions = Mentions::default();
    if names_models(route.rule()) {
        models(body, &mut mentions.model_ids);
        if mentions.model_ids.len() > MAX_MODELS {
            return refuse("a request may write metrics of 16 models at once");
        }
    }
    Ok(mentions)
}

/// Any text of the body, a field's name or a value: in a trace of version 2 tags are a list, in one of version 3 an object.
fn has_tag_of_place(value: &Value) -> bool {
    let is_one = |text: &str| TAGS_OF_PLACES.iter().any(|tag| tag.is(text));
    match value {
        Value::String(text) => is_one(text),
        Value::Array(items) => items.iter().any(has_tag_of_place),
        Value::Object(fields) => fields.iter().any(|(name, value)| is_one(name) || has_tag_of_place(value)),
        _ => false,
    }
}

/// Breaks a body of spans off where it holds a [tag of a place](TAGS_OF_PLACES): an attribute of a root span or of a
/// resource becomes a trace's tag (mlflow/store/tracking/sqlalchemy_store.py, `log_spans`).
pub(super) fn scan(workspace: &Workspace, payload: Payload) -> Payload {
    let outside = outside(workspace, "spans may not say where a trace's data is");
    let mut search = Search::new(&*TAGS_OF_PLACES);
    let scanned = payload.map(move |chunk| match chunk? {
        chunk if search.finds(&chunk) => Err(PayloadError::Io(io::Error::other(outside.clone()))),
        chunk => Ok(chunk),
    });
    Payload::Stream { payload: scanned.boxed_local() }
}

/// A field's name without what tells its spellings apart.
fn plain(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}

fn has_field(value: &Value, names: &[&str]) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| has_field(item, names)),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| names.contains(&plain(name).as_str()) || has_field(value, names)),
        _ => false,
    }
}

fn models(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| models(item, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    // One too many is enough to know.
                    _ if found.len() > MAX_MODELS => return,
                    Value::String(id) if plain(name) == "modelid" && !id.is_empty() => {
                        if !found.contains(id) {
                            found.push(id.clone());
                        }
                    }
                    _ => models(value, found),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
