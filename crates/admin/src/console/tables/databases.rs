//! `SHOW DATABASES`: those with a table in the settings, and those let in by the wildcard that have a pool.

use trunkline_settings::Node;

use super::pools::word;
use crate::{
    console::table::{Column, Row, Value},
    snapshot::Snapshot,
};

pub(super) const COLUMNS: &[Column] = &[
    Column::text("name"),
    Column::text("host"),
    Column::int4("port"),
    Column::text("database"),
    Column::text("force_user"),
    Column::int4("pool_size"),
    Column::int4("min_pool_size"),
    Column::int4("reserve_pool"),
    Column::text("pool_mode"),
    Column::int4("max_connections"),
    Column::int4("current_connections"),
    Column::int4("paused"),
    Column::int4("disabled"),
];

pub(super) fn rows(snapshot: &Snapshot) -> Vec<Row> {
    let node = serving_node(snapshot);
    snapshot.databases().iter().map(|name| row(snapshot, name, node)).collect()
}

fn row(snapshot: &Snapshot, name: &str, node: Option<&Node>) -> Row {
    let defaults = &snapshot.settings.pool;
    let table = snapshot.settings.databases.find(name);
    let given = |read: fn(&trunkline_settings::Database) -> Option<usize>, default: usize| {
        Value::count(table.and_then(read).unwrap_or(default))
    };
    let open: usize = snapshot
        .pools
        .iter()
        .filter(|((database, _), _)| **database == *name)
        .map(|(_, pool)| pool.servers())
        .sum();
    vec![
        Value::text(name),
        node.map_or(Value::Null, |node| Value::text(node.host.to_string())),
        node.map_or(Value::Null, |node| Value::count(node.port)),
        Value::text(table.and_then(|table| table.dbname.as_deref()).unwrap_or(name)),
        Value::optional(table.and_then(|table| table.user.as_deref())),
        given(|table| table.pool_size, defaults.size),
        given(|table| table.min_idle, defaults.min_idle),
        given(|table| table.reserve_size, defaults.reserve_size),
        Value::optional(table.and_then(|table| table.pool_mode).map(word)),
        Value::count(table.map_or(0, |table| table.max_connections)),
        Value::count(open),
        Value::flag(snapshot.paused.contains(name)),
        // A database that was removed from the settings takes no new clients.
        Value::flag(table.is_none()),
    ]
}

/// The node that traffic goes to, else the first of the settings.
fn serving_node(snapshot: &Snapshot) -> Option<&Node> {
    let serving = snapshot.nodes.iter().find(|node| node.serving);
    serving
        .and_then(|node| snapshot.settings.node(&node.name))
        .or_else(|| snapshot.settings.nodes.first())
}
