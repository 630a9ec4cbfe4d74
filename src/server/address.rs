//! The addresses that the gateway listens on, and why it cannot.

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::code::Code;

const BACKLOG: i32 = 2048;
/// The last port that a process needs a capability for, unless the machine says otherwise.
const PRIVILEGED: u16 = 1023;

/// A socket that listens.
///
/// # Errors
/// An address that is taken, or not this machine's.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(address)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Tries an address without listening on it: a gateway that starts at this moment is not in its way.
///
/// # Errors
/// As [`bind`].
pub(crate) fn try_out(address: SocketAddr) -> io::Result<()> {
    bound(address).map(drop)
}

fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Why an address cannot be had, and what to do.
#[derive(Debug)]
pub(crate) struct Unbound {
    pub(crate) code: Code,
    pub(crate) what: String,
    pub(crate) fix: String,
}

/// What an address that cannot be bound to means.
pub(crate) fn meaning(address: SocketAddr, error: &io::Error) -> Unbound {
    let port = address.port();
    let (code, what, fix) = match error.kind() {
        ErrorKind::AddrInUse => (
            Code::CannotListen,
            "is taken: something listens there already".to_owned(),
            format!("another port, or the end of what `ss -ltnp \"sport = :{port}\"` shows"),
        ),
        ErrorKind::PermissionDenied if port <= PRIVILEGED => (
            Code::PortForbidden,
            format!("is forbidden: ports up to {PRIVILEGED} are for processes with CAP_NET_BIND_SERVICE"),
            "a port such as 8001, with a load balancer before it; or AmbientCapabilities=CAP_NET_BIND_SERVICE (systemd), \
             the capability NET_BIND_SERVICE (containers)"
                .to_owned(),
        ),
        ErrorKind::PermissionDenied => (
            Code::PortForbidden,
            format!("is forbidden: {error}"),
            "another address; a security module (SELinux, AppArmor, seccomp) keeps this process from this one".to_owned(),
        ),
        ErrorKind::AddrNotAvailable => (
            Code::NotOurAddress,
            "is not an address of this machine".to_owned(),
            format!("one that `ip address` shows, or 0.0.0.0:{port} for all; behind NAT that is the inner one"),
        ),
        _ if error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) => (
            Code::NotOurAddress,
            "is of IPv6, which this machine does not speak".to_owned(),
            format!("0.0.0.0:{port}, or an address of IPv4"),
        ),
        _ => (
            Code::CannotListen,
            format!("cannot be listened on: {error}"),
            format!("another address, or 0.0.0.0:{port}"),
        ),
    };
    Unbound { code, what, fix }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_an_address_cannot_be_had_is_told() {
        let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let taken = listener.local_addr().unwrap();
        let held = bind(taken).unwrap_err();
        assert!(meaning(taken, &held).what.starts_with("is taken"));
        // 192.0.2.0/24 is for documents (RFC 5737), and nobody's.
        let nobodys = SocketAddr::from(([192, 0, 2, 1], 8001));
        let error = try_out(nobodys).unwrap_err();
        assert_eq!(meaning(nobodys, &error).what, "is not an address of this machine");
        for (port, said) in [(443, "CAP_NET_BIND_SERVICE"), (8443, "security module")] {
            let Unbound { what, fix, .. } =
                meaning(([0, 0, 0, 0], port).into(), &ErrorKind::PermissionDenied.into());
            assert!(what.starts_with("is forbidden") && format!("{what} {fix}").contains(said), "{port}");
        }
    }

    #[test]
    fn an_address_that_was_tried_is_free_for_whoever_comes() {
        let address = bind(([127, 0, 0, 1], 0).into()).unwrap().local_addr().unwrap();
        let tried = bound(address).unwrap();
        bind(address).unwrap();
        drop(tried);
    }
}
