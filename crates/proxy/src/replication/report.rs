//! Replication connections, as people see them.

use std::sync::Arc;

use crate::{cluster::NodeId, handover::Replication, net::Peer};

/// All replication connections at one moment, and what was counted since the start.
#[derive(Debug, Clone, Default)]
pub struct ReplicationReport {
    /// Those that there are.
    pub connections: Vec<ReplicationConnection>,
    /// How many there may be (`limits.replication`).
    pub limit: usize,
    /// How many were let in.
    pub opened: u64,
    /// How many were refused because there were as many as there may be.
    pub refused: u64,
    /// Bytes from clients.
    pub received: u64,
    /// Bytes to clients.
    pub sent: u64,
}

/// One replication connection.
#[derive(Debug, Clone)]
pub struct ReplicationConnection {
    /// The process id that the client was told.
    pub pid: i32,
    /// The user.
    pub user: Arc<str>,
    /// The database, by the name clients use; none for physical replication.
    pub database: Option<Arc<str>>,
    /// What it is about.
    pub kind: Replication,
    /// `opening`, `idle`, `busy` (a command that ends by itself is under way) or `streaming`.
    pub state: &'static str,
    /// Who is at the other end.
    pub peer: Peer,
    /// Whether the client's connection is encrypted.
    pub tls: bool,
    /// The client's name for itself.
    pub application_name: Box<str>,
    /// How long ago it logged in, in microseconds.
    pub connected_us: u64,
    /// The node and the process id of its server, when it has one.
    pub server: Option<(NodeId, i32)>,
    /// Bytes from the client.
    pub received: u64,
    /// Bytes to the client.
    pub sent: u64,
}
