//! Listens for revocations. A message on the channel is a key id, or `*` for every key: its cached verdicts are dropped, and a key of
//! the key file is revoked.

use deadpool_redis::redis::RedisError;

use std::sync::Arc;

use super::{Issuers, KeySource};
use crate::{code::Code, redis::Listener};

/// The channel, the same for every gateway of a fleet.
pub(crate) const CHANNEL: &str = "hokusai:revoked";
/// The message that revokes every key.
pub(super) const EVERYTHING: &str = "*";

/// Revocations by other instances, and by `keys revoke`.
pub(crate) struct Revocations {
    pub(crate) keys: KeySource,
    pub(crate) issuers: Option<Arc<Issuers>>,
}

impl Listener for Revocations {
    const CHANNEL: &'static str = CHANNEL;

    fn hear(&self, key_id: &str) {
        if let Some(issuers) = &self.issuers {
            issuers.revoke_by_message(key_id);
        }
        match &self.keys {
            KeySource::Service(verifier) => verifier.revoke_by_message(key_id),
            KeySource::File(keys) => keys.revoke(key_id),
        }
    }

    fn begin(&self, lost: bool) {
        if let Some(issuers) = self.issuers.as_ref().filter(|_| lost) {
            issuers.forget();
        }
        match &self.keys {
            // Messages may have been missed. At the first subscription, the marks in Redis have them.
            KeySource::Service(verifier) if lost => verifier.invalidate_all(),
            KeySource::Service(verifier) => verifier.clear(),
            // Nothing is cached.
            KeySource::File(_) => {}
        }
        let ended = lost.then(|| Code::RevocationsNotReceived.text());
        tracing::info!(code = ended, lost, "listening for revocations");
    }

    fn lose(&self) {
        tracing::warn!(
            code = Code::RevocationsNotReceived.text(),
            "the subscription to revocations was lost; subscribing again"
        );
    }

    fn fail(&self, error: &RedisError, fix: Option<&str>) {
        tracing::warn!(code = Code::RevocationsNotReceived.text(), %error, fix, "cannot listen for revocations");
    }
}
