//! An artifact that `check --probe --write` writes, reads back and deletes at MLflow, with the gateway's own client and
//! credentials. It stands at the root of the store and in no folder, so that nothing of it is left behind, but for what the
//! store itself keeps of deleted files: MLflow has no call that removes the old version in a versioned bucket.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    http::{Method, uri::PathAndQuery},
    web::Bytes,
};
use rand::{
    RngExt as _,
    distr::{Alphanumeric, SampleString as _},
};
use tokio::time::timeout;

use crate::{
    code::Code,
    doctor::{
        Answer, Fault, Finding, Journal,
        artifact_store::{self, Asked},
        excerpt,
        interruption::stopped,
    },
    proxy::Proxy,
    upstream::Upstream,
};

/// More than the 1 MiB that nginx lets through unless it is told otherwise.
const SIZE: usize = 2 * 1024 * 1024;
/// Time for each step.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where artifacts go.
#[derive(Debug)]
pub(super) struct Store<'a> {
    pub(super) proxy: &'a Proxy,
    pub(super) upstream: &'a Arc<Upstream>,
    /// Under what the gateway asks for the API: `/api`.
    pub(super) root: String,
}

/// Whether somebody ended the command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Interrupted(pub(crate) bool);

impl Store<'_> {
    /// Whether artifacts go through this server.
    pub(super) async fn listed(&self) -> Finding {
        let target = format!("{}/2.0/mlflow-artifacts/artifacts?path=", self.root);
        let fix = "mlflow server --serve-artifacts --artifacts-destination s3://… (or a path)";
        let answer = self.ask(&Method::GET, &target, Bytes::new()).await.map_err(|error| {
            let cause = "its artifact store does not answer: no network, or no credentials for it";
            Fault::new(
                Code::ArtifactsUnavailable,
                format!("artifacts cannot be listed: {error}"),
                cause,
                "look at MLflow's own log",
            )
        })?;
        match answer.status {
            status if status.is_success() => {
                Ok(((), format!("its artifacts can be listed ({:?})", answer.took)))
            }
            _ => Err(Fault::new(
                Code::ArtifactsUnavailable,
                format!("artifacts cannot be listed: {}", excerpt(&answer)),
                "MLflow was started with --no-serve-artifacts, so that clients would go to the store themselves; or it \
                 may not read the store",
                fix,
            )),
        }
    }

    /// An artifact of its own, there and back.
    pub(super) async fn try_out(&self, journal: &mut Journal) -> Interrupted {
        let unique = Alphanumeric.sample_string(&mut rand::rng(), 16).to_lowercase();
        let path = format!("{}/2.0/mlflow-artifacts/artifacts/hokusai-check-{unique}", self.root);
        let mut body = vec![0; SIZE];
        rand::rng().fill(&mut body[..]);
        let body = Bytes::from(body);
        let is_done = tokio::select! {
            is_done = self.steps(&path, &body, journal) => Some(is_done),
            () = stopped() => None,
        };
        // Whatever came of it: an answer may have been lost, and the artifact be there.
        if is_done != Some(true) {
            let gone = timeout(PATIENCE, self.ask(&Method::DELETE, &path, Bytes::new())).await;
            let is_gone =
                matches!(gone, Ok(Ok(answer)) if answer.status.is_success() || answer.status.as_u16() == 404);
            if is_done.is_none() {
                let left =
                    if is_gone { "no artifact is there now" } else { "an artifact may be left behind" };
                journal.skip(&self.step("delete"), &format!("interrupted: {left} (hokusai-check-{unique})"));
            }
        }
        Interrupted(is_done.is_none())
    }

    fn step(&self, step: &str) -> String {
        format!("{}.{step}", self.upstream.name)
    }

    /// Whether the artifact was there, and is gone.
    async fn steps(&self, path: &str, body: &Bytes, journal: &mut Journal) -> bool {
        if journal.check(&self.step("write"), self.write(path, body)).await.is_none() {
            journal.skip(&self.step("read"), "nothing was written");
            return false;
        }
        journal.check(&self.step("read"), self.read(path, body)).await;
        journal.check(&self.step("delete"), self.delete(path)).await.is_some()
    }

    async fn write(&self, path: &str, body: &Bytes) -> Finding {
        let answer = self.ask(&Method::PUT, path, body.clone()).await;
        let answer = answer.map_err(|error| {
            Fault::new(
                Code::StoreTakesNoWrites,
                format!("an artifact cannot be written: {error}"),
                "MLflow, or what stands before it, broke the upload off: its store is full, read-only or does not answer; or a \
                 proxy before it limits the size of bodies",
                "MLflow's own log for the same moment",
            )
        })?;
        if !answer.status.is_success() {
            return Err(refused(Asked::Write, &answer));
        }
        Ok(((), format!("an artifact of {} MiB was taken", SIZE / 1024 / 1024)))
    }

    async fn read(&self, path: &str, body: &Bytes) -> Finding {
        let answer =
            self.ask(&Method::GET, path, Bytes::new()).await.map_err(|error| silent(Asked::Read, &error))?;
        if !answer.status.is_success() {
            return Err(refused(Asked::Read, &answer));
        }
        if answer.body == *body {
            return Ok(((), "and came back as it was".to_owned()));
        }
        Err(Fault::new(
            Code::MlflowDisagrees,
            format!("an artifact of {} bytes came back as {} others", body.len(), answer.body.len()),
            "something between the gateway and MLflow changes bodies or answers by itself; or several MLflow servers keep \
             artifacts on disks of their own",
            "MLflow's own address as mlflow.url; one store for all of its servers (--artifacts-destination s3://…)",
        ))
    }

    async fn delete(&self, path: &str) -> Finding {
        let answer = self.ask(&Method::DELETE, path, Bytes::new()).await;
        let answer = answer.map_err(|error| silent(Asked::Delete, &error))?;
        if !answer.status.is_success() {
            return Err(refused(Asked::Delete, &answer));
        }
        match self.ask(&Method::GET, path, Bytes::new()).await {
            Ok(answer) if answer.status.is_success() => Err(Fault::new(
                Code::StoreFails,
                "the artifact is still there when MLflow has deleted it",
                "the store keeps what it is told to delete (an object lock, say); or something before MLflow answers by itself",
                "the store's own settings; the artifact's name begins with hokusai-check-",
            )),
            _ => Ok(((), "and is gone (a bucket with versions keeps it as an old one)".to_owned())),
        }
    }

    async fn ask(&self, method: &Method, path: &str, body: Bytes) -> Result<Answer, String> {
        let target = PathAndQuery::try_from(path).map_err(|error| error.to_string())?;
        let exchange = async {
            let began = Instant::now();
            let answer = self.proxy.send_whole(self.upstream, method, &target, body).await;
            Answer::of_up_to(answer.map_err(|error| error.to_string())?, began, SIZE + 1).await
        };
        timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")))
    }
}

fn refused(asked: Asked, answer: &Answer) -> Fault {
    artifact_store::fault(asked, answer).unwrap_or_else(|| {
        let (code, cause) = match answer.status.as_u16() {
            401 | 403 => (
                Code::MlflowWantsCredentials,
                "MLflow's own permissions, or a firewall before it, do not let the gateway",
            ),
            _ => (Code::MlflowUnwell, "MLflow, or what stands before it, answers so"),
        };
        Fault::new(
            code,
            format!("MLflow answered {}", excerpt(answer)),
            cause,
            "MLflow's own log for the same moment; mlflow.auth",
        )
    })
}

fn silent(asked: Asked, error: &str) -> Fault {
    Fault::new(
        Code::StoreFails,
        format!("no answer when an artifact is to be {}: {error}", asked.done()),
        "MLflow's artifact store hangs, or MLflow broke off",
        "MLflow's own log for the same moment",
    )
}
