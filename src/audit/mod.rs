//! Who did what to what: one record for every change, every refusal and all administration, in a stream of its own.

mod chain;
mod subject;
mod writer;

use std::{
    net::IpAddr,
    sync::{
        Arc,
        mpsc::{SyncSender, TrySendError},
    },
    time::Duration,
};

use actix_web::HttpRequest;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::{sync::oneshot, time::sleep};

pub use chain::{Fault, verify};
pub use writer::AuditError;

use crate::{
    settings::AuditOutput,
    telemetry::{Delivery, Metrics},
};
use subject::subject;

/// The longest path that is kept, in characters.
const LONGEST_PATH: usize = 2048;

/// One request and its outcome.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Record {
    /// When it ended.
    pub(crate) time: Timestamp,
    pub(crate) request_id: String,
    pub(crate) key_id: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) workspace: Option<String>,
    pub(crate) client_ip: Option<String>,
    /// The class of its route.
    pub(crate) route: &'static str,
    /// What it is to MLflow: its path, with the names of parameters in it.
    pub(crate) operation: Option<String>,
    pub(crate) method: &'static str,
    /// As the client sent it, without the query.
    pub(crate) path: String,
    /// What path, query and body name: runs, experiments, models.
    pub(crate) subject: Map<String, Value>,
    /// `ok`; `denied` by the gateway; `failed` by MLflow or on the way there; `aborted` by the client.
    pub(crate) outcome: &'static str,
    pub(crate) status: u16,
    pub(crate) reason: Option<&'static str>,
    /// What became of its key, where that was refused: `revoked`, `expired`, `unknown`, `mistyped`, `refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_state: Option<&'static str>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

impl Record {
    /// What is known of a request before it is over; the rest is the exchange's to fill in. `route` is the pattern that it
    /// was found by, its path at MLflow and its query.
    pub(crate) fn begin(
        request: &HttpRequest,
        request_id: &str,
        client_ip: Option<IpAddr>,
        route: Option<(&str, &str, Option<&str>)>,
        body: Option<&Value>,
    ) -> Self {
        Self {
            time: Timestamp::now(),
            request_id: request_id.to_owned(),
            key_id: None,
            user_id: None,
            workspace: None,
            client_ip: client_ip.map(|ip| ip.to_string()),
            route: "",
            operation: route.map(|(pattern, ..)| pattern.to_owned()),
            method: "",
            path: request.path().chars().take(LONGEST_PATH).collect(),
            subject: route
                .map(|(pattern, path, query)| subject(pattern, path, query.unwrap_or_default(), body))
                .unwrap_or_default(),
            outcome: "",
            status: 0,
            reason: None,
            key_state: None,
            bytes_in: 0,
            bytes_out: 0,
        }
    }
}

/// Where records go. Whoever adds one never waits.
#[derive(Debug, Clone)]
pub(crate) struct AuditTrail {
    mailbox: Option<Arc<SyncSender<Message>>>,
    metrics: Metrics,
}

/// What the writer is sent.
#[derive(Debug)]
enum Message {
    Record(Box<Record>),
    /// Answered when all before it is written.
    Flush(oneshot::Sender<()>),
}

impl AuditTrail {
    /// Opens the stream and starts its writer, a thread.
    ///
    /// # Errors
    /// A file that cannot be written, or is being written by another process.
    pub(crate) fn open(output: &AuditOutput, max_size: u64, metrics: &Metrics) -> Result<Self, AuditError> {
        let mailbox = writer::start(output, max_size, metrics.clone())?;
        Ok(Self { mailbox: mailbox.map(Arc::new), metrics: metrics.clone() })
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.mailbox.is_some()
    }

    pub(crate) fn add(&self, record: Record) {
        let Some(mailbox) = &self.mailbox else { return };
        match mailbox.try_send(Message::Record(Box::new(record))) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.metrics.audited(Delivery::Dropped, 1),
            Err(TrySendError::Disconnected(_)) => self.metrics.audited(Delivery::Failed, 1),
        }
    }

    /// Waits until all that was added is written.
    pub(crate) async fn flush(&self) {
        let Some(mailbox) = &self.mailbox else { return };
        let (done, written) = oneshot::channel();
        let mut message = Message::Flush(done);
        while let Err(TrySendError::Full(back)) = mailbox.try_send(message) {
            message = back;
            sleep(Duration::from_millis(10)).await;
        }
        let _ = written.await;
    }
}
