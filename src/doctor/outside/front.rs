//! What answers: that it is the gateway, the right one, with an MLflow behind it that nobody else reaches.

use std::collections::BTreeSet;

use awc::{body, http::Method};
use jiff::Timestamp;
use url::Url;

use super::{
    Deployment,
    expectation::{expect, unexpected},
};
use crate::{
    code::Code,
    doctor::{Answer, Fault, Finding, Journal, Party, Place, Site, clock, excerpt, speaks_tls},
    health::HTTP_VERSION,
};

/// How often the version is asked for: a rollout that is not over shows.
const INSTANCES: usize = 10;

impl Deployment {
    /// `None` where nothing answers at all.
    pub(super) async fn front(&self, journal: &mut Journal, expected_sha: Option<&str>) -> Option<()> {
        let began = Timestamp::now();
        let answer = self.get("/health").await;
        let exchange = clock::Exchange { began, ended: Timestamp::now() };
        let date = answer.as_ref().ok().map(clock::date_of);
        let is_the_gateway = journal.check("health", self.health(answer)).await.is_some();
        let date = date?;
        if is_the_gateway {
            let whose = "the gateway, or what stands before it,";
            journal.check("clock", async { clock::compare(whose, date, exchange, clock::OUTSIDE) }).await;
        }
        journal.check("version", self.version(expected_sha)).await;
        journal.check("health/mlflow", self.mlflow_health()).await;
        Some(())
    }

    /// A request without a key.
    pub(super) async fn get(&self, target: &str) -> Result<Answer, String> {
        self.site.ask(Method::GET, target, &[], body::None::new()).await
    }

    async fn health(&self, answer: Result<Answer, String>) -> Finding {
        if let (Err(error), "http", Some(config)) = (&answer, self.url.scheme(), &self.tls) {
            let addresses = self.url.socket_addrs(|| None).unwrap_or_default();
            if speaks_tls(&addresses, config).await {
                let what = format!("what listens there speaks TLS: {error}");
                return Err(Fault::new(
                    Code::TlsExpected,
                    what,
                    "the address says http",
                    "https:// in --url",
                ));
            }
        }
        let answer = expect(answer, 200)?;
        match (answer.json()["status"].as_str(), answer.json()["version"].as_str()) {
            (Some("ok"), Some(version)) => Ok(((), format!("the gateway, version {version}"))),
            _ => Err(Fault::new(
                Code::NotTheGateway,
                format!("/health is not the gateway's: {}", excerpt(&answer)),
                "a load balancer's default, or another service, answers in its place",
                "a rule that leads all of this host to the gateway",
            )),
        }
    }

    async fn version(&self, expected: Option<&str>) -> Finding {
        let mut versions = BTreeSet::new();
        let mut told = None;
        // Each on a connection of its own: behind a load balancer there is more than one instance.
        for _ in 0..INSTANCES {
            let site = Site::new(&self.url, self.tls.as_ref());
            let answer = expect(site.ask(Method::GET, "/version", &[], body::None::new()).await, 200)?;
            versions.insert(answer.json()["git_sha"].as_str().unwrap_or_default().to_owned());
            told = Some(answer);
        }
        let Some(answer) = told else { return Ok(((), String::new())) };
        let json = answer.json();
        let (Some(sha), Some(config)) = (json["git_sha"].as_str(), json["config_hash"].as_str()) else {
            return Err(Fault::new(
                Code::NotTheGateway,
                format!("/version is not the gateway's: {}", excerpt(&answer)),
                "a load balancer's default, or another service, answers in its place",
                "a rule that leads all of this host to the gateway",
            ));
        };
        match expected {
            Some(expected) if !versions.iter().all(|sha| sha.starts_with(expected)) => Err(Fault::new(
                Code::OtherVersion,
                format!(
                    "the running code is {}, expected {expected}",
                    Vec::from_iter(versions).join(" and ")
                ),
                "the deployment did not happen, is not over yet, or was rolled back; or the image was not rebuilt",
                "deploy that commit, wait for the last old instance to go, and ask again",
            )),
            _ => Ok(((), format!("commit {sha}, config_hash {config}{}", asked_in(&answer)))),
        }
    }

    async fn mlflow_health(&self) -> Finding {
        let answer = self.get("/health/mlflow").await;
        match &answer {
            Ok(unwell) if unwell.status.as_u16() == 503 && unwell.json()["checks"].is_object() => {
                // The gateway knows which it is, unless it is older than its codes.
                let code = unwell.json()["codes"][0].as_str().and_then(Code::from_text);
                Err(Fault::new(
                    code.unwrap_or(Code::MlflowUnreachable),
                    format!("the gateway cannot use MLflow: {}", unwell.json()["checks"]),
                    "MLflow is down, its address is wrong, or nothing lets the gateway through to it",
                    "`hokusai-gateway check --probe` beside the gateway tells why",
                ))
            }
            _ => {
                let answer = expect(answer, 200)?;
                let json = answer.json();
                if json["status"] == "healthy" {
                    Ok(((), format!("MLflow is healthy, {} ms from the gateway", json["latency_ms"])))
                } else {
                    Err(unexpected(&answer, 200))
                }
            }
        }
    }

    /// MLflow itself must not answer here: it knows no keys.
    pub(super) async fn direct(&self, journal: &mut Journal, url: &Url) {
        let asking = async {
            let place = Place::of(Party::Mlflow, url, None, ["--direct", "--ca"]);
            let connected = match place.resolve().await {
                Ok((addresses, _)) => place.connect(&addresses).await,
                Err(fault) => Err(fault),
            };
            match connected {
                Err(fault) => Ok(((), format!("not from here: {}", fault.what))),
                Ok(_) => Err(Fault::new(
                    Code::PastTheGateway,
                    format!(
                        "{url} takes connections from here, past the gateway: {}",
                        self.health_of(url).await
                    ),
                    "MLflow has a public address, a published port, or a security group that lets everybody in; it \
                     asks nobody for a key",
                    "let only the gateway reach MLflow: no public address, no published port, a security group or a \
                     NetworkPolicy for the gateway alone",
                )),
            }
        };
        journal.check("mlflow not reachable", asking).await;
    }

    async fn health_of(&self, url: &Url) -> String {
        let site = Site::new(url, self.tls.as_ref());
        let answer = site.ask(Method::GET, "/health", &[], body::None::new()).await;
        answer.as_ref().map_or_else(
            |error| format!("no HTTP ({error})"),
            |answer| format!("/health gives {}", excerpt(answer)),
        )
    }
}

/// What there is to say of the HTTP in which the gateway was asked: not what it was asked in here, where a proxy stands
/// between.
fn asked_in(answer: &Answer) -> &'static str {
    match answer.header(HTTP_VERSION.as_str()) {
        Some("1.0") => {
            "; what stands before the gateway speaks HTTP/1.0 to it, and makes a connection for each request (nginx: \
             proxy_http_version 1.1)"
        }
        _ => "",
    }
}
