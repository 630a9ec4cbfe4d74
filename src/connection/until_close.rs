//! A body that ends with its connection, as HTTP/1.0 has it where there is no length (RFC 9112 §6.3, 8.).
//!
//! Only how the connection ends tells a client a whole body from a truncated one. So the socket is set to be reset when it
//! is closed, before the first byte, and set back behind the last one: then it is reset whatever closes it before that, the
//! end of this process too.

use std::{io, time::Duration};

use actix_rt::net::TcpStream;
use actix_tls::accept::rustls_0_23::TlsStream;
use socket2::SockRef;

use super::{Connection, inbound::Inbound};

/// How far such a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum UntilClose {
    /// The response has an end of its own, or there is none.
    #[default]
    No,
    /// It is to begin.
    Wanted,
    /// Bytes of it may have been sent.
    Begun,
    /// All of it was handed over, and is sent or about to be.
    Over { is_armed: bool },
}

/// A stream whose connection can be reset instead of closed.
pub(crate) trait Resettable {
    /// Whether whatever closes it resets it.
    fn reset_on_close(&self, reset: bool) -> io::Result<()>;
}

impl Resettable for TcpStream {
    fn reset_on_close(&self, reset: bool) -> io::Result<()> {
        SockRef::from(self).set_linger(reset.then_some(Duration::ZERO))
    }
}

impl Resettable for TlsStream<TcpStream> {
    fn reset_on_close(&self, reset: bool) -> io::Result<()> {
        self.get_ref().0.reset_on_close(reset)
    }
}

/// In tests without a socket.
#[cfg(test)]
impl Resettable for tokio::io::DuplexStream {
    fn reset_on_close(&self, _: bool) -> io::Result<()> {
        Ok(())
    }
}

impl Connection {
    /// The body of the response to the last request ends with the connection. `false` where a client could not tell that it
    /// broke off: nginx, and whoever else reads TLS by OpenSSL, takes a reset below TLS for its end.
    #[must_use]
    pub(crate) fn end_with_body(&self) -> bool {
        if self.secure {
            return false;
        }
        self.is_last.set(true);
        self.until_close.set(UntilClose::Wanted);
        true
    }

    /// That body is over.
    pub(crate) fn body_is_over(&self) {
        let is_armed = self.until_close.get() != UntilClose::Wanted;
        self.until_close.set(UntilClose::Over { is_armed });
    }
}

impl<T: Resettable> Inbound<T> {
    /// Something is to be written.
    pub(super) fn before_write(&self) -> io::Result<()> {
        let armed = match self.connection.until_close.get() {
            UntilClose::Wanted => UntilClose::Begun,
            // All of it was there before its first byte was sent.
            UntilClose::Over { is_armed: false } => UntilClose::Over { is_armed: true },
            _ => return Ok(()),
        };
        self.stream.reset_on_close(true)?;
        self.connection.until_close.set(armed);
        Ok(())
    }

    /// All was written that there is.
    ///
    /// # Errors
    /// It was not all of the body.
    pub(super) fn before_shutdown(&self) -> io::Result<()> {
        match self.connection.until_close.get() {
            UntilClose::No => Ok(()),
            UntilClose::Over { .. } => {
                self.connection.until_close.set(UntilClose::No);
                self.stream.reset_on_close(false)
            }
            UntilClose::Wanted | UntilClose::Begun => Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "a body that ends with its connection broke off",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::{io::duplex, net::TcpListener};

    use super::*;
    use crate::{
        connection::{Crowd, Deadlines, Terms},
        stall_budget::StallBudget,
        telemetry::Metrics,
    };

    fn terms() -> Rc<Terms> {
        let second = Duration::from_secs(1);
        Rc::new(Terms {
            deadlines: Deadlines { head: second, write: StallBudget::new(second, 1) },
            crowd: Crowd::new(1, 1000, Metrics::new().unwrap()),
            refuse: Box::new(|_, _| Vec::new()),
        })
    }

    #[actix_rt::test]
    async fn such_a_body_can_be_reset_from_its_first_byte_to_its_last_also_where_it_is_over_before_the_first()
    {
        for is_over_first in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let inbound = Inbound::new(stream, None, false, &terms()).unwrap();
            let lingers = || SockRef::from(&inbound.stream).linger().unwrap();
            assert!(inbound.connection.end_with_body());
            if is_over_first {
                inbound.connection.body_is_over();
            }
            assert_eq!(lingers(), None);
            inbound.before_write().unwrap();
            assert_eq!(lingers(), Some(Duration::ZERO), "{is_over_first}");
            inbound.connection.body_is_over();
            inbound.before_write().unwrap();
            assert_eq!(lingers(), Some(Duration::ZERO), "{is_over_first}");
            inbound.before_shutdown().unwrap();
            assert_eq!(lingers(), None);
        }
    }

    #[actix_rt::test]
    async fn a_connection_is_shut_only_behind_the_last_byte_of_such_a_body() {
        let inbound = Inbound::new(duplex(1).1, None, false, &terms()).unwrap();
        let connection = &inbound.connection;
        assert!(inbound.before_shutdown().is_ok());
        assert!(connection.end_with_body());
        assert!(connection.is_last());
        assert!(inbound.before_shutdown().is_err());
        assert!(inbound.before_write().is_ok());
        assert!(inbound.before_shutdown().is_err());
        connection.body_is_over();
        assert!(inbound.before_write().is_ok());
        assert!(inbound.before_shutdown().is_ok());
    }

    #[test]
    fn over_tls_no_body_ends_with_its_connection() {
        let connection = Connection { secure: true, ..Connection::default() };
        assert!(!connection.end_with_body());
        assert_eq!(connection.until_close.get(), UntilClose::No);
    }
}
