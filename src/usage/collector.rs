//! Takes what the workers have counted, and keeps it safe: every second into the spool, and complete after an interval.

use std::{mem, sync::Arc, time::Duration};

use actix_rt::task::spawn_blocking;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    Hub,
    batch::OpenBatch,
    spool::{SealedFile, Spool},
    table::Taken,
    waiting::WaitingBatch,
};
use crate::{code::Code, outage_log::OutageLog, vocabulary::DeliveryOutcome};

/// How often what was counted is taken, and written: what a killed process loses at most.
const TICK: Duration = Duration::from_secs(1);
/// How often it is looked for what dead processes left.
const ADOPTION: Duration = Duration::from_secs(60);
/// While others wait a batch is added to for so many intervals: an outage takes less room.
const INTERVALS_OF_AN_OUTAGE: u32 = 6;

/// Answered when all that was counted so far is in the spool, or as safe as it gets.
pub(super) type Flush = oneshot::Sender<()>;

/// The actor.
pub(crate) struct Collector {
    hub: Arc<Hub>,
    spool: Option<Arc<Spool>>,
    service_id: String,
    interval: Duration,
    flushes: mpsc::Receiver<Flush>,
    open: OpenBatch,
    opened: Instant,
    spare: Taken,
    failing: OutageLog,
}

impl Collector {
    pub(super) fn new(
        hub: Arc<Hub>,
        spool: Option<Arc<Spool>>,
        service_id: &str,
        interval: Duration,
        flushes: mpsc::Receiver<Flush>,
    ) -> Self {
        Self {
            hub,
            spool,
            service_id: service_id.to_owned(),
            interval,
            flushes,
            open: OpenBatch::new(service_id),
            opened: Instant::now(),
            spare: Taken::default(),
            failing: OutageLog::new(
                "the usage spool cannot be written; usage waits in memory",
                "the usage spool can be written again",
            ),
        }
    }

    /// Ends with the last handle.
    pub(crate) async fn run(mut self) {
        let mut tick = interval(TICK.min(self.interval));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut adoption = interval(ADOPTION);
        loop {
            tokio::select! {
                _ = tick.tick() => self.collect(false).await,
                () = self.hub.is_filling.notified() => self.collect(false).await,
                _ = adoption.tick() => self.adopt().await,
                flush = self.flushes.recv() => {
                    let Some(flush) = flush else { return };
                    self.collect(true).await;
                    let _ = flush.send(());
                }
            }
        }
    }

    async fn collect(&mut self, is_last: bool) {
        let tables = self.hub.tables.lock().clone();
        for table in tables {
            // The hub's and this one: its worker is gone.
            if Arc::strong_count(&table) == 2 {
                self.hub.tables.lock().retain(|other| !Arc::ptr_eq(other, &table));
            }
            let mut taken = table.take(mem::take(&mut self.spare));
            self.hub.metrics.usage_reported(DeliveryOutcome::Dropped, taken.dropped);
            for (entry, sums) in taken.drain() {
                if self.open.is_empty() {
                    self.hub.set_used();
                    self.renew();
                }
                self.open.add(entry, &sums);
                if self.open.is_full() {
                    self.seal().await;
                }
            }
            self.spare = taken;
        }
        let others_wait = !self.hub.waiting.lock().is_empty();
        let intervals = if others_wait { INTERVALS_OF_AN_OUTAGE } else { 1 };
        if is_last || self.opened.elapsed() >= self.interval * intervals {
            self.seal().await;
        } else if self.open.is_changed {
            self.write_open().await;
        }
    }

    fn renew(&mut self) {
        (self.open, self.opened) = (OpenBatch::new(&self.service_id), Instant::now());
    }

    async fn write_open(&mut self) {
        let Some(spool) = self.spool.clone() else { return };
        let (id, Ok(bytes)) = (self.open.id, self.open.to_batch().to_bytes()) else { return };
        let written = spawn_blocking(move || spool.write_open(id, &bytes)).await;
        self.open.is_changed = !self.told(written);
    }

    /// Ends the batch: it waits to be sent.
    async fn seal(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let open = mem::replace(&mut self.open, OpenBatch::new(&self.service_id));
        let Ok(bytes) = open.to_batch().to_bytes() else { return };
        let bytes: Arc<[u8]> = bytes.into();
        let (from, size) = (open.from.as_millisecond(), bytes.len() as u64);
        let file = SealedFile { id: open.id, from, requests: open.requests, size };
        // Those before it first, if there is room again.
        self.write_what_is_in_memory().await;
        let in_memory = (!self.write(file, Arc::clone(&bytes)).await).then_some(bytes);
        self.add([WaitingBatch { in_memory, ..WaitingBatch::in_spool(file) }]).await;
    }

    async fn write_what_is_in_memory(&mut self) {
        loop {
            let first = self.hub.waiting.lock().first_in_memory();
            let Some((file, bytes)) = first.filter(|_| self.spool.is_some()) else { return };
            if !self.write(file, bytes).await {
                return;
            }
            let is_waiting = self.hub.waiting.lock().written(file.id);
            if !is_waiting {
                self.hub.remove(self.spool.as_ref(), file).await;
            }
        }
    }

    async fn write(&self, file: SealedFile, bytes: Arc<[u8]>) -> bool {
        let Some(spool) = self.spool.clone() else { return false };
        let written = spawn_blocking(move || spool.seal(file, &bytes)).await;
        self.told(written)
    }

    fn told(&self, written: Result<std::io::Result<()>, impl std::fmt::Display>) -> bool {
        match written {
            Ok(Ok(())) => {
                self.failing.end();
                return true;
            }
            Ok(Err(error)) => self.failing.warn(Code::UsageSpoolFailing, &error),
            Err(error) => self.failing.warn(Code::UsageSpoolFailing, &error),
        }
        false
    }

    async fn add(&self, batches: impl IntoIterator<Item = WaitingBatch>) {
        let fallen = self.hub.waiting.lock().add(batches);
        self.hub.has_batches.notify_one();
        let lost: u64 = fallen.iter().map(|batch| batch.file.requests).sum();
        if lost > 0 {
            self.hub.metrics.usage_reported(DeliveryOutcome::Dropped, lost);
            let code = Code::UsageUnreported.text();
            tracing::warn!(
                code = code,
                requests = lost,
                "the usage spool is full: the oldest usage was dropped"
            );
        }
        for batch in fallen.into_iter().filter(|batch| batch.in_memory.is_none()) {
            self.hub.remove(self.spool.as_ref(), batch.file).await;
        }
    }

    async fn adopt(&mut self) {
        let Some(spool) = self.spool.clone() else { return };
        let adopted = match spawn_blocking(move || spool.adopt()).await {
            Ok(Ok(adopted)) => adopted,
            Ok(Err(error)) => return self.failing.warn(Code::UsageSpoolFailing, &error),
            Err(error) => return self.failing.warn(Code::UsageSpoolFailing, &error),
        };
        if adopted.damaged > 0 {
            let (code, files) = (Code::UsageSpoolDamaged.text(), adopted.damaged);
            tracing::warn!(code = code, files, "files of the usage spool were no batches, and were removed");
            self.hub.metrics.usage_reported(DeliveryOutcome::Dropped, adopted.lost);
        }
        if !adopted.batches.is_empty() {
            let (batches, requests) =
                (adopted.batches.len(), adopted.batches.iter().map(|it| it.requests).sum::<u64>());
            tracing::info!(batches, requests, "usage of an earlier process is reported");
            self.add(adopted.batches.into_iter().map(WaitingBatch::in_spool)).await;
        }
    }
}
