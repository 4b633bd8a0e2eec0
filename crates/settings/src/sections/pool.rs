//! Pools of server connections: one for each database, user and node.

use std::time::Duration;

use crate::choice::choice;
use crate::group::group;
use crate::sections::MOST;
use crate::value::Kind;

choice! {
    /// How long a client keeps a server connection.
    pub enum PoolMode {
        /// For one transaction.
        Transaction = "transaction",
        /// Until it leaves.
        Session = "session",
        /// For one statement; transactions over several statements are refused.
        Statement = "statement",
    }
}

choice! {
    /// What becomes of session state that no statement shows, such as what a function sets.
    pub enum HiddenState {
        /// The server is asked for it after each statement that may leave some.
        ReadBack = "readback",
        /// There is none: nobody asks.
        Trust = "trust",
    }
}

choice! {
    /// Who is served by a connection on which others have set placeholders (`app.tenant`).
    pub enum Placeholders {
        /// A client that has never set them gets another connection, if one is idle.
        Avoid = "avoid",
        /// Only clients that have set them too.
        Strict = "strict",
    }
}

group! {
    /// Pools of server connections: one for each database, user and node. Databases and users can differ.
    pub struct PoolDefaults in "pool" {
        /// How long a client keeps a server connection: for a transaction, until it leaves, or for a statement.
        pub mode: PoolMode = PoolMode::Transaction => Kind::Word(PoolMode::WORDS), NewConnections, "\"session\"";
        /// Server connections of one pool.
        pub size: usize = 20 => Kind::count(1, MOST), Live, "50";
        /// Idle server connections that a pool keeps ready once it has been used.
        pub min_idle: usize = 0 => Kind::count(0, MOST), Live, "2";
        /// Server connections beyond `size` that may be opened once a client has waited for `reserve_after`.
        pub reserve_size: usize = 0 => Kind::count(0, MOST), Live, "5";
        /// How long a client waits before the reserve is used.
        pub reserve_after: Duration = Duration::from_secs(5) => Kind::span(), Live, "\"1s\"";
        /// Server connections over all pools. 0: no limit.
        pub max_connections: usize = 0 => Kind::count(0, MOST), Live, "180";
        /// Sets of startup parameters (other than `application_name` and the encoding UTF8) that get server
        /// connections of their own within a pool; beyond, the least used set is retired.
        pub max_startup_variants: usize = 8 => Kind::count(1, 1000), NewConnections, "32";
        /// Clients that may wait for a connection of one pool, at all worker threads together; the next one is refused with SQLSTATE 53300.
        pub max_waiting: usize = 10_000 => Kind::count(1, MOST), Live, "500";
        /// How long a client waits for a server connection, then it is refused with SQLSTATE 53300. 0s: for ever.
        pub wait_timeout: Duration = Duration::from_secs(15) => Kind::span(), Live, "\"30s\"";
        /// Idle server connections above `min_idle` are closed after this time. 0s: never.
        pub idle_timeout: Duration = Duration::from_secs(10 * 60) => Kind::span(), Live, "\"1m\"";
        /// A server connection that is older is closed when it comes back. 0s: never.
        pub max_age: Duration = Duration::from_secs(60 * 60) => Kind::span(), NewConnections, "\"30m\"";
        /// The share of `max_age` by which each connection's age limit is shortened at random, so that they do
        /// not all end at once.
        pub max_age_jitter: f64 = 0.1 => Kind::Ratio { min: 0.0, max: 1.0 }, NewConnections, "0.25";
        /// A server connection that has been idle for longer is asked for a sign of life before it is used.
        /// 0s: never asked.
        pub server_check: Duration = Duration::from_secs(30) => Kind::span(), Live, "\"10s\"";
        /// How long that sign of life may take; then the connection is closed and another one taken, and the pool's
        /// other idle connections are asked before they are used.
        pub server_check_timeout: Duration = Duration::from_secs(2)
            => Kind::span_from(Duration::from_millis(10)), Live, "\"500ms\"";
        /// How long connecting and logging in to a server may take.
        pub connect_timeout: Duration = Duration::from_secs(5)
            => Kind::span_from(Duration::from_millis(10)), Live, "\"2s\"";
        /// Shortest wait after a failed connection attempt; it doubles with each further failure.
        pub retry_backoff_min: Duration = Duration::from_millis(100)
            => Kind::span_from(Duration::from_millis(1)), Live, "\"250ms\"";
        /// Longest wait between connection attempts.
        pub retry_backoff_max: Duration = Duration::from_secs(5)
            => Kind::span_from(Duration::from_millis(1)), Live, "\"30s\"";
        /// Sent to a server when a client in session mode, or one that had a server pinned, gives it back
        /// between transactions. Empty: nothing is sent. Behind a client that has gone amid something goes `DISCARD ALL`
        /// whatever stands here; a connection with what that cannot take away (`LOAD`, dblink connections, replication
        /// origins, temporary slots, backups) is closed, but for session mode.
        pub reset_query: String = "DISCARD ALL".to_owned() => Kind::Text, Live, "\"RESET ALL\"";
        /// A returning connection serves the clients of its own worker thread first, unless a client of another
        /// thread has waited for longer by this much.
        pub fairness_slack: Duration = Duration::from_millis(5) => Kind::span(), Live, "\"1ms\"";
        /// A pool lives on one worker thread until its `size` gives each thread so many server connections; then
        /// they and its clients are dealt to all threads. One thread serves a small pool with less processor time.
        pub slots_per_worker: usize = 16 => Kind::count(1, MOST), Restart, "4";
        /// Prepared statements kept on one server connection; beyond, the least used is closed.
        pub max_prepared_statements: usize = 500 => Kind::count(1, MOST), NewConnections, "100";
        /// Bytes of statement text that the prepared statements of one server connection may have together.
        pub max_prepared_bytes: usize = 4 << 20 => Kind::Size { min: 4 << 10, max: 1 << 30 }, NewConnections, "\"16MiB\"";
        /// Server connections of one pool that may be pinned to clients at once. 0: all but one.
        pub max_pinned: usize = 0 => Kind::count(0, MOST), Live, "5";
        /// Session state that no statement shows, because a function, a `DO` block or a procedure makes it: `readback`
        /// asks the server for it after each statement that may leave some. `trust` never asks, which saves the
        /// question, and lets what a function sets reach other clients.
        pub hidden_state: HiddenState = HiddenState::ReadBack => Kind::Word(HiddenState::WORDS), NewConnections, "\"trust\"";
        /// What has once been a placeholder (a setting with a name like `app.tenant`) on a server connection reads as '' there
        /// from then on, where it would be NULL or an error (42704). `avoid` gives a client that has never set it another
        /// connection, if one is idle. `strict` never gives it such a connection: that is closed for it. In session mode
        /// neither is done.
        pub placeholders: Placeholders = Placeholders::Avoid => Kind::Word(Placeholders::WORDS), NewConnections, "\"strict\"";
        /// Each server connection that comes back is asked what a session has left there, and closed if that is not what it
        /// should be, with an error in the log. It is for tests of Trunkline itself, and costs a question per transaction.
        pub paranoid: bool = false => Kind::Switch, Live, "true";
        /// Whether a client is told by a NOTICE when it begins to keep a server connection, and why.
        pub pin_notice: bool = false => Kind::Switch, Live, "true";
    }
}
