//! A connection that tells awc the truth about where a response ends.
//!
//! By itself awc takes a premature end for the end of a body, an interim response (1xx) for the final one, and a
//! response with no framing for an empty one; the bytes that follow then belong to the next request on the
//! connection. The guard reads each response's head as it passes and turns all three into errors, after which awc
//! drops the connection (RFC 9112 §6.3, §8).

use std::{
    collections::VecDeque,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_rt::net::{ActixStream, Ready, TcpStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    fault::TransportFault,
    response::{Framing, MAX_HEAD, MAX_HEADERS, framing, read},
    stream::Stream,
    wire::acknowledge,
};

/// What the next bytes from the server are.
#[derive(Debug)]
enum Expect {
    /// Nothing was asked yet.
    Nothing,
    /// A response's head, of which `seen` came already.
    Head { seen: Vec<u8>, to_head: bool },
    /// The rest of a response with an end of its own, or of none: the end of the connection is premature.
    Framed,
    /// A body that ends with the connection: HTTP/1.0 without a length.
    UntilClose,
}

#[derive(Debug)]
pub(super) struct Guarded {
    stream: Stream,
    expect: Expect,
    /// Whether it has had a request before the one that is under way.
    was_used: bool,
    /// What has come of a response before the end of its request, and awc has not read yet.
    early: VecDeque<u8>,
    /// Whether its first line was among that. From then on the rest of the request is swallowed: awc reads only when it has
    /// written everything, and the server may read no more.
    answered_early: bool,
}

/// Put behind the first line of an early response: nobody knows where the next request on its connection would begin.
const CLOSE: &[u8] = b"\r\nconnection: close";

impl Guarded {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            expect: Expect::Nothing,
            was_used: false,
            early: VecDeque::new(),
            answered_early: false,
        }
    }

    /// Whether the response has begun while its request is still being written.
    fn poll_early(&mut self, cx: &mut Context<'_>) -> bool {
        if !matches!(&self.expect, Expect::Head { seen, .. } if seen.is_empty())
            // tokio's own, for actix's forgets whom to wake.
            || TcpStream::poll_read_ready(self.stream.tcp(), cx).is_pending()
        {
            return false;
        }
        while self.early.len() < MAX_HEAD {
            let mut piece = [MaybeUninit::uninit(); 4096];
            let mut piece = ReadBuf::uninit(&mut piece);
            match Pin::new(&mut self.stream).poll_read(cx, &mut piece) {
                Poll::Ready(Ok(())) if !piece.filled().is_empty() => self.early.extend(piece.filled()),
                _ => return false,
            }
            let begun = self.early.make_contiguous();
            if let Some(line_feed) = begun.iter().position(|byte| *byte == b'\n') {
                let end = line_feed - usize::from(begun[..line_feed].ends_with(b"\r"));
                let rest = self.early.split_off(end);
                self.early.extend(CLOSE.iter().chain(&rest));
                self.answered_early = true;
                return true;
            }
        }
        false
    }

    /// A connection that breaks in the middle of a response has begun one.
    fn broke_off(&self, error: io::Error) -> io::Error {
        match &self.expect {
            Expect::Head { seen, .. } if seen.is_empty() && self.was_used => {
                TransportFault::ClosedIdle.into()
            }
            Expect::Head { seen, .. } if seen.is_empty() => error,
            Expect::Nothing => error,
            _ => TransportFault::ClosedInResponse.into(),
        }
    }

    fn received(&mut self, bytes: &[u8]) -> Result<(), TransportFault> {
        let Expect::Head { seen, to_head } = &mut self.expect else {
            let premature = bytes.is_empty() && !matches!(self.expect, Expect::UntilClose);
            return if premature { Err(TransportFault::ClosedInResponse) } else { Ok(()) };
        };
        if bytes.is_empty() {
            return Err(match (seen.is_empty(), self.was_used) {
                (true, false) => TransportFault::ClosedBeforeHead,
                (true, true) => TransportFault::ClosedIdle,
                (false, _) => TransportFault::ClosedInResponse,
            });
        }
        // A head nearly always comes in one piece and is then read where it lies.
        let to_head = *to_head;
        let next = if seen.is_empty() {
            read_head(bytes, to_head)?
        } else {
            seen.extend_from_slice(bytes);
            read_head(seen, to_head)?
        };
        match next {
            Some((next, is_alone)) => {
                self.expect = next;
                if is_alone {
                    acknowledge(&self.stream);
                }
            }
            None if seen.is_empty() => seen.extend_from_slice(bytes),
            None if seen.len() > MAX_HEAD => return Err(TransportFault::NotHttp),
            None => {}
        }
        Ok(())
    }
}

/// What follows the head in `bytes`, and whether nothing of its body has come with it; `None` while it is incomplete.
/// `to_head`: it answers a HEAD request.
fn read_head(bytes: &[u8], to_head: bool) -> Result<Option<(Expect, bool)>, TransportFault> {
    let mut headers = [MaybeUninit::uninit(); MAX_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let Some(length) = read(&mut response, bytes, &mut headers)? else { return Ok(None) };
    let is_alone = length == bytes.len();
    let (framing, _) = framing(&response, to_head)?;
    Ok(Some(match framing {
        Framing::None => (Expect::Framed, false),
        Framing::Length(_) | Framing::Chunked => (Expect::Framed, is_alone),
        Framing::UntilClose => (Expect::UntilClose, is_alone),
    }))
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.early.is_empty() {
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
            read.map_err(|error| self.broke_off(error))?;
        } else {
            let count = self.early.len().min(buf.remaining());
            let bytes: Vec<u8> = self.early.drain(..count).collect();
            buf.put_slice(&bytes);
        }
        self.received(&buf.filled()[before..])?;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        // awc reads only after it has written the whole request: what is written after a read is a new request.
        if !matches!(self.expect, Expect::Head { .. }) {
            if self.answered_early {
                return Poll::Ready(Err(TransportFault::ClosedBeforeHead.into()));
            }
            self.was_used = !matches!(self.expect, Expect::Nothing);
            self.expect = Expect::Head { seen: Vec::new(), to_head: buf.starts_with(b"HEAD ") };
        }
        if self.answered_early {
            return Poll::Ready(Ok(buf.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        // A server that reads no more, or has closed, has answered perhaps.
        if !matches!(written, Poll::Ready(Ok(_))) && self.poll_early(cx) {
            return Poll::Ready(Ok(buf.len()));
        }
        written.map_err(|error| self.broke_off(error))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        // TLS keeps bytes of its own: it may be here that a server is found to read no more.
        if !matches!(flushed, Poll::Ready(Ok(()))) && (self.answered_early || self.poll_early(cx)) {
            return Poll::Ready(Ok(()));
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Whether a head is whole, for the fuzzer.
#[cfg(fuzzing)]
pub(super) fn is_whole(bytes: &[u8], to_head: bool) -> Result<bool, TransportFault> {
    read_head(bytes, to_head).map(|judged| judged.is_some())
}

impl ActixStream for Guarded {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_read_ready(self.stream.tcp(), cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_write_ready(self.stream.tcp(), cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(head: &str, to_head: bool) -> Result<Option<&'static str>, TransportFault> {
        read_head(head.as_bytes(), to_head).map(|next| {
            next.map(|(next, _)| match next {
                Expect::Framed => "framed",
                Expect::UntilClose => "until close",
                Expect::Nothing | Expect::Head { .. } => "unexpected",
            })
        })
    }

    #[test]
    fn a_head_that_came_without_its_body_is_told_from_one_that_has_none() {
        for (head, to_head, is_alone) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", false, true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nh", false, false),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", false, true),
            ("HTTP/1.0 200 OK\r\n\r\n", false, true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", true, false),
            ("HTTP/1.1 204 No Content\r\n\r\n", false, false),
        ] {
            let told = read_head(head.as_bytes(), to_head).unwrap().unwrap().1;
            assert_eq!(told, is_alone, "{head:?}");
        }
    }

    #[test]
    fn a_head_tells_where_its_response_ends() {
        for (head, to_head, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", false, Ok(Some("framed"))),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, Ok(Some("framed"))),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\n", false, Err(TransportFault::Unframed)),
            ("HTTP/1.1 204 No Content\r\n\r\n", false, Ok(Some("framed"))),
            ("HTTP/1.1 304 Not Modified\r\n\r\n", false, Ok(Some("framed"))),
            ("HTTP/1.1 200 OK\r\n\r\n", true, Ok(Some("framed"))),
            ("HTTP/1.1 200 OK\r\n\r\n", false, Err(TransportFault::Unframed)),
            ("HTTP/1.0 200 OK\r\n\r\nbody", false, Ok(Some("until close"))),
            ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n", false, Ok(Some("framed"))),
            ("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", false, Err(TransportFault::Interim(103))),
            ("HTTP/1.1 100 Continue\r\n\r\n", false, Err(TransportFault::Interim(100))),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", false, Err(TransportFault::Interim(101))),
            ("HTTP/1.1 200 OK\r\ncontent-le", false, Ok(None)),
            ("SSH-2.0-OpenSSH\r\n", false, Err(TransportFault::NotHttp)),
        ] {
            assert_eq!(outcome(head, to_head), expected, "{head:?}");
        }
    }
}
