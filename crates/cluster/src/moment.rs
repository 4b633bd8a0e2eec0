//! Points in time, handed in.

use std::time::Duration;

/// A point in time, as the time since some beginning that is the same for all moments of a process. It never
/// goes backwards and does not follow the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// The moment so long after the beginning.
    pub const fn after(beginning: Duration) -> Self {
        Self(beginning)
    }

    /// How long ago `earlier` was; nothing if it is later.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
