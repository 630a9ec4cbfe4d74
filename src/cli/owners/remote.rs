//! MLflow, asked and changed through a running gateway: its audit stream has each change, and no gateway goes on with an owner that
//! it remembers.

use std::{rc::Rc, time::Duration};

use actix_rt::time::sleep;
use serde_json::{Value, json};

use super::walk::Found;
use crate::{
    auth::Workspace,
    cli::{address::Address, key_from_environment},
    doctor::{Response, Site, excerpt, progress, without_secrets},
};

/// How often, and for how long at most, a call waits for a limit of the key, or for MLflow.
const WAITS: usize = 5;
const LONGEST_WAIT: Duration = Duration::from_secs(60);

pub(super) struct Remote {
    site: Site,
    mount: String,
    authorization: String,
    /// Removed from what servers say.
    key: String,
}

/// Why a call did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// MLflow's own word about the one thing that the call was about.
    #[error("{0}")]
    ThisThing(String),
    /// Another call would fare no better.
    #[error("{0}")]
    Every(String),
}

/// The name of a workspace; `None`: MLflow has none.
pub(super) type WorkspaceName = Option<Rc<str>>;

impl Remote {
    /// # Errors
    /// An address or a key that cannot be used.
    pub(super) fn new(address: &Address) -> Result<Self, String> {
        let mount = address.mount()?.to_owned();
        let key = key_from_environment::required()?;
        let site = Site::new(&address.url, address.tls()?.as_ref());
        Ok(Self { site, mount, authorization: format!("Bearer {key}"), key })
    }

    pub(super) fn has_key(&self, text: &str) -> bool {
        text.contains(&self.key)
    }

    /// The workspaces to look at: the one that is wanted, or all of them.
    ///
    /// # Errors
    /// MLflow does not have it, or does not show its workspaces to this key.
    pub(super) async fn workspaces(
        &self,
        wanted: Option<&Workspace>,
    ) -> Result<Vec<WorkspaceName>, CallError> {
        let info = self.call(None, "3.0/mlflow/server-info", None).await?;
        // Versions without workspaces do not know this path.
        let is_older = info.status.as_u16() == 404 && !info.is_from_gateway();
        if !is_older && !info.status.is_success() {
            return Err(self.refused(&info));
        }
        if info.json()["workspaces_enabled"] != true {
            return match wanted {
                None => Ok(vec![None]),
                Some(_) => {
                    Err(CallError::Every("this MLflow has no workspaces: leave --workspace out".to_owned()))
                }
            };
        }
        let listed = self.call(None, "3.0/mlflow/workspaces", None).await?;
        if !listed.status.is_success() {
            return Err(CallError::Every(format!(
                "the workspaces cannot be listed, which takes a key with mlflow:admin that is bound to none of them: {}",
                self.refused(&listed)
            )));
        }
        let json = listed.json();
        let names = json["workspaces"].as_array().into_iter().flatten();
        let names = names.filter_map(|workspace| workspace["name"].as_str());
        let wanted = wanted.map(Workspace::as_str);
        let found: Vec<WorkspaceName> = names
            .filter(|name| wanted.is_none_or(|wanted| wanted == *name))
            .map(|name| Some(name.into()))
            .collect();
        match wanted {
            Some(name) if found.is_empty() => {
                Err(CallError::Every(format!("MLflow has no workspace {name}")))
            }
            _ if found.is_empty() => Err(self.not_mlflows(&listed)),
            _ => Ok(found),
        }
    }

    /// Asks MLflow, in a workspace.
    ///
    /// # Errors
    /// Any other answer than a 200.
    pub(super) async fn ask(
        &self,
        workspace: &WorkspaceName,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response, CallError> {
        let answer = self.call(workspace.as_deref(), path, body).await?;
        if answer.status.as_u16() == 200 { Ok(answer) } else { Err(self.refused(&answer)) }
    }

    /// # Errors
    /// The tag is not set, or may not be.
    pub(super) async fn set_tag(&self, found: &Found, tag: &str, value: &str) -> Result<(), CallError> {
        let (path, body) = match &found.id {
            Some(id) => (
                "2.0/mlflow/experiments/set-experiment-tag",
                json!({ "experiment_id": id, "key": tag, "value": value }),
            ),
            None => (
                "2.0/mlflow/registered-models/set-tag",
                json!({ "name": found.thing.name, "key": tag, "value": value }),
            ),
        };
        self.ask(&found.workspace, path, Some(&body)).await.map(drop)
    }

    /// A GET, or a POST of a body. Both may be sent twice: tags are set, not added.
    async fn call(
        &self,
        workspace: Option<&str>,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response, CallError> {
        let target = format!("{}/api/{path}", self.mount);
        let mut headers = vec![("authorization", &*self.authorization)];
        headers.extend(workspace.map(|name| ("x-mlflow-workspace", name)));
        headers.extend(body.map(|_| ("content-type", "application/json")));
        let mut waits = 0;
        loop {
            let answer = match body {
                Some(body) => self.site.post(&target, &headers, body).await,
                None => self.site.get(&target, &headers).await,
            };
            let answer = answer.map_err(|error| CallError::Every(self.clean(&error)))?;
            match wait(&answer) {
                Some(pause) if waits < WAITS => {
                    progress(&format!("… waiting for {pause:?}: {}", answer.status));
                    sleep(pause).await;
                    waits += 1;
                }
                _ => return Ok(answer),
            }
        }
    }

    fn refused(&self, answer: &Response) -> CallError {
        let text = self.clean(&excerpt(answer));
        let is_mlflows = !answer.is_from_gateway() && answer.json()["error_code"].is_string();
        match answer.status.as_u16() {
            400 | 404 if is_mlflows => CallError::ThisThing(text),
            _ => CallError::Every(text),
        }
    }

    /// A 200 without what MLflow says.
    pub(super) fn not_mlflows(&self, answer: &Response) -> CallError {
        CallError::Every(self.clean(&format!("this is no answer of MLflow's: {}", excerpt(answer))))
    }

    fn clean(&self, text: &str) -> String {
        without_secrets(text, std::slice::from_ref(&self.key))
    }
}

/// How long the answer says to wait, if it is not too long. A busy database is a 503 of MLflow's that does not say.
fn wait(answer: &Response) -> Option<Duration> {
    if !matches!(answer.status.as_u16(), 429 | 503) {
        return None;
    }
    let seconds = answer.header("retry-after").unwrap_or("1").parse().ok()?;
    Some(Duration::from_secs(seconds)).filter(|wait| *wait <= LONGEST_WAIT)
}
