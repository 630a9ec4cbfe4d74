//! A call of the gateway's own to a server of MLflow's, and what its answer says of the settings: the words of the log and of
//! `check --probe`.

use url::Url;

use super::verdict::{Part, Refusal, Said, Verdict};
use crate::{
    code::Code,
    fault::Fault,
    http_client::host_of,
    settings::{HostHeader, Mlflow, RestPrefix, UpstreamAuth},
};

/// Whom a call went to, and as what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) url: &'a Url,
    /// The setting that has this URL.
    pub(crate) written_as: &'a str,
    pub(crate) mlflow: &'a Mlflow,
}

impl Asked<'_> {
    /// What an answer means for the requests of clients.
    pub(crate) fn verdict(&self, said: &Said<'_>) -> Verdict {
        match said.verdict() {
            // Theirs carry the Host that they came with, and the gateway has none of its own to show.
            Verdict::Refuses(Refusal::Host) if self.mlflow.host_header == HostHeader::Client => Verdict::Busy,
            verdict => verdict,
        }
    }

    /// Under what the gateway asks for the API.
    pub(crate) fn api_root(mlflow: &Mlflow) -> String {
        let rest = match mlflow.rest {
            RestPrefix::Api => "/api",
            RestPrefix::AjaxApi => "/ajax-api",
        };
        format!("{}{rest}", mlflow.static_prefix)
    }

    /// A refusal in full. `shown` is the answer: quoted where somebody of the house reads it alone, else in outline.
    pub(crate) fn refusal(&self, refusal: Refusal, shown: &str) -> Fault {
        let Self { url, written_as, mlflow } = self;
        let code = refusal.code();
        match refusal {
            Refusal::LeadsBack => Fault::new(
                code,
                format!("{url} leads back to a gateway"),
                "this is the public address, which a load balancer or DNS leads to a gateway",
                format!("as {written_as} the address of MLflow itself, which only the gateway knows"),
            ),
            Refusal::Host => {
                let host = match &mlflow.host_header {
                    HostHeader::Fixed(host) => host.to_str().unwrap_or_default().to_owned(),
                    HostHeader::Upstream | HostHeader::Client => host_of(url).to_owned(),
                };
                Fault::new(
                    code,
                    format!("MLflow refuses the Host `{host}` ({shown})"),
                    "its --allowed-hosts does not have the name that the gateway sends",
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
                        "MLflow, or what stands before it, wants credentials of its own, and mlflow.auth has none"
                    }
                    _ => "MLflow, or what stands before it, does not take the credentials of mlflow.auth",
                },
                "mlflow.auth = \"basic\" with mlflow.username and mlflow.password_file, or \"bearer\" with mlflow.token_file",
            ),
            Refusal::Redirect => Fault::new(
                code,
                format!("{url} redirects ({shown})"),
                "a load balancer that turns http into https or one name into another stands there; a redirected \
                 upload would lose its body",
                format!("as {written_as} the address that it redirects to, or MLflow's own behind it"),
            ),
            Refusal::ClientCertificate => Fault::new(
                code,
                format!("{url} wants to be shown a certificate ({shown})"),
                "what stands there lets in only clients with a certificate that it knows",
                "mlflow.tls.cert and mlflow.tls.key",
            ),
            Refusal::Off(part) => Fault::new(
                code,
                match part {
                    Part::Api => format!("{url} was started with --artifacts-only ({shown})"),
                    Part::Artifacts => format!("{url} was started with --no-serve-artifacts ({shown})"),
                },
                format!("{written_as} leads to a server that has not what the gateway asks it for"),
                "mlflow.url for a server that has experiments and models, mlflow.artifacts_url for one with \
                 --artifacts-only; mlflow server --serve-artifacts",
            ),
            Refusal::NotMlflow => Fault::new(
                code,
                format!("{} answered {shown}", Self::api_root(mlflow)),
                "there is no MLflow at this address, or under another --static-prefix; a load balancer answers for what \
                 it has no rule for",
                format!("MLflow's own address as {written_as}, and mlflow.static_prefix as it was started"),
            ),
        }
    }

    /// An API that fails, though `/health` is good.
    pub(crate) fn failure(&self, shown: &str) -> Fault {
        Fault::new(
            Code::MlflowUnwell,
            format!("{} fails ({shown})", self.url),
            "MLflow answers /health and fails where its database is needed; or what stands before it does not reach it",
            "look at MLflow's own log, and at its database",
        )
    }
}
