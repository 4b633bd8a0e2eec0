//! `SHOW PINS`: clients that keep their server between transactions, and why.

use super::clients::{place, reasons};
use crate::{
    console::table::{Column, Row, Value},
    snapshot::Snapshot,
};

pub(super) const COLUMNS: &[Column] = &[
    Column::text("database"),
    Column::text("user"),
    Column::int4("pid"),
    Column::text("addr"),
    Column::int4("port"),
    Column::text("application_name"),
    Column::text("state"),
    Column::int4("age"),
    Column::int4("silent"),
    Column::int4("server_pid"),
    Column::text("reasons"),
    Column::text("statement"),
];

pub(super) fn rows(snapshot: &Snapshot) -> Vec<Row> {
    let pinned = snapshot.clients().filter(|client| !client.pins.is_empty()).map(|client| {
        let (address, port) = place(client.peer);
        vec![
            Value::text(&*client.database),
            Value::text(&*client.user),
            Value::Int4(client.pid),
            Value::text(address),
            port,
            Value::text(&*client.application_name),
            Value::text(client.state),
            client.kept_us.map_or(Value::Null, |kept| Value::count(kept / 1_000_000)),
            Value::count(client.silent_us / 1_000_000),
            client.server_pid.map_or(Value::Null, Value::Int4),
            Value::text(reasons(client)),
            client.pinned_by.as_deref().map_or(Value::Null, Value::text),
        ]
    });
    pinned.collect()
}
