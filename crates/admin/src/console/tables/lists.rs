//! `SHOW LISTS`: how many there are of what. PgBouncer's rows in its order; it looks names up by itself, we leave that
//! to the system, so there is nothing to count about DNS.

use crate::{
    console::table::{Column, Row, Value},
    snapshot::Snapshot,
};

pub(super) const COLUMNS: &[Column] = &[Column::text("list"), Column::int4("items")];

pub(super) fn rows(snapshot: &Snapshot) -> Vec<Row> {
    let pools = snapshot.pools.values();
    let idle: usize = pools.clone().map(|pool| pool.servers_idle).sum();
    let open: usize = pools.map(|pool| pool.servers() - pool.servers_opening).sum();
    let login = snapshot.clients().filter(|client| client.state == "login").count();
    let items = [
        ("databases", snapshot.databases().len()),
        ("users", snapshot.users().len()),
        ("pools", snapshot.pools.len()),
        ("free_clients", snapshot.clients_limit.saturating_sub(snapshot.clients_taken)),
        ("used_clients", snapshot.clients_taken),
        ("login_clients", login),
        ("free_servers", idle),
        ("used_servers", open.saturating_sub(idle)),
        ("dns_names", 0),
        ("dns_zones", 0),
        ("dns_queries", 0),
        ("dns_pending", 0),
    ];
    items.into_iter().map(|(list, count)| vec![Value::text(list), Value::count(count)]).collect()
}
