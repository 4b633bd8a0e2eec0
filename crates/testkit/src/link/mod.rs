//! A network that fails on command: a TCP proxy between a program and a server.
//!
//! ```no_run
//! # async fn example(node: &trunkline_testkit::Node) -> trunkline_testkit::Result<()> {
//! use std::time::Duration;
//! use trunkline_testkit::link::{Direction, Ending, Link};
//!
//! let link = Link::to(node.address()).await?;
//! // … Trunkline is told that the server is at link.address() …
//! link.delay(Direction::ToClient, Duration::from_millis(20));
//! link.vanish().await?; // as if the cable had been pulled
//! link.heal().await?;
//! link.cut(Ending::Reset);
//! # Ok(())
//! # }
//! ```
//!
//! A verb holds for all connections, those that are open and those to come, from the moment it has
//! returned until the next verb or [`Link::heal`]. `conditions` is what the verbs change, `carry`
//! moves the bytes of one connection.

mod carry;
mod conditions;
mod listener;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::conditions::{Conditions, Way};
pub use self::conditions::{Direction, Ending};
use self::listener::Unanswering;
use crate::ports::Reservation;

/// A TCP proxy on a port of 127.0.0.1. Dropping it closes the listener and resets its connections.
#[derive(Debug)]
pub struct Link {
    // Ours for as long as the link lives, so that it can be opened again.
    port: Reservation,
    server: SocketAddr,
    conditions: watch::Sender<Conditions>,
    counters: Arc<Counters>,
    door: Mutex<Door>,
}

/// What a new connection meets.
#[derive(Debug)]
enum Door {
    Open(JoinHandle<()>),
    Shut,
    Unanswering { _full: Unanswering },
}

/// What has passed so far.
#[derive(Debug, Default)]
struct Counters {
    accepted: AtomicUsize,
    open: AtomicUsize,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

impl Link {
    /// A link to this server, without any fault at first.
    pub async fn to(server: SocketAddr) -> Result<Self> {
        let port = Reservation::new()?;
        let listener = listener::listen(&port)?;
        let (conditions, _) = watch::channel(Conditions::default());
        let link = Self {
            port,
            server,
            conditions,
            counters: Arc::default(),
            door: Mutex::new(Door::Shut),
        };
        link.open(listener).await;
        Ok(link)
    }

    /// Where the link listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.counters.accepted.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub fn open_connections(&self) -> usize {
        self.counters.open.load(Ordering::SeqCst)
    }

    /// Bytes that have passed in this direction, over all connections.
    pub fn passed(&self, direction: Direction) -> u64 {
        self.counters.bytes(direction).load(Ordering::SeqCst)
    }

    /// Takes every fault away. What was held passes now; connections that were cut stay so.
    pub async fn heal(&self) -> Result<()> {
        self.conditions.send_modify(Conditions::heal);
        let accepting = matches!(&*self.door(), Door::Open(_));
        if !accepting {
            self.shut().await;
            self.open(listener::listen(&self.port)?).await;
        }
        Ok(())
    }

    /// Refuses new connections (the host answers, nobody listens); open ones live on.
    pub async fn refuse(&self) {
        self.shut().await;
    }

    /// Ends every open connection; new ones are served.
    pub fn cut(&self, ending: Ending) {
        self.conditions.send_modify(|conditions| conditions.cut(ending));
    }

    /// Lets nothing pass in either direction. Connections stay open, and new ones are accepted:
    /// the host answers, the server does not.
    pub fn hold(&self) {
        self.hold_one_way(Direction::ToServer);
        self.hold_one_way(Direction::ToClient);
    }

    /// Lets nothing pass in one direction; the other is as it was.
    pub fn hold_one_way(&self, direction: Direction) {
        self.change(direction, |way| way.held = true);
    }

    /// The host is gone: nothing passes, and a new connection is not even refused, but waits in
    /// vain for an answer to its SYN.
    pub async fn vanish(&self) -> Result<()> {
        self.hold();
        self.shut().await;
        let full = Unanswering::at(&self.port).await?;
        *self.door() = Door::Unanswering { _full: full };
        Ok(())
    }

    /// Everything in this direction arrives so much later; how much can pass is not limited.
    pub fn delay(&self, direction: Direction, time: Duration) {
        self.change(direction, |way| way.delay = time);
    }

    /// At most so many bytes pass in a second in this direction, on each connection.
    pub fn limit(&self, direction: Direction, bytes_per_second: u32) {
        self.change(direction, |way| way.bytes_per_second = Some(bytes_per_second.max(1)));
    }

    /// Ends each connection once so many of its bytes have passed in this direction, counted from
    /// its begin.
    pub fn cut_at(&self, direction: Direction, byte: u64, ending: Ending) {
        self.change(direction, |way| way.cut_at = Some((byte, ending)));
    }

    fn change(&self, direction: Direction, change: impl FnOnce(&mut Way)) {
        self.conditions.send_modify(|conditions| change(conditions.way_mut(direction)));
    }

    /// Serves new connections.
    async fn open(&self, listener: tokio::net::TcpListener) {
        let serving = listener::serve(
            listener,
            self.server,
            self.conditions.subscribe(),
            Arc::clone(&self.counters),
        );
        *self.door() = Door::Open(tokio::spawn(serving));
        // One turn, so that the task has begun before the caller connects.
        tokio::task::yield_now().await;
    }

    /// Serves no new connection any more: the listener is closed when this returns.
    async fn shut(&self) {
        let before = std::mem::replace(&mut *self.door(), Door::Shut);
        if let Door::Open(task) = before {
            task.abort();
            // Ends with the news that it was aborted; its listener is gone by then.
            drop(task.await);
        }
    }

    fn door(&self) -> std::sync::MutexGuard<'_, Door> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Door::Open(task) = &*self.door() {
            task.abort();
        }
        self.cut(Ending::Reset);
    }
}

impl Counters {
    fn bytes(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }
}
