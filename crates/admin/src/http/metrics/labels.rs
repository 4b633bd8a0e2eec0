//! Which pools have series of their own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::pools::{Pool, PoolKey};

/// Pools with series of their own. Each has about 25, so this is 25,000 series; further pools are added up as
/// [`OTHER`]. With a wildcard database and users from the cluster, anyone who can log in can make pools.
pub(super) const MAX_POOLS: usize = 1000;

/// The database and user under which pools without series of their own are added up.
pub(super) const OTHER: &str = "other";

/// The pools that have series of their own: the first that were seen, and the same from scrape to scrape, so that a
/// counter never moves from one series to another.
#[derive(Debug, Default)]
pub(in crate::http) struct Labels {
    known: BTreeSet<PoolKey>,
}

impl Labels {
    /// The pools by the labels they go under; at most [`MAX_POOLS`] and one.
    pub(in crate::http) fn bounded(
        &mut self,
        pools: &BTreeMap<PoolKey, Pool>,
    ) -> BTreeMap<PoolKey, Pool> {
        let mut bounded = BTreeMap::<PoolKey, Pool>::new();
        for (key, pool) in pools {
            let key =
                if self.admit(key) { key.clone() } else { (Arc::from(OTHER), Arc::from(OTHER)) };
            bounded.entry(key).or_default().merge(pool);
        }
        bounded
    }

    fn admit(&mut self, key: &PoolKey) -> bool {
        if self.known.len() < MAX_POOLS {
            self.known.insert(key.clone());
        }
        self.known.contains(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pools(count: usize, queries: u64) -> BTreeMap<PoolKey, Pool> {
        let mut pool = Pool::default();
        pool.stats.queries = queries;
        (0..count).map(|n| ((format!("db{n:05}").into(), "u".into()), pool.clone())).collect()
    }

    #[test]
    fn pools_beyond_the_limit_are_added_up_and_none_is_lost() {
        let mut labels = Labels::default();
        let found = labels.bounded(&pools(MAX_POOLS + 5, 1));
        assert_eq!(found.len(), MAX_POOLS + 1);
        assert_eq!(found[&(OTHER.into(), OTHER.into())].stats.queries, 5);
    }

    #[test]
    fn a_pool_keeps_its_series_when_others_come_before_it() {
        let mut labels = Labels::default();
        let late: BTreeMap<PoolKey, Pool> =
            [(("zzz".into(), "u".into()), Pool::default())].into_iter().collect();
        labels.bounded(&late);
        let mut all = pools(MAX_POOLS, 1);
        all.extend(late);
        let found = labels.bounded(&all);
        assert!(found.contains_key(&("zzz".into(), "u".into())));
        assert_eq!(found[&(OTHER.into(), OTHER.into())].stats.queries, 1);
    }

    #[test]
    fn a_database_that_is_called_like_the_sum_is_added_to_it() {
        let mut labels = Labels::default();
        let mut all = pools(MAX_POOLS + 1, 1);
        let mut own = Pool::default();
        own.stats.queries = 10;
        all.insert((OTHER.into(), OTHER.into()), own);
        let found = labels.bounded(&all);
        assert_eq!(found[&(OTHER.into(), OTHER.into())].stats.queries, 11);
    }
}
