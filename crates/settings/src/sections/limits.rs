//! How much clients may use.

use crate::group::group;
use crate::sections::MOST;
use crate::value::Kind;

group! {
    /// How much clients may use.
    pub struct Limits in "limits" {
        /// Bytes that are kept per direction while the other side does not read; beyond, reading stops.
        pub client_buffer: usize = 64 << 10 => Kind::Size { min: 16 << 10, max: 64 << 20 }, Live, "\"256KiB\"";
        /// Bytes of memory that all clients together may make Trunkline hold: messages that are not complete, or that wait
        /// for a server connection, and what clients do not read. Each worker thread has an equal share. Where that is
        /// passed, clients are closed, or their statements refused, with SQLSTATE 53200: first who takes longest to send
        /// a message, then who has not read for longest (closed without a word), then for whom most is held. Clients that
        /// are not logged in yet may make it hold an eighth as much beside that.
        pub held_total: usize = 256 << 20 => Kind::Size { min: 16 << 20, max: 1 << 40 }, Live, "\"1GiB\"";
        /// Bytes of notifications that are kept for one client that does not read them, or has a transaction open, while it
        /// shares server connections. Where that is passed, it is closed with SQLSTATE 53400.
        pub notifications: usize = 1 << 20 => Kind::Size { min: 16 << 10, max: 1 << 30 }, Live, "\"8MiB\"";
        /// Largest message that is passed on. PostgreSQL's own limit is just below 1GiB.
        pub max_message: usize = 1 << 30 => Kind::Size { min: 64 << 10, max: 1 << 30 }, Live, "\"64MiB\"";
        /// Named prepared statements of one client that any server connection can be given. A client that prepares
        /// more keeps one server connection for itself.
        pub max_client_statements: usize = 10_000 => Kind::count(1, MOST), NewConnections, "1000";
        /// Bytes of statement text that these may have together.
        pub max_client_statement_bytes: usize = 16 << 20 => Kind::Size { min: 4 << 10, max: 1 << 30 }, NewConnections, "\"64MiB\"";
        /// Bytes of memory for the named prepared statements of all clients, a text that several clients prepare counted
        /// once. Where that is reached, what needs another text is refused with SQLSTATE 53200, and its transaction
        /// fails; the session goes on. Statements that servers keep after their last client are limited by
        /// `pool.max_prepared_bytes` for each server.
        pub statements_total: usize = 1 << 30 => Kind::Size { min: 64 << 10, max: 1 << 40 }, Live, "\"256MiB\"";
        /// Replication connections at once (`replication=true` or `database`), each of which has a server connection of its
        /// own; beyond, they are refused with SQLSTATE 53300. They count towards `general.max_clients` too, but to no
        /// limit of server connections: PostgreSQL counts them by `max_wal_senders`. 0: none are let in.
        pub replication: usize = 10 => Kind::count(0, MOST), Live, "4";
    }
}
