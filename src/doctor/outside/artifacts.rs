//! Artifacts: uploaded, listed, downloaded with the same digest, deleted; the files of a model; and 64 MB, streamed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::web::Bytes;
use awc::{body, body::SizedStream, http::Method};
use futures_util::{StreamExt as _, stream};
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use super::{
    Deployment,
    expectation::{expect, not_mlflows, unexpected},
    tracking::Run,
    transfer::Transfer,
};
use crate::{
    code::Code,
    doctor::{
        Fault, Finding, Journal, Response,
        artifact_store::{self, StoreOperation},
        excerpt, passed,
    },
};

/// The mount of the artifacts. MLflow's client uses it on the host of its tracking URI, without the path.
const STORE: &str = "/api/2.0/mlflow-artifacts/artifacts";
const NOTE: &str = "doctor/a note.txt";
const NOTE_ENCODED: &str = "doctor/a%20note.txt";
const TEXT: &str = "hokusai-gateway doctor was here\n";
/// The files of a model, in a folder of that name.
pub(super) const MODEL: &str = "model";
pub(super) const MODEL_FILE: &str = "\
flavors:
  doctor:
    data: weights.json
model_size_bytes: 21
";
const WEIGHTS: &str = "{\"weights\": [1, 2]}\n\n";

const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 1024;
const LARGE: u64 = (CHUNK * CHUNKS) as u64;
/// Time for each direction.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(600);

impl Deployment {
    /// `None` if the files of a model could not be uploaded.
    pub(super) async fn artifacts(&self, journal: &mut Journal, run: &Run) -> Option<()> {
        let note = format!("{}/{NOTE_ENCODED}", run.artifacts);
        if journal.check("artifact up", self.put(&note, TEXT)).await.is_none() {
            journal.skip("artifact down", "nothing was uploaded");
            return None;
        }
        journal.check("artifact listed", self.listed(run)).await;
        journal.check("artifact down", self.download(&note, TEXT)).await;
        journal.check("artifact deleted", self.deleted(run, &note)).await;
        let model = format!("{}/{MODEL}", run.artifacts);
        let files = async {
            self.put(&format!("{model}/MLmodel"), MODEL_FILE).await?;
            self.put(&format!("{model}/weights.json"), WEIGHTS).await
        };
        journal.check("model files", files).await
    }

    pub(super) async fn store(
        &self,
        method: Method,
        path: &str,
        body: impl body::MessageBody + 'static,
    ) -> Result<Response, String> {
        let headers = [("authorization", &*self.authorization)];
        self.site.send(method, &format!("{STORE}/{path}"), &headers, body).await
    }

    async fn put(&self, path: &str, text: &'static str) -> Finding {
        expect_stored(StoreOperation::Write, self.store(Method::PUT, path, text).await)?;
        passed(format!("{} bytes", text.len()))
    }

    async fn listed(&self, run: &Run) -> Finding {
        let (answer, size) = self.size_of_note(run).await?;
        if size == Some(TEXT.len() as u64) {
            passed(format!("`{NOTE}` with its size"))
        } else {
            Err(not_mlflows(&answer, &format!("no `{NOTE}`")))
        }
    }

    /// The size of the note in the list of artifacts, if it is there.
    async fn size_of_note(&self, run: &Run) -> Result<(Response, Option<u64>), Fault> {
        let answer = self.read(&format!("artifacts/list?run_id={}&path=doctor", run.id)).await?;
        let files = answer.json();
        let note = files["files"].as_array().into_iter().flatten().find(|file| file["path"] == NOTE);
        Ok((answer, note.and_then(|note| note["file_size"].as_u64())))
    }

    pub(super) async fn download(&self, path: &str, text: &str) -> Finding {
        let answer =
            expect_stored(StoreOperation::Read, self.store(Method::GET, path, body::None::new()).await)?;
        let (sent, received) = (Sha256::digest(text), Sha256::digest(&answer.body));
        if sent == received {
            passed(format!("sha256 {}…", &hex::encode(received)[..16]))
        } else {
            Err(changed(&hex::encode(sent), &hex::encode(received)))
        }
    }

    async fn deleted(&self, run: &Run, path: &str) -> Finding {
        expect_stored(StoreOperation::Delete, self.store(Method::DELETE, path, body::None::new()).await)?;
        // MLflow's answer for a missing file depends on its store, its list does not.
        if self.size_of_note(run).await?.1.is_none() {
            return passed("and no longer listed");
        }
        Err(Fault::new(
            Code::BodiesChanged,
            "it is still there",
            "a proxy before the gateway answers deletions, or listings, by itself; or the store keeps deleted objects",
            "no caching of this host; the store's own log",
        ))
    }

    /// 64 MB up and down, never held in memory, neither here nor on the way.
    pub(super) async fn large(&self, journal: &mut Journal, run: &Run) {
        let path = format!("{}/doctor/large.bin", run.artifacts);
        if journal.check("64 MB up", self.large_up(&path)).await.is_none() {
            journal.skip("64 MB down", "they were not uploaded");
            return;
        }
        journal.check("64 MB down", self.large_down(&path)).await;
    }

    async fn large_up(&self, path: &str) -> Finding {
        let transfer = Arc::new(Transfer::new("64 MB up", LARGE, self.min_rate));
        let sent = Arc::clone(&transfer);
        let sending = async {
            let headers = [("authorization", &*self.authorization)];
            let chunks = chunks().inspect(move |chunk| sent.moved(chunk.len()));
            let chunks = stream::iter(chunks.map(Ok::<_, std::io::Error>));
            let (target, body) = (format!("{STORE}/{path}"), SizedStream::new(LARGE, chunks));
            let response = self.site.start(Method::PUT, &target, &headers, body).await?;
            Response::read(response, Instant::now()).await
        };
        let answer = match transfer.watched(in_time(sending)).await? {
            Ok(answer) => Ok(not_aborted(answer)?),
            error => error,
        };
        expect_stored(StoreOperation::Write, answer)?;
        passed(transfer.summary())
    }

    async fn large_down(&self, path: &str) -> Finding {
        let transfer = Transfer::new("64 MB down", LARGE, self.min_rate);
        let receiving = async {
            let headers = [("authorization", &*self.authorization)];
            let target = format!("{STORE}/{path}");
            let mut response = self.site.start(Method::GET, &target, &headers, body::None::new()).await?;
            if response.status().as_u16() != 200 {
                return Response::read(response, Instant::now()).await.map(Err);
            }
            let mut digest = Sha256::new();
            while let Some(chunk) = response.next().await {
                let chunk = chunk.map_err(|error| format!("the connection broke: {error}"))?;
                transfer.moved(chunk.len());
                digest.update(chunk);
                // Data may always be ready: the rate is measured in between.
                actix_rt::task::yield_now().await;
            }
            Ok(Ok(hex::encode(digest.finalize())))
        };
        let outcome = transfer.watched(in_time(receiving)).await?;
        let summary = transfer.summary();
        let received = match outcome {
            Ok(Ok(received)) => received,
            Ok(Err(answer)) => return Err(unexpected(&answer, 200)),
            Err(error) => return expect(Err(error), 200).map(|_| ((), String::new())),
        };
        let sent =
            hex::encode(chunks().fold(Sha256::new(), |digest, chunk| digest.chain_update(chunk)).finalize());
        if sent == received { passed(summary) } else { Err(changed(&sent, &received)) }
    }
}

/// The answer of MLflow's artifact store, if its status is 200.
///
/// # Errors
/// The meaning of any other answer.
fn expect_stored(operation: StoreOperation, answer: Result<Response, String>) -> Result<Response, Fault> {
    if let Ok(answer) = &answer
        && answer.status.as_u16() != 200
        && !answer.is_from_gateway()
        && answer.header("x-request-id").is_some()
        && let Some(fault) = artifact_store::fault(operation, answer)
    {
        return Err(fault);
    }
    expect(answer, 200)
}

/// MLflow has answered every check before: if the gateway gets no answer to an upload, MLflow aborted it.
fn not_aborted(answer: Response) -> Result<Response, Fault> {
    if answer.status.as_u16() != 502 || !answer.is_from_gateway() {
        return Ok(answer);
    }
    Err(Fault::new(
        Code::StoreRejectsWrites,
        format!("MLflow aborted the upload: {}", excerpt(&answer)),
        "MLflow, which answered before, closed the connection without reading to the end. The usual reasons, in this order: its \
         artifact store is full or read-only; a proxy before it limits the size or the time of uploads; it was just restarted",
        "look at MLflow's log for the same moment; `hokusai-gateway check --probe --write` beside the gateway",
    ))
}

async fn in_time<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    timeout(TRANSFER_TIMEOUT, work)
        .await
        .unwrap_or_else(|_| Err(format!("not finished within {TRANSFER_TIMEOUT:?}")))
}

/// Random bytes, which no proxy can compress.
fn chunks() -> impl Iterator<Item = Bytes> {
    let mut random = SmallRng::seed_from_u64(7);
    (0..CHUNKS).map(move |_| {
        let mut chunk = vec![0; CHUNK];
        random.fill_bytes(&mut chunk);
        chunk.into()
    })
}

fn changed(sent: &str, received: &str) -> Fault {
    Fault::new(
        Code::BodiesChanged,
        format!("the download differs from the upload: sha256 {sent} became {received}"),
        "a proxy changes bodies: compression, a virus scanner, a cache with another object",
        "let the load balancer and every proxy pass bodies on unchanged",
    )
}
