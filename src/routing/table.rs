//! MLflow's routes, from the data beside this file.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use actix_web::http::Method;
use matchit::Router;

use super::{
    RouteError,
    class::RouteClass,
    parameters::{self, Parameter, Turn},
    tagging::Tagging,
};
use crate::{
    head,
    trusted_file::{self, FileError},
};

const MLFLOW: &str = include_str!("mlflow.routes");

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
}

/// How far a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// No further than the workspace that it is asked for.
    Workspace,
    /// `every workspace`: beyond it.
    EveryWorkspace,
    /// `direct`: to the artifact store itself.
    PastGateway,
}

impl Reach {
    pub const fn words(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::EveryWorkspace => "every workspace",
            Self::PastGateway => "direct",
        }
    }

    /// What a row says where it leads further.
    fn from_words(words: &str) -> Option<Self> {
        [Self::EveryWorkspace, Self::PastGateway].into_iter().find(|reach| reach.words() == words)
    }
}

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("{file}: {source}")]
    Unreadable { file: PathBuf, source: FileError },
    #[error("{file}, line {line}: {what}")]
    Row { file: PathBuf, line: usize, what: &'static str },
    #[error(
        "two rows cannot be told apart: one path has a {{name}} where the other has another name, or none"
    )]
    Conflict,
}

/// Every route that is forwarded.
#[derive(Debug, Clone)]
pub struct RouteTable {
    router: Router<Vec<Arc<Rule>>>,
    rules: Vec<Arc<Rule>>,
}

/// Rows by path and method; the last one wins.
type Rows = BTreeMap<String, BTreeMap<String, Rule>>;

impl RouteTable {
    /// MLflow's routes, and the rows of a file of the operator's own in the same format.
    ///
    /// # Errors
    /// Those of the file; what is compiled in has none, as a test holds.
    pub fn open(more: Option<&Path>) -> Result<Self, TableError> {
        let mut rows = Rows::new();
        read(Path::new("mlflow.routes"), MLFLOW, &mut rows)?;
        if let Some(file) = more {
            let text = trusted_file::read_text(file)
                .map_err(|source| TableError::Unreadable { file: file.to_owned(), source })?;
            read(file, &text, &mut rows)?;
        }
        let mut table = Self { router: Router::new(), rules: Vec::new() };
        for (pattern, rules) in rows {
            let rules: Vec<_> = rules.into_values().map(Arc::new).collect();
            table.rules.extend(rules.iter().cloned());
            table.router.insert(&pattern, rules).map_err(|_| TableError::Conflict)?;
        }
        Ok(table)
    }

    /// Every row, by path and method.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// The row of a request, by its method, its path decoded once, and its query; HEAD is GET without a body (RFC 9110
    /// §9.3.2).
    pub(super) fn find(
        &self,
        method: &Method,
        path: &str,
        query: Option<&str>,
    ) -> Result<&Arc<Rule>, RouteError> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let found = self.router.at(path).map_err(|_| RouteError::Unknown)?;
        let rule = found.value.iter().find(|rule| rule.method == *method).ok_or(RouteError::Unknown)?;
        match query {
            Some(query) if !rule.parameters.is_empty() => parameters::turned(rule, query),
            _ => Ok(rule),
        }
    }
}

fn read(file: &Path, text: &str, rows: &mut Rows) -> Result<(), TableError> {
    let mut section = None;
    for (at, row) in text.lines().enumerate() {
        let wrong = |what: &'static str| TableError::Row { file: file.to_owned(), line: at + 1, what };
        let row = row.trim();
        if row.is_empty() || row.starts_with('#') {
            continue;
        }
        if let Some(head) = row.strip_prefix('[').and_then(|row| row.strip_suffix(']')) {
            let (word, more) = head.split_once(", ").map_or((head, None), |(word, more)| (word, Some(more)));
            let class = RouteClass::from_word(word).ok_or_else(|| wrong("this is no class"))?;
            let reach = more.map_or(Ok(Reach::Workspace), |more| {
                Reach::from_words(more)
                    .ok_or_else(|| wrong("what stands behind the class is nothing that is known of a route"))
            })?;
            section = Some((class, reach));
            continue;
        }
        let (class, reach) = section.ok_or_else(|| wrong("a row before the first [class]"))?;
        let mut words = row.split_whitespace();
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            return Err(wrong("a row is a method and a path"));
        };
        let method = head::METHODS
            .into_iter()
            .find(|known| known.as_str() == method)
            .ok_or_else(|| wrong("begins with no method that is served"))?;
        let (named, words): (Vec<_>, Vec<_>) = words.partition(|word| word.starts_with('?'));
        let tagging = match words[..] {
            [] => None,
            [word] => Some(
                Tagging::from_words(word)
                    .ok_or_else(|| wrong("the word behind the path says nothing of tags"))?,
            ),
            _ => return Err(wrong("a row says one thing of tags")),
        };
        // The twin for MLflow's UI (mlflow/server/handlers.py, _get_paths).
        let twin = path.strip_prefix("/api/").map(|rest| format!("/ajax-api/{rest}"));
        for pattern in [Some(path.to_owned()), twin].into_iter().flatten() {
            let plain = Rule {
                class,
                reach,
                method: method.clone(),
                pattern: pattern.clone(),
                parameters: Vec::new(),
                tagging,
            };
            let parameters = named.iter().map(|word| parameter(word, &plain));
            let parameters = parameters.collect::<Result<_, _>>().map_err(wrong)?;
            let rule = Rule { parameters, ..plain };
            rows.entry(pattern).or_default().insert(method.to_string(), rule);
        }
    }
    Ok(())
}

/// Reads `?name`, or `?name=value:word`, where `word` is what the row becomes by any other value: a class, or what else is
/// known of a route.
fn parameter(text: &str, row: &Rule) -> Result<Parameter, &'static str> {
    let name = text.trim_start_matches('?');
    let Some((name, turn)) = name.split_once('=') else {
        return Ok(Parameter { name: name.to_owned(), turn: None });
    };
    let (unless, word) =
        turn.split_once(':').ok_or("a parameter does not say what other values make of the route")?;
    let mut turned = row.clone();
    match (RouteClass::from_word(word), Reach::from_words(word)) {
        (Some(class), _) => turned.class = class,
        (_, Some(reach)) => turned.reach = reach,
        _ => {
            return Err(
                "what other values make of the route is no class, and nothing that is known of a route",
            );
        }
    }
    Ok(Parameter {
        name: name.to_owned(),
        turn: Some(Turn { unless: unless.to_owned(), rule: Arc::new(turned) }),
    })
}
