//! The answer to `begin`: the record is written, and the change may be forwarded.

use std::sync::mpsc::Sender;

use super::{Message, capacity::Reservation};

/// If it is dropped without being claimed, because the client went away, the record is withdrawn.
#[derive(Debug)]
pub(super) struct Begun {
    number: u64,
    withdrawal: Option<(Sender<Message>, Reservation)>,
}

impl Begun {
    pub(super) fn new(number: u64, mailbox: Sender<Message>, reservation: Reservation) -> Self {
        Self { number, withdrawal: Some((mailbox, reservation)) }
    }

    /// The record's number. From now on the record of the change's outcome refers to it.
    pub(super) fn claim(mut self) -> u64 {
        self.withdrawal = None;
        self.number
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some((mailbox, _reservation)) = self.withdrawal.take() {
            let _ = mailbox.send(Message::Withdraw { begun: self.number, _reservation });
        }
    }
}
