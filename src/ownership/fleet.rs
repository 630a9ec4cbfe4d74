//! Tells the other instances through Redis what was changed, and hears it from them. A message makes an instance forget, and no
//! more; without Redis each asks MLflow again soon enough.

use std::sync::Arc;

use super::{changes::Changes, judge::Ownership};
use crate::{
    redis::{Listener, Redis},
    routing::Kind,
};

/// The longest message that is read: MLflow's names have 256 characters.
const MAX_MESSAGE: usize = 2 * 1024;

pub(super) fn tell(redis: &Redis, kind: Kind, id: &str) {
    redis.publish_in_background(ChangesElsewhere::CHANNEL, format!("{} {id}", kind.word()));
}

/// Hears what other instances have changed. A message is a kind and an id: `model acme-churn`.
pub(crate) struct ChangesElsewhere(Arc<Changes>);

impl Ownership {
    pub(crate) fn changes_elsewhere(&self) -> ChangesElsewhere {
        ChangesElsewhere(Arc::clone(&self.lookups.changes))
    }
}

impl Listener for ChangesElsewhere {
    const CHANNEL: &'static str = "hokusai:changed";

    fn hear(&self, message: &str) {
        if let Some((kind, id)) = message.split_once(' ')
            && let Some(kind) = Kind::from_word(kind)
            && message.len() <= MAX_MESSAGE
        {
            self.0.note(kind, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_message_makes_the_thing_that_it_names_be_forgotten_and_junk_nothing() {
        let changes = Arc::new(Changes::new());
        let elsewhere = ChangesElsewhere(Arc::clone(&changes));
        let before = Instant::now();
        for junk in
            ["", "model", "nothing m", "{\"model\": \"m\"}", &format!("model m{}", " ".repeat(MAX_MESSAGE))]
        {
            elsewhere.hear(junk);
            assert!(!changes.any_since(Kind::Model, "m", before), "{junk}");
        }
        elsewhere.hear("model m");
        assert!(changes.any_since(Kind::Model, "m", before));
    }
}
