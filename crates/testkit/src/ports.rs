//! Free TCP ports on loopback for programs that want to bind by themselves.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

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
    for _ in 0..DRAWS_MAX {
        let port = rand::random_range(RANGE);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free TCP port on 127.0.0.1 within {RANGE:?} in {DRAWS_MAX} draws")
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
}
