//! The artifact paths that a request names, as MLflow reads them.
//!
//! The meaning of a path is decided here, for every key, on the path that MLflow uses in the end: no dot segments, no empty ones,
//! and no change to a whole root. The policy decides on the same path whose artifact it is.

mod reading;

use std::borrow::Cow;

use actix_web::http::Method;
use serde_json::Value;
use url::form_urlencoded;

use super::rule::{Artifact, Rule};

/// The first segment of the paths of workspaces (mlflow/server/handlers.py, `_get_workspace_scoped_repo_path_if_enabled`).
pub(crate) const WORKSPACES: &str = "workspaces";

/// An artifact path of a request, as MLflow reads it.
#[derive(Debug, PartialEq, Eq)]
pub struct ArtifactPath<'a> {
    reading: Cow<'a, str>,
    /// Where it begins.
    base: Base,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    /// The root of the artifact store.
    Store,
    /// The artifacts of a run or of a logged model, which MLflow looks up in the workspace.
    Run,
}

impl<'a> ArtifactPath<'a> {
    /// Reads a path that MLflow's server has decoded once.
    ///
    /// # Errors
    /// An ambiguous path; the end of a sentence that begins with "the path".
    pub(crate) fn read(written: &'a str, base: Base) -> Result<Self, &'static str> {
        let reading = reading::read(written)?;
        let mut segments = reading.split('/').peekable();
        while let Some(segment) = segments.next() {
            match segment {
                "." | ".." => return Err("has dot segments"),
                "" if segments.peek().is_some() => return Err("has empty segments"),
                _ => {}
            }
        }
        Ok(Self { reading, base })
    }

    /// The path that MLflow uses.
    pub fn as_str(&self) -> &str {
        &self.reading
    }

    pub(crate) fn is_of_store(&self) -> bool {
        self.base == Base::Store
    }

    /// Its first segment, and what follows it.
    pub(crate) fn split(&self) -> (&str, &str) {
        self.reading.split_once('/').unwrap_or((&self.reading, ""))
    }

    /// Whether it is a whole root: of the store, of the workspaces or one of them, or of a run. An experiment's folder is not one:
    /// it has one owner.
    pub(crate) fn is_root(&self) -> bool {
        let (first, rest) = self.split();
        let is_workspaces =
            || first.eq_ignore_ascii_case(WORKSPACES) && !rest.trim_end_matches('/').contains('/');
        first.is_empty() || (self.is_of_store() && is_workspaces())
    }
}

/// The artifacts that a request names in its path, decoded once, or in its query, by its row. A listing of the store without a
/// path lists the root, and so may one by HEAD: MLflow reads the query of a GET only (mlflow/server/handlers.py,
/// `_get_request_message`).
pub(super) fn named<'a>(
    rule: &'a Rule,
    is_head: bool,
    path: &'a str,
    query: Option<&'a str>,
) -> impl Iterator<Item = Result<ArtifactPath<'a>, &'static str>> {
    let (slashes, parameter, base) = match &rule.artifact {
        None => (None, None, Base::Store),
        Some(Artifact::Path(slashes)) => (Some(*slashes), None, Base::Store),
        Some(Artifact::Parameter(name)) => (None, Some(name.as_str()), Base::Store),
        Some(Artifact::OfRun(name)) => (None, Some(name.as_str()), Base::Run),
    };
    let in_path = slashes.map(|slashes| behind(path, slashes));
    let mut in_query = in_query(query.unwrap_or_default(), parameter).peekable();
    let is_root = parameter.is_some() && base == Base::Store && (is_head || in_query.peek().is_none());
    let root = is_root.then(|| ArtifactPath { reading: "".into(), base });
    let in_path = in_path.map(|name| ArtifactPath::read(name, base));
    root.map(Ok).into_iter().chain(in_path).chain(in_query.map(move |name| owned(&name, base)))
}

/// The artifacts that a GET names in its body, from which MLflow may take the parameters: every field that could be the parameter,
/// in any spelling.
pub(crate) fn in_body<'a>(
    rule: &Rule,
    body: &'a Value,
) -> impl Iterator<Item = Result<ArtifactPath<'a>, &'static str>> {
    let plain = |name: &str| name.replace('_', "").to_lowercase();
    let (parameter, base) = match &rule.artifact {
        Some(Artifact::Parameter(name)) => (Some(plain(name)), Base::Store),
        Some(Artifact::OfRun(name)) => (Some(plain(name)), Base::Run),
        Some(Artifact::Path(_)) | None => (None, Base::Store),
    };
    let fields = body.as_object().filter(|_| rule.method == Method::GET).into_iter().flatten();
    let named =
        fields.filter(move |(name, _)| parameter.as_ref().is_some_and(|wanted| plain(name) == *wanted));
    named.filter_map(move |(_, value)| match value {
        Value::Null => None,
        Value::String(path) => Some(ArtifactPath::read(path, base)),
        _ => Some(Err("is not a text")),
    })
}

/// The rest after a number of slashes.
fn behind(path: &str, slashes: usize) -> &str {
    path.splitn(slashes + 1, '/').nth(slashes).unwrap_or_default()
}

/// Every value of a parameter; MLflow uses the first (werkzeug/sansio/request.py, `args`).
fn in_query<'a>(query: &'a str, parameter: Option<&'a str>) -> impl Iterator<Item = Cow<'a, str>> {
    let query = if parameter.is_some() { query } else { "" };
    let values = form_urlencoded::parse(query.as_bytes());
    values.filter(move |(name, _)| Some(name.as_ref()) == parameter).map(|(_, value)| value)
}

fn owned<'a>(name: &str, base: Base) -> Result<ArtifactPath<'a>, &'static str> {
    let ArtifactPath { reading, base } = ArtifactPath::read(name, base)?;
    Ok(ArtifactPath { reading: Cow::Owned(reading.into_owned()), base })
}

#[cfg(test)]
mod tests;
