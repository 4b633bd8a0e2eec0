//! `SHOW READBACKS`: functions because of which servers were asked what their clients have there.

use std::{collections::BTreeMap, sync::Arc};

use trunkline_proxy::engine::report::FunctionStats;

use crate::{
    console::table::{Column, Row, Value},
    snapshot::Snapshot,
};

pub(super) const COLUMNS: &[Column] = &[
    Column::text("database"),
    Column::text("user"),
    Column::text("function"),
    Column::numeric("read_backs"),
    Column::numeric("found"),
];

pub(super) fn rows(snapshot: &Snapshot) -> Vec<Row> {
    let mut counts = BTreeMap::<(Arc<str>, Arc<str>, &str), FunctionStats>::new();
    for pool in snapshot.loops.iter().flat_map(|report| &report.pools) {
        for (function, stats) in &pool.functions {
            let key = (Arc::clone(&pool.database), Arc::clone(&pool.user), function.as_str());
            counts.entry(key).or_default().add(stats);
        }
    }
    let row = |((database, user, function), stats): ((Arc<str>, Arc<str>, &str), FunctionStats)| {
        vec![
            Value::text(&*database),
            Value::text(&*user),
            // What nobody is to blame for by name has none.
            if function.is_empty() { Value::Null } else { Value::text(function) },
            Value::Numeric(stats.read_backs),
            Value::Numeric(stats.found),
        ]
    };
    counts.into_iter().map(row).collect()
}
