//! Questions to which the answer shows what the session has, and what it should not have.

use super::{Rule, When, rule};
use crate::draft::Draft;
use crate::script::Words;

pub const RULES: &[Rule] = &[
    SETTINGS,
    rule("show", 12, When::Always, |draft| {
        let name = draft.dice.pick(&[
            "TimeZone",
            "DateStyle",
            "IntervalStyle",
            "search_path",
            "work_mem",
            "statement_timeout",
            "application_name",
            "default_transaction_isolation",
            "transaction_isolation",
            "role",
            "session_authorization",
        ]);
        Words::query(format!("SHOW {name}"))
    }),
    TENANT,
    rule("constants", 16, When::Always, |draft| read(draft, CONSTANTS)),
    rule("who and where", 12, When::Always, |draft| read(draft, WHO)),
    rule("place by search_path", 8, When::Always, |draft| {
        read(draft, "SELECT pg_backend_pid() AS server, place FROM place")
    }),
    rule("what is left behind", 14, When::Always, |draft| read(draft, LEFT)),
    rule("a string with a backslash", 3, When::Always, |draft| {
        read(draft, r"SELECT pg_backend_pid() AS server, 'a\\b' AS string")
    }),
];

pub const SETTINGS: Rule = rule("settings", 12, When::Always, settings);

pub const TENANT: Rule = rule("placeholder read", 10, When::Always, tenant);

/// Asks for the placeholder that scripts set.
pub fn tenant(draft: &mut Draft) -> Words {
    read(draft, OF_TENANT)
}

/// Asks for all that scripts set.
pub fn settings(draft: &mut Draft) -> Words {
    read(draft, ALL_SETTINGS)
}

fn read(draft: &mut Draft, sql: &str) -> Words {
    if draft.dice.percent(60) { Words::query(sql) } else { Words::extended(sql, &[]) }
}

const ALL_SETTINGS: &str = "SELECT pg_backend_pid() AS server, name, setting FROM pg_settings WHERE name IN \
    ('TimeZone', 'DateStyle', 'IntervalStyle', 'search_path', 'work_mem', 'statement_timeout', 'lock_timeout', \
    'application_name', 'extra_float_digits', 'bytea_output', 'default_transaction_isolation', \
    'default_transaction_deferrable', 'standard_conforming_strings') ORDER BY name";

/// A server remembers that it has known a placeholder, and then says '' instead of nothing.
const OF_TENANT: &str =
    "SELECT pg_backend_pid() AS server, nullif(current_setting('app.tenant', true), '') AS tenant";

const CONSTANTS: &str = "SELECT pg_backend_pid() AS server, '2024-07-01 12:00+00'::timestamptz, \
    '2024-07-01 12:00'::timestamptz, '04/05/2024'::date, '1 day 2 hours'::interval, 1.1::float8 / 3, '\\xdead'::bytea";

const WHO: &str =
    "SELECT pg_backend_pid() AS server, current_user, session_user, current_schemas(false)";

const LEFT: &str = "SELECT pg_backend_pid() AS server, \
    (SELECT count(*) FROM pg_catalog.pg_locks l WHERE locktype = 'advisory' AND l.pid = pg_backend_pid()) AS locks, \
    (SELECT count(*) FROM pg_catalog.pg_class WHERE relnamespace = pg_my_temp_schema()) AS tables, \
    (SELECT count(*) FROM pg_catalog.pg_cursors WHERE is_holdable) AS cursors";
