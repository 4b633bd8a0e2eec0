//! The loops' reports added up: one pool per database and user.

use std::{collections::BTreeMap, sync::Arc};

use trunkline_proxy::engine::report::{LoopReport, OTHER, PoolReport, PoolStats};

/// Database and user, as clients name them.
pub(crate) type PoolKey = (Arc<str>, Arc<str>);

/// A pool over all loops and all sets of startup parameters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool {
    /// Whether it has counters of its own.
    pub(crate) named: bool,
    /// Clients that hold a server.
    pub(crate) clients_linked: usize,
    /// Clients that wait for one.
    pub(crate) clients_waiting: usize,
    /// Clients that hold none and want none.
    pub(crate) clients_idle: usize,
    /// Clients that keep their server between transactions.
    pub(crate) clients_pinned: usize,
    /// Servers that serve a client.
    pub(crate) servers_active: usize,
    /// Servers parked.
    pub(crate) servers_idle: usize,
    /// Servers that answer a query of ours, or are withheld for a cancel request.
    pub(crate) servers_busy: usize,
    /// Of those, servers withheld for a cancel request.
    pub(crate) servers_cancelled: usize,
    /// Servers being opened.
    pub(crate) servers_opening: usize,
    /// How long the oldest waiter has waited, in microseconds.
    pub(crate) oldest_wait_us: u64,
    /// Whether any part of it is paused.
    pub(crate) paused: bool,
    /// Why the last attempt to open a server failed.
    pub(crate) last_error: Option<Arc<str>>,
}

impl Pool {
    /// Servers that are open or being opened.
    pub(crate) fn servers(&self) -> usize {
        self.servers_active + self.servers_idle + self.servers_busy + self.servers_opening
    }

    /// Adds another pool's numbers.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.named |= other.named;
        self.clients_linked += other.clients_linked;
        self.clients_waiting += other.clients_waiting;
        self.clients_idle += other.clients_idle;
        self.clients_pinned += other.clients_pinned;
        self.servers_active += other.servers_active;
        self.servers_idle += other.servers_idle;
        self.servers_busy += other.servers_busy;
        self.servers_cancelled += other.servers_cancelled;
        self.servers_opening += other.servers_opening;
        self.oldest_wait_us = self.oldest_wait_us.max(other.oldest_wait_us);
        self.paused |= other.paused;
        if self.last_error.is_none() {
            self.last_error.clone_from(&other.last_error);
        }
    }

    fn of(report: &PoolReport) -> Self {
        Self {
            named: report.named,
            clients_linked: report.clients_active,
            clients_waiting: report.clients_waiting,
            clients_idle: report.clients_idle,
            clients_pinned: report.pinned,
            servers_active: report.servers_active,
            servers_idle: report.servers_idle,
            servers_busy: report.servers_busy,
            servers_cancelled: 0,
            servers_opening: report.servers_opening,
            oldest_wait_us: report.oldest_wait_us,
            paused: report.paused,
            last_error: report.last_error.clone(),
        }
    }
}

/// The state of a server connection that a report calls withheld for a cancel request.
pub(crate) const WITHHELD: &str = "cancel";

/// Every pool the loops know, by database and user.
pub(crate) fn merge(loops: &[LoopReport]) -> BTreeMap<PoolKey, Pool> {
    let mut pools = BTreeMap::<PoolKey, Pool>::new();
    for report in loops.iter().flat_map(|report| &report.pools) {
        let key = (Arc::clone(&report.database), Arc::clone(&report.user));
        pools.entry(key).or_default().merge(&Pool::of(report));
    }
    for server in loops.iter().flat_map(|report| &report.servers) {
        let key = (Arc::clone(&server.database), Arc::clone(&server.user));
        if server.state == WITHHELD
            && let Some(pool) = pools.get_mut(&key)
        {
            pool.servers_cancelled += 1;
        }
    }
    pools
}

/// The pools with a name of their own, and the sum of the others under [`OTHER`].
pub(crate) fn by_name(pools: &BTreeMap<PoolKey, Pool>) -> BTreeMap<PoolKey, Pool> {
    let mut named = BTreeMap::<PoolKey, Pool>::new();
    for (key, pool) in pools {
        named.entry(name_of(key, pool.named)).or_default().merge(pool);
    }
    named
}

/// The counters of every pool that there is, or was, since the start, under the same names. None ever goes back.
pub(crate) fn counters(loops: &[LoopReport]) -> BTreeMap<PoolKey, PoolStats> {
    let mut counters = BTreeMap::<PoolKey, PoolStats>::new();
    let mut add = |key, stats| counters.entry(key).or_default().add(stats);
    for report in loops {
        for pool in &report.pools {
            let key = (Arc::clone(&pool.database), Arc::clone(&pool.user));
            add(name_of(&key, pool.named), &pool.stats);
        }
        for gone in &report.departed {
            add((Arc::clone(&gone.database), Arc::clone(&gone.user)), &gone.stats);
        }
    }
    counters
}

/// The name under which a pool is told of.
pub(crate) fn name_of(key: &PoolKey, named: bool) -> PoolKey {
    if named { key.clone() } else { (Arc::from(OTHER), Arc::from(OTHER)) }
}

/// The counters of every database, over its users.
pub(crate) fn by_database(
    counters: &BTreeMap<PoolKey, PoolStats>,
) -> BTreeMap<Arc<str>, PoolStats> {
    let mut databases = BTreeMap::<Arc<str>, PoolStats>::new();
    for ((database, _), stats) in counters {
        databases.entry(Arc::clone(database)).or_default().add(stats);
    }
    databases
}

#[cfg(test)]
mod tests {
    use trunkline_proxy::engine::report::DepartedReport;

    use super::*;
    use crate::testing::{loops, pool_report, server_report};

    #[test]
    fn loops_and_startup_variants_of_a_pool_are_added_up() {
        let mut first = pool_report(1, "shop", "alice");
        first.clients_active = 2;
        first.oldest_wait_us = 5;
        first.stats.queries = 10;
        let mut second = pool_report(2, "shop", "alice");
        second.clients_active = 3;
        second.oldest_wait_us = 9;
        second.stats.queries = 1;
        second.paused = true;
        let other = pool_report(3, "shop", "bob");
        let loops = loops([vec![first, other], vec![second]]);
        let found = merge(&loops);
        assert_eq!(found.len(), 2);
        let alice = &found[&("shop".into(), "alice".into())];
        assert_eq!((alice.clients_linked, alice.oldest_wait_us), (5, 9));
        assert!(alice.paused);
        assert_eq!(by_database(&counters(&loops))["shop"].queries, 11);
    }

    #[test]
    fn servers_withheld_for_a_cancel_request_are_told_from_those_that_are_asked_something() {
        let mut pool = pool_report(1, "shop", "alice");
        pool.servers_busy = 2;
        let mut reports = loops([vec![pool]]);
        reports[0].servers = vec![
            server_report(1, "shop", "alice", "cancel"),
            server_report(2, "shop", "alice", "tested"),
        ];
        let found = merge(&reports);
        let alice = &found[&("shop".into(), "alice".into())];
        assert_eq!((alice.servers_busy, alice.servers_cancelled, alice.servers()), (2, 1, 2));
    }

    #[test]
    fn what_has_been_counted_stays_when_its_pool_goes() {
        let counted = |family, queries, named| {
            let mut pool = pool_report(family, &format!("db{}", family / 10), "alice");
            pool.stats.queries = queries;
            pool.named = named;
            pool
        };
        // The second is a variant of the first.
        let pools = [counted(1, 10, true), counted(2, 5, true), counted(10, 3, false)];
        let before = counters(&loops([pools.to_vec()]));
        let mut after = loops([vec![pools[0].clone()]]);
        let gone = |database: &str, user: &str, stats| {
            let (database, user) = (database.into(), user.into());
            DepartedReport { database, user, stats, routes: None }
        };
        after[0].departed =
            vec![gone("db0", "alice", pools[1].stats), gone(OTHER, OTHER, pools[2].stats)];
        let own = |counters: &BTreeMap<PoolKey, PoolStats>, database: &str, user: &str| {
            counters[&(database.into(), user.into())].queries
        };
        assert_eq!((own(&before, "db0", "alice"), own(&before, OTHER, OTHER)), (15, 3));
        assert_eq!(counters(&after), before);
        assert_eq!(merge(&after).len(), 1);
    }

    #[test]
    fn pools_without_a_name_of_their_own_are_added_up_and_none_is_lost() {
        let pool = |queries, clients_linked, named| {
            let key = (format!("db{queries}").into(), "u".into());
            let pool = Pool { named, clients_linked, ..Pool::default() };
            (key, pool)
        };
        let mut pools = BTreeMap::from([pool(1, 1, true), pool(2, 20, false), pool(3, 300, false)]);
        let found = by_name(&pools);
        assert_eq!(found.len(), 2);
        assert_eq!(found[&(OTHER.into(), OTHER.into())].clients_linked, 320);
        // One that is called like the sum is added to it.
        let own = Pool { named: true, clients_linked: 4000, ..Pool::default() };
        pools.insert((OTHER.into(), OTHER.into()), own);
        assert_eq!(by_name(&pools)[&(OTHER.into(), OTHER.into())].clients_linked, 4320);
    }
}
