//! The second step: the route of a request.
//!
//! A target is read once ([`target`]), found under a public mount ([`mounts`]) and in the table of MLflow's routes
//! ([`table`]), and turned into the path and query for MLflow. The inspected bytes are the forwarded bytes.

mod artifact;
mod methods;
mod mounts;
mod parameters;
mod pattern;
mod row;
mod rule;
mod subject;
mod table;
mod tagging;
mod target;

use std::{borrow::Cow, sync::Arc};

use actix_web::http::{Method, Uri, header::HeaderMap, uri::PathAndQuery};
use serde_json::Value;

pub use artifact::ArtifactPath;
pub(crate) use artifact::{Base, WORKSPACES, in_body as artifact_in_body};
pub use methods::Methods;
pub use parameters::{Condition, Effect, Parameter};
pub use rule::{AnswerFilter, Artifact, Body, BodyCheck, Reach, Rule, Stamp};
pub use subject::{Field, Kind, Named, PathName, Place, Sources, Subject, SubjectError, Subjects};
pub(crate) use subject::{MAX_NAMED, json_name};
pub use table::{Replaced, RouteTable, TableError};
pub(crate) use tagging::Tagged;
pub use tagging::{Change, Tagging};

use crate::{
    head::{SoundHead, has_body},
    settings::{Mlflow, RestPrefix},
    vocabulary::RouteClass,
};

/// Where a request goes at MLflow. Only [`Routes::resolve`] makes one.
#[derive(Debug, Clone)]
pub struct Route {
    target: PathAndQuery,
    /// The public mount that was cut off.
    mount: &'static str,
    static_prefix: Arc<str>,
    is_artifact_stores: bool,
    is_head: bool,
    rule: Arc<Rule>,
    /// The path at MLflow decoded once, if that differs from the path as it came.
    decoded: Option<Box<str>>,
}

impl Route {
    /// The path and query for MLflow: the client's own bytes after the upstream's prefix.
    pub fn target(&self) -> &PathAndQuery {
        &self.target
    }

    /// The public mount of the request; empty at the root.
    pub fn mount(&self) -> &'static str {
        self.mount
    }

    /// The path at MLflow by which routes are found: decoded once, without the static prefix.
    pub fn path(&self) -> &str {
        let path = self.target.path();
        self.decoded.as_deref().unwrap_or_else(|| path.strip_prefix(&*self.static_prefix).unwrap_or(path))
    }

    /// The artifact paths that it names, as MLflow reads them. None is an error: `resolve` would have refused it.
    pub fn artifacts(&self) -> impl Iterator<Item = Result<ArtifactPath<'_>, &'static str>> {
        artifact::named(&self.rule, self.is_head, self.path(), self.target.query())
    }

    /// The things that its requests change; `None`: its row does not say.
    ///
    /// # Errors
    /// A request that does not name them, or names them twice.
    pub fn subjects(
        &self,
        headers: &HeaderMap,
        body: Option<&Value>,
    ) -> Result<Option<Vec<Named>>, SubjectError> {
        let Some(subjects) = &self.rule.subjects else { return Ok(None) };
        let mut named = subjects.named(self.sources(headers, body))?;
        named.extend(self.artifact_subjects(subjects));
        Ok(Some(named))
    }

    /// Those of them that can be read, for a record.
    pub fn readable_subjects(&self, headers: &HeaderMap, body: Option<&Value>) -> Vec<Named> {
        let Some(subjects) = &self.rule.subjects else { return Vec::new() };
        let mut named = subjects.readable(self.sources(headers, body));
        named.extend(self.artifact_subjects(subjects));
        named
    }

    fn sources<'a>(&'a self, headers: &'a HeaderMap, body: Option<&'a Value>) -> Sources<'a> {
        Sources { path: self.path(), query: self.target.query(), headers, body }
    }

    fn artifact_subjects(&self, subjects: &Subjects) -> impl Iterator<Item = Named> {
        let artifacts = subjects.name_an_artifact().then(|| self.artifacts().flatten());
        artifacts.into_iter().flatten().map(|path| Named {
            kind: Kind::Artifact,
            field: "artifact_path".to_owned(),
            id: path.as_str().to_owned(),
            is_listed: false,
        })
    }

    /// The public path of a path at MLflow, under the mount of this request.
    pub fn public_path(&self, path: &str) -> String {
        format!("{}{}", self.mount, path.strip_prefix(&*self.static_prefix).unwrap_or(path))
    }

    /// Whether the servers of artifacts answer it.
    pub fn is_artifact_stores(&self) -> bool {
        self.is_artifact_stores
    }

    /// Whether MLflow forwards the request's headers to a provider of models. Decided by the path, as MLflow does: an operator's
    /// row may have another class.
    pub fn calls_out(&self) -> bool {
        self.path().starts_with("/gateway/")
    }

    /// Whether the path ends as that of `server-info` does: MLflow then sets no workspace (mlflow/server/workspace_helpers.py).
    pub fn ends_like_server_info(&self) -> bool {
        self.path().trim_end_matches('/').ends_with("/mlflow/server-info")
    }

    /// The pattern of its row: one of the table's, which are as many as its rows.
    pub fn pattern(&self) -> &Arc<str> {
        &self.rule.pattern
    }

    /// Its row of the table.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    pub fn class(&self) -> RouteClass {
        self.rule.class
    }

    /// Whether it changes nothing at MLflow, whatever the method: searches are POSTs.
    pub fn is_read(&self) -> bool {
        self.rule.class.is_read() || self.rule.method.is_safe()
    }
}

/// Why a request has no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    #[error("the path {0}")]
    BadPath(&'static str),
    #[error("the gateway knows no route of MLflow with this path")]
    Unknown,
    #[error("MLflow has this path, but not with this method: {0}")]
    Method(Methods),
    #[error("the gateway does not know a parameter of this query: the table of routes names those that pass")]
    UnknownParameter,
    #[error("a GET of this route has a body: its parameters are judged in the query, and pass nowhere else")]
    BodyOfGet,
}

/// The public mounts and the table of routes.
#[derive(Debug)]
pub struct Routes {
    rest: RestPrefix,
    /// MLflow's `--static-prefix`, without a slash at the end.
    static_prefix: Arc<str>,
    table: RouteTable,
}

impl Routes {
    /// # Errors
    /// Faults of the operator's file of routes.
    pub fn open(mlflow: &Mlflow) -> Result<Self, TableError> {
        let table = RouteTable::open(mlflow.routes_file.as_deref())?;
        Ok(Self { rest: mlflow.rest, static_prefix: mlflow.static_prefix.as_str().into(), table })
    }

    pub fn table(&self) -> &RouteTable {
        &self.table
    }

    /// The methods of a public path, if it is one of MLflow's.
    pub fn methods(&self, uri: &Uri) -> Option<Methods> {
        let (_, path) = mounts::path_at_mlflow(uri.path())?;
        self.table.methods(&target::inspect(path, self.table.names()).ok()?)
    }

    /// Reads a target once, for the decision and the upstream request alike.
    ///
    /// # Errors
    /// A method or a target that is not served and must not be forwarded.
    pub fn resolve(&self, head: SoundHead<'_>) -> Result<Route, RouteError> {
        let uri = &head.get().uri;
        if !uri.path().starts_with('/') {
            return Err(RouteError::BadPath("does not begin with a slash"));
        }
        let (mount, path) = mounts::path_at_mlflow(uri.path()).ok_or(RouteError::Unknown)?;
        let plain = target::inspect(path, self.table.names()).map_err(RouteError::BadPath)?;
        if has_body(&head.get().headers) && self.table.judges_query(&head.get().method, &plain) {
            return Err(RouteError::BodyOfGet);
        }
        let rule = self.table.find(&head.get().method, &plain, uri.query())?;
        let is_head = head.get().method == Method::HEAD;
        for artifact in artifact::named(rule, is_head, &plain, uri.query()) {
            let artifact = artifact.map_err(RouteError::BadPath)?;
            if artifact.is_root() && !rule.class.is_read() {
                return Err(RouteError::BadPath("names a whole root, which no request may change"));
            }
        }

        let mut target = String::with_capacity(self.static_prefix.len() + uri.path().len() + 16);
        target.push_str(&self.static_prefix);
        match (self.rest, path.strip_prefix("/api/")) {
            (RestPrefix::AjaxApi, Some(rest)) => {
                target.push_str("/ajax-api/");
                target.push_str(rest);
            }
            _ => target.push_str(path),
        }
        // http's PathAndQuery keeps the position of the query in 16 bits, unchecked.
        if target.len() >= usize::from(u16::MAX) {
            return Err(RouteError::BadPath("is too long to be sent on"));
        }
        if let Some(query) = uri.query() {
            target.push('?');
            target.push_str(query);
        }
        let target = PathAndQuery::try_from(target).map_err(|_| RouteError::BadPath("cannot be sent on"))?;
        Ok(Route {
            target,
            mount,
            static_prefix: Arc::clone(&self.static_prefix),
            is_artifact_stores: target::is_artifact_stores(&plain),
            is_head,
            rule: Arc::clone(rule),
            decoded: matches!(plain, Cow::Owned(_)).then(|| plain.into()),
        })
    }
}

#[cfg(test)]
mod tests;
