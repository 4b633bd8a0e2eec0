//! `SHOW SERVERS`: one row per server connection.

use std::collections::BTreeMap;

use trunkline_proxy::engine::report::{ClientReport, ServerReport};

use super::{clients, time};
use crate::{
    console::table::{Column, Row, Value},
    pools::WITHHELD,
    snapshot::Snapshot,
};

pub(super) const COLUMNS: &[Column] = &[
    Column::text("type"),
    Column::text("user"),
    Column::text("database"),
    Column::text("state"),
    Column::text("addr"),
    Column::int4("port"),
    Column::text("local_addr"),
    Column::int4("local_port"),
    Column::text("connect_time"),
    Column::text("request_time"),
    Column::int4("wait"),
    Column::int4("wait_us"),
    Column::int4("close_needed"),
    Column::text("ptr"),
    Column::text("link"),
    Column::int4("remote_pid"),
    Column::text("tls"),
    Column::text("application_name"),
    Column::text("node"),
    Column::int4("client_pid"),
    Column::int4("statements"),
];

pub(super) fn rows(snapshot: &Snapshot) -> Vec<Row> {
    let clients = snapshot.clients().map(|client| (client.pid, client)).collect();
    snapshot.servers().map(|server| row(snapshot, server, &clients)).collect()
}

fn row(snapshot: &Snapshot, server: &ServerReport, clients: &BTreeMap<i32, &ClientReport>) -> Row {
    let name = snapshot.node_name(server.node);
    let node = name.and_then(|name| snapshot.settings.node(name));
    let client = server.client_pid.and_then(|pid| clients.get(&pid));
    vec![
        Value::text("S"),
        Value::text(&*server.user),
        Value::text(&*server.database),
        Value::text(state(server.state)),
        node.map_or(Value::Null, |node| Value::text(node.host.to_string())),
        node.map_or(Value::Null, |node| Value::count(node.port)),
        // Which port of ours the connection leaves from, and whether it is to be closed, is not reported.
        Value::Null,
        Value::Null,
        Value::text(time::ago(snapshot.now, server.age_us)),
        Value::text(time::ago(snapshot.now, server.since_us)),
        Value::Int4(0),
        Value::Int4(0),
        Value::Null,
        Value::text(pointer(server.serial)),
        Value::text(server.client_pid.map(clients::pointer).unwrap_or_default()),
        Value::Int4(server.pid),
        Value::text(clients::encryption(server.tls)),
        Value::text(client.map_or("", |client| &client.application_name)),
        Value::optional(name),
        server.client_pid.map_or(Value::Null, Value::Int4),
        Value::count(server.statements),
    ]
}

/// What stands for a server in the columns `ptr` and `link`.
pub(super) fn pointer(serial: u64) -> String {
    format!("server-{serial}")
}

/// The state in PgBouncer's words.
fn state(state: &str) -> &str {
    if state == WITHHELD { "being_canceled" } else { state }
}
