//! What tests want of the machine that they run on: its programs, and ports that nobody else takes.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};

/// `required`: what a test wants and does not find fails it, as in `ci/test`.
const TOOLS: &str = "STOOP_TOOLS";

/// Says why a test, or a part of it, does nothing. On the process's own stderr: the harness shows what a test prints only when it fails.
///
/// # Panics
/// Where `STOOP_TOOLS` is `required`.
pub fn skipped(why: &str) {
    let is_required = std::env::var_os(TOOLS).is_some_and(|value| value == "required");
    assert!(!is_required, "{TOOLS}=required, and {why}");
    // Who has closed stderr does not want to know.
    let _ = writeln!(io::stderr(), "skipped: {why}");
}

/// A TCP port of 127.0.0.1 that nobody else is given as long as this lives. Connections to it are refused until a program that is told its
/// number listens there, as servers can that set `SO_REUSEADDR`.
pub struct Port {
    address: SocketAddrV4,
    _held: OwnedFd,
}

impl Port {
    /// One that was free.
    ///
    /// # Errors
    /// There is none.
    pub fn new() -> io::Result<Port> {
        let held = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        // Linux then lets others have it too who ask for this very port (net/ipv4/inet_connection_sock.c: inet_csk_bind_conflict).
        sockopt::set_socket_reuseaddr(&held, true)?;
        bind(&held, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let address = getsockname(&held)?.try_into()?;
        Ok(Port { address, _held: held })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address.into()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_port_refuses_until_a_program_that_knows_it_listens_there() {
        let port = Port::new().unwrap();
        let refused = TcpStream::connect(port.address()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let _listener = TcpListener::bind(port.address()).unwrap();
        TcpStream::connect(port.address()).unwrap();
    }

    /// Linux draws them at random, of 28,232 where nobody has set other limits.
    #[test]
    fn nobody_else_is_given_it() {
        let port = Port::new().unwrap();
        for _ in 0..40_000 {
            let other = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            assert_ne!(other, port.address());
        }
    }
}
