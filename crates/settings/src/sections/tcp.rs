//! Options of TCP sockets, for clients and servers alike.

use std::time::Duration;

use crate::group::group;
use crate::value::Kind;

/// The kernel's upper bound for keepalive times: a signed 16-bit number of seconds (`MAX_TCP_KEEPIDLE`).
const KEEPALIVE_LONGEST: Duration = Duration::from_secs(32_767);

/// Keepalive times are whole seconds for the kernel.
const KEEPALIVE: Kind =
    Kind::Span { min: Duration::from_secs(1), max: KEEPALIVE_LONGEST, zero: false };

group! {
    /// TCP sockets, towards clients and servers alike. Nagle's algorithm is always off.
    pub struct Tcp in "tcp" {
        /// Whether the kernel asks silent peers for a sign of life.
        pub keepalive: bool = true => Kind::Switch, NewConnections, "false";
        /// Silence before the first question; whole seconds.
        pub keepalive_idle: Duration = Duration::from_secs(60) => KEEPALIVE, NewConnections, "\"30s\"";
        /// Time between questions; whole seconds.
        pub keepalive_interval: Duration = Duration::from_secs(10) => KEEPALIVE, NewConnections, "\"5s\"";
        /// Unanswered questions after which the connection is dead.
        pub keepalive_count: u32 = 6 => Kind::count(1, 127), NewConnections, "3";
        /// How long sent data may stay unacknowledged (`TCP_USER_TIMEOUT`). 0s: the kernel's own choice.
        pub user_timeout: Duration = Duration::ZERO => Kind::span(), NewConnections, "\"30s\"";
    }
}
