//! A close-delimited body: it ends with its connection, as in HTTP/1.0 without a length (RFC 9112 §6.3, rule 8).
//!
//! Only a reset tells the client that such a body is truncated. actix-http closes the connection in the same way after a failed body as
//! after a complete one (actix/actix-web#1620). So the socket is set to reset on close (SO_LINGER 0) before the first byte, and set back
//! after the last one: then any early close resets it, also that by the end of this process.

use std::{io, time::Duration};

use actix_rt::net::TcpStream;
use actix_tls::accept::rustls_0_23::TlsStream;
use socket2::SockRef;

use super::{Connection, stream::ClientStream};

/// The state of the last response's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum CloseDelimited {
    /// It is not close-delimited, or there is no response.
    #[default]
    No,
    /// Nothing of it was sent.
    Announced,
    /// Bytes of it may have been sent.
    Begun,
    /// All of it was handed over. Whether the socket is set to reset on close.
    Complete { is_armed: bool },
}

/// A stream whose connection can be reset instead of closed.
pub(crate) trait ResetOnClose {
    /// Whether a close of the socket resets the connection.
    fn reset_on_close(&self, reset: bool) -> io::Result<()>;
}

impl ResetOnClose for TcpStream {
    fn reset_on_close(&self, reset: bool) -> io::Result<()> {
        SockRef::from(self).set_linger(reset.then_some(Duration::ZERO))
    }
}

impl ResetOnClose for TlsStream<TcpStream> {
    fn reset_on_close(&self, reset: bool) -> io::Result<()> {
        self.get_ref().0.reset_on_close(reset)
    }
}

/// In tests without a socket.
#[cfg(test)]
impl ResetOnClose for tokio::io::DuplexStream {
    fn reset_on_close(&self, _: bool) -> io::Result<()> {
        Ok(())
    }
}

impl Connection {
    /// Announces a close-delimited body. `false` over TLS, where a client may not notice the truncation: nginx and others that use
    /// OpenSSL take a reset below TLS for the end of the body.
    #[must_use]
    pub(crate) fn end_with_body(&self) -> bool {
        if self.secure {
            return false;
        }
        self.is_last.set(true);
        self.close_delimited.set(CloseDelimited::Announced);
        true
    }

    /// All of the body was handed over.
    pub(crate) fn body_is_over(&self) {
        let is_armed = self.close_delimited.get() != CloseDelimited::Announced;
        self.close_delimited.set(CloseDelimited::Complete { is_armed });
    }
}

impl<T: ResetOnClose> ClientStream<T> {
    /// Call it before each write.
    pub(super) fn before_write(&self) -> io::Result<()> {
        let armed = match self.connection.close_delimited.get() {
            CloseDelimited::Announced => CloseDelimited::Begun,
            CloseDelimited::Complete { is_armed: false } => CloseDelimited::Complete { is_armed: true },
            _ => return Ok(()),
        };
        self.stream.reset_on_close(true)?;
        self.connection.close_delimited.set(armed);
        Ok(())
    }

    /// Call it before the shutdown.
    ///
    /// # Errors
    /// The body is incomplete.
    pub(super) fn before_shutdown(&self) -> io::Result<()> {
        match self.connection.close_delimited.get() {
            CloseDelimited::No => Ok(()),
            CloseDelimited::Complete { .. } => {
                self.connection.close_delimited.set(CloseDelimited::No);
                self.stream.reset_on_close(false)
            }
            CloseDelimited::Announced | CloseDelimited::Begun => {
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, "a close-delimited body ended early"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::{io::duplex, net::TcpListener};

    use super::*;
    use crate::{
        connection::{ConnectionConfig, ConnectionLimiter},
        stall_budget::StallBudget,
        telemetry::Metrics,
    };

    fn config() -> Rc<ConnectionConfig> {
        let second = Duration::from_secs(1);
        Rc::new(ConnectionConfig {
            head_timeout: second,
            write_budget: StallBudget::new(second, 1),
            limiter: ConnectionLimiter::new(1, 1000, Metrics::new().unwrap()),
            refuse: Box::new(|_, _| Vec::new()),
        })
    }

    #[actix_rt::test]
    async fn a_socket_is_set_to_reset_from_the_first_byte_of_the_body_to_its_last() {
        for is_complete_first in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let client_stream = ClientStream::new(stream, None, false, &config()).unwrap();
            let lingers = || SockRef::from(&client_stream.stream).linger().unwrap();
            assert!(client_stream.connection.end_with_body());
            if is_complete_first {
                client_stream.connection.body_is_over();
            }
            assert_eq!(lingers(), None);
            client_stream.before_write().unwrap();
            assert_eq!(lingers(), Some(Duration::ZERO), "{is_complete_first}");
            client_stream.connection.body_is_over();
            client_stream.before_write().unwrap();
            assert_eq!(lingers(), Some(Duration::ZERO), "{is_complete_first}");
            client_stream.before_shutdown().unwrap();
            assert_eq!(lingers(), None);
        }
    }

    #[actix_rt::test]
    async fn a_connection_is_shut_down_only_after_the_last_byte_of_the_body() {
        let client_stream = ClientStream::new(duplex(1).1, None, false, &config()).unwrap();
        let connection = &client_stream.connection;
        assert!(client_stream.before_shutdown().is_ok());
        assert!(connection.end_with_body());
        assert!(connection.is_last());
        assert!(client_stream.before_shutdown().is_err());
        assert!(client_stream.before_write().is_ok());
        assert!(client_stream.before_shutdown().is_err());
        connection.body_is_over();
        assert!(client_stream.before_write().is_ok());
        assert!(client_stream.before_shutdown().is_ok());
    }

    #[test]
    fn over_tls_no_body_is_close_delimited() {
        let connection = Connection::new(true);
        assert!(!connection.end_with_body());
        assert_eq!(connection.close_delimited.get(), CloseDelimited::No);
    }
}
