//! What a row says of its route, once it is read.

use actix_web::http::Method;

use super::{parameters::Parameter, tagging::Tagging};
use crate::vocabulary::RouteClass;

/// One method and path of MLflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub class: RouteClass,
    pub reach: Reach,
    pub method: Method,
    /// Its path: `{name}` is a segment, `{*name}` the rest.
    pub pattern: String,
    /// The parameters of its query that pass; where none is named, all do.
    pub parameters: Vec<Parameter>,
    pub tagging: Option<Tagging>,
    pub body: Body,
    pub artifact: Option<Artifact>,
    /// Whether the `{*name}` in which its path ends is data: there separators may be percent-encoded.
    pub is_name_free: bool,
}

/// How far a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// `workspace`: no further than the workspace that it is asked for.
    Workspace,
    /// `every workspace`: beyond it.
    EveryWorkspace,
    /// `direct`: to the artifact store itself.
    PastGateway,
}

impl Reach {
    const ALL: [Self; 3] = [Self::Workspace, Self::EveryWorkspace, Self::PastGateway];

    pub const fn words(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::EveryWorkspace => "every workspace",
            Self::PastGateway => "direct",
        }
    }

    pub(super) fn from_words(words: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reach| reach.words() == words)
    }
}

/// What a request's body is, and whether the policy reads it before it is sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// `any`: passed on as it comes.
    Any,
    /// `json`: read first.
    Json,
    /// `form`: `multipart/form-data` is passed on as it comes, anything else read first as JSON.
    Form,
    /// `graphql`: read first, for its operation.
    GraphQl,
    /// `spans`: of OpenTelemetry, looked at as they pass.
    Spans,
}

impl Body {
    const ALL: [Self; 5] = [Self::Any, Self::Json, Self::Form, Self::GraphQl, Self::Spans];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Json => "json",
            Self::Form => "form",
            Self::GraphQl => "graphql",
            Self::Spans => "spans",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|body| body.word() == word)
    }

    /// Where a row does not say it: what deletes, changes the registry or administers is read, and so are tags. A GET has none.
    pub(super) fn by_default(method: &Method, class: RouteClass, tagging: Option<Tagging>) -> Self {
        let is_checked = matches!(class, RouteClass::Delete | RouteClass::RegistryWrite | RouteClass::Admin);
        if tagging.is_some() || (is_checked && *method != Method::GET) { Self::Json } else { Self::Any }
    }
}

/// Where a request names an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Artifact {
    /// `{*}`: in its path, behind so many slashes, one of the store.
    Path(usize),
    /// `?name`: in a parameter, one of the store; without it, the store's root.
    Parameter(String),
    /// `run?name`: in a parameter, one of a run.
    OfRun(String),
}

impl Artifact {
    pub fn words(&self) -> String {
        match self {
            Self::Path(_) => "{*}".to_owned(),
            Self::Parameter(name) => format!("?{name}"),
            Self::OfRun(name) => format!("run?{name}"),
        }
    }

    pub(super) fn from_words(words: &str) -> Option<Self> {
        let name = |text: &str| Some(text.to_owned()).filter(|name| !name.is_empty());
        match (words, words.strip_prefix('?'), words.strip_prefix("run?")) {
            ("{*}", ..) => Some(Self::Path(0)),
            (_, Some(parameter), _) => name(parameter).map(Self::Parameter),
            (_, _, Some(parameter)) => name(parameter).map(Self::OfRun),
            _ => None,
        }
    }
}

/// Below these paths the end of a path is an artifact's.
const STORE: &str = "/mlflow-artifacts/";

impl Artifact {
    /// Where a row with this pattern names one, by what it says and what the row says whose place it takes: a part of a path
    /// that was an artifact's is no other artifact's beginning.
    pub(super) fn of(said: Option<Option<Self>>, pattern: &str, known: Option<&Rule>) -> Option<Self> {
        let known = known.and_then(|known| known.artifact.clone());
        let before = pattern.split_once("{*").map_or(pattern, |(before, _)| before);
        let own = Self::Path(before.matches('/').count());
        match (said, known) {
            (None | Some(Some(Self::Path(_))), Some(known @ Self::Path(_))) => Some(known),
            (Some(Some(Self::Path(_))), _) => Some(own),
            (Some(said), _) => said,
            (None, Some(known)) => Some(known),
            (None, None) => (before.contains(STORE) && before != pattern).then_some(own),
        }
    }
}

impl Rule {
    /// Whether the end of its path is data.
    pub(super) fn ends_in_data(&self) -> bool {
        self.is_name_free || matches!(self.artifact, Some(Artifact::Path(_)))
    }

    /// Whether what it moves are artifacts: uploads of forms have files in them.
    pub fn moves_artifacts(&self) -> bool {
        self.class.moves_artifacts() || self.body == Body::Form
    }

    /// What a row says behind its path to come to this.
    pub fn words(&self) -> String {
        let parameters = self.parameters.iter().map(Parameter::words);
        let tags = self.tagging.map(Tagging::words);
        let is_said = self.body != Body::by_default(&self.method, self.class, self.tagging);
        let body = is_said.then(|| format!("body={}", self.body.word()));
        let artifact = self.artifact.as_ref().map(|artifact| format!("artifact={}", artifact.words()));
        let name = self.is_name_free.then(|| "name={*}".to_owned());
        parameters.chain(tags).chain(body).chain(artifact).chain(name).collect::<Vec<_>>().join(" ")
    }
}
