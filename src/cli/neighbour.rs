//! A gateway on this machine, asked without trust: one GET, over TLS where that is what it speaks.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use rustls::{ClientConnection, StreamOwned};

use crate::tls;

/// How a process on this machine reaches what is bound to `bind`.
pub(super) fn local(mut bind: SocketAddr) -> SocketAddr {
    match bind.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => bind.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => bind.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    bind
}

/// How an answer begins, its head with it: up to `most` bytes, and what came within `patience`.
///
/// # Errors
/// No byte of one.
pub(super) fn get(
    address: SocketAddr,
    over_tls: bool,
    path: &str,
    most: u64,
    patience: Duration,
) -> io::Result<String> {
    let deadline = Instant::now() + patience;
    let tcp = Hurried { stream: TcpStream::connect_timeout(&address, patience)?, deadline };
    if !over_tls {
        return exchange(tcp, address, path, most);
    }
    // Whoever could listen here in the gateway's place could also stop this command: any certificate will do.
    let config = tls::trusting_config().map_err(io::Error::other)?;
    let session = ClientConnection::new(config, address.ip().into()).map_err(io::Error::other)?;
    exchange(StreamOwned::new(session, tcp), address, path, most)
}

fn exchange(mut stream: impl Read + Write, address: SocketAddr, path: &str, most: u64) -> io::Result<String> {
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    let read = stream.take(most).read_to_end(&mut answer);
    match read {
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}

/// A connection with one deadline on all of it.
struct Hurried {
    stream: TcpStream,
    deadline: Instant,
}

impl Hurried {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Hurried {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Hurried {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
