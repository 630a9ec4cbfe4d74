//! Heads that actix-http would refuse, and MLflow's server takes.

use actix_web::web::BytesMut;

use super::{
    framing::Allowed,
    inbound::Inbound,
    no_length::with_length,
    set_aside::{self, STAND_IN},
};

impl<T> Inbound<T> {
    /// Makes the head that may be handed over one that actix-http can read.
    pub(super) fn mend_head(&mut self, allowed: Allowed) {
        // First, for whether there is a length is read behind it.
        if self.framing.has_odd_target(allowed) {
            self.set_target_aside();
        }
        if self.last_words.is_some() {
            return;
        }
        if let Some(head) = with_length(allowed, &self.ahead[..self.ready]) {
            let rest = self.ahead.split_off(self.ready);
            self.ahead = BytesMut::from(&[&head[..], &rest].concat()[..]);
            self.ready = head.len();
        }
    }

    /// Puts a stand-in into the place of its target.
    fn set_target_aside(&mut self) {
        match set_aside::target_of(&self.ahead[..self.ready]) {
            Ok(Some((target, place))) => {
                let behind = self.ahead.split_off(place.end);
                self.ahead.truncate(place.start);
                self.ahead.extend_from_slice(STAND_IN);
                self.ahead.extend_from_slice(&behind);
                self.ready = self.ready - place.len() + STAND_IN.len();
                self.connection.target.replace(Some(target));
            }
            Ok(None) => {}
            Err(excess) => self.refuse(excess.into()),
        }
    }
}
