//! `doctor`: a deployment as a third party would use it, and nothing left behind.
//!
//! Every check has one right answer. Any other answer is a failure with its likely cause and its fix.

mod access;
mod artifacts;
mod browser;
pub(crate) mod bundle;
mod client_address;
mod edge;
mod expectation;
mod front;
mod hidden_metrics;
mod latency;
mod made;
mod mounts;
mod registry;
mod tracking;
mod transfer;

use url::Url;

use super::{Journal, Site, interruption::interrupted, secrets};
use crate::tls::ClientConfig;
use made::Made;

/// The user name that goes with the key as a password. The gateway ignores it.
const USER: &str = "doctor";

/// The deployment under examination.
#[derive(Debug)]
pub(crate) struct Deployment {
    url: Url,
    /// The path of the mount that clients are given as `MLFLOW_TRACKING_URI`.
    mount: String,
    site: Site,
    tls: Option<ClientConfig>,
    authorization: String,
    as_password: String,
    /// Bytes a second.
    min_rate: f64,
}

/// The checks that not every examination has.
#[derive(Debug)]
pub(crate) struct Examination {
    /// MLflow itself, which must not be reachable from here.
    pub(crate) direct: Option<Url>,
    pub(crate) expected_sha: Option<String>,
}

impl Deployment {
    pub(crate) fn new(url: Url, mount: &str, tls: Option<ClientConfig>, key: &str, min_rate: f64) -> Self {
        Self {
            mount: mount.to_owned(),
            site: Site::new(&url, tls.as_ref()),
            url,
            tls,
            authorization: format!("Bearer {key}"),
            as_password: secrets::basic(USER, key),
            min_rate,
        }
    }

    /// The key in every form in which it is sent.
    pub(crate) fn secrets(key: &str) -> Vec<String> {
        secrets::forms(USER, key)
    }

    /// Runs every check, and removes what they made. Returns whether a signal interrupted them.
    pub(crate) async fn examine(&self, wanted: &Examination, journal: &mut Journal) -> bool {
        let mut made = Made::default();
        let is_interrupted = tokio::select! {
            () = self.checks(wanted, journal, &mut made) => false,
            () = interrupted() => true,
        };
        // A second signal ends the clean-up too.
        tokio::select! {
            () = self.clean_up(journal, &made) => {}
            () = interrupted() => journal.skip("clean-up", &format!("interrupted: {} may be left", made.name)),
        }
        is_interrupted
    }

    /// Every check, in an order in which the first failure is the one to mend first.
    async fn checks(&self, wanted: &Examination, journal: &mut Journal, made: &mut Made) {
        if self.edge(journal).await.is_none() {
            journal.skip("health", "the gateway cannot be reached");
            return;
        }
        if self.front(journal, wanted.expected_sha.as_deref()).await.is_none() {
            journal.skip("mount /api/mlflow", "nothing answers");
            return;
        }
        self.mounts(journal).await;
        self.hidden_metrics(journal).await;
        if let Some(direct) = &wanted.direct {
            self.direct(journal, direct).await;
        }
        if self.access(journal, made).await.is_none() {
            journal.skip("experiment", "the key does not work for all of it");
            return;
        }
        if let Some(run) = self.tracking(journal, made).await {
            if self.artifacts(journal, &run).await.is_some() {
                self.registry(journal, made, &run).await;
            }
            self.large(journal, &run).await;
        }
        self.latency(journal).await;
    }
}
