//! The second step: which MLflow path a request asks for.
//!
//! A target is read once ([`target`]), found under a public mount ([`mounts`]) and turned into the path and query
//! that MLflow is sent. The bytes that were inspected are the bytes that are forwarded.

mod mounts;
mod target;

use std::sync::Arc;

use actix_web::http::uri::PathAndQuery;

use crate::{
    head::SoundHead,
    settings::{Mlflow, RestPrefix},
};

/// Where a request goes at MLflow. Only [`Routes::resolve`] makes one.
#[derive(Debug, Clone)]
pub struct Route {
    target: PathAndQuery,
    /// The public mount that was cut off.
    mount: &'static str,
    static_prefix: Arc<str>,
    is_artifact_stores: bool,
    moves_artifacts: bool,
}

/// What ends with these moves artifacts as the store does, and is answered by the tracking server (mlflow/server/__init__.py).
const ARTIFACTS_OF_TRACKING: [&str; 4] =
    ["/get-artifact", "/get-trace-artifact", "/upload-artifact", "/artifacts/files"];

impl Route {
    /// The path and query to send to MLflow: the client's own bytes behind the upstream's prefix.
    pub fn target(&self) -> &PathAndQuery {
        &self.target
    }

    /// The public path of a path at MLflow, by the mount that this request came by.
    pub fn public_path(&self, path: &str) -> String {
        format!("{}{}", self.mount, path.strip_prefix(&*self.static_prefix).unwrap_or(path))
    }

    /// Whether a server of artifacts alone answers it.
    pub fn is_artifact_stores(&self) -> bool {
        self.is_artifact_stores
    }

    /// Whether its bodies are artifacts.
    pub fn moves_artifacts(&self) -> bool {
        self.moves_artifacts
    }
}

/// Why a request has no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    #[error("the path {0}")]
    BadPath(&'static str),
    #[error("no route of MLflow is served at this path")]
    Unknown,
}

/// The public mounts and what stands behind them.
#[derive(Debug)]
pub struct Routes {
    rest: RestPrefix,
    /// MLflow's `--static-prefix`, without a slash at the end.
    static_prefix: Arc<str>,
}

impl Routes {
    pub fn new(mlflow: &Mlflow) -> Self {
        Self { rest: mlflow.rest, static_prefix: mlflow.static_prefix.as_str().into() }
    }

    /// The path of MLflow's own health check, which tells no more than that it runs.
    pub fn health(&self) -> String {
        format!("{}/health", self.static_prefix)
    }

    /// Reads a target once, for the decision and for the upstream request alike.
    ///
    /// # Errors
    /// A method or a target that is not served; nothing of it may be forwarded.
    pub fn resolve(&self, head: SoundHead<'_>) -> Result<Route, RouteError> {
        let uri = &head.get().uri;
        if !uri.path().starts_with('/') {
            return Err(RouteError::BadPath("does not begin with a slash"));
        }
        let (mount, path) = mounts::path_at_mlflow(uri.path()).ok_or(RouteError::Unknown)?;
        let plain = target::inspect(path).map_err(RouteError::BadPath)?;
        let is_artifact_stores = target::is_artifact_stores(&plain);
        let of_tracking =
            ARTIFACTS_OF_TRACKING.iter().any(|moves| plain.trim_end_matches('/').ends_with(moves));

        let mut target = String::with_capacity(self.static_prefix.len() + uri.path().len() + 16);
        target.push_str(&self.static_prefix);
        match (self.rest, path.strip_prefix("/api/")) {
            (RestPrefix::AjaxApi, Some(rest)) => {
                target.push_str("/ajax-api/");
                target.push_str(rest);
            }
            _ => target.push_str(path),
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
            is_artifact_stores,
            moves_artifacts: is_artifact_stores || of_tracking,
        })
    }
}

#[cfg(test)]
mod tests;
