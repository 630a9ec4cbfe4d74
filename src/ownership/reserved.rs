//! What only some may set or delete: the gateway's own names, which begin with `hokusai.`, the user of a run or a dataset, the
//! assessments of other traces, and the place of a trace's archive. Names are compared as the least exact of MLflow's databases does.

use std::sync::LazyLock;

use serde_json::Value;

use super::{stamp::is_author, thing::WRITERS_TAG};
use crate::{
    policy::Name,
    routing::{BodyCheck, Kind, Rule, Stamp, Tagged, json_name},
};

/// MLflow's own tag with the user of a run or a dataset (mlflow/utils/mlflow_tags.py).
pub(super) const MLFLOW_USER: &str = "mlflow.user";

static OWN: LazyLock<Name> = LazyLock::new(|| Name::new("hokusai."));
static USER: LazyLock<Name> = LazyLock::new(|| Name::new(MLFLOW_USER));
/// Where MLflow has archived the spans of a trace (mlflow/tracing/constant.py). What is there is deleted with the trace, with MLflow's
/// own rights; before 3.18 it takes the tag from whoever makes a trace.
static ARCHIVE: LazyLock<Name> = LazyLock::new(|| Name::new("mlflow.trace.archiveLocation"));

/// Whether a tag's key is the gateway's.
pub(super) fn is_own(key: &str) -> bool {
    OWN.begins(key)
}

/// Whether a tag's key is that of the user of a run or a dataset.
pub(super) fn is_user(key: &str) -> bool {
    USER.is(key)
}

/// Why a body cannot be judged; the end of a sentence that begins with "the body".
const TAGS: &str = "has tags in a text that cannot be read as JSON in one way only";

/// The routes with a `key` that is no tag's.
const NO_TAGS: [&str; 2] = ["/mlflow/runs/log-metric", "/mlflow/runs/log-parameter"];

/// What a request sets or deletes that is not everybody's; the later ones count more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Reserved {
    #[default]
    None,
    /// `hokusai.writers` of an experiment or a model, which its owner may change.
    Writers,
    /// The user of a run or a dataset, to somebody else.
    Author,
    /// Any other of the gateway's own names.
    Own,
    /// Assessments by their ids, with a new trace: MLflow before 3.18 moves those of others there.
    Assessments,
    /// The place of a trace's archive.
    Archive,
    /// One of them on an experiment or a model, where they say whose it is.
    Owner,
}

impl Reserved {
    /// Looks for it in a request of `user`.
    ///
    /// # Errors
    /// Tags in a text that is not JSON.
    pub(crate) fn in_request(
        rule: &Rule,
        path: &str,
        body: Option<&Value>,
        user: Option<&str>,
    ) -> Result<Self, &'static str> {
        // The author is written into a create, whatever it says.
        let search = Search {
            user,
            keeps_author: rule.stamp.is_none() && (rule.names_a(Kind::Run) || rule.names_a(Kind::Dataset)),
            has_author: matches!(rule.stamp, Some(Stamp::Author | Stamp::Run)),
            // A tag of an experiment or a model leads MLflow to no archive.
            may_have_archive: !Self::may_say_whose(rule),
        };
        let mut found = Self::None;
        if let Some(body) = body {
            if !NO_TAGS.iter().any(|end| rule.pattern.ends_with(end)) {
                search.look(body, &mut found)?;
            }
            if rule.check == Some(BodyCheck::Assessments) && names_assessments(body) {
                found = found.max(Self::Assessments);
            }
        }
        if rule.pattern.contains("/tags/{") {
            let key = path.split_once("/tags/").unwrap_or_default().1;
            found = search.judge(search.and(found, key), key, None);
        }
        let is_new = rule.stamp == Some(Stamp::Owner);
        Ok(match found {
            Self::Writers if is_new => Self::Owner,
            Self::Own if Self::may_say_whose(rule) => Self::Owner,
            Self::Writers if !Self::may_say_whose(rule) => Self::Own,
            found => found,
        })
    }

    /// Whether requests of a row make, set or delete tags of experiments or models. Their bodies are read in every mode.
    pub(crate) fn may_say_whose(rule: &Rule) -> bool {
        let tagged = rule.tagging.map(|tagging| tagging.tagged);
        rule.stamp == Some(Stamp::Owner) || matches!(tagged, Some(Tagged::Experiment | Tagged::Model))
    }

    /// Whether it says whose an experiment or a model is, or with whom it is shared.
    pub(crate) fn says_whose(self) -> bool {
        matches!(self, Self::Writers | Self::Owner)
    }

    /// With a name that is set or deleted. Written otherwise, `hokusai.writers` could be another name to a database.
    pub(super) fn and(self, name: &str) -> Self {
        match name {
            WRITERS_TAG => self.max(Self::Writers),
            _ if is_own(name) => self.max(Self::Own),
            _ => self,
        }
    }

    /// Likewise, with the name of a trace's tag.
    pub(super) fn and_of_trace(self, name: &str) -> Self {
        if ARCHIVE.is(name) { self.max(Self::Archive) } else { self.and(name) }
    }

    /// Whether it changes things that the request does not name.
    pub(super) const fn reaches_others(self) -> bool {
        matches!(self, Self::Assessments | Self::Archive)
    }
}

/// A search for tags in a body.
struct Search<'a> {
    user: Option<&'a str>,
    /// Whether the tags have the author of a thing that is there already.
    keeps_author: bool,
    /// Whether the author is written into the body.
    has_author: bool,
    /// Whether the tags may be a trace's.
    may_have_archive: bool,
}

impl Search<'_> {
    /// Looks at the `key` of a tag, and at the names of fields, for maps of tags; in a text of tags too, as datasets have it.
    /// Metrics and parameters may have any name: they are no tags.
    fn look(&self, value: &Value, found: &mut Reserved) -> Result<(), &'static str> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.look(item, found)),
            Value::Object(fields) => {
                if let Some(key) = fields.get("key").and_then(Value::as_str) {
                    if !(self.has_author && is_author(key)) {
                        *found = self.and(*found, key);
                    }
                    *found = self.judge(*found, key, fields.get("value"));
                }
                for (name, value) in fields {
                    *found = self.judge(self.and(*found, name), name, Some(value));
                    match (name.as_str(), value) {
                        ("metrics" | "params", Value::Array(_)) => {}
                        ("tags", Value::String(text)) => self.look(&read(text)?, found)?,
                        (_, value) => self.look(value, found)?,
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn and(&self, found: Reserved, name: &str) -> Reserved {
        if self.may_have_archive { found.and_of_trace(name) } else { found.and(name) }
    }

    /// With a tag that may be the author's.
    fn judge(&self, found: Reserved, key: &str, value: Option<&Value>) -> Reserved {
        let is_forged = self.keeps_author && is_user(key) && !self.is_own_user(key, value);
        if is_forged { found.max(Reserved::Author) } else { found }
    }

    fn is_own_user(&self, key: &str, value: Option<&Value>) -> bool {
        key == MLFLOW_USER && self.user.is_some() && value.and_then(Value::as_str) == self.user
    }
}

/// Reads the tags of a dataset. Python reads more than this, such as `NaN`.
fn read(text: &str) -> Result<Value, &'static str> {
    // An empty text is none.
    if text.is_empty() { Ok(Value::Null) } else { serde_json::from_str(text).map_err(|_| TAGS) }
}

/// Whether an assessment of a new trace has an id, or overrides one.
fn names_assessments(body: &Value) -> bool {
    let is_named = |assessment: &Value| {
        ["assessmentId", "overrides"].iter().any(|name| field(assessment, name).is_some_and(|id| id != ""))
    };
    let trace_info = field(body, "trace").and_then(|trace| field(trace, "traceInfo"));
    let assessments = trace_info.and_then(|info| field(info, "assessments")).and_then(Value::as_array);
    assessments.is_some_and(|assessments| assessments.iter().any(is_named))
}

/// A field of an object that is not null, in either of protobuf's spellings.
fn field<'a>(object: &'a Value, wanted: &str) -> Option<&'a Value> {
    let (_, value) = object.as_object()?.iter().find(|(name, _)| json_name(name) == wanted)?;
    (!value.is_null()).then_some(value)
}

#[cfg(test)]
mod tests;
