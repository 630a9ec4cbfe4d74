//! What MLflow says of a thing: where it belongs, and whose that is.

use serde::Deserialize;
use serde_json::Value;

use super::encoded;

/// The tag with the owner of an experiment or a registered model: a user id.
pub(crate) const OWNER_TAG: &str = "hokusai.owner";
/// The tag with the other users that may change what is in it: user ids with commas between.
pub(crate) const WRITERS_TAG: &str = "hokusai.writers";

/// A thing that has an owner of its own. What is in it belongs to the same user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Container {
    /// An experiment, by its id.
    Experiment(String),
    /// A registered model, by its name. Prompts are registered models.
    Model(String),
}

/// A container as MLflow has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thing {
    pub(crate) kind: ThingKind,
    /// MLflow's own spelling, which a request's may differ from: some databases compare without case and accents.
    pub(crate) name: String,
    /// Where an experiment's artifacts are, as MLflow writes it.
    pub(crate) location: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) writers: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThingKind {
    Experiment,
    Model,
}

impl ThingKind {
    /// For messages.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Experiment => "experiment",
            Self::Model => "model",
        }
    }

    /// Likewise, with an article.
    pub(crate) const fn phrase(self) -> &'static str {
        match self {
            Self::Experiment => "an experiment",
            Self::Model => "a model",
        }
    }
}

impl Container {
    pub(crate) const fn kind(&self) -> ThingKind {
        match self {
            Self::Experiment(_) => ThingKind::Experiment,
            Self::Model(_) => ThingKind::Model,
        }
    }
}

impl Container {
    /// The path that asks MLflow for it, below the REST prefix.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Experiment(id) => format!("/2.0/mlflow/experiments/get?experiment_id={}", encoded(id)),
            Self::Model(name) => format!("/2.0/mlflow/registered-models/get?name={}", encoded(name)),
        }
    }
}

impl Thing {
    /// # Errors
    /// An answer that is not what `experiments/get` or `registered-models/get` answers.
    pub(super) fn parse(kind: ThingKind, answer: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Experiment {
            experiment: Tagged,
        }
        #[derive(Deserialize)]
        struct Model {
            registered_model: Tagged,
        }
        let tagged = match kind {
            ThingKind::Experiment => serde_json::from_slice::<Experiment>(answer)?.experiment,
            ThingKind::Model => serde_json::from_slice::<Model>(answer)?.registered_model,
        };
        Ok(Self::of(kind, tagged))
    }

    /// One of those that a search of MLflow's found.
    ///
    /// # Errors
    /// No experiment, and no registered model.
    pub(crate) fn found(kind: ThingKind, item: Value) -> Result<Self, serde_json::Error> {
        Ok(Self::of(kind, serde_json::from_value(item)?))
    }

    fn of(kind: ThingKind, tagged: Tagged) -> Self {
        let tag = |name: &str| tagged.tags.iter().find(|tag| tag.key == name).map(|tag| tag.value.clone());
        Self {
            kind,
            owner: tag(OWNER_TAG).filter(|owner| !owner.is_empty()),
            writers: tag(WRITERS_TAG).as_deref().map(writers).unwrap_or_default(),
            name: tagged.name,
            location: tagged.artifact_location,
        }
    }

    /// Whether the user may change it and what is in it.
    pub(super) fn is_writable_by(&self, user: &str) -> bool {
        self.owner.as_deref() == Some(user) || self.writers.iter().any(|writer| writer == user)
    }
}

/// Ids are compared as texts: one with a comma in it can be an owner's, and no writer's.
pub(crate) fn writers(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|writer| !writer.is_empty()).map(str::to_owned).collect()
}

#[derive(Deserialize)]
struct Tagged {
    #[serde(default)]
    name: String,
    artifact_location: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_and_writers_are_read_from_the_tags() {
        let answer = br#"{"experiment": {"experiment_id": "7", "name": "acme/churn", "artifact_location": "x",
            "tags": [{"key": "hokusai.owner", "value": "acme"}, {"key": "hokusai.writers", "value": " bob,,carol "}]}}"#;
        let thing = Thing::parse(ThingKind::Experiment, answer).unwrap();
        assert_eq!((&*thing.name, thing.owner.as_deref()), ("acme/churn", Some("acme")));
        for (user, may) in
            [("acme", true), ("bob", true), ("carol", true), ("*", false), ("", false), ("bob,", false)]
        {
            assert_eq!(thing.is_writable_by(user), may, "{user}");
        }
    }

    #[test]
    fn what_has_no_tags_has_no_owner() {
        for answer in [
            &br#"{"registered_model": {"name": "m"}}"#[..],
            br#"{"registered_model": {"name": "m", "tags": []}}"#,
            br#"{"registered_model": {"name": "m", "tags": [{"key": "hokusai.owner"}]}}"#,
            br#"{"registered_model": {"name": "m", "tags": [{"key": "Hokusai.Owner", "value": "a"}]}}"#,
        ] {
            assert_eq!(Thing::parse(ThingKind::Model, answer).unwrap().owner, None);
        }
    }

    #[test]
    fn another_answer_is_no_thing() {
        for answer in [&b"{}"[..], b"[]", b"null", b"<html>", br#"{"experiment": null}"#] {
            assert!(Thing::parse(ThingKind::Experiment, answer).is_err());
        }
    }
}
