//! `healthcheck`: asks the local gateway's `/live`.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use serde_json::json;

use super::format::{Output, print_json};
use crate::settings::Settings;

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
        let what = match ask(address) {
            Ok(status) if status == "HTTP/1.1 200 OK" => None,
            Ok(status) => Some(format!("http://{address}/live answered {status}")),
            Err(error) => Some(format!("http://{address}/live: {error}")),
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

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /live HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut response = String::new();
    stream.take(4096).read_to_string(&mut response)?;
    Ok(response.lines().next().unwrap_or_default().to_owned())
}
