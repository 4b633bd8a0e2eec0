//! What pools have counted that a loop has forgotten: a counter never goes back while the process runs.

use std::{collections::BTreeMap, sync::Arc};

use super::report::{DepartedReport, OTHER, PoolStats, Routes};
use crate::pool::Family;

/// The counters of pools that are gone, by database and user; those without a name of their own together.
#[derive(Debug, Default)]
pub(super) struct Departed(BTreeMap<(Arc<str>, Arc<str>), Kept>);

/// What those of a database and user have counted.
type Kept = (PoolStats, Option<Box<Routes>>);

impl Departed {
    /// A pool of this family goes.
    pub(super) fn keep(&mut self, family: &Family, stats: &PoolStats, routes: Option<&Routes>) {
        let key = if family.named {
            (Arc::clone(&family.database), Arc::clone(&family.user))
        } else {
            (Arc::from(OTHER), Arc::from(OTHER))
        };
        let (kept, kept_routes) = self.0.entry(key).or_default();
        kept.add(stats);
        if let Some(routes) = routes {
            kept_routes.get_or_insert_default().add(routes);
        }
    }

    /// All there is to tell.
    pub(super) fn report(&self) -> Vec<DepartedReport> {
        let each = self.0.iter();
        let report = each.map(|((database, user), (stats, routes))| DepartedReport {
            database: Arc::clone(database),
            user: Arc::clone(user),
            stats: *stats,
            routes: routes.clone(),
        });
        report.collect()
    }
}
