//! Settings: of the session, of the transaction, placeholders, roles.

use super::{Rule, When, mistake, reads, rule};
use crate::draft::Draft;
use crate::script::Words;

pub const RULES: &[Rule] = &[
    rule("set", 30, When::Always, |draft| {
        let (name, value) = setting(draft);
        let verb = draft.dice.pick(&["SET", "SET", "SET SESSION"]);
        let shown = reads::settings(draft);
        draft.then(&reads::SETTINGS, shown);
        Words::query(format!("{verb} {name} TO {value}"))
    }),
    rule("set by messages", 10, When::Always, |draft| {
        let (name, value) = setting(draft);
        Words::extended(format!("SET {name} TO {value}"), &[])
    }),
    rule("set local", 12, When::Always, |draft| {
        let (name, value) = setting(draft);
        Words::query(format!("SET LOCAL {name} TO {value}"))
    }),
    rule("set and read in one", 5, When::Always, |draft| {
        let (name, value) = setting(draft);
        Words::queries(&[&format!("SET {name} TO {value}"), &format!("SHOW {name}")])
    }),
    rule("set and fail in one", 5, When::Always, |draft| {
        let (name, value) = setting(draft);
        Words::queries(&[&format!("SET {name} TO {value}"), "SELECT 1/0"])
    }),
    rule("reset", 14, When::Always, |draft| {
        let name = setting(draft).0;
        Words::query(format!("RESET {name}"))
    }),
    rule("set to default", 4, When::Always, |draft| {
        let name = setting(draft).0;
        Words::query(format!("SET {name} TO DEFAULT"))
    }),
    rule("reset all", 4, When::Always, |_| Words::query("RESET ALL")),
    rule("discard all", 4, When::Always, |_| Words::query("DISCARD ALL")),
    // Known limit: it has all statements analysed anew, under the settings of that moment.
    rule("discard plans", 3, When::Always, |_| {
        Words::queries(&["DISCARD PLANS", "DEALLOCATE ALL"])
    }),
    rule("set_config", 8, When::Always, |draft| {
        let (name, value) = setting(draft);
        let value = value.trim_matches('\'').to_owned();
        let local = draft.dice.pick(&["false", "false", "true"]);
        Words::query(format!("SELECT set_config('{name}', '{value}', {local})"))
    }),
    rule("set_config with a parameter", 6, When::Always, |draft| {
        let (name, value) = setting(draft);
        let value = value.trim_matches('\'').to_owned();
        Words::extended(format!("SELECT set_config('{name}', $1, false)"), &[Some(&value)])
    }),
    rule("set role", 8, When::Always, |draft| {
        Words::query(draft.dice.pick(&[
            "SET ROLE friend",
            "SET ROLE friend",
            "SET LOCAL ROLE friend",
            "SET ROLE NONE",
            "RESET ROLE",
            "SET SESSION AUTHORIZATION talker",
            "RESET SESSION AUTHORIZATION",
        ]))
    }),
    rule("session characteristics", 5, When::Always, |draft| {
        let mode = draft.dice.pick(&[
            "ISOLATION LEVEL SERIALIZABLE",
            "ISOLATION LEVEL REPEATABLE READ",
            "ISOLATION LEVEL READ COMMITTED",
            "READ WRITE",
            "DEFERRABLE",
        ]);
        Words::query(format!("SET SESSION CHARACTERISTICS AS TRANSACTION {mode}"))
    }),
    rule("placeholder", 8, When::Always, |draft| {
        let (slot, number) = (draft.slot, draft.dice.below(9));
        let verb = draft.dice.pick(&["SET", "SET", "SET LOCAL"]);
        Words::query(format!("{verb} app.tenant TO 'tenant {slot} {number}'"))
    }),
    rule("reset of a placeholder", 3, When::Always, |_| Words::query("RESET app.tenant")),
    mistake("wrong setting", 10, When::Always, |draft| {
        Words::query(draft.dice.pick(&[
            "SET nothing_like_it = 1",
            "SET work_mem = 'much'",
            "SET TimeZone = 'Mars/Olympus'",
            "SET DateStyle = 'ISO, nonsense'",
            "RESET nothing_like_it",
            "SET ROLE nobody",
            "SET SESSION AUTHORIZATION friend",
            "SET log_statement = 'all'",
            "SELECT set_config('work_mem', 'much', false)",
        ]))
    }),
];

/// Sets something, mostly of the session.
pub fn set(draft: &mut Draft) -> String {
    let (name, value) = setting(draft);
    let verb = draft.dice.pick(&["SET", "SET", "SET", "SET LOCAL"]);
    format!("{verb} {name} TO {value}")
}

/// Takes something back.
pub fn reset(draft: &mut Draft) -> String {
    let name = setting(draft).0;
    format!("RESET {name}")
}

/// A setting, and a value as it is written. Numbers tell the client.
fn setting(draft: &mut Draft) -> (&'static str, String) {
    let slot = draft.slot;
    let number = 1_000 + slot * 10 + draft.dice.below(10);
    let quoted = |value: &str| format!("'{value}'");
    match draft.dice.below(14) {
        0 | 1 => ("TimeZone", quoted(draft.dice.pick(&ZONES))),
        2 => {
            ("DateStyle", quoted(draft.dice.pick(&["ISO, DMY", "German", "SQL, MDY", "Postgres"])))
        }
        3 => ("IntervalStyle", draft.dice.pick(&["iso_8601", "sql_standard"]).to_owned()),
        4 | 5 => {
            ("search_path", draft.dice.pick(&["red, public", "blue, public", "blue"]).to_owned())
        }
        6 => ("extra_float_digits", draft.dice.pick(&["0", "-3", "2"]).to_owned()),
        7 => ("bytea_output", draft.dice.pick(&["escape", "hex"]).to_owned()),
        8 => ("statement_timeout", format!("{}", 600_000 + number)),
        9 => ("lock_timeout", format!("{}", 600_000 + number)),
        10 => ("application_name", format!("'client {number}'")),
        11 => ("standard_conforming_strings", draft.dice.pick(&["off", "on"]).to_owned()),
        _ => ("work_mem", format!("'{number}kB'")),
    }
}

const ZONES: [&str; 4] = ["Asia/Tokyo", "America/New_York", "Europe/Berlin", "UTC"];
