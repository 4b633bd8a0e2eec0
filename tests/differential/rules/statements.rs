//! Prepared statements of the protocol. The names are few and the same for all clients, the texts differ.
//!
//! Known limit: a text that a server has accepted before is not parsed again, so no text here depends on what only some
//! clients have (temporary tables).
//!
//! Known limit: a statement that its server lacks cannot be prepared there in a failed transaction, which refuses it
//! before it is found that the values are too many, or that it has no columns. So all take one value, and there they get
//! one.

use super::{Rule, When, mistake, rule, tables};
use crate::draft::Draft;
use crate::script::Words;

pub const RULES: &[Rule] = &[
    rule("parse", 26, When::Always, |draft| {
        let (name, text) = (name(draft), text(draft));
        let later = run(name, draft);
        draft.then(&RUN, later);
        let later = run(name, draft);
        draft.then(&RUN, later);
        Words::default().parse(name, text, &[]).sync()
    }),
    rule("parse and run", 14, When::Always, |draft| {
        let (name, text) = (name(draft), text(draft));
        let later = run(name, draft);
        draft.then(&RUN, later);
        Words::default().parse(name, text, &[]).run_named(name, &[Some("3")]).sync()
    }),
    RUN,
    rule("describe", 6, When::Always, |draft| {
        let name = name(draft);
        Words::default().describe_statement(name).sync()
    }),
    rule("close", 7, When::Always, |draft| {
        let name = name(draft);
        Words::default().close_statement(name).sync()
    }),
    rule("close and parse again", 10, When::Always, |draft| {
        let (name, text) = (name(draft), text(draft));
        let later = run(name, draft);
        draft.then(&RUN, later);
        let words = Words::default().close_statement(name).parse(name, text, &[]);
        words.run_named(name, &[Some("3")]).sync()
    }),
    rule("run twice", 5, When::Always, |draft| {
        let name = name(draft);
        Words::default().run_named(name, &[Some("1")]).run_named(name, &[Some("2")]).sync()
    }),
    rule("unnamed prepared first", 6, When::Always, |draft| {
        let text = text(draft);
        let later = run("", draft);
        draft.then(&LATER, later);
        Words::default().parse("", text, &[]).sync()
    }),
    LATER,
    mistake("wrong text", 6, When::Always, |draft| {
        let name = name(draft);
        let sql = draft.dice.pick(&["SELEC $1", "SELECT * FROM nowhere", "SELECT $1::nothing"]);
        Words::default().parse(name, sql, &[]).sync()
    }),
    mistake("wrong number of values", 5, When::NotFailed, |draft| {
        let name = name(draft);
        Words::default().run_named(name, &[Some("1"), Some("2"), Some("3")]).sync()
    }),
    rule("portal by parts", 5, When::Always, |draft| {
        let sql = "SELECT pg_backend_pid() AS server, n FROM generate_series(1, 5) AS n";
        let rows = draft.dice.pick(&["2", "5", "9"]).parse().unwrap_or(1);
        let words = Words::default().parse("", sql, &[]).bind("part", "", &[]);
        words.describe_portal("part").execute("part", rows).execute("part", 0).sync()
    }),
    rule("portal over steps", 8, When::Open, |draft| {
        draft.then(&PORTAL, Words::default().execute("kept", 2).sync());
        draft.then(&PORTAL, Words::default().execute("kept", 0).close_portal("kept").sync());
        let sql = "SELECT n FROM generate_series(1, 5) AS n";
        Words::default().parse("", sql, &[]).bind("kept", "", &[]).execute("kept", 1).sync()
    }),
    PORTAL,
];

const RUN: Rule = rule("run", 16, When::Always, |draft| {
    let name = name(draft);
    run(name, draft)
});

const LATER: Rule = rule("unnamed run later", 3, When::Always, |draft| run("", draft));

const PORTAL: Rule =
    rule("known portal", 3, When::Always, |_| Words::default().execute("kept", 0).sync());

/// Runs a statement that was prepared before.
fn run(name: &str, draft: &mut Draft) -> Words {
    let number = draft.dice.below(8).to_string();
    let value = if draft.dice.percent(15) { "x" } else { &number };
    Words::default().run_named(name, &[Some(value)]).sync()
}

/// One of the names.
pub fn name(draft: &mut Draft) -> &'static str {
    draft.dice.pick(&["s1", "s2"])
}

/// One of the texts: the client's own, or one that others have too.
pub fn text(draft: &mut Draft) -> String {
    let slot = draft.slot;
    let table = tables::table(draft);
    match draft.dice.below(12) {
        0 | 1 => format!("SELECT $1::int + {slot} AS sum"),
        2 => "SELECT pg_backend_pid() AS server, $1::int * 2 AS product".to_owned(),
        3..=5 if !draft.makes_tables => CONSTANTS.to_owned(),
        6 => format!("SELECT count(*) FROM {table} WHERE id <= $1"),
        7 => format!("INSERT INTO {table} VALUES ($1, 'prepared') RETURNING id"),
        8 => "SELECT place, $1::int AS number FROM place".to_owned(),
        9 => "SELECT set_config('app.tenant', $1, false)".to_owned(),
        10 => "SELECT 10 / $1::int AS quotient".to_owned(),
        _ => "SELECT current_setting('TimeZone'), current_user, $1::int".to_owned(),
    }
}

/// PostgreSQL folds these in at Parse, by the settings of that moment.
const CONSTANTS: &str = "SELECT pg_backend_pid() AS server, '2024-07-01 12:00'::timestamptz AT TIME ZONE 'UTC', \
    '04/05/2024'::date::text, '1 day'::interval, $1::int";
