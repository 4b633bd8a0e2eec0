//! Statements that fail, whatever the session has.

use super::{Rule, When, rule};
use crate::script::Words;

pub const RULES: &[Rule] = &[
    rule("syntax error", 25, When::Always, |draft| {
        Words::query(draft.dice.pick(&[
            "SELEC 1",
            "SELECT 1 +",
            "SELECT 'open",
            "COMMIT NOW PLEASE",
        ]))
    }),
    rule("unknown table", 25, When::Always, |draft| {
        Words::query(draft.dice.pick(&[
            "SELECT * FROM nowhere",
            "DROP TABLE nowhere",
            "INSERT INTO nowhere VALUES (1)",
        ]))
    }),
    rule("division by zero", 25, When::Always, |_| Words::query("SELECT 1/0")),
    rule("mistake by messages", 37, When::Always, |draft| {
        let sql = draft.dice.pick(&[
            "SELECT 1/0",
            "SELEC 1",
            "SELECT * FROM nowhere",
            "SELECT no_such(1)",
        ]);
        Words::extended(sql, &[])
    }),
    rule("unknown function", 15, When::Always, |_| Words::query("SELECT no_such_function(1)")),
    rule("wrong value", 16, When::Always, |draft| {
        Words::query(draft.dice.pick(&[
            "SELECT 'x'::int",
            "SELECT '2024-13-01'::date",
            "SELECT 300::\"char\"::int::smallint + 'a'",
        ]))
    }),
    rule("mistake among several", 21, When::Always, |draft| {
        let wrong = draft.dice.pick(&["SELECT 1/0", "SELECT * FROM nowhere"]);
        Words::queries(&["SELECT 1", wrong, "SELECT 2"])
    }),
    rule("raised", 10, When::Always, |_| Words::query("SELECT no_such_column FROM place")),
    rule("not allowed", 10, When::Always, |draft| {
        Words::query(draft.dice.pick(&[
            "SELECT * FROM pg_authid",
            "CREATE ROLE somebody",
            "ALTER SYSTEM SET work_mem = 1",
        ]))
    }),
    rule("not in a block", 7, When::InBlock, |_| Words::query("VACUUM")),
];
