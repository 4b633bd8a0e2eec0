//! `SHOW USERS`: those of the settings and the user file, and those that have a pool.

use super::pools::word;
use crate::{
    console::table::{Column, Row, Value},
    snapshot::Snapshot,
};

pub(super) const COLUMNS: &[Column] = &[
    Column::text("name"),
    Column::text("pool_mode"),
    Column::int4("max_user_connections"),
    Column::int4("current_connections"),
];

pub(super) fn rows(snapshot: &Snapshot) -> Vec<Row> {
    snapshot.users().iter().map(|name| row(snapshot, name)).collect()
}

fn row(snapshot: &Snapshot, name: &str) -> Row {
    let known = snapshot.settings.user(name);
    let open: usize = snapshot
        .pools
        .iter()
        .filter(|((_, user), _)| **user == *name)
        .map(|(_, pool)| pool.servers())
        .sum();
    vec![
        Value::text(name),
        Value::optional(known.and_then(|user| user.pool_mode).map(word)),
        Value::count(known.map_or(0, |user| user.max_connections)),
        Value::count(open),
    ]
}
