//! The answer that a record is written, of a change that may now be forwarded.

use std::sync::mpsc::Sender;

use super::{Message, room::Space};

/// Dropped without being claimed, as when the client goes meanwhile, it has the stream say that nothing was forwarded.
#[derive(Debug)]
pub(super) struct Begun {
    number: u64,
    withdrawal: Option<(Sender<Message>, Space)>,
}

impl Begun {
    pub(super) fn new(number: u64, mailbox: Sender<Message>, space: Space) -> Self {
        Self { number, withdrawal: Some((mailbox, space)) }
    }

    /// The record's number: from here on the change's outcome ends what was begun.
    pub(super) fn claim(mut self) -> u64 {
        self.withdrawal = None;
        self.number
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some((mailbox, _space)) = self.withdrawal.take() {
            let _ = mailbox.send(Message::Withdraw { begun: self.number, _space });
        }
    }
}
