//! `SHOW POOLS`: one row per database and user.

use trunkline_settings::PoolMode;

use crate::{
    console::table::{Column, Row, Value},
    snapshot::Snapshot,
};

pub(super) const COLUMNS: &[Column] = &[
    Column::text("database"),
    Column::text("user"),
    Column::int4("cl_active"),
    Column::int4("cl_waiting"),
    Column::int4("cl_active_cancel_req"),
    Column::int4("cl_waiting_cancel_req"),
    Column::int4("sv_active"),
    Column::int4("sv_active_cancel"),
    Column::int4("sv_being_canceled"),
    Column::int4("sv_idle"),
    Column::int4("sv_used"),
    Column::int4("sv_tested"),
    Column::int4("sv_login"),
    Column::int4("maxwait"),
    Column::int4("maxwait_us"),
    Column::text("pool_mode"),
    Column::int4("cl_linked"),
    Column::int4("cl_pinned"),
    Column::int4("paused"),
    Column::text("last_error"),
];

pub(super) fn rows(snapshot: &Snapshot) -> Vec<Row> {
    let pools = snapshot.pools.iter().map(|((database, user), pool)| {
        // A pool whose database is gone from the settings lives on until its clients have left.
        let mode = snapshot.settings.pool_for(database, user).map(|policy| word(policy.mode));
        vec![
            Value::text(&**database),
            Value::text(&**user),
            // As in PgBouncer: with a server, or idle and wanting none.
            Value::count(pool.clients_linked + pool.clients_idle),
            Value::count(pool.clients_waiting),
            // Cancel requests are not clients of a pool: they are passed on beside it.
            Value::Int4(0),
            Value::Int4(0),
            Value::count(pool.servers_active),
            Value::Int4(0),
            Value::count(pool.servers_cancelled),
            Value::count(pool.servers_idle),
            // Nothing stands between idle and tested: a server is tested when a client wants it.
            Value::Int4(0),
            Value::count(pool.servers_busy.saturating_sub(pool.servers_cancelled)),
            Value::count(pool.servers_opening),
            Value::count(pool.oldest_wait_us / 1_000_000),
            Value::count(pool.oldest_wait_us % 1_000_000),
            Value::optional(mode),
            Value::count(pool.clients_linked),
            Value::count(pool.clients_pinned),
            Value::flag(pool.paused),
            Value::optional(pool.last_error.as_deref()),
        ]
    });
    pools.collect()
}

/// A pool mode as the settings spell it.
pub(super) const fn word(mode: PoolMode) -> &'static str {
    match mode {
        PoolMode::Transaction => "transaction",
        PoolMode::Session => "session",
        PoolMode::Statement => "statement",
    }
}
