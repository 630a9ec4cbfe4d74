//! The table of routes: MLflow's, from mlflow.routes beside this file, and the operator's.

use std::{
    array,
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use actix_web::http::Method;
use matchit::{InsertError, Router};

use super::{
    RouteError,
    methods::{self, Methods, OF_ROWS},
    parameters, pattern,
    row::{self, Row},
    rule::Rule,
};
use crate::trusted_file::{self, FileError};

const MLFLOW: &str = include_str!("mlflow.routes");

/// Why a file of routes cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("{file}: {source}")]
    Unreadable { file: PathBuf, source: FileError },
    #[error("{file}, line {line}: {what}")]
    Row { file: PathBuf, line: usize, what: String },
}

/// An operator's row that replaces one of MLflow's, for all of its paths or for some.
#[derive(Debug, Clone)]
pub struct Replaced {
    /// Its line in the operator's file.
    pub line: usize,
    pub known: Arc<Rule>,
    pub rule: Arc<Rule>,
}

/// Every route that is forwarded.
#[derive(Debug, Clone, Default)]
pub struct RouteTable {
    /// By method: if a path's row has another method, MLflow looks for another row (werkzeug, Starlette).
    routers: [Router<Arc<Rule>>; OF_ROWS.len()],
    rules: Vec<Arc<Rule>>,
    /// The paths before names that are data.
    names: Vec<String>,
    replaced: Vec<Replaced>,
}

/// A fault in a line, from 1. The line is not quoted: a file given by mistake may hold a secret.
type Fault = (usize, String);

/// Rules with their lines, by nameless pattern and method.
type Rows = BTreeMap<(String, String), (usize, Arc<Rule>)>;

impl RouteTable {
    /// MLflow's routes, and the rows of the operator's file.
    ///
    /// # Errors
    /// Faults of the file. The compiled table has none (tested).
    pub fn open(more: Option<&Path>) -> Result<Self, TableError> {
        let mut rows = Rows::new();
        let own = Path::new("mlflow.routes");
        let wrong = |(line, what)| TableError::Row { file: own.to_owned(), line, what };
        for row in read(MLFLOW).map_err(wrong)? {
            let rule = row.rule(None, None).map_err(|what| wrong((row.line, what.to_owned())))?;
            add(&mut rows, &row, rule).map_err(wrong)?;
        }
        let known = Self::of(&rows, &Rows::new()).map_err(wrong)?;
        let Some(file) = more else { return Ok(known) };
        let text = trusted_file::read_text(file)
            .map_err(|source| TableError::Unreadable { file: file.to_owned(), source })?;
        known.with(&text, &rows).map_err(|(line, what)| TableError::Row { file: file.to_owned(), line, what })
    }

    /// Every row, by path and method.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// The rows of MLflow's that the operator's replace.
    pub fn replaced(&self) -> &[Replaced] {
        &self.replaced
    }

    /// The paths before names that are data, at the end of a path.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The rule for a request, by its method, its path decoded once, and its query.
    pub(super) fn find(
        &self,
        method: &Method,
        path: &str,
        query: Option<&str>,
    ) -> Result<&Arc<Rule>, RouteError> {
        let rule = self.at(method, path);
        let rule = rule.ok_or_else(|| self.methods(path).map_or(RouteError::Unknown, RouteError::Method))?;
        match query {
            Some(query) if !rule.parameters.is_empty() => parameters::rule_for_query(rule, query),
            _ => Ok(rule),
        }
    }

    /// Whether a GET of this path must have no body, because its parameters are judged in the query.
    pub(super) fn judges_query(&self, method: &Method, path: &str) -> bool {
        *method == Method::GET && self.at(method, path).is_some_and(|rule| !rule.parameters.is_empty())
    }

    /// The methods of a path that was decoded once, if it has any.
    pub(super) fn methods(&self, path: &str) -> Option<Methods> {
        Methods::where_true(|at| self.routers.get(at).is_some_and(|router| router.at(path).is_ok()))
    }

    fn at(&self, method: &Method, path: &str) -> Option<&Arc<Rule>> {
        self.routers.get(methods::position(method)?)?.at(path).ok().map(|found| found.value)
    }

    /// From MLflow's rows and the operator's, which replace MLflow's with the same pattern and method.
    fn of(mlflows: &Rows, own: &Rows) -> Result<Self, Fault> {
        let (mut routers, mut names) = (array::from_fn(|_| Router::new()), Vec::new());
        let kept = mlflows.iter().filter(|(key, _)| !own.contains_key(*key));
        // MLflow's rows first, so that a conflict is reported at the operator's row. Names before literal segments: matchit 0.9
        // takes `/{a}/b` for a suffix if `/@{c}` was inserted before.
        let mut ordered: Vec<_> =
            kept.clone().map(|row| (false, row)).chain(own.iter().map(|row| (true, row))).collect();
        ordered.sort_by_key(|(is_own, ((nameless, _), _))| (*is_own, nameless.replace('{', "\0")));
        for (_, ((nameless, _), (line, rule))) in ordered {
            if let Some(router) = methods::position(&rule.method).and_then(|at| routers.get_mut(at)) {
                let added = Router::insert(router, nameless, Arc::clone(rule));
                added.map_err(|error| (*line, unusable(mlflows, own, &error)))?;
            }
            names.extend(
                pattern::before_rest(&rule.pattern).filter(|_| rule.ends_in_data()).map(str::to_owned),
            );
        }
        names.sort();
        names.dedup();
        let rules: BTreeMap<_, _> = kept.chain(own).collect();
        let rules = rules.into_values().map(|(_, rule)| Arc::clone(rule)).collect();
        Ok(Self { routers, rules, names, replaced: Vec::new() })
    }

    /// This table with the operator's rows.
    fn with(&self, text: &str, rows: &Rows) -> Result<Self, Fault> {
        let (mut own, mut replaced) = (Rows::new(), Vec::new());
        for row in read(text)? {
            let known = self.known_to(&row).map_err(|what| (row.line, what))?;
            let like = self.in_another_version(&row);
            let rule = row
                .rule(known.map(Arc::as_ref), like.map(Arc::as_ref))
                .map_err(|what| (row.line, what.to_owned()))?;
            self.leaves_names(&rule).map_err(|what| (row.line, what))?;
            let rule = add(&mut own, &row, rule)?;
            replaced.extend(known.map(|known| Replaced { line: row.line, known: Arc::clone(known), rule }));
        }
        Ok(Self { replaced, ..Self::of(rows, &own)? })
    }

    /// The row whose requests this one would answer.
    ///
    /// # Errors
    /// It would answer some of them only.
    fn known_to(&self, row: &Row) -> Result<Option<&Arc<Rule>>, String> {
        let known = self.at(&row.method, &pattern::sample(&row.nameless));
        let in_part = self.rules.iter().find(|rule| {
            let is_known = known.is_some_and(|known| Arc::ptr_eq(known, rule));
            let nameless = pattern::nameless(&rule.pattern);
            rule.method == row.method
                && !is_known
                && nameless
                    .is_ok_and(|known| known != row.nameless && pattern::takes_from(&row.nameless, &known))
        });
        match in_part {
            Some(rule) => Err(format!(
                "it would answer some requests of {}, and others: write a path for these alone",
                rule.pattern
            )),
            None => Ok(known),
        }
    }

    /// A row with checks for the same path in another version of the REST API, `/api/VERSION/…`, or with another method.
    fn in_another_version(&self, row: &Row) -> Option<&Arc<Rule>> {
        let path = below_version(&row.pattern)?;
        let is_special = |rule: &&Arc<Rule>| rule.check.is_some() || rule.answer.is_some();
        self.rules.iter().filter(is_special).find(|rule| below_version(&rule.pattern) == Some(path))
    }

    /// Checks that a name that is data in an operator's row does not contain a path of MLflow's.
    fn leaves_names(&self, rule: &Rule) -> Result<(), String> {
        let Some(before) = pattern::before_rest(&rule.pattern).filter(|_| rule.ends_in_data()) else {
            return Ok(());
        };
        let is_inside = |name: &String| before.starts_with(name.as_str());
        let of_mlflow = self.rules.iter().find(|known| known.pattern.starts_with(before));
        match of_mlflow.filter(|_| !self.names.iter().any(is_inside)) {
            Some(known) => {
                Err(format!("{} is known, and would be a part of a name that is data", known.pattern))
            }
            None => Ok(()),
        }
    }
}

fn add(rows: &mut Rows, row: &Row, rule: Rule) -> Result<Arc<Rule>, Fault> {
    let rule = Arc::new(rule);
    let key = (row.nameless.clone(), row.method.to_string());
    match rows.insert(key, (row.line, Arc::clone(&rule))) {
        Some((line, _)) => Err((row.line, format!("this method and path is in line {line} already"))),
        None => Ok(rule),
    }
}

fn read(text: &str) -> Result<Vec<Row>, Fault> {
    row::read(text).map_err(|(line, what)| (line, what.to_owned()))
}

/// A path without its prefix and version: `mlflow/runs/log-batch` of `/api/2.0/mlflow/runs/log-batch`.
fn below_version(pattern: &str) -> Option<&str> {
    let rest = pattern.strip_prefix("/api/").or_else(|| pattern.strip_prefix("/ajax-api/"))?;
    rest.split_once('/').map(|(_, path)| path)
}

/// Why the router does not take a path.
fn unusable(mlflows: &Rows, own: &Rows, error: &InsertError) -> String {
    let InsertError::Conflict { with } = error else { return format!("the path cannot be used: {error}") };
    let find =
        |rows: &Rows| rows.iter().find(|((nameless, _), _)| nameless == with).map(|(_, row)| row.clone());
    let other = match (find(mlflows), find(own)) {
        (_, Some((line, _))) => format!("that of line {line}"),
        (Some((_, rule)), None) => rule.pattern.to_string(),
        (None, None) => "another".to_owned(),
    };
    format!("the path cannot be told apart from {other}: one has a {{name}} where the other has a {{*name}}")
}

#[cfg(test)]
mod tests;
