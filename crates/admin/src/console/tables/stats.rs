//! `SHOW STATS`, `STATS_TOTALS` and `STATS_AVERAGES`: one row per database. Times are in microseconds.

use trunkline_proxy::engine::report::PoolStats;

use crate::{
    averages::Averages,
    console::table::{Column, Row, Value},
    pools,
    snapshot::Snapshot,
};

pub(super) const COLUMNS: &[Column] = &[
    Column::text("database"),
    Column::numeric("total_xact_count"),
    Column::numeric("total_query_count"),
    Column::numeric("total_received"),
    Column::numeric("total_sent"),
    Column::numeric("total_xact_time"),
    Column::numeric("total_query_time"),
    Column::numeric("total_wait_time"),
    Column::numeric("avg_xact_count"),
    Column::numeric("avg_query_count"),
    Column::numeric("avg_recv"),
    Column::numeric("avg_sent"),
    Column::numeric("avg_xact_time"),
    Column::numeric("avg_query_time"),
    Column::numeric("avg_wait_time"),
    Column::numeric("total_server_assignment_count"),
    Column::numeric("total_client_login_count"),
    Column::numeric("total_errors"),
    Column::numeric("total_timeouts"),
    Column::numeric("avg_server_assignment_count"),
    Column::numeric("avg_client_login_count"),
];

pub(super) const TOTALS_COLUMNS: &[Column] = &[
    Column::text("database"),
    Column::numeric("xact_count"),
    Column::numeric("query_count"),
    Column::numeric("bytes_received"),
    Column::numeric("bytes_sent"),
    Column::numeric("xact_time"),
    Column::numeric("query_time"),
    Column::numeric("wait_time"),
    Column::numeric("server_assignment_count"),
    Column::numeric("client_login_count"),
    Column::numeric("errors"),
    Column::numeric("timeouts"),
];

pub(super) const AVERAGES_COLUMNS: &[Column] = &[
    Column::text("database"),
    Column::numeric("xact_count"),
    Column::numeric("query_count"),
    Column::numeric("bytes_received"),
    Column::numeric("bytes_sent"),
    Column::numeric("xact_time"),
    Column::numeric("query_time"),
    Column::numeric("wait_time"),
    Column::numeric("server_assignment_count"),
    Column::numeric("client_login_count"),
];

pub(super) fn rows(snapshot: &Snapshot) -> Vec<Row> {
    each(snapshot, |totals, averages| {
        let ours = [totals.leases, totals.logins, totals.errors, totals.timeouts];
        let parts: [&[u64]; 4] = [
            &totals_of(totals),
            &averages_of(averages),
            &ours,
            &[averages.leases, averages.logins],
        ];
        parts.concat()
    })
}

pub(super) fn totals_rows(snapshot: &Snapshot) -> Vec<Row> {
    each(snapshot, |totals, _| {
        let ours = [totals.leases, totals.logins, totals.errors, totals.timeouts];
        [&totals_of(totals)[..], &ours].concat()
    })
}

pub(super) fn averages_rows(snapshot: &Snapshot) -> Vec<Row> {
    each(snapshot, |_, averages| {
        [&averages_of(averages)[..], &[averages.leases, averages.logins]].concat()
    })
}

/// The counters that PgBouncer has, in its order.
pub(super) const fn totals_of(stats: &PoolStats) -> [u64; 7] {
    [
        stats.transactions,
        stats.queries,
        stats.received,
        stats.sent,
        stats.transaction_us,
        stats.query_us,
        stats.wait_us,
    ]
}

/// The averages that PgBouncer has, in its order.
pub(super) const fn averages_of(averages: &Averages) -> [u64; 7] {
    [
        averages.transactions,
        averages.queries,
        averages.received,
        averages.sent,
        averages.transaction_us,
        averages.query_us,
        averages.wait_us,
    ]
}

fn each(snapshot: &Snapshot, numbers: impl Fn(&PoolStats, &Averages) -> Vec<u64>) -> Vec<Row> {
    let databases = pools::by_database(&snapshot.counters);
    let rows = databases.iter().map(|(database, totals)| {
        let averages = snapshot.marks.averages(database, totals, snapshot.now_us);
        let numbers = numbers(totals, &averages).into_iter().map(Value::Numeric);
        std::iter::once(Value::text(&**database)).chain(numbers).collect()
    });
    rows.collect()
}
