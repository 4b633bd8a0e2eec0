//! The process as a whole: threads, how many clients, how it stops.

use std::time::Duration;

use crate::group::group;
use crate::sections::MOST;
use crate::value::Kind;

/// The most worker threads that can be asked for: beyond this, shares of the pools become too small to be of use.
pub(crate) const MAX_WORKERS: u64 = 64;

/// Worker threads when the setting leaves the choice to us: more do not pay for a pooler beside its database.
const AUTO_WORKERS: usize = 4;

group! {
    /// The process as a whole.
    pub struct General in "general" {
        /// Worker threads, each with its own event loop. 0: as many as there are cores, at most 4.
        pub workers: usize = 0 => Kind::count(0, MAX_WORKERS), Restart, "2";
        /// Clients that may be logged in at once; the next one is refused with SQLSTATE 53300.
        pub max_clients: usize = 5000 => Kind::count(1, MOST), Live, "20000";
        /// Logins to the admin console that are let in beyond `max_clients`.
        pub admin_slots: usize = 8 => Kind::count(0, 1000), Live, "2";
        /// Connections that may be between accept and the end of their login; the next one is closed.
        pub max_pending_logins: usize = 10_000 => Kind::count(1, MOST), Live, "2000";
        /// Time from accept to the end of the login, as PostgreSQL's `authentication_timeout`.
        pub login_timeout: Duration = Duration::from_secs(60)
            => Kind::span_from(Duration::from_millis(100)), NewConnections, "\"10s\"";
        /// After SIGTERM: how long new clients are still let in while the readiness check already fails,
        /// so that load balancers can look elsewhere. 0s: not at all.
        pub drain_delay: Duration = Duration::ZERO => Kind::span(), Live, "\"5s\"";
        /// After SIGTERM and `drain_delay`: how long clients may go on; then open transactions are rolled
        /// back and everything is closed. Kubernetes kills after 30 s unless told otherwise.
        pub shutdown_timeout: Duration = Duration::from_secs(25) => Kind::span(), Live, "\"2m\"";
    }
}

impl General {
    /// Worker threads on a machine with this many cores.
    pub fn worker_threads(&self, cores: usize) -> usize {
        match self.workers {
            0 => cores.clamp(1, AUTO_WORKERS),
            workers => workers,
        }
    }
}
