//! Which standbys may be read from.

use std::time::Duration;

use crate::choice::choice;
use crate::group::group;
use crate::value::Kind;

/// The longest gap between two questions where the primary is: beyond it, sessions would wait for the answer.
const SLOWEST_SAMPLES: Duration = Duration::from_secs(1);

choice! {
    /// Whether statements that only read go to standbys.
    pub enum RoutingMode {
        /// All statements go to the primary.
        Off = "off",
        /// Reads go to standbys that are fit for them.
        On = "on",
    }
}

group! {
    /// Which standbys may be read from. A standby is asked with each probe (`cluster.probe_interval`) how far it is, and
    /// compared with where the primary was at the probe before; no server's clock is read. One that was beyond a limit is
    /// read from again when it is below half of it. One of which it is not known how far behind it is, is not read from.
    pub struct Routing in "routing" {
        /// Whether statements that only read go to standbys. `off`: all go to the primary.
        pub mode: RoutingMode = RoutingMode::Off => Kind::Word(RoutingMode::WORDS), Live, "\"on\"";
        /// A standby that is more bytes of write-ahead log behind the primary is not read from. 0: however many.
        pub max_lag_bytes: usize = 16 << 20 => Kind::Size { min: 0, max: 1 << 40 }, Live, "\"64MiB\"";
        /// A standby that is where the primary was longer ago than this is not read from. 0s: however long ago.
        pub max_lag_time: Duration = Duration::from_secs(10) => Kind::span(), Live, "\"1m\"";
        /// How long standbys may be read from while no primary is known, so that nobody knows how far behind they are.
        /// 0s: not at all.
        pub stale_reads_max: Duration = Duration::from_secs(60) => Kind::span(), Live, "\"10m\"";
        /// The least time between two questions to a node how far its write-ahead log is, while sessions need to know it:
        /// after a transaction on the primary, until a standby is known to have replayed it.
        pub sample_interval: Duration = Duration::from_millis(2)
            => Kind::Span { min: Duration::from_millis(1), max: SLOWEST_SAMPLES, zero: false }, Live, "\"10ms\"";
    }
}
