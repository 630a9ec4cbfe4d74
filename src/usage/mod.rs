//! Tells the auth service what its keys were used for, in the background.
//!
//! A request is one increment in its worker's [`table`]. The [`collector`] takes the tables every second into a [`batch`], which is in the
//! [`spool`] from then on; the [`sender`] sends what is complete until the service has it. Where the service takes no batches, [`singles`]
//! tells it of each request. Nothing here holds a request up.

mod batch;
mod collector;
mod retold;
mod sender;
mod service;
mod singles;
mod spool;
mod table;
mod waiting;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_rt::task::spawn_blocking;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::timeout,
};

pub(crate) use collector::Collector;
pub(crate) use sender::Sender;
pub(crate) use singles::SinglesReporter;
pub(crate) use spool::SpoolFault;
pub(crate) use table::Use;

use crate::{
    code::Code,
    http_client::Tls,
    settings::{AuthService, Problem, UsageMode, UsageSpool},
    telemetry::Metrics,
    vocabulary::DeliveryOutcome,
};
use service::{Single, UsageService};
use singles::Singles;
use spool::{SealedFile, Spool};
use table::{Counting, Table};
use waiting::Waiting;

/// The handle, for every worker and for the end of the process.
#[derive(Debug, Clone)]
pub(crate) struct UsageReports {
    singles: Singles,
    /// `None`: every request is told by itself.
    batches: Option<Batches>,
}

#[derive(Debug, Clone)]
struct Batches {
    hub: Arc<Hub>,
    collector: mpsc::Sender<collector::Flush>,
    sender: mpsc::Sender<sender::Flush>,
}

/// What workers and actors share.
#[derive(Debug)]
struct Hub {
    tables: Mutex<Vec<Arc<Table>>>,
    /// A table is to be taken soon.
    is_filling: Notify,
    waiting: Mutex<Waiting>,
    has_batches: Notify,
    /// There was something to tell: before that the service is not asked how it wants to be told.
    is_used: AtomicBool,
    /// The service takes no batches.
    in_singles: AtomicBool,
    metrics: Metrics,
}

/// What runs in the background.
pub(crate) struct UsageActors {
    pub(crate) singles: SinglesReporter,
    pub(crate) batches: Option<(Collector, Sender)>,
}

/// The handle of one worker.
#[derive(Debug)]
pub(crate) struct WorkerUsage {
    singles: Singles,
    batches: Option<(Arc<Hub>, Arc<Table>)>,
}

impl UsageReports {
    /// The handle and the actors for a service that wants to be told.
    ///
    /// # Errors
    /// A spool that the settings name, and that cannot be used.
    pub(crate) fn open(
        settings: &AuthService,
        tls: Option<&Tls>,
        metrics: &Metrics,
    ) -> Result<(Self, UsageActors), SpoolFault> {
        let (singles, reporter) = Singles::new(UsageService::new(settings, tls), metrics);
        if settings.usage.mode != UsageMode::Batch {
            let actors = UsageActors { singles: reporter, batches: None };
            return Ok((Self { singles, batches: None }, actors));
        }
        let spool = open_spool(settings)?.map(Arc::new);
        let hub = Arc::new(Hub {
            tables: Mutex::default(),
            is_filling: Notify::new(),
            waiting: Mutex::new(Waiting::new(settings.usage.spool_size.get())),
            has_batches: Notify::new(),
            is_used: AtomicBool::new(false),
            in_singles: AtomicBool::new(false),
            metrics: metrics.clone(),
        });
        let (collector, of_collector) = mpsc::channel(1);
        let (sender, of_sender) = mpsc::channel(1);
        let interval = settings.usage.interval;
        let service = UsageService::new(settings, tls);
        let actors = (
            Collector::new(Arc::clone(&hub), spool.clone(), &settings.service_id, interval, of_collector),
            Sender::new(Arc::clone(&hub), spool, service, of_sender),
        );
        let batches = Some(Batches { hub, collector, sender });
        Ok((Self { singles, batches }, UsageActors { singles: reporter, batches: Some(actors) }))
    }

    pub(crate) fn worker(&self) -> WorkerUsage {
        let batches = self.batches.as_ref().map(|Batches { hub, .. }| {
            let table = Arc::new(Table::default());
            hub.tables.lock().push(Arc::clone(&table));
            (Arc::clone(hub), table)
        });
        WorkerUsage { singles: self.singles.clone(), batches }
    }

    /// For the end of the process: puts all that was counted where it is safe, and sends what it can in this time.
    pub(crate) async fn stop(&self, within: Duration) {
        let is_over = timeout(within, self.flush()).await.is_ok();
        let (in_spool, in_memory) =
            self.batches.as_ref().map_or((0, 0), |batches| batches.hub.waiting.lock().requests());
        if in_spool > 0 {
            tracing::info!(requests = in_spool, "usage waits in the spool for the next start");
        }
        if let Some(Batches { hub, .. }) = &self.batches {
            hub.metrics.usage_reported(DeliveryOutcome::Dropped, in_memory);
        }
        if in_memory > 0 || (!is_over && in_spool == 0) {
            let code = Code::UsageUnreported.text();
            tracing::warn!(code = code, requests = in_memory, "not all usage was reported");
        }
    }

    async fn flush(&self) {
        if let Some(Batches { collector, sender, .. }) = &self.batches {
            flush(collector).await;
            flush(sender).await;
        }
        self.singles.flush().await;
    }
}

async fn flush(actor: &mpsc::Sender<oneshot::Sender<()>>) {
    let (sender, done) = oneshot::channel();
    if actor.send(sender).await.is_ok() {
        let _ = done.await;
    }
}

impl Hub {
    /// There is something to tell.
    fn set_used(&self) {
        if !self.is_used.swap(true, Ordering::Relaxed) {
            self.has_batches.notify_one();
        }
    }

    fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// Returns what was set before.
    fn set_singles(&self, in_singles: bool) -> bool {
        self.in_singles.swap(in_singles, Ordering::Relaxed)
    }

    /// Removes a file of the spool. One that stays is sent once more, by a later process.
    async fn remove(&self, spool: Option<&Arc<Spool>>, file: SealedFile) {
        if let Some(spool) = spool.cloned() {
            let _ = spawn_blocking(move || spool.remove(file)).await;
        }
    }
}

impl WorkerUsage {
    /// Counts a request that is over; `path` is that of the request itself.
    pub(crate) fn add(&self, used: &Use<'_>, path: &str) {
        match &self.batches {
            Some((hub, table)) if !hub.in_singles.load(Ordering::Relaxed) => {
                if table.add(used) == Counting::HalfFull {
                    hub.is_filling.notify_one();
                }
            }
            _ => self.singles.add(Single {
                key_id: used.key_id.to_owned(),
                endpoint: path.to_owned(),
                response_time_ms: u64::try_from(used.took.as_millis()).unwrap_or(u64::MAX),
                status_code: used.status,
            }),
        }
    }
}

/// The spool that the settings want; `None`: batches wait in memory.
fn open_spool(settings: &AuthService) -> Result<Option<Spool>, SpoolFault> {
    let open = |path: &Path, with_parents| -> Result<Spool, SpoolFault> {
        spool::make(path, with_parents)?;
        Ok(Spool::open(path)?)
    };
    match &settings.usage.spool {
        UsageSpool::Memory => Ok(None),
        UsageSpool::Folder(path) => open(path, false).map(Some),
        UsageSpool::Auto => {
            let opened = open(&spool::default_folder(settings), true);
            if let Err(error) = &opened {
                tracing::warn!(code = error.code().text(), %error, "no usage spool; usage waits in memory");
            }
            Ok(opened.ok())
        }
    }
}

/// What keeps the settings' spool from being one: an error where they name it, and a warning where they do not.
pub(crate) fn spool_problem(settings: &AuthService) -> Option<Problem> {
    const KEY: &str = "auth.service.usage_spool";
    let UsageSpool::Folder(path) = &settings.usage.spool else { return None };
    let fault = spool::check(path).err().filter(|_| settings.usage.mode == UsageMode::Batch)?;
    Some(Problem::new(fault.code(), KEY, fault.to_string(), fault.fix(path)).with_found(path.display()))
}

pub(crate) fn spool_risk(settings: &AuthService) -> Option<Problem> {
    let is_auto = settings.usage.mode == UsageMode::Batch && settings.usage.spool == UsageSpool::Auto;
    let path = spool::default_folder(settings);
    let fault = spool::check_default(&path).err().filter(|_| is_auto)?;
    let what = format!(
        "leaves usage in memory, which a restart loses if the auth service is down: {} {fault}",
        path.display()
    );
    let problem = Problem::new(fault.code(), "auth.service.usage_spool", what, fault.fix(&path));
    Some(problem.with_found("auto"))
}
