//! MLflow: whether it is MLflow, where its API is, and whether it accepts the gateway's requests.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    http::{Method, StatusCode, header::LOCATION, uri::PathAndQuery},
    web::Bytes,
};
use jiff::Timestamp;
use tokio::time::timeout;

use super::artifacts::Store;
use crate::{
    code::Code,
    doctor::{
        Endpoint, Fault, Finding, Interrupted, Journal, Party, Response, clock, excerpt, nginx_page, passed,
        speaks_tls, start_of,
    },
    http_client::End,
    proxy::Proxy,
    resources::Resources,
    settings::{ClientTls, Settings, UpstreamAuth},
    tls,
    upstream::{ProbeOutcome, ProbeResponse, ProbeTarget, Refusal, Upstream, UpstreamPool, search},
};

/// A usual `--static-prefix` of MLflow.
const USUAL_PREFIX: &str = "/mlflow";

pub(super) async fn probe(
    settings: &Settings,
    resources: &Resources,
    write: bool,
    journal: &mut Journal,
) -> Result<(), Interrupted> {
    let upstreams = UpstreamPool::new(&settings.mlflow);
    let proxy = Proxy::new(settings, &upstreams, resources.mlflow_tls.as_ref());
    for upstream in upstreams.all() {
        let has_api = upstreams.mlflow.iter().any(|mlflow| Arc::ptr_eq(mlflow, upstream));
        let has_artifacts = upstreams.artifacts.iter().any(|artifacts| Arc::ptr_eq(artifacts, upstream));
        let setting = [if has_api { "mlflow.url" } else { "mlflow.artifacts_url" }, "mlflow.tls.ca"];
        let endpoint = Endpoint {
            own_address: Some(settings.server.bind),
            ..Endpoint::of(Party::Mlflow, &upstream.url, resources.mlflow_tls.as_ref(), setting)
        };
        let server = MlflowServer { settings, proxy: &proxy, upstream, endpoint };
        server.probe(journal, [has_api, has_artifacts], write).await?;
    }
    Ok(())
}

struct MlflowServer<'a> {
    settings: &'a Settings,
    proxy: &'a Proxy,
    upstream: &'a Arc<Upstream>,
    endpoint: Endpoint,
}

impl MlflowServer<'_> {
    async fn probe(
        &self,
        journal: &mut Journal,
        [has_api, has_artifacts]: [bool; 2],
        write: bool,
    ) -> Result<(), Interrupted> {
        let step = |step: &str| format!("{}.{step}", self.upstream.name);
        let Some(addresses) = self.endpoint.reach(journal, &self.upstream.name).await else {
            journal.skip(&step("http"), "MLflow cannot be reached");
            return Ok(());
        };
        if journal.check(&step("http"), self.health(&addresses)).await.is_none() {
            return Ok(());
        }
        journal.check(&step("clock"), self.clock()).await;
        if has_api && journal.check(&step("api"), self.api()).await.is_none() {
            return Ok(());
        }
        let Self { proxy, upstream, .. } = *self;
        let store = Store { proxy, upstream, root: ProbeTarget::api_root(&self.settings.mlflow) };
        if !has_artifacts || journal.check(&step("artifacts"), store.listed()).await.is_none() || !write {
            return Ok(());
        }
        store.probe(journal).await
    }

    async fn clock(&self) -> Finding {
        let start = Timestamp::now();
        let answer = self.get(&format!("{}/health", self.settings.mlflow.static_prefix)).await;
        let date = answer.ok().and_then(|answer| clock::date_of(&answer.headers));
        clock::compare("MLflow, or of a proxy before it,", date, start, clock::SERVER_TOLERANCE)
    }

    async fn get(&self, target: &str) -> Result<Response, String> {
        let limit = self.settings.mlflow.connect_timeout + self.settings.mlflow.probe_interval * 5;
        send(self.proxy, self.upstream, &Method::GET, target, Bytes::new(), limit).await
    }

    /// Whether the server speaks HTTP, and there is no gateway, redirect or TLS before MLflow.
    async fn health(&self, addresses: &[SocketAddr]) -> Finding {
        let url = &self.upstream.url;
        let prefix = &self.settings.mlflow.static_prefix;
        let answer = self.get(&format!("{prefix}/health")).await;
        if url.scheme() == "http" && !answer.as_ref().is_ok_and(|answer| answer.status.is_success()) {
            let config = tls::client_config(&ClientTls::default());
            if let Ok(config) = config
                && speaks_tls(addresses, &config).await
            {
                return Err(nginx_page::tls_expected(url, &self.endpoint, ""));
            }
        }
        let answer = answer.map_err(|error| {
            Fault::new(
                Code::MlflowSilent,
                format!("{url} accepts connections and gives no HTTP answer: {error}"),
                "MLflow hangs or is starting, or it is another server",
                "look at MLflow's log",
            )
        })?;
        let has_certificate = self.settings.mlflow.tls.identity.is_some();
        if let Some(fault) = nginx_page::fault(&answer, url, &self.endpoint, has_certificate) {
            return Err(fault);
        }
        match answer.status {
            StatusCode::LOOP_DETECTED => Err(self.target().refusal(Refusal::LeadsBack, "")),
            status if status.is_redirection() => Err(self.refusal(&answer)),
            StatusCode::BAD_REQUEST
                if as_probe_response(&answer).outcome()
                    == ProbeOutcome::Refuses(Refusal::ClientCertificate) =>
            {
                Err(self.refusal(&answer))
            }
            // The prefix may be wrong: the check `api` shows more.
            StatusCode::OK | StatusCode::NOT_FOUND => {
                let version = self.version().await?;
                passed(format!("{} after {:?}, MLflow {version}", answer.status.as_u16(), answer.took))
            }
            _ => Err(Fault::new(
                Code::MlflowError,
                format!("{url} answered its /health with {}", excerpt(&answer)),
                "a proxy before MLflow answers in its place, or MLflow is broken",
                format!("set {} to MLflow's own address; and look at MLflow's log", self.endpoint.setting),
            )),
        }
    }

    async fn version(&self) -> Result<String, Fault> {
        let answer = self.get(&format!("{}/version", self.settings.mlflow.static_prefix)).await;
        let answer = answer.ok().filter(|answer| answer.status == StatusCode::OK);
        if answer.as_ref().is_some_and(|answer| answer.json()["git_sha"].is_string()) {
            return Err(self.target().refusal(Refusal::LeadsBack, ""));
        }
        let version = answer.map(|answer| answer.text()).filter(|text| is_version(text));
        Ok(version.unwrap_or_else(|| "(version unknown)".to_owned()))
    }

    /// Whether the API answers under the prefix of the settings, and under which it does.
    async fn api(&self) -> Finding {
        let mlflow = &self.settings.mlflow;
        let prefixes = BTreeSet::from([mlflow.static_prefix.as_str(), "", USUAL_PREFIX]);
        let configured = ProbeTarget::api_root(mlflow);
        let mut answering = Vec::new();
        let mut of_configured = Err(String::new());
        for prefix in prefixes {
            for rest in ["/api", "/ajax-api"] {
                let root = format!("{prefix}{rest}");
                let answer = self.get(&format!("{root}{}", search())).await;
                if answer.as_ref().is_ok_and(serves) {
                    answering.push((prefix, rest, root.clone()));
                }
                if root == configured {
                    of_configured = answer;
                }
            }
        }
        let roots: Vec<_> = answering.iter().map(|(_, _, root)| root.as_str()).collect();
        let all = roots.join(", ");
        if roots.contains(&configured.as_str()) {
            let accepts = match &mlflow.auth {
                UpstreamAuth::None => "without credentials",
                _ => "and accepts the credentials of mlflow.auth",
            };
            let found = format!("answers under {configured} {accepts}; all prefixes that answer: {all}");
            return passed(found);
        }
        if let Some((prefix, rest, root)) = answering.first() {
            let prefix = match *prefix {
                "" => "mlflow.static_prefix not set".to_owned(),
                prefix => format!("mlflow.static_prefix = \"{prefix}\""),
            };
            return Err(Fault::new(
                Code::ApiNotFound,
                format!("MLflow's API does not answer under {configured}, but under {all}"),
                "MLflow was started with another --static-prefix, or a proxy before it lets only this one through",
                format!("mlflow.rest = \"{}\" and {prefix} (for {root})", &rest[1..]),
            ));
        }
        Err(match of_configured {
            Ok(answer) => self.refusal(&answer),
            Err(error) => Fault::new(
                Code::MlflowSlow,
                format!("{configured} gave no answer: {error}"),
                "MLflow answers /health, and hangs when it needs its database",
                "look at MLflow's log, and at its database",
            ),
        })
    }

    fn target(&self) -> ProbeTarget<'_> {
        ProbeTarget { url: &self.upstream.url, setting: self.endpoint.setting, mlflow: &self.settings.mlflow }
    }

    /// Why an answer is not that of an MLflow that serves the gateway.
    fn refusal(&self, answer: &Response) -> Fault {
        let shown = match answer.headers.get(LOCATION).and_then(|to| to.to_str().ok()) {
            Some(to) if answer.status.is_redirection() => {
                format!("{} to {}", answer.status.as_u16(), start_of(to.as_bytes()))
            }
            _ => excerpt(answer),
        };
        match as_probe_response(answer).outcome() {
            ProbeOutcome::Refuses(refusal) => self.target().refusal(refusal, &shown),
            ProbeOutcome::Serves | ProbeOutcome::Fails | ProbeOutcome::Busy => self.target().failure(&shown),
        }
    }
}

/// Sends a request of the gateway's own, with its client and its credentials.
pub(super) async fn send(
    proxy: &Proxy,
    upstream: &Arc<Upstream>,
    method: &Method,
    target: &str,
    body: Bytes,
    limit: Duration,
) -> Result<Response, String> {
    let target = PathAndQuery::try_from(target).map_err(|error| error.to_string())?;
    let answer = async {
        let began = Instant::now();
        let answer = proxy.ask(upstream, method, &target, body).await;
        Response::read(answer.map_err(|error| error.to_string())?, began).await
    };
    timeout(limit, answer).await.unwrap_or_else(|_| Err(format!("no answer within {limit:?}")))
}

fn serves(answer: &Response) -> bool {
    as_probe_response(answer).outcome() == ProbeOutcome::Serves
}

fn as_probe_response(answer: &Response) -> ProbeResponse {
    let end = if answer.is_cut { End::Longer } else { End::Whole };
    let (headers, body) = (answer.headers.clone(), answer.body.clone().into());
    ProbeResponse { status: answer.status, headers, body, end }
}

/// Whether the text is a version of MLflow, such as 3.17.2.
fn is_version(text: &str) -> bool {
    text.len() < 32 && text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.')
}
