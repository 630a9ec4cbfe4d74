//! Parses rows (src/routing/mlflow.routes describes the format).

use std::{iter, sync::Arc};

use actix_web::http::Method;

use super::{
    methods,
    parameters::{Condition, Effect, Parameter},
    pattern,
    rule::{AnswerFilter, Artifact, Body, BodyCheck, Reach, Rule, Stamp},
    subject::{Kind, Subjects},
    tagging::Tagging,
};
use crate::vocabulary::RouteClass;

/// What is wrong with a row. The row is not quoted: it may hold anything.
pub(super) type Fault = &'static str;

const UNKNOWN: Fault = "unknown word after the path; known are ?parameters, sets=, deletes= or creates= (or tags=none), body=, \
                        checks=, answer=, stamps=, makes=, alters=, counts=, artifact=, name=";

/// The kinds that `makes=` and `alters=` may have: those in an experiment of their own choice, and those that do not stay as they are.
const MADE: [Kind; 7] = [
    Kind::Run,
    Kind::LoggedModel,
    Kind::Trace,
    Kind::Dataset,
    Kind::Issue,
    Kind::LabelSchema,
    Kind::ReviewQueue,
];
const ALTERED: [Kind; 4] = [Kind::Experiment, Kind::Model, Kind::Trace, Kind::Dataset];

/// The words of a row. `None`: the word is not there.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// Its line in its file, from 1.
    pub(super) line: usize,
    pub(super) method: Method,
    pub(super) pattern: String,
    /// The pattern without names, the identity of a row.
    pub(super) nameless: String,
    class: RouteClass,
    reach: Option<Reach>,
    subjects: Option<Subjects>,
    parameters: Option<Vec<ParameterWord>>,
    tagging: Option<Option<Tagging>>,
    body: Option<Body>,
    artifact: Option<Option<Artifact>>,
    check: Option<BodyCheck>,
    answer: Option<AnswerFilter>,
    stamp: Option<Stamp>,
    makes: Option<Kind>,
    alters: Option<Kind>,
    is_create: Option<bool>,
    is_name_free: Option<bool>,
}

/// A parameter, and the value that keeps the route as it is, with the effect of other values.
#[derive(Debug, Clone)]
struct ParameterWord {
    name: String,
    condition: Option<(String, Effect)>,
}

/// Every row of a text, and its twin under /ajax-api/ (mlflow/server/handlers.py, `_get_paths`).
///
/// # Errors
/// The first line with a fault, from 1.
pub(super) fn read(text: &str) -> Result<Vec<Row>, (usize, Fault)> {
    let (mut section, mut rows) = (None, Vec::new());
    for (line, text) in text.lines().enumerate().map(|(at, text)| (at + 1, without_remark(text).trim())) {
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

/// A line up to the remark at its end.
fn without_remark(line: &str) -> &str {
    line.split_once(" #").map_or(line, |(row, _)| row)
}

fn section_of(head: &str) -> Result<(RouteClass, Option<Reach>), Fault> {
    let (word, more) = head.split_once(", ").map_or((head, None), |(word, more)| (word, Some(more)));
    let class = RouteClass::from_word(word).ok_or(
        "not a class; the classes are read, write, delete, registry_write, registry_promote, artifact_read, artifact_write, \
         trace_write, gateway_invoke, ui and admin",
    )?;
    let reach = more.map(|more| {
        Reach::from_word(more)
            .ok_or("after the class there may be `workspace`, `every workspace` or `direct`")
    });
    Ok((class, reach.transpose()?))
}

impl Row {
    fn read(line: usize, class: RouteClass, reach: Option<Reach>, text: &str) -> Result<Self, Fault> {
        let mut words = text.split_whitespace().peekable();
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            return Err("a row needs a method and a path");
        };
        if method == "HEAD" {
            return Err("a row for GET includes HEAD");
        }
        let method = methods::OF_ROWS
            .into_iter()
            .find(|known| known.as_str() == method)
            .ok_or("does not begin with one of the methods GET, POST, PUT, PATCH, DELETE")?;
        let is_of_column = |word: &&str| !word.starts_with('?') && !word.contains('=');
        let column: Vec<_> = iter::from_fn(|| words.next_if(is_of_column)).collect();
        let mut row = Self {
            line,
            method,
            pattern: path.to_owned(),
            nameless: pattern::nameless(path)?,
            class,
            reach,
            subjects: Subjects::read(&column.join(" "), path)?,
            parameters: None,
            tagging: None,
            body: None,
            artifact: None,
            check: None,
            answer: None,
            stamp: None,
            makes: None,
            alters: None,
            is_create: None,
            is_name_free: None,
        };
        let (mut all_pass, mut named) = (false, Vec::new());
        for word in words {
            match word {
                "?*" => all_pass = true,
                _ if word.starts_with('?') => named.push(ParameterWord::read(word)?),
                _ => row.parse_word(word)?,
            }
        }
        if all_pass && !named.is_empty() {
            return Err("`?*` passes all parameters, so none can be named beside it");
        }
        row.parameters = (all_pass || !named.is_empty()).then_some(named);
        Ok(row)
    }

    /// Parses a word after the path.
    fn parse_word(&mut self, word: &str) -> Result<(), Fault> {
        match word.split_once('=').ok_or(UNKNOWN)? {
            ("body", body) => set(&mut self.body, Body::from_word(body)),
            ("artifact", "none") => set(&mut self.artifact, Some(None)),
            ("artifact", words) => set(&mut self.artifact, Artifact::from_words(words).map(Some)),
            ("checks", check) => set(&mut self.check, BodyCheck::from_word(check)),
            ("answer", answer) => set(&mut self.answer, AnswerFilter::from_word(answer)),
            ("stamps", stamp) => set(&mut self.stamp, Stamp::from_word(stamp)),
            ("makes", kind) => set(&mut self.makes, Kind::from_word(kind).filter(|kind| MADE.contains(kind))),
            ("alters", kind) => {
                set(&mut self.alters, Kind::from_word(kind).filter(|kind| ALTERED.contains(kind)))
            }
            ("counts", "create") => set(&mut self.is_create, Some(true)),
            ("counts", "none") => set(&mut self.is_create, Some(false)),
            ("name", "{*}") => set(&mut self.is_name_free, Some(true)),
            ("name", "none") => set(&mut self.is_name_free, Some(false)),
            ("tags", "none") => set(&mut self.tagging, Some(None)),
            _ => set(&mut self.tagging, Tagging::from_words(word).map(Some)),
        }
    }

    /// The same at another path.
    fn at(&self, pattern: String) -> Result<Self, Fault> {
        Ok(Self { nameless: pattern::nameless(&pattern)?, pattern, ..self.clone() })
    }

    /// The rule of this row. Words that are not there are inherited from `known`, the row of MLflow's that it replaces; the checks
    /// also from `like`, a row for the same path in another version of the API.
    ///
    /// # Errors
    /// Words that contradict each other.
    pub(super) fn rule(&self, known: Option<&Rule>, like: Option<&Rule>) -> Result<Rule, Fault> {
        let tagging = self.tagging.unwrap_or_else(|| known.and_then(|known| known.tagging));
        let by_default = Body::by_default(&self.method, self.class, tagging);
        let kept = known.map(|known| known.body).filter(|body| *body != Body::Any);
        let body = self.body.or(kept).unwrap_or(by_default);
        if tagging.is_some() && body != Body::Json {
            return Err("tags require a body that is read as JSON");
        }
        let artifact = Artifact::of(self.artifact.clone(), &self.pattern, known);
        let is_one_name = pattern::before_rest(&self.pattern).is_some();
        let is_known = known.is_some_and(|known| known.is_name_free) && is_one_name;
        let is_name_free = self.is_name_free.unwrap_or(is_known);
        if is_name_free && !is_one_name {
            return Err("name={*} requires a path that ends in {*name} and has no other names");
        }
        if self.artifact == Some(Some(Artifact::Path(0))) && !self.pattern.contains("{*") && known.is_none() {
            return Err("artifact={*} requires a path that ends in {*name}");
        }
        let reach = self.reach.or_else(|| known.map(|known| known.reach)).unwrap_or(Reach::Workspace);
        let (class, method, pattern) = (self.class, self.method.clone(), Arc::from(&*self.pattern));
        let plain = Rule {
            class,
            reach,
            method,
            pattern,
            subjects: self.subjects.clone().or_else(|| known?.subjects.clone()),
            parameters: Vec::new(),
            tagging,
            body,
            artifact,
            check: self.check.or_else(|| known.or(like)?.check),
            answer: self.answer.or_else(|| known.or(like)?.answer),
            stamp: self.stamp.or_else(|| known.or(like)?.stamp),
            makes: self.makes.or_else(|| known?.makes),
            alters: self.alters.or_else(|| known?.alters),
            is_create: self.is_create.unwrap_or_else(|| known.or(like).is_some_and(|known| known.is_create)),
            is_name_free,
        };
        let named = self.parameters.clone();
        let named = named.unwrap_or_else(|| known.map(ParameterWord::of).unwrap_or_default());
        let parameters = named.into_iter().map(|word| word.into_parameter(self, &plain)).collect();
        Ok(Rule { parameters, ..plain })
    }
}

/// Sets what a word says; `None` is a value that the word does not have.
fn set<T>(field: &mut Option<T>, value: Option<T>) -> Result<(), Fault> {
    match field.replace(value.ok_or(UNKNOWN)?) {
        None => Ok(()),
        Some(_) => Err("the same word is there twice"),
    }
}

impl ParameterWord {
    /// Parses `?name` or `?name=value:word`, where `word` is the class or reach of the request with any other value.
    fn read(word: &str) -> Result<Self, Fault> {
        let text = word.trim_start_matches('?');
        let Some((name, condition)) = text.split_once('=') else {
            return Ok(Self { name: text.to_owned(), condition: None });
        };
        let (unless, effect) = condition
            .split_once(':')
            .ok_or("a parameter with a value needs a class or a reach for other values: ?name=value:word")?;
        let effect = Effect::from_word(effect)
            .ok_or("the word for other values of a parameter is neither a class nor a reach")?;
        Ok(Self { name: name.to_owned(), condition: Some((unless.to_owned(), effect)) })
    }

    /// The parameters of another row.
    fn of(known: &Rule) -> Vec<Self> {
        let word = |Parameter { name, condition }: &Parameter| Self {
            name: name.clone(),
            condition: condition.as_ref().map(|Condition { unless, effect, .. }| (unless.clone(), *effect)),
        };
        known.parameters.iter().map(word).collect()
    }

    fn into_parameter(self, row: &Row, plain: &Rule) -> Parameter {
        let condition = self.condition.map(|(unless, effect)| {
            let mut rule = plain.clone();
            match effect {
                Effect::Reach(reach) => rule.reach = reach,
                Effect::Class(class) => {
                    rule.class = class;
                    if row.body.is_none() && rule.body == Body::Any {
                        rule.body = Body::by_default(&rule.method, class, rule.tagging);
                    }
                }
            }
            Condition { unless, effect, rule: Arc::new(rule) }
        });
        Parameter { name: self.name, condition }
    }
}
