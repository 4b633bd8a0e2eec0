//! How new connections are met.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Result, bail};
use socket2::Socket;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Counters;
use super::carry::carry;
use super::conditions::Conditions;
use crate::ports::Reservation;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Connections it may take until the kernel lets no more wait. With a backlog of 0 Linux takes one.
const FILLING_MAX: usize = 8;

/// How long a connection to a full listener waits before we are sure that it is full. An answer on
/// loopback comes within microseconds; if a busy machine makes it late, one connection more fills
/// the place instead.
const FULL_AFTER: Duration = Duration::from_millis(100);

/// Listens at the port.
pub(super) fn listen(port: &Reservation) -> Result<TcpListener> {
    let socket = port.socket()?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into())?)
}

/// Accepts and carries until aborted.
pub(super) async fn serve(
    listener: TcpListener,
    server: SocketAddr,
    conditions: watch::Receiver<Conditions>,
    counters: Arc<Counters>,
) {
    while let Ok((client, _)) = listener.accept().await {
        counters.accepted.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(carry(client, server, conditions.clone(), Arc::clone(&counters)));
    }
}

/// A listener whose queue is full and never emptied: Linux drops the SYN of whoever connects.
#[derive(Debug)]
pub(super) struct Unanswering {
    _listener: Socket,
    _waiting: Vec<TcpStream>,
}

impl Unanswering {
    pub(super) async fn at(port: &Reservation) -> Result<Self> {
        let address = port.address();
        let listener = port.socket()?;
        listener.listen(0)?;
        let mut waiting = Vec::new();
        while waiting.len() < FILLING_MAX {
            match timeout(FULL_AFTER, TcpStream::connect(address)).await {
                Err(_) => return Ok(Self { _listener: listener, _waiting: waiting }),
                Ok(stream) => waiting.push(stream?),
            }
        }
        bail!("{address} still answers with {FILLING_MAX} connections waiting")
    }
}
