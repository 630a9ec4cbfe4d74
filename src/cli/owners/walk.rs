//! Every experiment and registered model, in each workspace. Only one page of them is in memory.

use std::{collections::VecDeque, fmt, vec};

use serde_json::{Value, json};
use url::form_urlencoded;

use super::{
    Names,
    remote::{CallError, Remote, WorkspaceName},
};
use crate::{
    auth::Workspace,
    doctor::Response,
    ownership::{Thing, ThingKind},
};

/// How many are asked for at once.
const PAGE: usize = 200;

/// What MLflow lists apart from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    Experiments,
    Models,
    /// Registered models with a tag, which a search for models leaves out.
    Prompts,
}

/// An experiment or a registered model.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) listing: Listing,
    pub(super) workspace: WorkspaceName,
    /// An experiment's; a model has only a name.
    pub(super) id: Option<String>,
    pub(super) is_deleted: bool,
    pub(super) thing: Thing,
}

pub(super) struct Walk<'a> {
    remote: &'a Remote,
    names: &'a Names,
    /// What is to be listed, the present listing first.
    left: VecDeque<(WorkspaceName, Listing)>,
    /// Where the present listing goes on.
    token: Option<String>,
    size: usize,
    page: vec::IntoIter<Found>,
}

impl Listing {
    const fn kind(self) -> ThingKind {
        match self {
            Self::Experiments => ThingKind::Experiment,
            Self::Models | Self::Prompts => ThingKind::Model,
        }
    }

    /// The word for one of them.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Experiments => "experiment",
            Self::Models => "model",
            Self::Prompts => "prompt",
        }
    }

    /// The field of MLflow's answer.
    const fn field(self) -> &'static str {
        match self {
            Self::Experiments => "experiments",
            Self::Models | Self::Prompts => "registered_models",
        }
    }

    /// Asks for a page, in an order that setting tags does not change.
    async fn ask(
        self,
        remote: &Remote,
        workspace: &WorkspaceName,
        token: Option<&str>,
        size: usize,
    ) -> Result<Response, CallError> {
        if self == Self::Experiments {
            let mut body =
                json!({ "view_type": "ALL", "order_by": ["experiment_id ASC"], "max_results": size });
            if let Some(token) = token {
                body["page_token"] = token.into();
            }
            return remote.ask(workspace, "2.0/mlflow/experiments/search", Some(&body)).await;
        }
        // By name, which is MLflow's own order.
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("max_results", &size.to_string());
        if self == Self::Prompts {
            query.append_pair("filter", "tags.`mlflow.prompt.is_prompt` = 'true'");
        }
        if let Some(token) = token {
            query.append_pair("page_token", token);
        }
        let path = format!("2.0/mlflow/registered-models/search?{}", query.finish());
        remote.ask(workspace, &path, None).await
    }
}

impl<'a> Walk<'a> {
    /// # Errors
    /// As [`Remote::workspaces`].
    pub(super) async fn begin(
        remote: &'a Remote,
        names: &'a Names,
        workspace: Option<&Workspace>,
    ) -> Result<Self, CallError> {
        let mut left = VecDeque::new();
        for workspace in remote.workspaces(workspace).await? {
            for listing in [Listing::Experiments, Listing::Models, Listing::Prompts] {
                if names.of(listing.kind()).is_some() {
                    left.push_back((workspace.clone(), listing));
                }
            }
        }
        Ok(Self { remote, names, left, token: None, size: PAGE, page: Vec::new().into_iter() })
    }

    /// The next one with a name that fits.
    ///
    /// # Errors
    /// A page that MLflow does not give.
    pub(super) async fn next(&mut self) -> Result<Option<Found>, CallError> {
        loop {
            let fits = |found: &Found| {
                self.names.of(found.listing.kind()).is_some_and(|globs| globs.fit(&found.thing.name))
            };
            if let Some(found) = self.page.find(fits) {
                return Ok(Some(found));
            }
            let Some((workspace, listing)) = self.left.front() else { return Ok(None) };
            let answer = listing.ask(self.remote, workspace, self.token.as_deref(), self.size).await?;
            if answer.is_cut && self.size > 1 {
                self.size /= 2;
                continue;
            }
            let page = (!answer.is_cut).then(|| read(&answer.json(), workspace, *listing)).flatten();
            let (found, token) = page.ok_or_else(|| self.remote.not_mlflows(&answer))?;
            if token.is_none() {
                self.left.pop_front();
                self.size = PAGE;
            } else if token == self.token {
                return Err(self.remote.not_mlflows(&answer));
            }
            (self.page, self.token) = (found.into_iter(), token);
        }
    }
}

/// The things of a page, and the token of the next one. MLflow leaves out what is empty.
fn read(page: &Value, workspace: &WorkspaceName, listing: Listing) -> Option<(Vec<Found>, Option<String>)> {
    let fields = page.as_object()?;
    let found = match fields.get(listing.field()) {
        Some(items) => items
            .as_array()?
            .iter()
            .map(|item| Found::read(item, workspace, listing))
            .collect::<Option<_>>()?,
        None if fields.is_empty() => Vec::new(),
        None => return None,
    };
    let token = page["next_page_token"].as_str().filter(|token| !token.is_empty());
    Some((found, token.map(str::to_owned)))
}

impl Found {
    fn read(item: &Value, workspace: &WorkspaceName, listing: Listing) -> Option<Self> {
        let thing = Thing::found(listing.kind(), item.clone()).ok().filter(|thing| !thing.name.is_empty())?;
        let id = match listing {
            Listing::Experiments => Some(item["experiment_id"].as_str()?.to_owned()),
            Listing::Models | Listing::Prompts => None,
        };
        let is_deleted = item["lifecycle_stage"] == "deleted";
        Some(Self { listing, workspace: workspace.clone(), id, is_deleted, thing })
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.listing.word(), self.thing.name)?;
        if let Some(id) = &self.id {
            write!(f, " ({})", id.escape_debug())?;
        }
        match &self.workspace {
            Some(workspace) => write!(f, " in workspace {}", workspace.escape_debug()),
            None => Ok(()),
        }
    }
}
