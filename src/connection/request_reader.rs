//! Splits a connection's bytes into heads and bodies, and decides which of them actix-http gets next.

use std::{io, time::Instant};

use super::{Connection, refusal::NoRequest, state::CHUNKED};
use crate::http1::{Chunks, RequestHeadReader};

/// Bytes of framing that an upload may have beyond [`FRAMING_RATIO`]: what actix-http buffers, and more than any sensible chunking
/// needs.
const FRAMING_SLACK: u64 = 512 * 1024;
/// Bytes of framing for each byte of a body. A chunk of one byte has five.
const FRAMING_RATIO: u64 = 8;

/// How far the requests on a connection have been read.
#[derive(Debug, Default)]
pub(super) struct RequestReader {
    /// The last head, which may be incomplete.
    head: Option<HeadInProgress>,
    chunks: Chunks,
}

#[derive(Debug, Clone, Copy)]
struct HeadInProgress {
    /// How many requests were begun before it.
    begun_before: u64,
    /// When its first byte came.
    since: Instant,
    reader: RequestHeadReader,
}

/// What actix-http may get next.
#[derive(Debug, Clone, Copy)]
pub(super) enum NextPart {
    Head,
    /// So many bytes of a body, or [`CHUNKED`].
    Body(u64),
    /// Nothing before a request is begun or answered, or its body is wanted.
    Nothing,
}

#[derive(Clone, Copy)]
pub(super) enum ReadOutcome {
    /// So many bytes may be handed over.
    Ready(usize),
    IncompleteHead,
    Refused(NoRequest),
}

impl RequestReader {
    /// Whether any byte of a head has come.
    pub(super) fn has_begun(&self) -> bool {
        self.head.is_some()
    }

    /// When the incomplete head began, if there is one.
    pub(super) fn incomplete_since(&self) -> Option<Instant> {
        self.head.filter(|head| !head.reader.is_complete()).map(|head| head.since)
    }

    /// Whether the last request has its response, or was refused.
    pub(super) fn is_answered(&self, connection: &Connection) -> bool {
        let is_begun =
            |head: HeadInProgress| head.reader.is_complete() && head.begun_before != connection.begun.get();
        connection.in_flight.get() == 0 && self.head.is_some_and(is_begun)
    }

    /// Whether the complete head may have a target that actix-http cannot parse.
    pub(super) fn may_need_encoding(&self, next: NextPart) -> bool {
        matches!(next, NextPart::Head)
            && self.head.is_some_and(|head| head.reader.is_complete() && head.reader.may_need_encoding())
    }

    /// Whether these bytes begin with an empty line before a head.
    pub(super) fn begins_with_empty_line(&self, next: NextPart, bytes: &[u8]) -> bool {
        matches!(next, NextPart::Head)
            && self.head.is_none_or(|head| head.reader.is_complete())
            && bytes.first().is_some_and(|byte| b"\r\n".contains(byte))
    }

    pub(super) fn next_part(&self, connection: &Connection) -> NextPart {
        let Connection { begun, in_flight, body_left, is_last, closing, body_wanted, .. } = connection;
        let Some(head) = self.head.filter(|head| head.reader.is_complete()) else { return NextPart::Head };
        let is_served = in_flight.get() > 0;
        let is_unread = body_left.get() > 0;
        if head.begun_before == begun.get() || (is_served && is_unread && !body_wanted.get()) {
            NextPart::Nothing
        } else if is_unread {
            NextPart::Body(body_left.get())
        } else if is_served || is_last.get() || closing.get() {
            NextPart::Nothing
        } else {
            NextPart::Head
        }
    }

    /// # Errors
    /// The framing of a body is too large.
    pub(super) fn read(
        &mut self,
        connection: &Connection,
        next: NextPart,
        bytes: &[u8],
    ) -> io::Result<ReadOutcome> {
        match next {
            NextPart::Head => Ok(self.read_head(connection, bytes)),
            NextPart::Body(left) => self.read_body(connection, left, bytes).map(ReadOutcome::Ready),
            NextPart::Nothing => Ok(ReadOutcome::IncompleteHead),
        }
    }

    fn read_body(&mut self, connection: &Connection, left: u64, bytes: &[u8]) -> io::Result<usize> {
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
        if let Some((received, of_body)) = connection.upload.get() {
            let received = received + count as u64;
            if received > FRAMING_SLACK + FRAMING_RATIO * of_body {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "an upload is almost only chunk framing",
                ));
            }
            connection.upload.set(Some((received, of_body)));
        }
        Ok(count)
    }

    /// Reads on in the incomplete head, or begins the next one.
    fn read_head(&mut self, connection: &Connection, bytes: &[u8]) -> ReadOutcome {
        let mut head = self.head.filter(|head| !head.reader.is_complete()).unwrap_or_else(|| {
            let since = Instant::now();
            self.chunks = Chunks::default();
            connection.waiting_since.set(since);
            connection.target.replace(None);
            HeadInProgress {
                begun_before: connection.begun.get(),
                since,
                reader: RequestHeadReader::default(),
            }
        });
        let read = head.reader.take(bytes);
        connection.has_fragment.set(head.reader.has_fragment());
        self.head = Some(head);
        match read {
            Ok(count) if head.reader.is_complete() => ReadOutcome::Ready(count),
            Ok(_) => ReadOutcome::IncompleteHead,
            Err(too_large) => ReadOutcome::Refused(too_large.into()),
        }
    }
}
