//! Whether a node answers.

use std::fmt;
use std::time::Duration;

use crate::{Moment, Policy};

/// How a node's probes have gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It has never been probed.
    Unknown,
    /// The last probe was answered.
    Up,
    /// The last probes failed, not enough of them to call it down.
    Suspect(Failing),
    /// So many probes failed over so long a time that it counts as down.
    Down(Failing),
}

/// Probes that failed one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// When the first of them failed.
    pub since: Moment,
    /// How many there are; at least 1.
    pub failures: u32,
    /// Why the last one failed.
    pub last: Failure,
}

/// Why a probe failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// There was no answer in time.
    Silent,
    /// The connection was refused, was reset, or could not be made.
    Unreachable,
    /// The server said that it takes no connections now, because it starts, stops or recovers.
    NotAccepting,
    /// The server has no connection to spare.
    Full,
    /// The server does not let us in, or does not answer the question: a matter for the operator.
    Refused,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "no answer in time",
            Self::Unreachable => "cannot be reached",
            Self::NotAccepting => "takes no connections now",
            Self::Full => "has no connection to spare",
            Self::Refused => "refuses the probe",
        })
    }
}

impl Health {
    /// After a probe that failed.
    pub(crate) fn failed(self, now: Moment, failure: Failure, policy: &Policy) -> Self {
        let (since, before) = match self {
            Self::Unknown | Self::Up => (now, 0),
            Self::Suspect(failing) | Self::Down(failing) => (failing.since, failing.failures),
        };
        let failing = Failing { since, failures: before.saturating_add(1), last: failure };
        let long = now.since(since) >= policy.down_after;
        let many = failing.failures >= policy.down_failures;
        if long && many { Self::Down(failing) } else { Self::Suspect(failing) }
    }

    /// Whether what was last seen of the node may still be believed.
    pub const fn is_believed(self) -> bool {
        matches!(self, Self::Up | Self::Suspect(_))
    }

    /// How long it has not answered.
    pub fn silent_for(self, now: Moment) -> Duration {
        match self {
            Self::Unknown | Self::Up => Duration::ZERO,
            Self::Suspect(failing) | Self::Down(failing) => now.since(failing.since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after(Duration::from_secs(seconds))
    }

    #[test]
    fn down_takes_both_many_failures_and_a_long_time() {
        let policy =
            Policy { down_failures: 3, down_after: Duration::from_secs(5), ..Policy::default() };
        let fail = |health: Health, second| health.failed(at(second), Failure::Silent, &policy);
        let many_but_short = fail(fail(fail(Health::Up, 1), 2), 3);
        assert!(matches!(many_but_short, Health::Suspect(Failing { failures: 3, .. })));
        assert!(matches!(fail(many_but_short, 6), Health::Down(_)));
        let long_but_few = fail(fail(Health::Up, 1), 10);
        assert!(matches!(long_but_few, Health::Suspect(Failing { failures: 2, .. })));
        assert_eq!(long_but_few.silent_for(at(11)), Duration::from_secs(10));
    }

    #[test]
    fn a_node_that_is_down_stays_so_while_probes_fail() {
        let policy = Policy { down_failures: 1, down_after: Duration::ZERO, ..Policy::default() };
        let down = Health::Unknown.failed(at(1), Failure::Unreachable, &policy);
        assert!(matches!(down, Health::Down(_)) && !down.is_believed());
        assert!(matches!(
            down.failed(at(2), Failure::Full, &policy),
            Health::Down(Failing { failures: 2, .. })
        ));
    }
}
