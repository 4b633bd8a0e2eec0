//! What is known of one replication connection.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use subtle::ConstantTimeEq;
use tokio::{sync::watch, time::Instant};
use trunkline_wire::startup::ProtocolVersion;

use crate::{
    backend::Endpoint,
    cluster::NodeId,
    handover::{NewServer, Replication, ReplicationLogin, StartupParams},
    net::Peer,
};

/// Bytes of the key that a client of protocol 3.2 is told.
const KEY: usize = 32;

/// Bytes of the key that clients of older protocols are told.
const SHORT_KEY: usize = 4;

/// Whether a connection is to be closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// It stays.
    #[default]
    Stay,
    /// It is closed as soon as no command is under way that ends by itself; this is why.
    AtRest(&'static str),
    /// It is closed now; this is why.
    Now(&'static str),
}

/// What a connection does, as far as the server's messages tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for its server.
    Opening,
    /// No command is under way.
    Idle,
    /// A command is under way that ends by itself, such as a base backup.
    Busy,
    /// WAL or changes are sent, without an end.
    Streaming,
}

/// The server connection, as cancel requests find it.
#[derive(Debug)]
pub(super) struct ServerSide {
    pub(super) node: NodeId,
    pub(super) endpoint: Endpoint,
    pub(super) encrypted: bool,
    pub(super) pid: i32,
    pub(super) key: Box<[u8]>,
}

/// One connection, as others see it.
pub(super) struct Seat {
    pub(super) pid: i32,
    key: [u8; KEY],
    pub(super) user: Arc<str>,
    pub(super) database: Option<Arc<str>>,
    pub(super) kind: Replication,
    pub(super) peer: Peer,
    pub(super) encrypted: bool,
    pub(super) startup: StartupParams,
    protocol: ProtocolVersion,
    pub(super) since: Instant,
    pub(super) order: watch::Sender<Order>,
    pub(super) stage: watch::Sender<Stage>,
    pub(super) server: OnceLock<ServerSide>,
    /// Bytes from the client.
    pub(super) received: AtomicU64,
    /// Bytes to the client.
    pub(super) sent: AtomicU64,
}

/// The key is a secret.
impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat").field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl Seat {
    /// A seat for this login.
    pub(super) fn new(pid: i32, login: &ReplicationLogin, order: Order) -> Self {
        Self {
            pid,
            key: rand::random(),
            user: Arc::clone(&login.user),
            database: login.database.clone(),
            kind: login.kind,
            peer: login.peer,
            encrypted: login.channel.tls().is_some(),
            startup: login.startup.clone(),
            protocol: login.protocol,
            since: Instant::now(),
            order: watch::Sender::new(order),
            stage: watch::Sender::new(Stage::Opening),
            server: OnceLock::new(),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }
    }

    /// The key that the client is told: as long as its protocol knows keys.
    pub(super) fn key(&self) -> &[u8] {
        let long = self.protocol >= ProtocolVersion::V3_2;
        self.key.get(..if long { KEY } else { SHORT_KEY }).unwrap_or(&self.key)
    }

    /// Whether a cancel request with this key is the client's own.
    pub(super) fn fits(&self, key: &[u8]) -> bool {
        self.key().ct_eq(key).into()
    }

    /// Its server is there.
    pub(super) fn served_by(&self, node: NodeId, new: &NewServer) {
        let side = ServerSide {
            node,
            endpoint: new.endpoint.clone(),
            encrypted: new.tls.is_some(),
            pid: new.pid,
            key: new.cancel_key.clone(),
        };
        // There is one server in the life of a seat.
        drop(self.server.set(side));
        self.enter(Stage::Idle);
    }

    /// It does this now.
    pub(super) fn enter(&self, stage: Stage) {
        self.stage.send_if_modified(|now| std::mem::replace(now, stage) != stage);
    }

    /// The client has sent something: if no command was under way, one is now.
    pub(super) fn hear(&self, bytes: usize) {
        count(&self.received, bytes);
        let begin = |stage: &mut Stage| {
            let idle = *stage == Stage::Idle;
            if idle {
                *stage = Stage::Busy;
            }
            idle
        };
        self.stage.send_if_modified(begin);
    }

    /// Bytes go to the client.
    pub(super) fn tell(&self, bytes: usize) {
        count(&self.sent, bytes);
    }
}

/// Adds bytes to a counter.
pub(super) fn count(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
}
