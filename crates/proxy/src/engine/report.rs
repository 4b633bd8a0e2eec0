//! What a loop tells of itself when asked.

use std::sync::Arc;

use trunkline_session::PinReason;

pub use super::functions::FunctionStats;
pub use super::routes::{Healed, RouteCounts, Routes, Told};
use crate::cluster::NodeId;

/// The named prepared statements of all clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatementsReport {
    /// How many there are.
    pub count: usize,
    /// Bytes of memory that count towards `limits.statements_total`.
    pub bytes: usize,
    /// How many these may be.
    pub limit: usize,
    /// Messages that were refused because it would have been more.
    pub refused: u64,
}

/// Counters of one pool on one loop. Times are in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Times a server connection was given to a client.
    pub leases: u64,
    /// Transactions finished.
    pub transactions: u64,
    /// Queries (simple, or up to a Sync) finished.
    pub queries: u64,
    /// Bytes from clients.
    pub received: u64,
    /// Bytes to clients.
    pub sent: u64,
    /// Time in transactions.
    pub transaction_us: u64,
    /// Time in queries.
    pub query_us: u64,
    /// Time clients waited for a server.
    pub wait_us: u64,
    /// Clients that logged in.
    pub logins: u64,
    /// Server connections opened.
    pub opened: u64,
    /// Server connections closed.
    pub closed: u64,
    /// Clients refused or failed by us, by errors of our own.
    pub errors: u64,
    /// Transactions that ran into a timeout of ours.
    pub timeouts: u64,
    /// Times a server was asked what its client has there.
    pub read_backs: u64,
    /// Times it told of something that no text had shown.
    pub hidden_found: u64,
    /// Times it could not tell.
    pub read_backs_failed: u64,
    /// Times a server that came back was asked what is there (`pool.paranoid`).
    pub audits: u64,
    /// Times a server that came back was not in the state that it should have been in (`pool.paranoid`).
    pub leaks: u64,
}

impl PoolStats {
    /// Adds another loop's counters.
    pub fn add(&mut self, other: &Self) {
        self.leases = self.leases.wrapping_add(other.leases);
        self.transactions = self.transactions.wrapping_add(other.transactions);
        self.queries = self.queries.wrapping_add(other.queries);
        self.received = self.received.wrapping_add(other.received);
        self.sent = self.sent.wrapping_add(other.sent);
        self.transaction_us = self.transaction_us.wrapping_add(other.transaction_us);
        self.query_us = self.query_us.wrapping_add(other.query_us);
        self.wait_us = self.wait_us.wrapping_add(other.wait_us);
        self.logins = self.logins.wrapping_add(other.logins);
        self.opened = self.opened.wrapping_add(other.opened);
        self.closed = self.closed.wrapping_add(other.closed);
        self.errors = self.errors.wrapping_add(other.errors);
        self.timeouts = self.timeouts.wrapping_add(other.timeouts);
        self.read_backs = self.read_backs.wrapping_add(other.read_backs);
        self.hidden_found = self.hidden_found.wrapping_add(other.hidden_found);
        self.read_backs_failed = self.read_backs_failed.wrapping_add(other.read_backs_failed);
        self.audits = self.audits.wrapping_add(other.audits);
        self.leaks = self.leaks.wrapping_add(other.leaks);
    }
}

/// The database and user under which the counters of pools are added up that have none of their own, see
/// [`PoolReport::named`].
pub const OTHER: &str = "other";

/// The counters of pools of a database and user that a loop has forgotten.
#[derive(Debug, Clone)]
pub struct DepartedReport {
    /// Database, as clients called it, or [`OTHER`].
    pub database: Arc<str>,
    /// User, or [`OTHER`].
    pub user: Arc<str>,
    /// Their counters at their end.
    pub stats: PoolStats,
    /// Where what their clients sent went, and why.
    pub routes: Option<Box<Routes>>,
}

/// A pool, as one loop sees it.
#[derive(Debug, Clone)]
pub struct PoolReport {
    /// The family's number, the same on all loops.
    pub family: u32,
    /// Database, as clients call it.
    pub database: Arc<str>,
    /// User.
    pub user: Arc<str>,
    /// Whether it has counters of its own: the first pools of a process have, over all sets of startup parameters. Who
    /// can log in could make any number of them otherwise.
    pub named: bool,
    /// Clients that hold a server.
    pub clients_active: usize,
    /// Clients that wait for a server.
    pub clients_waiting: usize,
    /// Clients that hold none and want none.
    pub clients_idle: usize,
    /// Servers that serve a client.
    pub servers_active: usize,
    /// Servers parked.
    pub servers_idle: usize,
    /// Servers that answer a query of ours, or are withheld for a cancel request.
    pub servers_busy: usize,
    /// Servers being opened.
    pub servers_opening: usize,
    /// Clients pinned to their server.
    pub pinned: usize,
    /// How long the oldest waiter has waited, in microseconds.
    pub oldest_wait_us: u64,
    /// Whether it is paused.
    pub paused: bool,
    /// Why the last attempt to open a server failed.
    pub last_error: Option<Arc<str>>,
    /// Functions because of which its servers were asked what their clients have there; the empty name stands for what
    /// is not counted by name.
    pub functions: Vec<(String, FunctionStats)>,
    /// Counters since the pool was made.
    pub stats: PoolStats,
    /// Where what its clients sent went, and why; none if nothing was decided.
    pub routes: Option<Box<Routes>>,
}

/// A client, for the console.
#[derive(Debug, Clone)]
pub struct ClientReport {
    /// The process id it was told.
    pub pid: i32,
    /// The family of its pool.
    pub family: u32,
    /// Database, as it calls it.
    pub database: Arc<str>,
    /// User.
    pub user: Arc<str>,
    /// What it is doing, in one word: `active`, `waiting`, `idle`, `login`, `closing`.
    pub state: &'static str,
    /// Where it connected from.
    pub peer: crate::net::Peer,
    /// How long ago it connected, in microseconds.
    pub connected_us: u64,
    /// How long ago it last did anything, in microseconds.
    pub silent_us: u64,
    /// How long it has been waiting for a server, in microseconds.
    pub wait_us: u64,
    /// How long it has kept its server between transactions, in microseconds, if it does.
    pub kept_us: Option<u64>,
    /// The statement because of which it is pinned, without its constants.
    pub pinned_by: Option<String>,
    /// Why it is pinned.
    pub pins: Vec<PinReason>,
    /// The server's process id, while it holds one.
    pub server_pid: Option<i32>,
    /// Named prepared statements.
    pub statements: usize,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Its `application_name` from the startup packet.
    pub application_name: String,
}

/// A server connection, for the console.
#[derive(Debug, Clone)]
pub struct ServerReport {
    /// Number of the connection, unique in this process.
    pub serial: u64,
    /// The family of its pool.
    pub family: u32,
    /// Database, as clients call it.
    pub database: Arc<str>,
    /// User.
    pub user: Arc<str>,
    /// The node it leads to.
    pub node: NodeId,
    /// `active`, `idle`, `tested` (answers a query of ours), `cancel` (withheld for a cancel request) or
    /// `closing` (told to go).
    pub state: &'static str,
    /// The server's process id.
    pub pid: i32,
    /// How long ago it was opened, in microseconds.
    pub age_us: u64,
    /// How long it has been in this state, in microseconds.
    pub since_us: u64,
    /// The client it serves, by the process id that client was told.
    pub client_pid: Option<i32>,
    /// Prepared statements of ours on it.
    pub statements: usize,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// Everything a loop tells.
#[derive(Debug, Clone, Default)]
pub struct LoopReport {
    /// Its number.
    pub index: usize,
    /// Its pools.
    pub pools: Vec<PoolReport>,
    /// The pools it has forgotten.
    pub departed: Vec<DepartedReport>,
    /// Its clients.
    pub clients: Vec<ClientReport>,
    /// Its servers.
    pub servers: Vec<ServerReport>,
    /// Panics caught.
    pub panics: u64,
    /// Bytes kept for slow readers and waiting clients.
    pub buffered: usize,
    /// Bytes of memory that count towards `limits.held_total`.
    pub held: usize,
    /// How many these may be: the loop's share of that.
    pub held_share: usize,
    /// Clients and statements that were refused because it was more.
    pub held_refused: u64,
}
