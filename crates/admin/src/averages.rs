//! Counters as they were some time ago, and averages since then.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use trunkline_proxy::engine::report::PoolStats;

/// How often the counters are remembered: PgBouncer's default `stats_period`.
pub(crate) const PERIOD: Duration = Duration::from_secs(60);

/// The counters of every database at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// When, in microseconds since the console was started.
    pub(crate) at_us: u64,
    /// The counters then.
    pub(crate) totals: BTreeMap<Arc<str>, PoolStats>,
}

/// The last two marks. As in PgBouncer, averages run from the older one until now: over one to two periods, so that
/// they neither jump at a mark nor start from nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    older: Mark,
    newer: Mark,
}

/// Averages of one database. Counts and bytes are per second, times are in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Averages {
    pub(crate) transactions: u64,
    pub(crate) queries: u64,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    /// Per transaction.
    pub(crate) transaction_us: u64,
    /// Per query.
    pub(crate) query_us: u64,
    /// Of all clients together, per second.
    pub(crate) wait_us: u64,
    pub(crate) leases: u64,
    pub(crate) logins: u64,
}

impl Marks {
    /// Takes the next mark; the oldest is forgotten.
    #[must_use]
    pub(crate) fn advance(self, next: Mark) -> Self {
        Self { older: self.newer, newer: next }
    }

    /// Averages of a database whose counters are `totals` at `now_us`.
    pub(crate) fn averages(&self, database: &str, totals: &PoolStats, now_us: u64) -> Averages {
        let then = self.older.totals.get(database).copied().unwrap_or_default();
        averages(&then, totals, now_us.saturating_sub(self.older.at_us))
    }

    /// Averages of all databases together, whose counters add up to `totals` at `now_us`.
    pub(crate) fn overall(&self, totals: &PoolStats, now_us: u64) -> Averages {
        let mut then = PoolStats::default();
        for stats in self.older.totals.values() {
            then.add(stats);
        }
        averages(&then, totals, now_us.saturating_sub(self.older.at_us))
    }
}

/// Averages over the last `span_us` microseconds.
fn averages(then: &PoolStats, now: &PoolStats, span_us: u64) -> Averages {
    // A counter that is smaller than before has started anew: nothing is known of it.
    let grown = |read: fn(&PoolStats) -> u64| read(now).saturating_sub(read(then));
    let second = |read: fn(&PoolStats) -> u64| {
        let scaled = u128::from(grown(read)).saturating_mul(1_000_000);
        u64::try_from(scaled.checked_div(u128::from(span_us)).unwrap_or(0)).unwrap_or(u64::MAX)
    };
    let (transactions, queries) = (grown(|s| s.transactions), grown(|s| s.queries));
    Averages {
        transactions: second(|s| s.transactions),
        queries: second(|s| s.queries),
        received: second(|s| s.received),
        sent: second(|s| s.sent),
        transaction_us: grown(|s| s.transaction_us).checked_div(transactions).unwrap_or(0),
        query_us: grown(|s| s.query_us).checked_div(queries).unwrap_or(0),
        wait_us: second(|s| s.wait_us),
        leases: second(|s| s.leases),
        logins: second(|s| s.logins),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(transactions: u64, queries: u64, us: u64) -> PoolStats {
        PoolStats {
            transactions,
            queries,
            transaction_us: us * 2,
            query_us: us,
            wait_us: us,
            received: queries * 100,
            ..PoolStats::default()
        }
    }

    fn mark(at_us: u64, totals: PoolStats) -> Mark {
        Mark { at_us, totals: BTreeMap::from([("shop".into(), totals)]) }
    }

    #[test]
    fn averages_run_from_the_older_of_two_marks() {
        let marks = Marks::default()
            .advance(mark(60_000_000, stats(60, 120, 600)))
            .advance(mark(120_000_000, stats(100, 200, 900)));
        let found = marks.averages("shop", &stats(160, 420, 3_600), 160_000_000);
        // From second 60 to second 160: 100 transactions, 300 queries, 3,000 microseconds of queries.
        assert_eq!((found.transactions, found.queries, found.received), (1, 3, 300));
        assert_eq!((found.query_us, found.transaction_us, found.wait_us), (10, 60, 30));
    }

    #[test]
    fn before_the_first_mark_averages_run_from_the_start() {
        let found = Marks::default().averages("shop", &stats(10, 20, 100), 2_000_000);
        assert_eq!((found.transactions, found.queries), (5, 10));
    }

    #[test]
    fn nothing_is_divided_by_zero_and_a_new_start_is_no_flood() {
        let marks = Marks::default().advance(Mark::default()).advance(Mark::default());
        assert_eq!(marks.averages("shop", &stats(0, 0, 0), 0), Averages::default());
        let marks = Marks::default().advance(mark(1, stats(50, 50, 50))).advance(Mark::default());
        assert_eq!(marks.averages("shop", &stats(1, 1, 1), 9_000_000), Averages::default());
    }
}
