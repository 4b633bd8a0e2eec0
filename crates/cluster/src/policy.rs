//! What the operator has decided beforehand.

use std::time::Duration;

/// How the decisions are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Failed probes in a row before a node counts as down.
    pub down_failures: u32,
    /// The least time between the first of them and the verdict.
    pub down_after: Duration,
    /// Which standbys may be read from.
    pub lag: LagPolicy,
}

/// How far behind a standby may be that is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LagPolicy {
    /// In bytes of log; 0: any number.
    pub max_bytes: u64,
    /// In time; 0: any.
    pub max_time: Duration,
    /// How long standbys may be read from while no primary is known, so that nobody knows how far behind they are.
    pub stale_reads_max: Duration,
}

impl Default for Policy {
    /// Three probes: one may be lost, two may be one hiccup seen twice.
    fn default() -> Self {
        Self { down_failures: 3, down_after: Duration::from_secs(2), lag: LagPolicy::default() }
    }
}

impl Default for LagPolicy {
    /// One segment of log. Ten seconds are many times a probe's interval.
    fn default() -> Self {
        Self {
            max_bytes: 16 << 20,
            max_time: Duration::from_secs(10),
            stale_reads_max: Duration::from_secs(60),
        }
    }
}
