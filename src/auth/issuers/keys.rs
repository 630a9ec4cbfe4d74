//! The keys of one issuer as all workers see them, and the actor that keeps them fresh.
//!
//! Only the actor asks the issuer: at intervals, and when a worker meets a token of a key that it does not know; never twice
//! within [`MIN_INTERVAL`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{discovery, fault::KeysFault, key_set::KeySet};
use crate::{outage_log::OutageLog, settings::Issuer};

/// How long keys are used without being read again.
const FRESH: Duration = Duration::from_secs(300);
/// How long keys are used while the issuer cannot be asked.
const STALE: Duration = Duration::from_secs(3600);
/// The least time between two questions to an issuer.
const MIN_INTERVAL: Duration = Duration::from_secs(10);
/// How long a request waits for keys: the discovery document and they.
const PATIENCE: Duration = Duration::from_secs(6);

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Keys {
    known: ArcSwap<Known>,
    /// How often keys that were there have gone: what they had signed is no longer good.
    withdrawals: AtomicU64,
    /// The number of questions that were answered, or were not.
    questions: watch::Sender<u64>,
    wanted: Notify,
}

/// What is known of an issuer's keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) keys: Arc<KeySet>,
    read: Option<(Instant, Timestamp)>,
    asked: Option<Instant>,
    fault: Option<KeysFault>,
}

impl Known {
    /// Whether the keys may still be used.
    pub(super) fn are_usable(&self) -> bool {
        self.read.is_some_and(|(at, _)| at.elapsed() < STALE)
    }

    /// Whether the key of a token would be among these: they were read since it was issued, or since `began`.
    pub(super) fn are_newer_than(&self, issued_at: Option<i64>, began: Instant) -> bool {
        let Some((read, at)) = self.read else { return false };
        self.fault.is_none() && (read >= began || issued_at.is_some_and(|issued| at.as_second() > issued))
    }

    pub(super) fn fault(&self) -> KeysFault {
        self.fault.clone().unwrap_or(if self.read.is_some() { KeysFault::TooSoon } else { KeysFault::NotYet })
    }
}

impl Keys {
    pub(super) fn new() -> Self {
        Self {
            known: ArcSwap::default(),
            withdrawals: AtomicU64::new(0),
            questions: watch::Sender::new(0),
            wanted: Notify::new(),
        }
    }

    pub(super) fn known(&self) -> Arc<Known> {
        self.known.load_full()
    }

    pub(super) fn withdrawals(&self) -> u64 {
        self.withdrawals.load(Ordering::Acquire)
    }

    pub(super) fn are_usable(&self) -> bool {
        self.known.load().are_usable()
    }

    /// What is known when the issuer has been asked once more, or may not be asked so soon.
    pub(super) async fn renewed(&self) -> Arc<Known> {
        let mut questions = self.questions.subscribe();
        let is_soon = self.known.load().asked.is_some_and(|asked| asked.elapsed() < MIN_INTERVAL);
        if !is_soon {
            self.wanted.notify_one();
            let _ = timeout(PATIENCE, questions.changed()).await;
        }
        self.known()
    }

    /// Asks for as long as it is polled.
    async fn keep(&self, mut ask: impl AsyncFnMut() -> Result<KeySet, KeysFault>) {
        loop {
            let (asked, at) = (Instant::now(), Timestamp::now());
            let answer = ask().await;
            let is_answered = answer.is_ok();
            self.learn((asked, at), answer);
            sleep(MIN_INTERVAL.saturating_sub(asked.elapsed())).await;
            if is_answered {
                tokio::select! {
                    () = sleep_until(asked + FRESH) => {}
                    () = self.wanted.notified() => {}
                }
            }
        }
    }

    pub(super) fn learn(&self, (asked, at): (Instant, Timestamp), answer: Result<KeySet, KeysFault>) {
        let earlier = self.known();
        let (known, are_all_there) = match answer {
            Ok(keys) => {
                let are_all_there = keys.has_all_of(&earlier.keys);
                let read = Some((asked, at));
                (Known { keys: Arc::new(keys), read, asked: Some(asked), fault: None }, are_all_there)
            }
            Err(fault) => (Known { asked: Some(asked), fault: Some(fault), ..Known::clone(&earlier) }, true),
        };
        self.known.store(Arc::new(known));
        if !are_all_there {
            self.withdrawals.fetch_add(1, Ordering::AcqRel);
        }
        self.questions.send_modify(|count| *count += 1);
    }
}

/// Never returns.
pub(crate) async fn keep(keys: Arc<super::TrustedIssuer>) {
    let super::TrustedIssuer { settings, tls, keys, outage_log, .. } = &*keys;
    let ask = async || {
        let answer = discovery::keys(settings, tls.as_ref()).await;
        tell(settings, outage_log, &answer);
        answer
    };
    keys.keep(ask).await;
}

fn tell(Issuer { issuer, .. }: &Issuer, outage_log: &OutageLog, answer: &Result<KeySet, KeysFault>) {
    match answer {
        Ok(_) => outage_log.end(),
        Err(fault) => outage_log.warn(fault.code(), &format_args!("{issuer}: {fault}")),
    }
}

#[cfg(test)]
mod tests;
