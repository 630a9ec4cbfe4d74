//! Rewrites complete heads that actix-http would refuse and MLflow's server accepts.

use actix_web::web::BytesMut;

use super::{request_reader::NextPart, stream::ClientStream};
use crate::http1::{
    target::{self, PLACEHOLDER},
    with_length,
};

impl<T> ClientStream<T> {
    /// Whether the complete head must be rewritten, or may have to be.
    pub(super) fn needs_rewrite(&self, next: NextPart, head: &[u8]) -> bool {
        self.requests.may_need_encoding(next)
            || (matches!(next, NextPart::Head) && with_length(head).is_some())
    }

    /// Rewrites the head that may be handed over, where it must be.
    pub(super) fn rewrite_head(&mut self, next: NextPart) {
        if !matches!(next, NextPart::Head) {
            return;
        }
        // The target first: the head must be parsed to see whether it has a length.
        if self.requests.may_need_encoding(next) {
            self.replace_target();
        }
        if self.refusal.is_some() {
            return;
        }
        if let Some(head) = with_length(&self.buffer[..self.ready]) {
            let rest = self.buffer.split_off(self.ready);
            self.buffer = BytesMut::from(&[&head[..], &rest].concat()[..]);
            self.ready = head.len();
        }
    }

    /// Puts a placeholder in place of the target, and the encoded target into the connection's state.
    fn replace_target(&mut self) {
        match target::encode_in(&self.buffer[..self.ready]) {
            Ok(Some((target, range))) => {
                let after = self.buffer.split_off(range.end);
                self.buffer.truncate(range.start);
                self.buffer.extend_from_slice(PLACEHOLDER);
                self.buffer.extend_from_slice(&after);
                self.ready = self.ready - range.len() + PLACEHOLDER.len();
                self.connection.target.replace(Some(target));
            }
            Ok(None) => {}
            Err(too_large) => self.refuse(too_large.into()),
        }
    }
}
