//! The operator's commands, and what they report.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Server, process::command, server::Answer};

/// What a command reports to programs.
#[derive(Debug)]
pub struct Report {
    pub code: Option<i32>,
    pub said: Value,
    /// All of its output.
    pub printed: String,
}

impl Report {
    /// Runs a command while the servers of the test go on.
    pub async fn of(mut command: Command) -> Self {
        let running = actix_web::web::block(move || command.args(["--format", "json"]).output().unwrap());
        let output = running.await.unwrap();
        let said = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        Self { code: output.status.code(), said, printed }
    }

    fn checks(&self, outcome: &str) -> impl Iterator<Item = &Value> {
        self.said["checks"].as_array().unwrap().iter().filter(move |check| check["outcome"] == outcome)
    }

    /// Finding, cause and fix of each check that failed.
    pub fn failed(&self) -> BTreeMap<&str, String> {
        let words =
            |check: &Value| ["found", "cause", "fix"].map(|part| check[part].as_str().unwrap()).join(" | ");
        self.checks("failed").map(|check| (check["check"].as_str().unwrap(), words(check))).collect()
    }

    pub fn passed(&self) -> BTreeSet<&str> {
        self.checks("ok").map(|check| check["check"].as_str().unwrap()).collect()
    }

    /// Fails unless a check failed, and said so in these words.
    #[track_caller]
    pub fn assert_failed(&self, check: &str, words: &str) {
        let failed = self.failed();
        assert!(failed.get(check).is_some_and(|found| found.contains(words)), "{check}: {words}: {failed:?}");
    }

    /// The code of everything that is wrong.
    pub fn codes(&self) -> BTreeSet<&str> {
        let lists = ["checks", "problems", "warnings"].map(|list| self.said[list].as_array());
        let told = lists.into_iter().flatten().flatten();
        let wrong = told.filter(|told| told["outcome"].as_str().is_none_or(|outcome| outcome == "failed"));
        wrong.filter_map(|told| told["code"].as_str()).collect()
    }

    /// Fails unless everything that is wrong has this code.
    #[track_caller]
    pub fn assert_named(&self, code: &str) {
        self.assert_named_beside(code, &[]);
    }

    /// The same, where the fault has these codes, too.
    #[track_caller]
    pub fn assert_named_beside(&self, code: &str, others: &[&str]) {
        let expected = others.iter().copied().chain([code]).collect();
        assert_eq!(self.codes(), expected, "{}", self.printed);
    }

    /// All that is said of a setting's problem.
    pub fn problem(&self, key: &str) -> String {
        let problems = self.said["problems"].as_array().unwrap();
        problems.iter().find(|problem| problem["key"] == key).unwrap().to_string()
    }
}

pub fn folder_with_a_key() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let created = command(folder.path()).args(["keys", "create", "--user", "ada"]).output().unwrap();
    assert!(created.status.success(), "{created:?}");
    folder
}

/// `check`, with a good key file.
pub async fn check(arguments: &[&str], settings: &[(&str, &str)]) -> Report {
    let folder = folder_with_a_key();
    let mut command = command(folder.path());
    command.arg("check").args(arguments).env("HOKUSAI__SERVER__BIND", "127.0.0.1:0");
    command.envs(settings.iter().copied());
    Report::of(command).await
}

pub async fn doctor(url: &str, key: &str, arguments: &[&str]) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    command.args(["doctor", "--url", url]).args(arguments).env("HOKUSAI_API_KEY", key);
    let report = Report::of(command).await;
    assert!(!report.printed.contains(key), "the key is printed: {}", report.printed);
    report
}

/// An MLflow as far as a probe looks, but for what a test says of a path.
pub async fn mlflow(odd: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static) -> Server {
    Server::start_asked(move |request| {
        let path = request.target().split('?').next().unwrap();
        odd(path).unwrap_or_else(|| match path {
            "/health" => Answer::ok("OK"),
            "/version" => Answer::ok("3.17.2"),
            _ if path.starts_with("/api/") || path.starts_with("/ajax-api/") => Answer::ok("{}"),
            _ => Answer::json(404, "not here"),
        })
    })
    .await
}

/// One whose `/health` is good and whose API answers so.
pub async fn mlflow_with_api(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Server {
    let is_api = |path: &str| path.starts_with("/api/") || path.starts_with("/ajax-api/");
    mlflow(move |path| is_api(path).then(&answer)).await
}
