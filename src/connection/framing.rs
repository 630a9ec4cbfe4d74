//! What of a connection's bytes is a head, what a body, and what actix-http may have of them now.

use std::{io, time::Instant};

use super::{CHUNKED, Connection, head::HeadReader, refusal::NoRequest};
use crate::http1::Chunks;

/// Bytes that a body's framing may have beyond [`FRAMING_RATIO`] for each byte of the body: what actix buffers, and more
/// than any honest chunking needs.
const FRAMING_SLACK: u64 = 512 * 1024;
/// A chunk of one byte has five bytes of framing.
const FRAMING_RATIO: u64 = 8;
/// How far a connection has been read.
#[derive(Debug, Default)]
pub(super) struct Framing {
    /// The head that is being read, or was read last.
    head: Option<Head>,
    /// How far a chunked body has been read.
    chunks: Chunks,
}

/// A request's head as it is read.
#[derive(Debug, Clone, Copy)]
struct Head {
    /// The number of requests before it.
    before: u64,
    /// When its first byte came.
    since: Instant,
    reader: HeadReader,
}

/// What may be handed over now.
#[derive(Debug, Clone, Copy)]
pub(super) enum Allowed {
    Head,
    Body(u64),
    /// Nothing, until a request is begun or answered, or its body wanted.
    Wait,
}

/// What became of some bytes.
#[derive(Clone, Copy)]
pub(super) enum Taken {
    /// So many may be handed over.
    Bytes(usize),
    /// The head is not whole yet.
    NotWhole,
    Refused(NoRequest),
}

impl Framing {
    /// Whether anything has come.
    pub(super) fn has_begun(&self) -> bool {
        self.head.is_some()
    }

    /// When the head began that is not whole yet.
    pub(super) fn unfinished_since(&self) -> Option<Instant> {
        self.head.filter(|head| !head.reader.is_complete()).map(|head| head.since)
    }

    /// Whether the last request has its response, or was none.
    pub(super) fn is_answered(&self, connection: &Connection) -> bool {
        let is_begun = |head: Head| head.reader.is_complete() && head.before != connection.begun.get();
        connection.under_way.get() == 0 && self.head.is_some_and(is_begun)
    }

    /// Whether a head is awaited, and nothing of it has come.
    fn is_between_heads(&self) -> bool {
        self.head.is_none_or(|head| head.reader.is_complete())
    }

    /// Whether the head that was read to its end may have a target that actix-http cannot read.
    pub(super) fn has_odd_target(&self, allowed: Allowed) -> bool {
        matches!(allowed, Allowed::Head)
            && self.head.is_some_and(|head| head.reader.is_complete() && head.reader.is_odd())
    }

    /// Whether these bytes are an empty line before a request's.
    pub(super) fn begins_blank(&self, allowed: Allowed, bytes: &[u8]) -> bool {
        matches!(allowed, Allowed::Head)
            && self.is_between_heads()
            && bytes.first().is_some_and(|byte| b"\r\n".contains(byte))
    }

    pub(super) fn allowed(&self, connection: &Connection) -> Allowed {
        let Connection { begun, under_way, body_left, is_last, closing, is_wanted, .. } = connection;
        match self.head {
            Some(Head { reader, before, .. }) if reader.is_complete() => {
                let is_served = under_way.get() > 0;
                if before == begun.get() || (is_served && body_left.get() > 0 && !is_wanted.get()) {
                    Allowed::Wait
                } else if body_left.get() > 0 {
                    Allowed::Body(body_left.get())
                } else if is_served || is_last.get() || closing.get() {
                    Allowed::Wait
                } else {
                    Allowed::Head
                }
            }
            _ => Allowed::Head,
        }
    }

    pub(super) fn take(
        &mut self,
        connection: &Connection,
        allowed: Allowed,
        bytes: &[u8],
    ) -> io::Result<Taken> {
        match allowed {
            Allowed::Head => Ok(self.take_head(connection, bytes)),
            Allowed::Body(left) => self.take_body(connection, left, bytes).map(Taken::Bytes),
            Allowed::Wait => Ok(Taken::NotWhole),
        }
    }

    fn take_body(&mut self, connection: &Connection, left: u64, bytes: &[u8]) -> io::Result<usize> {
        let count = if left == CHUNKED {
            let end = self.chunks.end_in(bytes);
            if end.is_some() {
                connection.body_left.set(0);
            }
            end.unwrap_or(bytes.len())
        } else {
            let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            connection.body_left.set(left - count as u64);
            count
        };
        Self::bound_framing(connection, count)?;
        Ok(count)
    }

    fn bound_framing(connection: &Connection, count: usize) -> io::Result<()> {
        if let Some((received, of_body)) = connection.upload.get() {
            let received = received + count as u64;
            if received > FRAMING_SLACK + FRAMING_RATIO * of_body {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a body is all framing"));
            }
            connection.upload.set(Some((received, of_body)));
        }
        Ok(())
    }

    /// Reads on in the head, or in the next one, up to its end.
    fn take_head(&mut self, connection: &Connection, bytes: &[u8]) -> Taken {
        let mut head = self.head.filter(|head| !head.reader.is_complete()).unwrap_or_else(|| {
            let since = Instant::now();
            self.chunks = Chunks::default();
            connection.since.set(since);
            connection.target.replace(None);
            Head { before: connection.begun.get(), since, reader: HeadReader::default() }
        });
        let taken = head.reader.take(bytes);
        connection.fragment.set(head.reader.has_fragment());
        self.head = Some(head);
        match taken {
            Ok(count) if head.reader.is_complete() => Taken::Bytes(count),
            Ok(_) => Taken::NotWhole,
            Err(excess) => Taken::Refused(excess.into()),
        }
    }
}
