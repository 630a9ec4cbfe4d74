//! What the outcome of a probe means for the settings: faults in the words of the log and of `check --probe`.

use url::Url;

use super::probe_response::{ProbeOutcome, ProbeResponse, Refusal, ServerPart};
use crate::{
    code::Code,
    fault::Fault,
    http_client::host_of,
    settings::{HostHeader, Mlflow, RestPrefix, UpstreamAuth},
};

/// The server that is probed, and the settings that it is probed with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProbeTarget<'a> {
    pub(crate) url: &'a Url,
    /// The key of the setting with this URL.
    pub(crate) setting: &'a str,
    pub(crate) mlflow: &'a Mlflow,
}

impl ProbeTarget<'_> {
    /// What a response means for clients' requests.
    pub(crate) fn outcome(&self, response: &ProbeResponse) -> ProbeOutcome {
        match response.outcome() {
            // Clients' requests carry their own Host; a refusal of the probe's says nothing about those.
            ProbeOutcome::Refuses(Refusal::Host) if self.mlflow.host_header == HostHeader::Client => {
                ProbeOutcome::Busy
            }
            outcome => outcome,
        }
    }

    /// The path under which the gateway calls the API.
    pub(crate) fn api_root(mlflow: &Mlflow) -> String {
        let rest = match mlflow.rest {
            RestPrefix::Api => "/api",
            RestPrefix::AjaxApi => "/ajax-api",
        };
        format!("{}{rest}", mlflow.static_prefix)
    }

    /// The fault of a refusal. `shown` is the response: an excerpt for `check --probe`, a summary for the log.
    pub(crate) fn refusal(&self, refusal: Refusal, shown: &str) -> Fault {
        let Self { url, setting, mlflow } = self;
        let code = refusal.code();
        match refusal {
            Refusal::LeadsBack => Fault::new(
                code,
                format!("{url} leads back to a gateway"),
                "this is the public address: a load balancer or DNS leads it to a gateway",
                format!("write MLflow's own address in {setting}, which only the gateway knows"),
            ),
            Refusal::Host => {
                let host = match &mlflow.host_header {
                    HostHeader::Fixed(host) => host.to_str().unwrap_or_default().to_owned(),
                    HostHeader::Upstream | HostHeader::Client => host_of(url).to_owned(),
                };
                Fault::new(
                    code,
                    format!("MLflow refuses the Host `{host}` ({shown})"),
                    "its --allowed-hosts does not list the name that the gateway sends",
                    format!(
                        "mlflow server --allowed-hosts {host}; or mlflow.host_header with a host that MLflow allows"
                    ),
                )
            }
            Refusal::Credentials => Fault::new(
                code,
                format!("MLflow refuses the gateway ({shown})"),
                match mlflow.auth {
                    UpstreamAuth::None => {
                        "MLflow, or a proxy before it, requires credentials of its own, and mlflow.auth has none"
                    }
                    _ => "MLflow, or a proxy before it, refuses the credentials of mlflow.auth",
                },
                "mlflow.auth = \"basic\" with mlflow.username and mlflow.password_file, or \"bearer\" with mlflow.token_file",
            ),
            Refusal::Redirect => Fault::new(
                code,
                format!("{url} redirects ({shown})"),
                "a load balancer there redirects http to https, or one name to another; a redirected upload would lose \
                 its body",
                format!(
                    "write the address that it redirects to in {setting}, or MLflow's own address behind it"
                ),
            ),
            Refusal::ClientCertificate => Fault::new(
                code,
                format!("{url} requires a client certificate ({shown})"),
                "the server accepts only clients with a certificate that it trusts",
                "set mlflow.tls.cert and mlflow.tls.key",
            ),
            Refusal::Off(part) => Fault::new(
                code,
                match part {
                    ServerPart::Api => format!("{url} was started with --artifacts-only ({shown})"),
                    ServerPart::Artifacts => format!("{url} was started with --no-serve-artifacts ({shown})"),
                },
                format!("{setting} leads to a server that does not have what the gateway asks it for"),
                "mlflow.url: a server with experiments and models; mlflow.artifacts_url: one with --artifacts-only, or \
                 started with mlflow server --serve-artifacts",
            ),
            Refusal::NotMlflow => Fault::new(
                code,
                format!("{} answered {shown}", Self::api_root(mlflow)),
                "there is no MLflow at this address, or it has another --static-prefix; or a load balancer without a rule \
                 for this path answers",
                format!(
                    "write MLflow's own address in {setting}, and its --static-prefix in mlflow.static_prefix"
                ),
            ),
        }
    }

    /// The fault of an API that fails though `/health` answers.
    pub(crate) fn failure(&self, shown: &str) -> Fault {
        Fault::new(
            Code::MlflowError,
            format!("{} fails ({shown})", self.url),
            "MLflow answers /health and fails where it needs its database; or a proxy before it does not reach it",
            "look at MLflow's own log, and at its database",
        )
    }
}
