//! `SHOW REPLICATION`: connections with a server of their own, to which bytes go as they are.

use trunkline_proxy::ReplicationConnection;

use super::{
    clients::{encryption, place},
    time,
};
use crate::{
    console::table::{Column, Row, Value},
    snapshot::Snapshot,
};

pub(super) const COLUMNS: &[Column] = &[
    Column::int4("pid"),
    Column::text("user"),
    Column::text("database"),
    Column::text("kind"),
    Column::text("state"),
    Column::text("addr"),
    Column::int4("port"),
    Column::text("tls"),
    Column::text("application_name"),
    Column::text("connect_time"),
    Column::text("node"),
    Column::int4("server_pid"),
    Column::numeric("received"),
    Column::numeric("sent"),
];

pub(super) fn rows(snapshot: &Snapshot) -> Vec<Row> {
    snapshot.replication.connections.iter().map(|connection| row(snapshot, connection)).collect()
}

fn row(snapshot: &Snapshot, connection: &ReplicationConnection) -> Row {
    let (address, port) = place(connection.peer);
    let node = connection.server.and_then(|(node, _)| snapshot.node_name(node));
    vec![
        Value::Int4(connection.pid),
        Value::text(&*connection.user),
        Value::optional(connection.database.as_deref()),
        Value::text(connection.kind.as_str()),
        Value::text(connection.state),
        Value::text(address),
        port,
        Value::text(encryption(connection.tls)),
        Value::text(&*connection.application_name),
        Value::text(time::ago(snapshot.now, connection.connected_us)),
        Value::optional(node),
        connection.server.map_or(Value::Null, |(_, pid)| Value::Int4(pid)),
        Value::Numeric(connection.received),
        Value::Numeric(connection.sent),
    ]
}
