//! What is counted, and logged, when a server has answered everything it was asked.

use trunkline_session::TxStatus;

use super::{
    local::LocalPool,
    slot::{Client, Server},
    worker::Times,
};

/// Counts the statement of `client` that `server` has just answered, and its transaction if that is over.
#[inline]
pub(super) fn count_answer(
    client: &mut Client,
    server: &Server,
    pool: &mut LocalPool,
    now: u64,
    times: &Times,
) {
    if client.query_since != 0 {
        let took = now.saturating_sub(client.query_since);
        pool.stats.queries = pool.stats.queries.wrapping_add(1);
        pool.stats.query_us = pool.stats.query_us.wrapping_add(took);
        if took >= times.slow_statement {
            log_slow_statement(client, server, pool, took);
        }
        client.query_since = if server.session.is_busy() { now } else { 0 };
        client.cancelled_at = 0;
    }
    if client.transaction_since != 0 && server.session.status() == TxStatus::Idle {
        let took = now.saturating_sub(client.transaction_since);
        pool.stats.transactions = pool.stats.transactions.wrapping_add(1);
        pool.stats.transaction_us = pool.stats.transaction_us.wrapping_add(took);
        client.transaction_since = client.query_since;
    }
}

#[cold]
fn log_slow_statement(client: &Client, server: &Server, pool: &LocalPool, took: u64) {
    tracing::info!(
        client = %client.rare.peer, user = %pool.family.user,
        database = %pool.family.database, server_pid = server.about.pid,
        "statement took {}.{:03} ms", took / 1000, took % 1000
    );
}
