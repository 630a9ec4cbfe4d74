//! MLflow's routes, from the data beside this file.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use actix_web::http::Method;
use matchit::Router;

use super::class::RouteClass;
use crate::head;

const MLFLOW: &str = include_str!("mlflow.routes");

/// One method and path of MLflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub class: RouteClass,
    pub reach: Reach,
    pub method: Method,
    /// Its path: `{name}` is a segment, `{*name}` the rest.
    pub pattern: String,
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

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("{file}: {source}")]
    Unreadable { file: PathBuf, source: io::Error },
    #[error("{file}, line {line}: {what}")]
    Row { file: PathBuf, line: usize, what: String },
    #[error("two rows cannot be told apart: {0}")]
    Conflict(String),
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
            let text = fs::read_to_string(file)
                .map_err(|source| TableError::Unreadable { file: file.to_owned(), source })?;
            read(file, &text, &mut rows)?;
        }
        let mut table = Self { router: Router::new(), rules: Vec::new() };
        for (pattern, rules) in rows {
            let rules: Vec<_> = rules.into_values().map(Arc::new).collect();
            table.rules.extend(rules.iter().cloned());
            table
                .router
                .insert(&pattern, rules)
                .map_err(|error| TableError::Conflict(format!("{pattern}: {error}")))?;
        }
        Ok(table)
    }

    /// Every row, by path and method.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// The row of a request, by its method and its path decoded once; HEAD is GET without a body (RFC 9110 §9.3.2).
    pub(super) fn find(&self, method: &Method, path: &str) -> Option<&Arc<Rule>> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.router.at(path).ok()?.value.iter().find(|rule| rule.method == *method)
    }
}

fn read(file: &Path, text: &str, rows: &mut Rows) -> Result<(), TableError> {
    let mut section = None;
    for (at, row) in text.lines().enumerate() {
        let wrong = |what: String| TableError::Row { file: file.to_owned(), line: at + 1, what };
        let row = row.trim();
        if row.is_empty() || row.starts_with('#') {
            continue;
        }
        if let Some(head) = row.strip_prefix('[').and_then(|row| row.strip_suffix(']')) {
            let (word, reach) =
                head.split_once(", ").map_or((head, None), |(word, reach)| (word, Some(reach)));
            let class = RouteClass::from_word(word).ok_or_else(|| wrong(format!("`{word}` is no class")))?;
            let reach = match reach {
                None => Reach::Workspace,
                Some("every workspace") => Reach::EveryWorkspace,
                Some("direct") => Reach::PastGateway,
                Some(other) => return Err(wrong(format!("`{other}` is nothing that is known of a route"))),
            };
            section = Some((class, reach));
            continue;
        }
        let (class, reach) = section.ok_or_else(|| wrong("a row before the first [class]".to_owned()))?;
        let (method, path) =
            row.split_once(' ').ok_or_else(|| wrong("a row is a method and a path".to_owned()))?;
        let method = head::METHODS
            .into_iter()
            .find(|known| known.as_str() == method)
            .ok_or_else(|| wrong(format!("`{method}` is no method that is served")))?;
        let path = path.trim_start();
        // The twin for MLflow's UI (mlflow/server/handlers.py, _get_paths).
        let twin = path.strip_prefix("/api/").map(|rest| format!("/ajax-api/{rest}"));
        for pattern in [Some(path.to_owned()), twin].into_iter().flatten() {
            let rule = Rule { class, reach, method: method.clone(), pattern: pattern.clone() };
            rows.entry(pattern).or_default().insert(method.to_string(), rule);
        }
    }
    Ok(())
}
