//! What the operator has decided beforehand.

use std::time::Duration;

/// How the decisions are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Failed probes in a row before a node counts as down.
    pub down_failures: u32,
    /// The least time between the first of them and the verdict.
    pub down_after: Duration,
}

impl Default for Policy {
    /// Three probes: one may be lost, two may be one hiccup seen twice.
    fn default() -> Self {
        Self { down_failures: 3, down_after: Duration::from_secs(2) }
    }
}
