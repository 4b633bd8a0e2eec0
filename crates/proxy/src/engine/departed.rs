//! What pools have counted that a loop has forgotten: a counter never goes back while the process runs.

use std::{collections::BTreeMap, sync::Arc};

use super::report::{DepartedReport, OTHER, PoolStats};
use crate::pool::Family;

/// The counters of pools that are gone, by database and user; those without a name of their own together.
#[derive(Debug, Default)]
pub(super) struct Departed(BTreeMap<(Arc<str>, Arc<str>), PoolStats>);

impl Departed {
    /// A pool of this family goes.
    pub(super) fn keep(&mut self, family: &Family, stats: &PoolStats) {
        let key = if family.named {
            (Arc::clone(&family.database), Arc::clone(&family.user))
        } else {
            (Arc::from(OTHER), Arc::from(OTHER))
        };
        self.0.entry(key).or_default().add(stats);
    }

    /// All there is to tell.
    pub(super) fn report(&self) -> Vec<DepartedReport> {
        let report = |((database, user), stats): (&(Arc<str>, Arc<str>), &PoolStats)| {
            let (database, user) = (Arc::clone(database), Arc::clone(user));
            DepartedReport { database, user, stats: *stats }
        };
        self.0.iter().map(report).collect()
    }
}
