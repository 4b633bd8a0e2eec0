//! `SHOW LISTENERS`: the connections that listen for clients which share servers.

use trunkline_proxy::ListenerReport;

use crate::{
    console::table::{Column, Row, Value},
    snapshot::Snapshot,
};

pub(super) const COLUMNS: &[Column] = &[
    Column::text("database"),
    Column::text("encoding"),
    Column::text("state"),
    Column::int4("age"),
    Column::int4("clients"),
    Column::int4("channels"),
    Column::numeric("heard"),
    Column::numeric("told"),
    Column::numeric("reconnects"),
    Column::text("last_error"),
];

pub(super) fn rows(snapshot: &Snapshot) -> Vec<Row> {
    snapshot.listeners.each.iter().map(row).collect()
}

fn row(listener: &ListenerReport) -> Row {
    let up = listener.connected_us;
    vec![
        Value::text(&*listener.database),
        Value::text(&*listener.encoding),
        Value::text(if up.is_some() { "connected" } else { "connecting" }),
        up.map_or(Value::Null, |up| Value::count(up / 1_000_000)),
        Value::count(listener.clients),
        Value::count(listener.channels),
        Value::Numeric(listener.heard),
        Value::Numeric(listener.told),
        Value::Numeric(listener.reconnects),
        listener.error.as_deref().map_or(Value::Null, Value::text),
    ]
}
