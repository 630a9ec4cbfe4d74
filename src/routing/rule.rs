//! A row of the table of routes, parsed.

use std::sync::Arc;

use actix_web::http::Method;

use super::{
    parameters::Parameter,
    subject::{Kind, Subjects},
    tagging::Tagging,
};
use crate::vocabulary::{RouteClass, words};

/// One method and path of MLflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub class: RouteClass,
    pub reach: Reach,
    pub method: Method,
    /// Its path: `{name}` is a segment, `{*name}` the rest.
    pub pattern: Arc<str>,
    /// What its requests change. `None`: the row does not say, as one that changes nothing.
    pub subjects: Option<Subjects>,
    /// The parameters of its query that pass; where none is named, all do.
    pub parameters: Vec<Parameter>,
    pub tagging: Option<Tagging>,
    pub body: Body,
    pub artifact: Option<Artifact>,
    pub check: Option<BodyCheck>,
    pub answer: Option<AnswerFilter>,
    /// What the gateway writes into the body, where ownership is on.
    pub stamp: Option<Stamp>,
    /// What it makes in an experiment: MLflow's answer, or the request, says in which.
    pub makes: Option<Kind>,
    /// The kind of those it names that are not what MLflow said of them before.
    pub alters: Option<Kind>,
    /// Whether a request makes an experiment, a run or a model, of which there may be only so many in an hour.
    pub is_create: bool,
    /// Whether the `{*name}` at the end of its path is data, in which separators may be percent-encoded.
    pub is_name_free: bool,
}

words! {
    /// How far the effect of a route reaches.
    pub enum Reach {
        /// The workspace of the request only.
        Workspace = "workspace",
        /// All of them.
        EveryWorkspace = "every workspace",
        /// The artifact store itself, past the gateway.
        PastGateway = "direct",
    }
}

words! {
    /// The kind of a request's body, and whether the policy reads it first.
    pub enum Body {
        /// Forwarded unread.
        Any = "any",
        /// Read first.
        Json = "json",
        /// `multipart/form-data` is forwarded unread, anything else is read first as JSON.
        Form = "form",
        /// Read first, for its operation.
        GraphQl = "graphql",
        /// Of OpenTelemetry, scanned as they pass.
        Spans = "spans",
    }
}

impl Body {
    /// The default: bodies that delete, change the registry, administer or change tags are read. A GET has none.
    pub(super) fn by_default(method: &Method, class: RouteClass, tagging: Option<Tagging>) -> Self {
        let is_checked = matches!(
            class,
            RouteClass::Delete | RouteClass::RegistryWrite | RouteClass::RegistryPromote | RouteClass::Admin
        );
        if tagging.is_some() || (is_checked && *method != Method::GET) { Self::Json } else { Self::Any }
    }
}

words! {
    /// A check of the body beyond its JSON: `checks=` in a row.
    pub enum BodyCheck {
        /// The logged models that it names must be in the key's workspace.
        Models = "models",
        /// The source of a model version must be in the key's workspace.
        Source = "source",
        /// Those of a new trace may not name others.
        Assessments = "assessments",
        /// The path of a file at the client.
        LocalPath = "local_path",
        /// The path of an artifact of a run or a logged model.
        ArtifactPath = "artifact_path",
    }
}

words! {
    /// A part of MLflow's response that is not forwarded: `answer=` in a row.
    pub enum AnswerFilter {
        /// The ways past the gateway, where they are denied.
        ServerInfo = "server_info",
        /// What only administrators may see.
        SecretsConfig = "secrets_config",
    }
}

words! {
    /// What the gateway writes into a create.
    pub enum Stamp {
        /// The owner of an experiment or a registered model.
        Owner = "owner",
        /// The author of a logged model or of a version.
        Author = "author",
        /// The author of a run, also where MLflow keeps it.
        Run = "run",
        /// The author of a run only where MLflow keeps it.
        User = "user",
        /// The author of a dataset: a tag in a text of tags.
        Dataset = "dataset",
        /// The author in `created_by`.
        Creator = "creator",
    }
}

/// Where a request names an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Artifact {
    /// `{*}`: in its path, after this many slashes; of the store.
    Path(usize),
    /// `?name`: in a parameter; of the store, and its root without the parameter.
    Parameter(String),
    /// `run?name`: in a parameter; of a run.
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

/// Below this path, the end of a path names an artifact.
const STORE: &str = "/mlflow-artifacts/";

impl Artifact {
    /// Where a row with this pattern names an artifact, by its own words and by the row that it replaces: a part of an artifact's
    /// path is not the beginning of another artifact's.
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

    /// Whether its requests change something at MLflow. A GET does only in a class of writes.
    pub fn changes(&self) -> bool {
        let is_class_of_writes = matches!(
            self.class,
            RouteClass::Write
                | RouteClass::Delete
                | RouteClass::RegistryWrite
                | RouteClass::RegistryPromote
                | RouteClass::ArtifactWrite
                | RouteClass::TraceWrite
        );
        is_class_of_writes || (!self.class.is_read() && !self.method.is_safe())
    }

    /// Whether a body names what is changed, or may have tags. The records of a dataset are not read: they can be large, and their
    /// tags say nothing of who owns what. So are the parameters of a logged model.
    pub fn has_subject_in_body(&self) -> bool {
        let is_named = self.subjects.as_ref().is_some_and(Subjects::are_in_body);
        let may_have_tags = || self.pattern.contains("/tags") || self.method == Method::PATCH;
        self.artifact.is_none() && self.changes() && (is_named || may_have_tags())
    }

    /// Whether it changes the trace of each span in a body.
    pub fn names_spans(&self) -> bool {
        self.subjects.as_ref().is_some_and(Subjects::name_spans)
    }

    /// Whether a request names something of this kind as what it changes.
    pub fn names_a(&self, kind: Kind) -> bool {
        let Some(Subjects::Named(subjects)) = &self.subjects else { return false };
        subjects.iter().any(|subject| subject.kind == kind)
    }

    /// Whether its bodies are artifacts: forms contain files.
    pub fn moves_artifacts(&self) -> bool {
        self.class.moves_artifacts() || self.body == Body::Form
    }

    /// The words of the row after its path.
    pub fn words(&self) -> String {
        let is_default = self.body == Body::by_default(&self.method, self.class, self.tagging);
        let words = [
            self.tagging.map(Tagging::words),
            (!is_default).then(|| format!("body={}", self.body.word())),
            self.artifact.as_ref().map(|artifact| format!("artifact={}", artifact.words())),
            self.check.map(|check| format!("checks={}", check.word())),
            self.answer.map(|answer| format!("answer={}", answer.word())),
            self.stamp.map(|stamp| format!("stamps={}", stamp.word())),
            self.makes.map(|kind| format!("makes={}", kind.word())),
            self.alters.map(|kind| format!("alters={}", kind.word())),
            self.is_create.then(|| "counts=create".to_owned()),
            self.is_name_free.then(|| "name={*}".to_owned()),
        ];
        let parameters = self.parameters.iter().map(Parameter::words);
        parameters.chain(words.into_iter().flatten()).collect::<Vec<_>>().join(" ")
    }
}
