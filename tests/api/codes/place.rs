//! Where a fault is set up: an MLflow that is well, a key that is good, and a folder for what is not.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Response, Server, ask,
    commands::{Report, mlflow},
    eventually,
    process::{Process, command, program},
};

/// Where nobody listens.
pub(super) const CLOSED: &str = "http://127.0.0.1:1";
/// A name that nobody has (RFC 2606).
pub(super) const NOBODY: &str = "nobody.invalid";
const QUICK: [(&str, &str); 2] =
    [("HOKUSAI__MLFLOW__CONNECT_TIMEOUT", "200ms"), ("HOKUSAI__MLFLOW__PROBE_INTERVAL", "100ms")];
pub(super) const SEARCH: &str = "/api/2.0/mlflow/experiments/search?max_results=1";

pub(super) type Variables<'a> = &'a [(&'a str, &'a str)];

pub(super) struct Place {
    folder: TempDir,
    pub mlflow: Server,
    /// What is good; `keys.toml` has it.
    pub key: String,
}

impl Place {
    pub async fn new() -> Self {
        let (folder, mlflow) = (tempfile::tempdir().unwrap(), mlflow(|_| None).await);
        let mut place = Self { folder, mlflow, key: String::new() };
        place.key = place.create_key(&[
            "--scope",
            "mlflow:read",
            "--scope",
            "mlflow:write",
            "--scope",
            "mlflow:delete",
        ]);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Another good key, in `keys.toml`.
    pub fn create_key(&self, arguments: &[&str]) -> String {
        let mut create = command(self.folder.path());
        create.args(["keys", "create", "--test", "--user", "ada"]).args(arguments);
        let created = create.output().unwrap();
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
        String::from_utf8(created.stdout).unwrap().trim().to_owned()
    }

    /// `check`, of settings that are good but for these.
    pub async fn check(&self, variables: Variables<'_>) -> Report {
        self.run(&["check"], variables).await
    }

    /// `check --probe`, which waits as little as it can.
    pub async fn probe(&self, variables: Variables<'_>) -> Report {
        self.run(&["check", "--probe"], &[&QUICK, variables].concat()).await
    }

    pub async fn doctor(&self, url: &str, key: &str) -> Report {
        self.run(&["doctor", "--url", url], &[("HOKUSAI_API_KEY", key)]).await
    }

    pub async fn run(&self, arguments: &[&str], variables: Variables<'_>) -> Report {
        let mut run = command(self.folder.path());
        run.args(arguments);
        self.report(run, variables).await
    }

    /// `check`, by a program that runs the binary.
    pub async fn check_by(&self, name: &str, arguments: &[&str], variables: Variables<'_>) -> Report {
        let mut run = program(self.folder.path(), name);
        run.args(arguments).args([env!("CARGO_BIN_EXE_hokusai-gateway"), "check"]);
        self.report(run, variables).await
    }

    async fn report(&self, mut run: Command, variables: Variables<'_>) -> Report {
        self.set(&mut run, variables);
        let report = Report::of(run).await;
        let key = variables.iter().find(|(name, _)| *name == "HOKUSAI_API_KEY");
        assert!(key.is_none_or(|(_, key)| !report.printed.contains(key)), "the key is printed");
        report
    }

    fn set(&self, command: &mut Command, variables: Variables<'_>) {
        command.env("MLFLOW_SERVER_URL", self.mlflow.url()).env("HOKUSAI__SERVER__BIND", "127.0.0.1:0");
        command.envs(variables.iter().copied());
    }

    /// A gateway that need not be ready.
    pub fn serve(&self, variables: Variables<'_>) -> Running {
        self.serve_with(&[], variables)
    }

    pub fn serve_with(&self, arguments: &[&str], variables: Variables<'_>) -> Running {
        let url = self.mlflow.url();
        let variables = [&[("MLFLOW_SERVER_URL", &*url)], &QUICK[..], variables].concat();
        let process = Process::serve_with(self.folder.path(), arguments, &variables);
        Running { process, key: self.key.clone(), log: self.path("log") }
    }

    /// Fails unless a gateway ends by itself, and logs this code and no other.
    pub async fn assert_ends(&self, code: &str, variables: Variables<'_>) {
        let mut serve = command(self.folder.path());
        self.set(serve.arg("serve"), variables);
        let output = actix_web::web::block(move || serve.output().unwrap()).await.unwrap();
        let log = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert_eq!(codes_of(&log), BTreeSet::from([code.to_owned()]), "{log}");
    }
}

pub(super) struct Running {
    pub process: Process,
    key: String,
    log: PathBuf,
}

impl Running {
    pub fn url(&self) -> String {
        format!("http://{}", self.process.address)
    }

    pub async fn get(&self, key: Option<&str>) -> Response {
        let key = key.unwrap_or(&self.key);
        let head = format!("GET {SEARCH} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n");
        ask(self.process.address, head).await
    }

    /// Waits for a warning or an error with this code.
    pub async fn logs(&self, code: &str) {
        eventually(code, async || ["WARN", "ERROR"].iter().any(|level| self.lines(level).contains(code)))
            .await;
    }

    /// The codes of `/ready`, which its texts begin with too.
    pub async fn ready(&self) -> BTreeSet<String> {
        let said = ask(self.process.address, "GET /ready HTTP/1.1\r\nhost: a\r\n\r\n").await.json();
        let texts = |list: &str| -> BTreeSet<String> {
            let texts = said[list].as_array().into_iter().flatten().map(|text| text.as_str().unwrap());
            texts.map(|text| text.split(' ').next().unwrap().to_owned()).collect()
        };
        assert_eq!(&texts("reasons") | &texts("warnings"), texts("codes"), "{said}");
        texts("codes")
    }

    /// Waits until the code is all that `/ready` names, and the log names it.
    pub async fn is_not_ready(&self, code: &str) {
        eventually(code, async || self.ready().await == BTreeSet::from([code.to_owned()])).await;
        self.logs(code).await;
    }

    /// The codes of the lines of a level.
    pub fn lines(&self, level: &str) -> BTreeSet<String> {
        let log = fs::read_to_string(&self.log).unwrap();
        codes_of(
            &log.lines()
                .filter(|line| line.contains(&format!("\"level\":\"{level}\"")))
                .collect::<Vec<_>>()
                .join("\n"),
        )
    }
}

/// The codes in a log.
fn codes_of(log: &str) -> BTreeSet<String> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| line["code"].as_str().map(str::to_owned)).collect()
}
