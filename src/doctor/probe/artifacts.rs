//! `check --probe --write`: writes an artifact at MLflow, reads it back and deletes it, with the gateway's own client and
//! credentials. It has no folder, so that nothing is left behind, except for an old version in a versioned bucket, for which
//! MLflow has no call.

use std::{sync::Arc, time::Duration};

use actix_web::{http::Method, web::Bytes};
use rand::{
    RngExt as _,
    distr::{Alphanumeric, SampleString as _},
};

use super::mlflow::send;
use crate::{
    code::Code,
    doctor::{
        Fault, Finding, Journal, Response,
        artifact_store::{self, StoreOperation},
        excerpt,
        interruption::{Interrupted, interrupted},
        passed,
    },
    proxy::Proxy,
    upstream::Upstream,
};

/// More than 1 MiB, the default limit of nginx.
const SIZE: usize = 2 * 1024 * 1024;
/// Time for each step.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);

/// The artifacts of one server.
#[derive(Debug)]
pub(super) struct Store<'a> {
    pub(super) proxy: &'a Proxy,
    pub(super) upstream: &'a Arc<Upstream>,
    /// The path before the version of the API: `/api`.
    pub(super) root: String,
}

impl Store<'_> {
    /// Whether this server serves artifacts.
    pub(super) async fn listed(&self) -> Finding {
        let target = format!("{}/2.0/mlflow-artifacts/artifacts?path=", self.root);
        let (why, cause, fix) = match self.send(&Method::GET, &target, Bytes::new()).await {
            Ok(answer) if answer.status.is_success() => {
                return passed(format!("its artifacts can be listed ({:?})", answer.took));
            }
            Ok(answer) => (
                excerpt(&answer),
                "MLflow was started with --no-serve-artifacts: clients would use the store themselves; or it is not \
                 permitted to read the store",
                "mlflow server --serve-artifacts --artifacts-destination s3://… (or a path)",
            ),
            Err(error) => (
                error,
                "its artifact store does not answer: no network, or no credentials",
                "look at MLflow's log",
            ),
        };
        Err(Fault::new(Code::ArtifactsUnavailable, format!("artifacts cannot be listed: {why}"), cause, fix))
    }

    /// Writes an artifact, reads it back and deletes it.
    pub(super) async fn probe(&self, journal: &mut Journal) -> Result<(), Interrupted> {
        let unique = Alphanumeric.sample_string(&mut rand::rng(), 16).to_lowercase();
        let path = format!("{}/2.0/mlflow-artifacts/artifacts/hokusai-check-{unique}", self.root);
        let mut body = vec![0; SIZE];
        rand::rng().fill(&mut body[..]);
        let body = Bytes::from(body);
        let steps = tokio::select! {
            is_deleted = self.steps(&path, &body, journal) => Ok(is_deleted),
            () = interrupted() => Err(Interrupted),
        };
        if matches!(steps, Ok(true)) {
            return Ok(());
        }
        // In any case: the answer may have been lost, and not the artifact.
        let deletion = self.send(&Method::DELETE, &path, Bytes::new()).await;
        if steps.is_err() {
            let is_gone =
                deletion.is_ok_and(|answer| answer.status.is_success() || answer.status.as_u16() == 404);
            let left = if is_gone { "no artifact is left" } else { "an artifact may be left" };
            journal.skip(&self.step("delete"), &format!("interrupted: {left} (hokusai-check-{unique})"));
        }
        steps.map(drop)
    }

    fn step(&self, step: &str) -> String {
        format!("{}.{step}", self.upstream.name)
    }

    /// Whether the artifact was written and deleted.
    async fn steps(&self, path: &str, body: &Bytes, journal: &mut Journal) -> bool {
        if journal.check(&self.step("write"), self.write(path, body)).await.is_none() {
            journal.skip(&self.step("read"), "nothing was written");
            return false;
        }
        journal.check(&self.step("read"), self.read(path, body)).await;
        journal.check(&self.step("delete"), self.delete(path)).await.is_some()
    }

    async fn write(&self, path: &str, body: &Bytes) -> Finding {
        let answer = self.send(&Method::PUT, path, body.clone()).await;
        let answer = answer.map_err(|error| {
            Fault::new(
                Code::StoreRejectsWrites,
                format!("an artifact cannot be written: {error}"),
                "MLflow, or a proxy before it, aborted the upload: its store is full, read-only or does not answer; or the \
                 proxy limits the size of bodies",
                "look at MLflow's log for the same moment",
            )
        })?;
        done(StoreOperation::Write, answer)?;
        passed(format!("an artifact of {} MiB was written", SIZE / 1024 / 1024))
    }

    async fn read(&self, path: &str, body: &Bytes) -> Finding {
        let answer = self.send(&Method::GET, path, Bytes::new()).await;
        let answer =
            done(StoreOperation::Read, answer.map_err(|error| silent(StoreOperation::Read, &error))?)?;
        if answer.body == *body {
            return passed("it came back unchanged");
        }
        Err(Fault::new(
            Code::MlflowInconsistent,
            format!("an artifact of {} bytes came back as {} other bytes", body.len(), answer.body.len()),
            "a proxy between the gateway and MLflow changes bodies, or answers by itself; or several MLflow servers keep artifacts \
             on disks of their own",
            "MLflow's own address as mlflow.url; one store for all of its servers (--artifacts-destination s3://…)",
        ))
    }

    async fn delete(&self, path: &str) -> Finding {
        let answer = self.send(&Method::DELETE, path, Bytes::new()).await;
        done(StoreOperation::Delete, answer.map_err(|error| silent(StoreOperation::Delete, &error))?)?;
        match self.send(&Method::GET, path, Bytes::new()).await {
            Ok(answer) if answer.status.is_success() => Err(Fault::new(
                Code::StoreFails,
                "the artifact is still there when MLflow has deleted it",
                "the store keeps deleted objects (an object lock, say); or a proxy before MLflow answers by itself",
                "look at the store's settings; the artifact's name begins with hokusai-check-",
            )),
            _ => passed("it is gone (a versioned bucket keeps an old version)"),
        }
    }

    async fn send(&self, method: &Method, path: &str, body: Bytes) -> Result<Response, String> {
        send(self.proxy, self.upstream, method, path, body, STEP_TIMEOUT).await
    }
}

/// The answer, if MLflow did what it was asked to do.
fn done(operation: StoreOperation, answer: Response) -> Result<Response, Fault> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    Err(artifact_store::fault(operation, &answer).unwrap_or_else(|| {
        let (code, cause) = match answer.status.as_u16() {
            401 | 403 => (
                Code::MlflowRequiresCredentials,
                "MLflow's permissions, or a firewall before it, do not permit it",
            ),
            _ => (Code::MlflowError, "MLflow, or a proxy before it, gave this answer"),
        };
        Fault::new(
            code,
            format!("MLflow answered {}", excerpt(&answer)),
            cause,
            "look at MLflow's log for the same moment; mlflow.auth",
        )
    }))
}

fn silent(operation: StoreOperation, error: &str) -> Fault {
    let [participle, _] = operation.words();
    Fault::new(
        Code::StoreFails,
        format!("no answer when an artifact was to be {participle}: {error}"),
        "MLflow's artifact store hangs, or MLflow aborted",
        "look at MLflow's log for the same moment",
    )
}
