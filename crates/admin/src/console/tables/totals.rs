//! `SHOW TOTALS`: the sums of `SHOW STATS` over all databases, one row per number.

use trunkline_proxy::engine::report::PoolStats;

use super::stats;
use crate::{
    averages::Averages,
    console::table::{Column, Row, Value},
    pools,
    snapshot::Snapshot,
};

pub(super) const COLUMNS: &[Column] = &[Column::text("name"), Column::numeric("value")];

/// What the rows are called, in PgBouncer's words and order.
const NAMES: [&str; 14] = [
    "total_xact_count",
    "total_query_count",
    "total_client_bytes",
    "total_server_bytes",
    "total_xact_time",
    "total_query_time",
    "total_wait_time",
    "avg_xact_count",
    "avg_query_count",
    "avg_client_bytes",
    "avg_server_bytes",
    "avg_xact_time",
    "avg_query_time",
    "avg_wait_time",
];

pub(super) fn rows(snapshot: &Snapshot) -> Vec<Row> {
    let databases = pools::by_database(&snapshot.counters);
    let mut totals = PoolStats::default();
    for stats in databases.values() {
        totals.add(stats);
    }
    let averages: Averages = snapshot.marks.overall(&totals, snapshot.now_us);
    let numbers = stats::totals_of(&totals).into_iter().chain(stats::averages_of(&averages));
    NAMES
        .into_iter()
        .zip(numbers)
        .map(|(name, number)| vec![Value::text(name), Value::Numeric(number)])
        .collect()
}
