//! `healthcheck`: asks the local gateway's `/live`.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use crate::settings::Settings;

const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn run(config: Option<&Path>) -> ExitCode {
    let settings = match Settings::load(config, super::environment()) {
        Ok(settings) => settings,
        Err(problems) => return super::bad_settings(&problems),
    };
    let address = local(settings.server.bind);
    match ask(address) {
        Ok(status) if status == "HTTP/1.1 200 OK" => ExitCode::SUCCESS,
        Ok(status) => {
            eprintln!("http://{address}/live answered {status}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("http://{address}/live: {error}");
            ExitCode::FAILURE
        }
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
