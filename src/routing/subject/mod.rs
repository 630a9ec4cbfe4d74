//! The subject column of a row: the things that its requests change, and where a request names them.
//!
//! The audit and the policy read the same column. What a value means at MLflow, and whose the thing is, is not decided here.

mod glance;
mod named;
mod reading;
mod sweep;

pub(crate) use named::{MAX_NAMED, json_name};
pub use named::{Named, Sources, SubjectError};

use crate::vocabulary::words;

/// The column of a row that changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subjects {
    /// `free`: nothing that could belong to somebody.
    Free,
    /// Every thing that is named must be the caller's to change.
    Named(Vec<Subject>),
}

/// One kind of thing that a request changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub kind: Kind,
    /// Places of one name, one or more. If a request has several of them with different values, it is ambiguous: MLflow takes one,
    /// and which one depends on the handler.
    pub places: Vec<Place>,
    /// `| none`: a request that has none of the places changes no thing of this kind. Without it, MLflow refuses such a request.
    pub is_optional: bool,
}

words! {
    /// What kind of thing a name names, and so how its owner is found.
    pub enum Kind {
        /// An artifact of the store.
        Artifact = "artifact",
        /// An evaluation dataset, which is in any number of experiments.
        Dataset = "dataset",
        /// An experiment by its id.
        Experiment = "experiment",
        /// The name that an experiment is to have.
        ExperimentName = "experiment_name",
        Issue = "issue",
        LabelSchema = "label_schema",
        /// Where the artifacts of an experiment are to be.
        Location = "location",
        LoggedModel = "logged_model",
        /// A server in the registry of MCP servers. Behind its name, a path goes on with what is in it.
        McpServer = "mcp_server",
        /// A registered model by its name.
        Model = "model",
        /// The name that a registered model is to have.
        ModelName = "model_name",
        ReviewQueue = "review_queue",
        Run = "run",
        /// A mutation of GraphQL, which can change anything.
        Mutation = "mutation",
        /// MLflow's server with whatever experiments and models it has.
        Server = "server",
        /// A skill, by its organization if it has one, and its name.
        Skill = "skill",
        Trace = "trace",
    }
}

impl Kind {
    /// For messages: the word with an article.
    pub fn phrase(self) -> String {
        let article = if self.word().starts_with(['a', 'e', 'i']) { "an" } else { "a" };
        format!("{article} {}", self.word().replace('_', " "))
    }
}

/// Where a request has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `path`: the artifact that the row names (`artifact=`).
    Artifact,
    /// `itself`: there is one only, which has no name.
    Itself,
    /// `path.name`: in the path at MLflow.
    Path(PathName),
    /// `query.name`.
    Query(String),
    /// `header.name`, in small letters.
    Header(String),
    /// `body.field.list[].field`: in the JSON. MLflow reads protobuf's two spellings of a field.
    Body(Vec<Field>),
    /// `spans.trace_id`: of each span in a body of OpenTelemetry.
    SpanTraceIds,
    /// `place/place`: the parts of one name. A part that is absent is empty.
    Parts(Vec<Self>),
}

/// A name in a path by its position, for an operator's row may name it otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathName {
    pub name: String,
    /// The slashes before its segment.
    pub slashes: usize,
    /// The bytes of its segment before it.
    pub before: usize,
    /// Whether it goes on to the end of the path.
    pub is_rest: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    /// Its other spelling.
    pub json_name: String,
    /// `[]`: it is a list, and each item counts.
    pub is_list: bool,
}

const FREE: &str = "free";
const NONE: &str = "none";
const ITSELF: &str = "itself";
const LIST: &str = "[]";

impl Subjects {
    /// Whether one of them is the artifact that `artifact=` says.
    pub(super) fn name_an_artifact(&self) -> bool {
        let Self::Named(subjects) = self else { return false };
        subjects.iter().any(|subject| subject.places.contains(&Place::Artifact))
    }

    /// Whether one of them is the trace of each span.
    pub(super) fn name_spans(&self) -> bool {
        let Self::Named(subjects) = self else { return false };
        subjects.iter().any(|subject| subject.places.contains(&Place::SpanTraceIds))
    }

    /// Whether one of them is named in the body.
    pub(crate) fn are_in_body(&self) -> bool {
        let Self::Named(subjects) = self else { return false };
        subjects.iter().flat_map(|subject| &subject.places).any(Place::is_in_body)
    }

    /// Whether they name everything that the others name.
    pub(crate) fn include(&self, others: &Self) -> bool {
        match (self, others) {
            (_, Self::Free) => true,
            (Self::Free, Self::Named(_)) => false,
            (Self::Named(own), Self::Named(others)) => others.iter().all(|other| own.contains(other)),
        }
    }

    /// As in a row.
    pub fn words(&self) -> String {
        match self {
            Self::Free => FREE.to_owned(),
            Self::Named(subjects) => subjects.iter().map(Subject::words).collect::<Vec<_>>().join(", "),
        }
    }
}

impl Subject {
    fn words(&self) -> String {
        let places = self.places.iter().map(Place::words);
        let none = self.is_optional.then(|| NONE.to_owned());
        format!("{} {}", self.kind.word(), places.chain(none).collect::<Vec<_>>().join(" | "))
    }
}

impl Place {
    fn is_in_body(&self) -> bool {
        match self {
            Self::Body(_) => true,
            Self::Parts(parts) => parts.iter().any(Self::is_in_body),
            _ => false,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Artifact => "path".to_owned(),
            Self::Itself => ITSELF.to_owned(),
            Self::Path(path) => format!("path.{}", path.name),
            Self::Query(name) => format!("query.{name}"),
            Self::Header(name) => format!("header.{name}"),
            Self::SpanTraceIds => "spans.trace_id".to_owned(),
            Self::Body(fields) => {
                fields.iter().fold("body".to_owned(), |words, Field { name, is_list, .. }| {
                    format!("{words}.{name}{}", if *is_list { LIST } else { "" })
                })
            }
            Self::Parts(parts) => parts.iter().map(Self::words).collect::<Vec<_>>().join("/"),
        }
    }
}

#[cfg(test)]
mod tests;
