//! The server that answers: whether it is the gateway, in the right version, with an MLflow that only it can reach.

use std::collections::BTreeSet;

use jiff::Timestamp;
use url::Url;

use super::{
    Deployment,
    expectation::{expect, unexpected},
};
use crate::{
    code::Code,
    doctor::{Endpoint, Fault, Finding, Journal, Party, Response, Site, clock, excerpt, passed, speaks_tls},
    health::HTTP_VERSION,
};

/// The number of requests for the version: they show a rollout that is not finished.
const REQUESTS: usize = 10;

impl Deployment {
    /// `None` if nothing answers.
    pub(super) async fn front(&self, journal: &mut Journal, expected_sha: Option<&str>) -> Option<()> {
        let start = Timestamp::now();
        let answer = self.get("/health").await;
        let date = answer.as_ref().ok().map(|answer| clock::date_of(&answer.headers));
        let is_the_gateway = journal.check("health", self.health(answer)).await.is_some();
        let date = date?;
        if is_the_gateway {
            let server = "the gateway, or of a proxy before it,";
            let clock = clock::compare(server, date, start, clock::CLIENT_TOLERANCE);
            journal.check("clock", async { clock }).await;
        }
        journal.check("version", self.version(expected_sha)).await;
        journal.check("health/mlflow", self.mlflow_health()).await;
        Some(())
    }

    /// A request without a key.
    pub(super) async fn get(&self, target: &str) -> Result<Response, String> {
        self.site.get(target, &[]).await
    }

    async fn health(&self, answer: Result<Response, String>) -> Finding {
        if let (Err(error), "http", Some(config)) = (&answer, self.url.scheme(), &self.tls) {
            let addresses = self.url.socket_addrs(|| None).unwrap_or_default();
            if speaks_tls(&addresses, config).await {
                let what = format!("the server speaks TLS: {error}");
                let (cause, fix) = ("the address says http", "https:// in --url");
                return Err(Fault::new(Code::TlsExpected, what, cause, fix));
            }
        }
        let answer = expect(answer, 200)?;
        match (answer.json()["status"].as_str(), answer.json()["version"].as_str()) {
            (Some("ok"), Some(version)) => passed(format!("the gateway, version {version}")),
            _ => Err(not_the_gateway("/health", &answer)),
        }
    }

    async fn version(&self, expected: Option<&str>) -> Finding {
        let mut versions = BTreeSet::new();
        let mut last = None;
        // Each on a connection of its own: a load balancer may have several instances.
        for _ in 0..REQUESTS {
            let site = Site::new(&self.url, self.tls.as_ref());
            let answer = expect(site.get("/version", &[]).await, 200)?;
            versions.insert(answer.json()["git_sha"].as_str().unwrap_or_default().to_owned());
            last = Some(answer);
        }
        let Some(answer) = last else { return passed(String::new()) };
        let json = answer.json();
        let (Some(sha), Some(config)) = (json["git_sha"].as_str(), json["config_hash"].as_str()) else {
            return Err(not_the_gateway("/version", &answer));
        };
        match expected {
            Some(expected) if !versions.iter().all(|sha| sha.starts_with(expected)) => Err(Fault::new(
                Code::VersionMismatch,
                format!(
                    "the running code is {}, expected {expected}",
                    Vec::from_iter(versions).join(" and ")
                ),
                "the deployment did not happen, is not finished, or was rolled back; or the image was not rebuilt",
                "deploy that commit, wait for the last old instance to end, and run this again",
            )),
            _ => passed(format!("commit {sha}, config_hash {config}{}", http_version(&answer))),
        }
    }

    async fn mlflow_health(&self) -> Finding {
        let answer = self.get("/health/mlflow").await;
        match &answer {
            Ok(unwell) if unwell.status.as_u16() == 503 && unwell.json()["checks"].is_object() => {
                // An older gateway has no codes.
                let code = unwell.json()["codes"][0].as_str().and_then(Code::from_text);
                Err(Fault::new(
                    code.unwrap_or(Code::MlflowUnreachable),
                    format!("the gateway cannot use MLflow: {}", unwell.json()["checks"]),
                    "MLflow is down, its address is wrong, or the network lets nothing through to it",
                    "`hokusai-gateway check --probe` beside the gateway shows why",
                ))
            }
            _ => {
                let answer = expect(answer, 200)?;
                let json = answer.json();
                if json["status"] == "healthy" {
                    passed(format!("MLflow is healthy, {} ms from the gateway", json["latency_ms"]))
                } else {
                    Err(unexpected(&answer, 200))
                }
            }
        }
    }

    /// MLflow itself must not answer here: it checks no keys.
    pub(super) async fn direct(&self, journal: &mut Journal, url: &Url) {
        let check = async {
            let endpoint = Endpoint::of(Party::Mlflow, url, None, ["--direct", "--ca"]);
            match endpoint.stream().await {
                Err(fault) => passed(format!("not from here: {}", fault.what)),
                Ok(_) => Err(Fault::new(
                    Code::GatewayBypass,
                    format!(
                        "{url} accepts connections from here, past the gateway: {}",
                        self.health_of(url).await
                    ),
                    "MLflow has a public address, a published port, or a security group that lets everybody in; it \
                     asks for no key",
                    "let only the gateway reach MLflow: no public address, no published port, a security group or a \
                     NetworkPolicy for the gateway alone",
                )),
            }
        };
        journal.check("mlflow not reachable", check).await;
    }

    async fn health_of(&self, url: &Url) -> String {
        match Site::new(url, self.tls.as_ref()).get("/health", &[]).await {
            Ok(answer) => format!("/health gives {}", excerpt(&answer)),
            Err(error) => format!("no HTTP ({error})"),
        }
    }
}

fn not_the_gateway(path: &str, answer: &Response) -> Fault {
    Fault::new(
        Code::NotTheGateway,
        format!("{path} is not that of the gateway: {}", excerpt(answer)),
        "the default of a load balancer, or another service, answers in its place",
        "a rule that leads all paths of this host to the gateway",
    )
}

/// A note if a proxy speaks HTTP/1.0 to the gateway, which names the version of the request that it received.
fn http_version(answer: &Response) -> &'static str {
    match answer.header(HTTP_VERSION.as_str()) {
        Some("1.0") => {
            "; the proxy before the gateway speaks HTTP/1.0 to it, with a new connection for each request (nginx: \
             proxy_http_version 1.1)"
        }
        _ => "",
    }
}
