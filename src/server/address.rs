//! Binds the addresses that the gateway listens on, and explains failures.

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::code::Code;

const BACKLOG: i32 = 2048;
/// The last privileged port, by the default of Linux.
const LAST_PRIVILEGED: u16 = 1023;

/// Returns a listening socket.
///
/// # Errors
/// The address is in use, or not one of this machine.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(address)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Checks an address without listening on it, so that a gateway can start on it at the same time.
///
/// # Errors
/// As [`bind`].
pub(crate) fn check_bind(address: SocketAddr) -> io::Result<()> {
    bound(address).map(drop)
}

fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Why an address cannot be bound, and what to do.
#[derive(Debug)]
pub(crate) struct BindFault {
    pub(crate) code: Code,
    pub(crate) what: String,
    pub(crate) fix: String,
}

pub(crate) fn bind_fault(address: SocketAddr, error: &io::Error) -> BindFault {
    let port = address.port();
    let (code, what, fix) = match error.kind() {
        ErrorKind::AddrInUse => (
            Code::CannotListen,
            "is in use: another process listens on it".to_owned(),
            format!("another port, or stop the process that `ss -ltnp \"sport = :{port}\"` shows"),
        ),
        ErrorKind::PermissionDenied if port <= LAST_PRIVILEGED => (
            Code::PortForbidden,
            format!("is not permitted: ports up to {LAST_PRIVILEGED} need CAP_NET_BIND_SERVICE"),
            "a port such as 8001, with a load balancer before it; or AmbientCapabilities=CAP_NET_BIND_SERVICE (systemd), \
             the capability NET_BIND_SERVICE (containers)"
                .to_owned(),
        ),
        ErrorKind::PermissionDenied => (
            Code::PortForbidden,
            format!("is not permitted: {error}"),
            "another address; a security module (SELinux, AppArmor, seccomp) denies this one to the process".to_owned(),
        ),
        ErrorKind::AddrNotAvailable => (
            Code::AddressNotAvailable,
            "is not an address of this machine".to_owned(),
            format!("one that `ip address` shows (behind NAT the inner one), or 0.0.0.0:{port} for all"),
        ),
        _ if error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) => (
            Code::AddressNotAvailable,
            "is an IPv6 address, and this machine has no IPv6".to_owned(),
            format!("0.0.0.0:{port}, or another IPv4 address"),
        ),
        _ => (
            Code::CannotListen,
            format!("cannot be listened on: {error}"),
            format!("another address, or 0.0.0.0:{port}"),
        ),
    };
    BindFault { code, what, fix }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_why_an_address_cannot_be_bound_is_given() {
        let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let taken = listener.local_addr().unwrap();
        let held = bind(taken).unwrap_err();
        assert!(bind_fault(taken, &held).what.starts_with("is in use"));
        // 192.0.2.0/24 is reserved for documentation (RFC 5737).
        let nobodys = SocketAddr::from(([192, 0, 2, 1], 8001));
        let error = check_bind(nobodys).unwrap_err();
        assert_eq!(bind_fault(nobodys, &error).what, "is not an address of this machine");
        for (port, expected) in [(443, "CAP_NET_BIND_SERVICE"), (8443, "security module")] {
            let BindFault { what, fix, .. } =
                bind_fault(([0, 0, 0, 0], port).into(), &ErrorKind::PermissionDenied.into());
            assert!(
                what.starts_with("is not permitted") && format!("{what} {fix}").contains(expected),
                "{port}"
            );
        }
    }

    #[test]
    fn an_address_that_was_checked_stays_free() {
        let address = bind(([127, 0, 0, 1], 0).into()).unwrap().local_addr().unwrap();
        let checked = bound(address).unwrap();
        bind(address).unwrap();
        drop(checked);
    }
}
