//! `healthcheck`: asks the local gateway's `/live`, over TLS where that is what it speaks.

use std::{
    io::{self, BufRead as _, BufReader, ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Args;
use rustls::{ClientConnection, StreamOwned};
use serde_json::json;

use super::format::{Output, print_json};
use crate::{settings::Settings, tls};

const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct Healthcheck {
    #[command(flatten)]
    config: super::Config,
    #[command(flatten)]
    output: Output,
}

impl Healthcheck {
    pub(super) fn run(self) -> ExitCode {
        let settings = match Settings::load(self.config.config.as_deref(), super::environment()) {
            Ok(settings) => settings,
            Err(problems) => return super::bad_settings(&problems),
        };
        let address = local(settings.server.bind);
        let what = match ask(address, settings.server.tls.is_some()) {
            Ok(status) if status == "HTTP/1.1 200 OK" => None,
            Ok(status) => Some(format!("{address}/live answered {status:?}")),
            Err(error) => Some(format!("{address}/live: {error}")),
        };
        if self.output.is_json() {
            print_json(&json!({ "ok": what.is_none(), "what": what }));
        } else if let Some(what) = &what {
            eprintln!("{what}");
        }
        if what.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// How a process on this machine reaches what is bound to `bind`.
fn local(mut bind: SocketAddr) -> SocketAddr {
    match bind.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => bind.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => bind.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    bind
}

/// The first line of the answer.
fn ask(address: SocketAddr, over_tls: bool) -> io::Result<String> {
    let deadline = Instant::now() + TIMEOUT;
    let tcp = Hurried { stream: TcpStream::connect_timeout(&address, TIMEOUT)?, deadline };
    if !over_tls {
        return exchange(tcp, address);
    }
    // Whoever could listen here in the gateway's place could also stop this command: any certificate will do.
    let config = tls::trusting_config().map_err(io::Error::other)?;
    let session = ClientConnection::new(config, address.ip().into()).map_err(io::Error::other)?;
    exchange(StreamOwned::new(session, tcp), address)
}

fn exchange(mut stream: impl Read + Write, address: SocketAddr) -> io::Result<String> {
    write!(stream, "GET /live HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut line = String::new();
    BufReader::new(stream).take(256).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
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
