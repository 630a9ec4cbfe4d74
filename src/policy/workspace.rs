//! Keeps a key that is bound to one of MLflow's workspaces inside it.
//!
//! MLflow separates workspaces by a header only, which the last step sets. Here are the ways around the header, each tried on
//! MLflow 3.17.2; docs/ACCESS.md lists them.

use std::{io, sync::LazyLock};

use actix_web::{dev::Payload, error::PayloadError};
use futures_util::StreamExt as _;
use serde_json::Value;

use super::collation::{Name, Search};
use crate::{
    auth::{Principal, Workspace},
    routing::{self, AnswerFilter, ArtifactPath, BodyCheck, Reach, Route, WORKSPACES},
};

/// The tags of a trace that say where its data is, which MLflow then opens with its own rights (mlflow/tracing/constant.py).
/// Some are looked up in the database (mlflow/store/tracking/sqlalchemy_store.py, `_select_archived_traces_for_delete`),
/// which accepts other spellings.
static LOCATION_TAGS: LazyLock<[Name; 3]> = LazyLock::new(|| {
    ["mlflow.artifactLocation", "mlflow.trace.archiveLocation", "mlflow.trace.spansLocation"].map(Name::new)
});
/// The sources that a model version may have: addresses that MLflow resolves inside the workspace, and the words for versions
/// without files.
const SOURCES: [&str; 5] = ["runs:/", "models:/", "mlflow-artifacts:/", "dummy-source", "prompt-template"];

const ELSEWHERE: &str = "this artifact is not in it";
const SPANS_LOCATION: &str = "spans may not say where a trace's data is";

/// A request by which one workspace could reach another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this API key is bound to the workspace `{workspace}`, and {what}")]
pub struct WorkspaceViolation {
    workspace: String,
    what: &'static str,
}

/// The logged models that a body writes metrics to, which MLflow does not look up in the workspace.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ModelReferences {
    pub(crate) ids: Vec<String>,
}

/// The folder of skills' files.
const SKILLS: &str = "skills";
/// More than MLflow's client ever names in one request.
const MAX_MODELS: usize = 16;

impl WorkspaceViolation {
    /// A logged model that is not in the writer's workspace.
    pub(crate) fn model(writer: &Principal) -> Self {
        let workspace = writer.workspace.as_ref().map(|workspace| workspace.as_str().to_owned());
        Self { workspace: workspace.unwrap_or_default(), what: "the logged model is not in it" }
    }
}

fn outside(workspace: &Workspace, what: &'static str) -> WorkspaceViolation {
    WorkspaceViolation { workspace: workspace.as_str().to_owned(), what }
}

/// A tag that triggers a job of MLflow's server, with secrets of all workspaces.
pub(super) fn trigger_tag(workspace: &Workspace) -> WorkspaceViolation {
    outside(workspace, "this tag has the server run a job with secrets of every workspace")
}

/// # Errors
/// A route or a path that leads out of the workspace.
pub(super) fn check_route(workspace: &Workspace, route: &Route) -> Result<(), WorkspaceViolation> {
    let refuse = |what| Err(outside(workspace, what));
    if route.rule().reach == Reach::EveryWorkspace {
        return refuse("this route reaches every workspace");
    }
    if route.ends_like_server_info() && route.rule().answer != Some(AnswerFilter::ServerInfo) {
        return refuse("this path would be served without one");
    }
    let is_inside =
        |artifact: Result<ArtifactPath<'_>, _>| artifact.is_ok_and(|path| holds(workspace, &path));
    let mut artifacts = route.artifacts().peekable();
    // A route of the store without an artifact path could reach all of it.
    let reaches_all = artifacts.peek().is_none() && route.is_artifact_stores() && is_default(workspace);
    if reaches_all || !artifacts.all(is_inside) {
        return refuse(ELSEWHERE);
    }
    Ok(())
}

fn is_default(workspace: &Workspace) -> bool {
    workspace.as_str() == "default"
}

/// Whether an artifact belongs to the workspace (mlflow/server/handlers.py, `_get_workspace_scoped_repo_path_if_enabled`).
///
/// MLflow puts paths that do not begin with `workspaces` below `workspaces/NAME/`. Those of the default workspace it takes from
/// the root of the store, where all workspaces are. There, the default workspace owns the folders of experiments, which are
/// older than workspaces, and of skills (mlflow/store/tracking/skill_registry/artifact_paths.py); newer ones are below
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

/// # Errors
/// A body that refers to something outside the workspace.
pub(super) fn check_body(
    workspace: &Workspace,
    route: &Route,
    body: &Value,
) -> Result<ModelReferences, WorkspaceViolation> {
    let refuse = |what| Err(outside(workspace, what));
    if has_location_tag(body) {
        return refuse("a trace's tags may not say where its data is");
    }
    if !routing::artifact_in_body(route.rule(), body)
        .all(|artifact| artifact.is_ok_and(|path| holds(workspace, &path)))
    {
        return refuse(ELSEWHERE);
    }
    let mut models = ModelReferences::default();
    match route.rule().check {
        Some(BodyCheck::Source) => {
            let source = body["source"].as_str().unwrap_or_default();
            if !SOURCES.iter().any(|allowed| source.starts_with(allowed)) {
                return refuse(
                    "a model version's source may be runs:/…, models:/… or mlflow-artifacts:/… only",
                );
            }
        }
        Some(BodyCheck::Assessments) if has_field(body, &["assessmentid", "overrides"]) => {
            return refuse("the assessments of a new trace may not name others");
        }
        Some(BodyCheck::Models) => {
            collect_model_ids(body, &mut models.ids);
            if models.ids.len() > MAX_MODELS {
                return refuse("a request may write metrics of 16 models at once");
            }
        }
        _ => {}
    }
    Ok(models)
}

/// Looks at names and values alike: tags are a list in traces of version 2, an object in version 3.
fn has_location_tag(value: &Value) -> bool {
    let is_one = |text: &str| LOCATION_TAGS.iter().any(|tag| tag.is(text));
    match value {
        Value::String(text) => is_one(text),
        Value::Array(items) => items.iter().any(has_location_tag),
        Value::Object(fields) => fields.iter().any(|(name, value)| is_one(name) || has_location_tag(value)),
        _ => false,
    }
}

/// Aborts a body of spans at a [location tag](LOCATION_TAGS): an attribute of a root span or of a
/// resource becomes a trace's tag (mlflow/store/tracking/sqlalchemy_store.py, `log_spans`).
pub(super) fn scan(workspace: &Workspace, payload: Payload) -> Payload {
    let outside = outside(workspace, SPANS_LOCATION);
    let mut search = Search::new(&*LOCATION_TAGS);
    let scanned = payload.map(move |chunk| match chunk? {
        chunk if search.finds(&chunk) => Err(PayloadError::Io(io::Error::other(outside.clone()))),
        chunk => Ok(chunk),
    });
    Payload::Stream { payload: scanned.boxed_local() }
}

/// Likewise for a body that was read.
///
/// # Errors
/// A body with a location tag.
pub(super) fn check_spans(workspace: &Workspace, body: &[u8]) -> Result<(), WorkspaceViolation> {
    let has_one = Search::new(&*LOCATION_TAGS).finds(body);
    if has_one { Err(outside(workspace, SPANS_LOCATION)) } else { Ok(()) }
}

/// A field's name without the differences between its spellings.
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

fn collect_model_ids(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_model_ids(item, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    // One too many is enough.
                    _ if found.len() > MAX_MODELS => return,
                    Value::String(id) if plain(name) == "modelid" && !id.is_empty() => {
                        if !found.contains(id) {
                            found.push(id.clone());
                        }
                    }
                    _ => collect_model_ids(value, found),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
