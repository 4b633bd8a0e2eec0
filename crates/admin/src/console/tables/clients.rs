//! `SHOW CLIENTS`: one row per client.

use std::collections::BTreeMap;

use trunkline_proxy::{engine::report::ClientReport, net::Peer};

use super::time;
use crate::{
    console::table::{Column, Row, Value},
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
    Column::int4("pid"),
    Column::int4("server_pid"),
    Column::int4("statements"),
    Column::text("pins"),
];

pub(super) fn rows(snapshot: &Snapshot) -> Vec<Row> {
    let links: BTreeMap<i32, u64> =
        snapshot.servers().filter_map(|server| Some((server.client_pid?, server.serial))).collect();
    snapshot.clients().map(|client| row(snapshot, client, &links)).collect()
}

fn row(snapshot: &Snapshot, client: &ClientReport, links: &BTreeMap<i32, u64>) -> Row {
    let (address, port) = place(client.peer);
    let link = links.get(&client.pid).copied().map(super::servers::pointer);
    vec![
        Value::text("C"),
        Value::text(&*client.user),
        Value::text(&*client.database),
        Value::text(client.state),
        Value::text(address),
        port,
        // Which of our addresses it connected to is not kept.
        Value::Null,
        Value::Null,
        Value::text(time::ago(snapshot.now, client.connected_us)),
        Value::text(time::ago(snapshot.now, client.silent_us)),
        Value::count(client.wait_us / 1_000_000),
        Value::count(client.wait_us % 1_000_000),
        Value::flag(client.state == "closing"),
        Value::text(pointer(client.pid)),
        Value::text(link.unwrap_or_default()),
        Value::Int4(process(client.peer)),
        Value::text(encryption(client.tls)),
        Value::text(&*client.application_name),
        Value::Int4(client.pid),
        client.server_pid.map_or(Value::Null, Value::Int4),
        Value::count(client.statements),
        Value::text(reasons(client)),
    ]
}

/// What stands for a client in the columns `ptr` and `link`.
pub(super) fn pointer(pid: i32) -> String {
    format!("client-{pid}")
}

/// Address and port of a client; `unix` and none, as in PgBouncer, for one on this machine.
pub(super) fn place(peer: Peer) -> (String, Value) {
    match peer {
        Peer::Tcp(address) => (address.ip().to_string(), Value::count(address.port())),
        Peer::Unix { .. } => ("unix".to_owned(), Value::Null),
    }
}

/// The column `tls`: empty without.
pub(super) const fn encryption(tls: bool) -> &'static str {
    if tls { "TLS" } else { "" }
}

/// Why the client is pinned, in words.
pub(super) fn reasons(client: &ClientReport) -> String {
    let reasons: Vec<&str> = client.pins.iter().map(|reason| reason.as_str()).collect();
    reasons.join(", ")
}

/// The process at the other end of a Unix socket, as the kernel told it; 0 when it is not known.
fn process(peer: Peer) -> i32 {
    match peer {
        Peer::Tcp(_) => 0,
        Peer::Unix { pid, .. } => pid.unwrap_or(0),
    }
}
