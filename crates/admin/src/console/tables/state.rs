//! `SHOW STATE`: whether clients are served. PgBouncer has it from 1.19 on with the first three rows.

use super::time;
use crate::{
    console::table::{Column, Row, Value},
    snapshot::Snapshot,
};

pub(super) const COLUMNS: &[Column] = &[Column::text("key"), Column::text("value")];

pub(super) fn rows(snapshot: &Snapshot) -> Vec<Row> {
    let databases = snapshot.databases();
    let paused = !databases.is_empty() && databases.is_subset(&snapshot.paused);
    let word = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let uptime = snapshot.now.duration_since(snapshot.started).unwrap_or_default();
    let (held, statements) = (snapshot.held(), snapshot.statements);
    let values = [
        ("active", word(!paused)),
        ("paused", word(paused)),
        // There is no SUSPEND.
        ("suspended", word(false)),
        ("readiness", snapshot.readiness.as_str().to_owned()),
        ("started", time::utc(snapshot.started)),
        ("uptime_seconds", uptime.as_secs().to_string()),
        ("clients", snapshot.clients_taken.to_string()),
        ("max_clients", snapshot.clients_limit.to_string()),
        ("loops", snapshot.loops.len().to_string()),
        ("panics", snapshot.panics().to_string()),
        ("held_bytes", held.now.to_string()),
        ("held_limit_bytes", held.limit.to_string()),
        ("held_refused", held.refused.to_string()),
        ("statements", statements.count.to_string()),
        ("statement_bytes", statements.bytes.to_string()),
        ("statement_limit_bytes", statements.limit.to_string()),
        ("statements_refused", statements.refused.to_string()),
    ];
    values.into_iter().map(|(key, value)| vec![Value::text(key), Value::text(value)]).collect()
}
