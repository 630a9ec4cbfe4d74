//! How keys end here and elsewhere: by a refusal of the auth service, by a message, or because messages may have been missed.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::sleep;

use super::{Decisions, Question};
use crate::auth::{Principal, revocation::EVERYTHING};

impl Decisions {
    /// Forgets what this process accepted.
    pub(in crate::auth) fn clear(&self) {
        self.cache.clear();
    }

    /// A message ends a key by its name, or all. Logged is a name that something remembered here has: any other may be a key
    /// that somebody took for its id.
    pub(in crate::auth) fn heard(&self, name: &str) {
        if self.revoke(name) || name == EVERYTHING {
            tracing::info!(key_id = name, "revoked");
        }
    }

    /// For this process, and by word left in Redis for those that have yet to look. Whether anything was remembered of it.
    fn revoke(&self, name: &str) -> bool {
        let was_remembered = self.cache.revoke(name);
        if let Some(shared) = &self.shared {
            shared.revoke(name);
        }
        was_remembered
    }

    /// Believes nothing from before now, for what was revoked meanwhile is not known.
    pub(in crate::auth) fn distrust(&self) {
        self.cache.revoke(EVERYTHING);
    }

    /// Remembers a refusal, and tells whose key it was. A definite no is one everywhere: it ends a key that was good before
    /// for every address and in every instance.
    pub(super) async fn refused(self: &Arc<Self>, question: &Question) -> Option<Arc<Principal>> {
        let Question { fingerprint, digest, known, .. } = question;
        let in_memory = self.cache.take_known(digest).or_else(|| known.clone());
        // Where Redis does not say whose it was, it goes on knowing: the next refusal of this key ends it everywhere.
        let known = match (&self.shared, in_memory) {
            (Some(shared), None) => shared.known(*digest).await,
            (_, in_memory) => Some(in_memory),
        };
        let (is_told, known) = (known.is_some(), known.flatten());
        self.cache.refuse(*fingerprint, known.clone());
        if let Some(principal) = &known {
            self.end(digest.revoked_as(principal));
        }
        if let Some(shared) = &self.shared {
            shared.refuse(*fingerprint, is_told.then_some(*digest));
        }
        known
    }

    /// Ends a refused key everywhere. One that is refused at some addresses only must leave the others the time to be asked
    /// about: a second end follows the first as late as a refusal is forgotten, and is not lost.
    fn end(self: &Arc<Self>, name: String) {
        let (refused_at, decisions) = (Timestamp::now(), Arc::clone(self));
        let wait = self.cache.revoked_at(&name).map_or(Duration::ZERO, |at| {
            let since = Duration::try_from(refused_at.duration_since(at)).unwrap_or_default();
            self.between_ends.saturating_sub(since)
        });
        if wait.is_zero() {
            return self.revoke_everywhere(name);
        }
        actix_rt::spawn(async move {
            sleep(wait).await;
            if decisions.cache.revoked_at(&name).is_none_or(|at| at <= refused_at) {
                decisions.revoke_everywhere(name);
            }
        });
    }

    fn revoke_everywhere(&self, name: String) {
        self.revoke(&name);
        tracing::info!(key_id = name, "revoked");
        if let Some(shared) = &self.shared {
            shared.publish(name);
        }
    }
}
