//! What MLflow says of a thing: where it belongs, and whose that is.

use serde::Deserialize;
use serde_json::Value;

use super::{encoded, lookups::Question};
use crate::routing::Kind;

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

impl Question for Container {
    type Answer = Thing;

    /// The tags are at the end of an answer.
    const LONGEST: usize = 4 * 1024 * 1024;
    const ROOM: u64 = 16 * 1024 * 1024;
    const ENTRIES: usize = 10_000;

    fn name(&self) -> (Kind, &str) {
        match self {
            Self::Experiment(id) => (Kind::Experiment, id),
            Self::Model(name) => (Kind::Model, name),
        }
    }

    fn path(&self) -> Option<String> {
        Some(match self {
            Self::Experiment(id) => format!("/2.0/mlflow/experiments/get?experiment_id={}", encoded(id)),
            Self::Model(name) => format!("/2.0/mlflow/registered-models/get?name={}", encoded(name)),
        })
    }

    fn may_change(&self) -> bool {
        true
    }

    fn read(&self, answer: &[u8]) -> Option<Thing> {
        #[derive(Deserialize)]
        struct Experiment {
            experiment: Tagged,
        }
        #[derive(Deserialize)]
        struct Model {
            registered_model: Tagged,
        }
        let (tagged, is_it) = match self {
            Self::Experiment(id) => {
                let tagged = serde_json::from_slice::<Experiment>(answer).ok()?.experiment;
                let is_it = tagged.experiment_id == *id;
                (tagged, is_it)
            }
            Self::Model(name) => {
                let tagged = serde_json::from_slice::<Model>(answer).ok()?.registered_model;
                let is_it = tagged.name.trim().to_lowercase() == name.trim().to_lowercase();
                (tagged, is_it)
            }
        };
        is_it.then(|| Thing::of(self.kind(), tagged))
    }

    fn weight(thing: &Thing) -> u64 {
        let writers: usize = thing.writers.iter().map(|writer| 24 + writer.len()).sum();
        let texts = [Some(&thing.name), thing.owner.as_ref(), thing.location.as_ref()];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        (texts + writers) as u64
    }
}

impl Thing {
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
    experiment_id: String,
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

    fn experiment(id: &str, answer: &str) -> Option<Thing> {
        Container::Experiment(id.to_owned()).read(answer.as_bytes())
    }

    fn model(name: &str, answer: &str) -> Option<Thing> {
        Container::Model(name.to_owned()).read(answer.as_bytes())
    }

    #[test]
    fn owner_and_writers_are_read_from_the_tags() {
        let answer = r#"{"experiment": {"experiment_id": "7", "name": "acme/churn", "artifact_location": "x",
            "tags": [{"key": "hokusai.owner", "value": "acme"}, {"key": "hokusai.writers", "value": " bob,,carol "}]}}"#;
        let thing = experiment("7", answer).unwrap();
        assert_eq!((&*thing.name, thing.owner.as_deref()), ("acme/churn", Some("acme")));
        for (user, may) in [
            ("acme", true),
            ("bob", true),
            ("carol", true),
            ("*", false),
            ("", false),
            ("bob,", false),
            ("BOB", false),
        ] {
            assert_eq!(thing.is_writable_by(user), may, "{user}");
        }
    }

    #[test]
    fn what_has_no_tags_has_no_owner() {
        for answer in [
            r#"{"registered_model": {"name": "m"}}"#,
            r#"{"registered_model": {"name": "m", "tags": []}}"#,
            r#"{"registered_model": {"name": "m", "tags": [{"key": "hokusai.owner"}]}}"#,
            r#"{"registered_model": {"name": "m", "tags": [{"key": "Hokusai.Owner", "value": "a"}]}}"#,
        ] {
            assert_eq!(model("m", answer).unwrap().owner, None);
        }
    }

    #[test]
    fn another_answer_is_no_thing() {
        for answer in ["{}", "[]", "null", "<html>", r#"{"experiment": null}"#] {
            assert_eq!(experiment("7", answer), None, "{answer}");
        }
    }

    #[test]
    fn an_answer_about_another_thing_is_none() {
        let answer = r#"{"experiment": {"experiment_id": "8", "name": "a"}}"#;
        assert_eq!((experiment("7", answer), experiment("8", answer).is_some()), (None, true));
        let answer = r#"{"registered_model": {"name": "Acme"}}"#;
        // Some databases take one case for the other, and MLflow's spelling is what counts.
        assert_eq!(model("acme", answer).unwrap().name, "Acme");
        assert_eq!(model("acme2", answer), None);
        assert_eq!(model(" acme ", answer).unwrap().name, "Acme");
    }
}
