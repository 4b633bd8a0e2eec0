//! Which databases and users have counters of their own.

use std::{collections::BTreeSet, sync::Arc};

/// So many have. With a wildcard database and users from the cluster, anyone who can log in can make pools; each has about
/// 25 series in the metrics, so this is 25,000.
const NAMES_MAX: usize = 1000;

/// The first databases and users that a process has seen. They keep their counters as long as it runs: what a counter has
/// counted must not be counted by another one later.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<(Arc<str>, Arc<str>)>);

impl Names {
    /// Whether this database and user have counters of their own; those of all others are added up.
    pub(super) fn admit(&mut self, database: &Arc<str>, user: &Arc<str>) -> bool {
        let name = (Arc::clone(database), Arc::clone(user));
        if self.0.len() < NAMES_MAX {
            self.0.insert(name);
            return true;
        }
        self.0.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_have_counters_of_their_own_and_keep_them() {
        let mut names = Names::default();
        let mut admit = |database: &str| names.admit(&Arc::from(database), &Arc::from("alice"));
        assert!((0..NAMES_MAX).all(|number| admit(&format!("db{number}")) && admit("db0")));
        assert!(!admit("late"));
        assert!(admit("db7") && !admit("late"));
    }
}
