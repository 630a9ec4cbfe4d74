//! MLflow: whether it is one, where its API is, and whether it takes what the gateway sends.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Instant};

use actix_web::http::{StatusCode, header::LOCATION, uri::PathAndQuery};
use jiff::Timestamp;
use tokio::time::timeout;

use super::artifacts::{Interrupted, Store};
use crate::{
    code::Code,
    doctor::{
        Answer, Fault, Finding, Journal, Party, Place, clock, excerpt, nginx_page, speaks_tls, start_of,
    },
    http_client::End,
    proxy::Proxy,
    resources::Resources,
    settings::{ClientTls, Settings, UpstreamAuth},
    tls,
    upstream::{ProbeOutcome, ProbeResponse, ProbeTarget, Refusal, Upstream, UpstreamPool, search},
};

/// What MLflow is often given as `--static-prefix`.
const USUAL_PREFIX: &str = "/mlflow";

pub(super) async fn probe(
    settings: &Settings,
    resources: &Resources,
    write: bool,
    journal: &mut Journal,
) -> Interrupted {
    let upstreams = UpstreamPool::new(&settings.mlflow);
    let proxy = Proxy::new(settings, &upstreams, resources.mlflow_tls.as_ref());
    for upstream in upstreams.all() {
        let has_api = upstreams.mlflow.iter().any(|mlflow| Arc::ptr_eq(mlflow, upstream));
        let has_artifacts = upstreams.artifacts.iter().any(|artifacts| Arc::ptr_eq(artifacts, upstream));
        let written_as = [if has_api { "mlflow.url" } else { "mlflow.artifacts_url" }, "mlflow.tls.ca"];
        let not_at = Some(settings.server.bind);
        let place = Place {
            not_at,
            ..Place::of(Party::Mlflow, &upstream.url, resources.mlflow_tls.as_ref(), written_as)
        };
        let server = Server { settings, proxy: &proxy, upstream, place };
        if server.probe(journal, [has_api, has_artifacts], write).await == Interrupted(true) {
            return Interrupted(true);
        }
    }
    Interrupted(false)
}

struct Server<'a> {
    settings: &'a Settings,
    proxy: &'a Proxy,
    upstream: &'a Arc<Upstream>,
    place: Place,
}

impl Server<'_> {
    async fn probe(
        &self,
        journal: &mut Journal,
        [has_api, has_artifacts]: [bool; 2],
        write: bool,
    ) -> Interrupted {
        let on = Interrupted(false);
        let step = |step: &str| format!("{}.{step}", self.upstream.name);
        let Some(addresses) = self.place.reach(journal, &self.upstream.name).await else {
            journal.skip(&step("http"), "it cannot be reached");
            return on;
        };
        if journal.check(&step("http"), self.health(&addresses)).await.is_none() {
            return on;
        }
        journal.check(&step("clock"), self.clock()).await;
        if has_api && journal.check(&step("api"), self.api()).await.is_none() {
            return on;
        }
        let Self { proxy, upstream, .. } = *self;
        let store = Store { proxy, upstream, root: ProbeTarget::api_root(&self.settings.mlflow) };
        if !has_artifacts || journal.check(&step("artifacts"), store.listed()).await.is_none() || !write {
            return on;
        }
        store.try_out(journal).await
    }

    async fn clock(&self) -> Finding {
        let began = Timestamp::now();
        let answer = self.ask(&format!("{}/health", self.settings.mlflow.static_prefix)).await;
        let exchange = clock::Exchange { began, ended: Timestamp::now() };
        let date = answer.ok().and_then(|answer| clock::date_of(&answer));
        clock::compare("MLflow, or what stands before it,", date, exchange, clock::TOGETHER)
    }

    async fn ask(&self, target: &str) -> Result<Answer, String> {
        let target = PathAndQuery::try_from(target).map_err(|error| error.to_string())?;
        let patience = self.settings.mlflow.connect_timeout + self.settings.mlflow.probe_interval * 5;
        let exchange = async {
            let began = Instant::now();
            let answer = self.proxy.ask(self.upstream, &target).await.map_err(|error| error.to_string())?;
            Answer::of(answer, began).await
        };
        timeout(patience, exchange).await.unwrap_or_else(|_| Err(format!("no answer within {patience:?}")))
    }

    /// Whether there is HTTP, and no gateway, redirect or TLS in the way.
    async fn health(&self, addresses: &[SocketAddr]) -> Finding {
        let (url, written_as) = (&self.upstream.url, self.place.written_as);
        let prefix = &self.settings.mlflow.static_prefix;
        let answer = self.ask(&format!("{prefix}/health")).await;
        if url.scheme() == "http" && !answer.as_ref().is_ok_and(|answer| answer.status.is_success()) {
            let config = tls::client_config(&ClientTls::default());
            if let Ok(config) = config
                && speaks_tls(addresses, &config).await
            {
                let mut fixed = url.clone();
                let _ = fixed.set_scheme("https");
                return Err(Fault::new(
                    Code::TlsExpected,
                    format!("what listens at {url} speaks TLS"),
                    "the address says http",
                    format!("{written_as} = \"{fixed}\""),
                ));
            }
        }
        let answer = answer.map_err(|error| {
            Fault::new(
                Code::MlflowSilent,
                format!("{url} takes connections and gives no HTTP answer: {error}"),
                "it hangs, it is something else than MLflow, or it is about to start",
                "look at MLflow's own log",
            )
        })?;
        let has_certificate = self.settings.mlflow.tls.identity.is_some();
        let asked =
            nginx_page::Asked { url, written_as, ca_written_as: self.place.ca_written_as, has_certificate };
        if let Some(fault) = nginx_page::fault(&answer, asked) {
            return Err(fault);
        }
        match answer.status {
            StatusCode::LOOP_DETECTED => Err(self.target().refusal(Refusal::LeadsBack, "")),
            status if status.is_redirection() => Err(self.refusal(&answer)),
            StatusCode::BAD_REQUEST
                if said(&answer).outcome() == ProbeOutcome::Refuses(Refusal::ClientCertificate) =>
            {
                Err(self.refusal(&answer))
            }
            // Without its prefix: `api` says more.
            StatusCode::OK | StatusCode::NOT_FOUND => {
                let version = self.ask(&format!("{prefix}/version")).await;
                let version = version.ok().filter(|answer| answer.status == StatusCode::OK);
                if version.as_ref().is_some_and(|answer| answer.json()["git_sha"].is_string()) {
                    return Err(self.target().refusal(Refusal::LeadsBack, ""));
                }
                let version = version.map(|answer| answer.text()).filter(|text| is_version(text));
                let version = version.unwrap_or_else(|| "of an unknown version".to_owned());
                Ok(((), format!("{} after {:?}, MLflow {version}", answer.status.as_u16(), answer.took)))
            }
            _ => Err(Fault::new(
                Code::MlflowUnwell,
                format!("{url} answered its /health with {}", excerpt(&answer)),
                "something stands before MLflow and answers in its place, or MLflow is broken",
                format!("MLflow's own address as {written_as}; and look at MLflow's own log"),
            )),
        }
    }

    /// Under which prefixes the API answers, and whether the one that is set is among them.
    async fn api(&self) -> Finding {
        let mlflow = &self.settings.mlflow;
        let prefixes = BTreeSet::from([mlflow.static_prefix.as_str(), "", USUAL_PREFIX]);
        let configured = ProbeTarget::api_root(mlflow);
        let search = search();
        let mut answering = Vec::new();
        let mut answers = Vec::new();
        for prefix in prefixes {
            for rest in ["/api", "/ajax-api"] {
                let root = format!("{prefix}{rest}");
                let answer = self.ask(&format!("{root}{search}")).await;
                if answer.as_ref().is_ok_and(|answer| said(answer).outcome() == ProbeOutcome::Serves) {
                    answering.push((prefix, rest, root.clone()));
                }
                answers.push((root, answer));
            }
        }
        let roots: Vec<_> = answering.iter().map(|(_, _, root)| root.as_str()).collect();
        if roots.contains(&configured.as_str()) {
            let others = roots.join(", ");
            let takes = match &mlflow.auth {
                UpstreamAuth::None => "without credentials",
                _ => "and takes the credentials of mlflow.auth",
            };
            return Ok(((), format!("answers under {configured} {takes}; all that answer: {others}")));
        }
        if let Some((prefix, rest, root)) = answering.first() {
            let prefix = if prefix.is_empty() {
                "mlflow.static_prefix not set".to_owned()
            } else {
                format!("mlflow.static_prefix = \"{prefix}\"")
            };
            return Err(Fault::new(
                Code::ApiNotFound,
                format!("MLflow's API does not answer under {configured}, but under {}", roots.join(", ")),
                "MLflow was started with another --static-prefix, or what stands before it lets only this one through",
                format!("mlflow.rest = \"{}\" and {prefix} (for {root})", &rest[1..]),
            ));
        }
        let answer = answers.into_iter().find(|(root, _)| *root == configured).map(|(_, answer)| answer);
        Err(match answer {
            Some(Ok(answer)) => self.refusal(&answer),
            Some(Err(error)) => Fault::new(
                Code::MlflowSlow,
                format!("{configured} gave no answer: {error}"),
                "MLflow answers /health and hangs where its database is needed",
                "look at MLflow's own log, and at its database",
            ),
            None => Fault::new(Code::Defect, "nothing was asked", "a defect", "report it"),
        })
    }

    fn target(&self) -> ProbeTarget<'_> {
        ProbeTarget { url: &self.upstream.url, setting: self.place.written_as, mlflow: &self.settings.mlflow }
    }

    /// Why an answer is none that MLflow gives to whom it serves.
    fn refusal(&self, answer: &Answer) -> Fault {
        let shown = match answer.headers.get(LOCATION).and_then(|to| to.to_str().ok()) {
            Some(to) if answer.status.is_redirection() => {
                format!("{} to {}", answer.status.as_u16(), start_of(to.as_bytes()))
            }
            _ => excerpt(answer),
        };
        match said(answer).outcome() {
            ProbeOutcome::Refuses(refusal) => self.target().refusal(refusal, &shown),
            ProbeOutcome::Serves | ProbeOutcome::Fails | ProbeOutcome::Busy => self.target().failure(&shown),
        }
    }
}

fn said(answer: &Answer) -> ProbeResponse<'_> {
    let end = if answer.is_cut { End::Longer } else { End::Whole };
    ProbeResponse { status: answer.status, headers: &answer.headers, body: &answer.body, end }
}

/// As MLflow writes its own: 3.17.2.
fn is_version(text: &str) -> bool {
    text.len() < 32 && text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.')
}
