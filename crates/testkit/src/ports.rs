//! Free TCP ports on loopback for programs that want to bind by themselves.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result, bail};
use socket2::{Domain, Protocol, Socket, Type};

/// Ports are drawn from below the range that Linux hands to outgoing connections (32768 and up by
/// default), so that a connection of another test does not take one between our look and the
/// program's own bind.
const RANGE: std::ops::Range<u16> = 15_000..32_000;

/// Draws before giving up. With hundreds of ports in use a draw fails in a few cases of a hundred.
const DRAWS_MAX: usize = 200;

/// A port that nothing on 127.0.0.1 was bound to a moment ago.
///
/// Somebody else may take it before the caller binds; who starts a program on it must be ready to
/// draw again.
pub fn free_port() -> Result<u16> {
    free_port_beside(0)
}

/// The same for a program that will bind to this one as well.
pub fn free_port_beside(other: u16) -> Result<u16> {
    for _ in 0..DRAWS_MAX {
        let port = rand::random_range(RANGE);
        if port != other && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free TCP port on 127.0.0.1 within {RANGE:?} in {DRAWS_MAX} draws")
}

/// A port of 127.0.0.1 that nobody else is given. Whoever connects to it is refused while nothing
/// that [`Reservation::socket`] gave listens.
#[derive(Debug)]
pub struct Reservation {
    address: SocketAddr,
    // Bound and never listening: the kernel refuses connections, and keeps the port from everybody
    // who does not name it, as it keeps a listener's.
    _socket: Socket,
}

impl Reservation {
    /// Draws a port, from the kernel's own range.
    pub fn new() -> Result<Self> {
        let socket = bound((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = socket.local_addr()?.as_socket().context("TCP has socket addresses")?;
        Ok(Self { address, _socket: socket })
    }

    /// The port with its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A socket that is bound to the port, even if connections of an earlier one linger there. One
    /// at a time can listen.
    pub fn socket(&self) -> Result<Socket> {
        bound(self.address)
    }
}

fn bound(address: SocketAddr) -> Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into()).with_context(|| format!("cannot bind to {address}"))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawn_port_can_be_bound() {
        let port = free_port().unwrap();
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    }

    #[test]
    fn a_port_in_use_is_not_drawn() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port().unwrap())).unwrap();
        let taken = taken.local_addr().unwrap().port();
        assert!((0..100).all(|_| free_port().unwrap() != taken));
    }

    #[test]
    fn a_reserved_port_refuses_until_one_of_its_sockets_listens() {
        let reserved = Reservation::new().unwrap();
        let refused = std::net::TcpStream::connect(reserved.address()).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        for _ in 0..2 {
            let listener = reserved.socket().unwrap();
            listener.listen(1).unwrap();
            std::net::TcpStream::connect(reserved.address()).unwrap();
        }
        std::net::TcpStream::connect(reserved.address()).unwrap_err();
    }

    #[test]
    fn a_reserved_port_is_given_to_nobody_else() {
        let reserved = Reservation::new().unwrap();
        let mut taken = Vec::new();
        for _ in 0..200 {
            let other = Reservation::new().unwrap();
            assert_ne!(other.address(), reserved.address());
            taken.push(other);
        }
    }
}
