//! How new connections are met.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Counters;
use super::carry::carry;
use super::conditions::Conditions;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Connections it may take until the kernel lets no more wait. With a backlog of 0 Linux takes one.
const FILLING_MAX: usize = 8;

/// How long a connection to a full listener waits before we are sure that it is full. An answer on
/// loopback comes within microseconds; if a busy machine makes it late, one connection more fills
/// the place instead.
const FULL_AFTER: Duration = Duration::from_millis(100);

/// Listens at `address`, which must have been ours before, or at a new one.
pub(super) fn bind(address: Option<SocketAddr>) -> Result<TcpListener> {
    let socket = socket(address.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into()))?;
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
    pub(super) async fn at(address: SocketAddr) -> Result<Self> {
        let listener = socket(address)?;
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

/// A socket bound to `address`, even if connections of an earlier listener linger there.
fn socket(address: SocketAddr) -> Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into()).with_context(|| format!("cannot bind to {address}"))?;
    Ok(socket)
}
