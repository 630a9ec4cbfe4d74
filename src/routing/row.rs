//! The rows as they are written (src/routing/mlflow.routes says how).

use std::sync::Arc;

use actix_web::http::Method;

use super::{
    methods,
    parameters::{Becomes, Parameter, Turn},
    pattern,
    rule::{Artifact, Body, Reach, Rule},
    tagging::Tagging,
};
use crate::vocabulary::RouteClass;

/// What is wrong with a row, which may hold anything: nothing of it is quoted.
pub(super) type Fault = &'static str;

/// What a row says. `None`: nothing.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// Its line in its file, from 1.
    pub(super) line: usize,
    pub(super) method: Method,
    pub(super) pattern: String,
    /// The pattern by which two rows are one.
    pub(super) nameless: String,
    class: RouteClass,
    reach: Option<Reach>,
    parameters: Option<Vec<Named>>,
    tagging: Option<Option<Tagging>>,
    body: Option<Body>,
    artifact: Option<Option<Artifact>>,
    is_name_free: Option<bool>,
}

/// A parameter: its name, and the value that changes nothing with what others make of the route.
#[derive(Debug, Clone)]
struct Named {
    name: String,
    turn: Option<(String, Becomes)>,
}

/// Every row of a text, and its twin for MLflow's UI (mlflow/server/handlers.py, `_get_paths`).
///
/// # Errors
/// The first line that cannot be read, from 1.
pub(super) fn read(text: &str) -> Result<Vec<Row>, (usize, Fault)> {
    let (mut section, mut rows) = (None, Vec::new());
    for (line, text) in text.lines().enumerate().map(|(at, text)| (at + 1, text.trim())) {
        let wrong = |what: Fault| (line, what);
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if let Some(head) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            section = Some(section_of(head).map_err(wrong)?);
            continue;
        }
        let (class, reach) = section.ok_or_else(|| wrong("a row before the first [class]"))?;
        let row = Row::read(line, class, reach, text).map_err(wrong)?;
        let twin = row.pattern.strip_prefix("/api/").map(|rest| format!("/ajax-api/{rest}"));
        let twin = twin.map(|pattern| row.at(pattern)).transpose().map_err(wrong)?;
        rows.extend([Some(row), twin].into_iter().flatten());
    }
    Ok(rows)
}

fn section_of(head: &str) -> Result<(RouteClass, Option<Reach>), Fault> {
    let (word, more) = head.split_once(", ").map_or((head, None), |(word, more)| (word, Some(more)));
    let class = RouteClass::from_word(word).ok_or(
        "this is no class: there are read, write, delete, registry_write, artifact_read, artifact_write, trace_write, \
         gateway_invoke, ui and admin",
    )?;
    let reach = more.map(|more| {
        Reach::from_words(more)
            .ok_or("behind the class there may be `workspace`, `every workspace` or `direct`")
    });
    Ok((class, reach.transpose()?))
}

impl Row {
    fn read(line: usize, class: RouteClass, reach: Option<Reach>, text: &str) -> Result<Self, Fault> {
        let mut words = text.split_whitespace();
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            return Err("a row is a method and a path");
        };
        if method == "HEAD" {
            return Err("a row for GET is one for HEAD too");
        }
        let method = methods::OF_ROWS
            .into_iter()
            .find(|known| known.as_str() == method)
            .ok_or("begins with no method that is served: GET, POST, PUT, PATCH, DELETE")?;
        let mut row = Self {
            line,
            method,
            pattern: path.to_owned(),
            nameless: pattern::nameless(path)?,
            class,
            reach,
            parameters: None,
            tagging: None,
            body: None,
            artifact: None,
            is_name_free: None,
        };
        let (mut all_pass, mut named) = (false, Vec::new());
        for word in words {
            match word {
                "?*" => all_pass = true,
                _ if word.starts_with('?') => named.push(Named::read(word)?),
                _ => row.say(word)?,
            }
        }
        if all_pass && !named.is_empty() {
            return Err("`?*` passes all parameters: none can be named beside it");
        }
        row.parameters = (all_pass || !named.is_empty()).then_some(named);
        Ok(row)
    }

    /// Takes in what a word behind the path says.
    fn say(&mut self, word: &str) -> Result<(), Fault> {
        const UNKNOWN: Fault = "a word behind the path is nothing that a row may say: ?parameters, sets=, deletes= or creates= (or \
                                tags=none), body=, artifact=, name=";
        let is_new = match word.split_once('=').ok_or(UNKNOWN)? {
            ("body", body) => {
                let body = Body::from_word(body).ok_or(UNKNOWN)?;
                self.body.replace(body).is_none()
            }
            ("artifact", "none") => self.artifact.replace(None).is_none(),
            ("artifact", words) => {
                let artifact = Artifact::from_words(words).ok_or(UNKNOWN)?;
                self.artifact.replace(Some(artifact)).is_none()
            }
            ("name", "{*}") => self.is_name_free.replace(true).is_none(),
            ("name", "none") => self.is_name_free.replace(false).is_none(),
            ("tags", "none") => self.tagging.replace(None).is_none(),
            _ => {
                let tagging = Tagging::from_words(word).ok_or(UNKNOWN)?;
                self.tagging.replace(Some(tagging)).is_none()
            }
        };
        if is_new { Ok(()) } else { Err("two words behind the path say one thing") }
    }

    /// The same at another path.
    fn at(&self, pattern: String) -> Result<Self, Fault> {
        Ok(Self { nameless: pattern::nameless(&pattern)?, pattern, ..self.clone() })
    }

    /// What it comes to. What it does not say stays as it is in the row of MLflow's that it takes the place of.
    ///
    /// # Errors
    /// Words that do not go together.
    pub(super) fn rule(&self, known: Option<&Rule>) -> Result<Rule, Fault> {
        let tagging = self.tagging.unwrap_or_else(|| known.and_then(|known| known.tagging));
        let by_default = Body::by_default(&self.method, self.class, tagging);
        let kept = known.map(|known| known.body).filter(|body| *body != Body::Any);
        let body = self.body.or(kept).unwrap_or(by_default);
        if tagging.is_some() && body != Body::Json {
            return Err("tags are found in a body that is read as JSON");
        }
        let artifact = Artifact::of(self.artifact.clone(), &self.pattern, known);
        let is_one_name = pattern::before_rest(&self.pattern).is_some();
        let is_known = known.is_some_and(|known| known.is_name_free) && is_one_name;
        let is_name_free = self.is_name_free.unwrap_or(is_known);
        if is_name_free && !is_one_name {
            return Err("a {*name} that is data stands behind a path without other names");
        }
        if self.artifact == Some(Some(Artifact::Path(0))) && !self.pattern.contains("{*") && known.is_none() {
            return Err("an artifact in a path is its {*name}");
        }
        let reach = self.reach.or_else(|| known.map(|known| known.reach)).unwrap_or(Reach::Workspace);
        let (class, method, pattern) = (self.class, self.method.clone(), self.pattern.clone());
        let plain = Rule {
            class,
            reach,
            method,
            pattern,
            parameters: Vec::new(),
            tagging,
            body,
            artifact,
            is_name_free,
        };
        let named = self.parameters.clone();
        let named = named.unwrap_or_else(|| known.map(Named::of).unwrap_or_default());
        let parameters = named.into_iter().map(|named| named.of_row(self, &plain)).collect();
        Ok(Rule { parameters, ..plain })
    }
}

impl Named {
    /// Reads `?name`, or `?name=value:word`, where `word` is what the row becomes by any other value: a class, or how far it
    /// leads.
    fn read(word: &str) -> Result<Self, Fault> {
        let text = word.trim_start_matches('?');
        let Some((name, turn)) = text.split_once('=') else {
            return Ok(Self { name: text.to_owned(), turn: None });
        };
        let (unless, to) =
            turn.split_once(':').ok_or("a parameter does not say what other values make of the route")?;
        let to =
            Becomes::from_words(to).ok_or("what other values make of the route is no class and no reach")?;
        Ok(Self { name: name.to_owned(), turn: Some((unless.to_owned(), to)) })
    }

    /// Those of a row that is known.
    fn of(known: &Rule) -> Vec<Self> {
        let turn = |turn: &Turn| (turn.unless.clone(), turn.to);
        let parameters = known.parameters.iter();
        parameters
            .map(|Parameter { name, turn: to }| Self { name: name.clone(), turn: to.as_ref().map(turn) })
            .collect()
    }

    fn of_row(self, row: &Row, plain: &Rule) -> Parameter {
        let turn = self.turn.map(|(unless, to)| {
            let mut turned = plain.clone();
            match to {
                Becomes::Reach(reach) => turned.reach = reach,
                Becomes::Class(class) => {
                    turned.class = class;
                    if row.body.is_none() && turned.body == Body::Any {
                        turned.body = Body::by_default(&turned.method, class, turned.tagging);
                    }
                }
            }
            Turn { unless, to, rule: Arc::new(turned) }
        });
        Parameter { name: self.name, turn }
    }
}
