//! Statements that fail, whatever the session has.

use super::{Rule, When, mistake};
use crate::script::Words;

pub const RULES: &[Rule] = &[
    mistake("syntax error", 35, When::Always, |draft| {
        Words::query(draft.dice.pick(&[
            "SELEC 1",
            "SELECT 1 +",
            "SELECT 'open",
            "COMMIT NOW PLEASE",
        ]))
    }),
    mistake("unknown table", 32, When::Always, |draft| {
        Words::query(draft.dice.pick(&[
            "SELECT * FROM nowhere",
            "DROP TABLE nowhere",
            "INSERT INTO nowhere VALUES (1)",
        ]))
    }),
    mistake("division by zero", 32, When::Always, |_| Words::query("SELECT 1/0")),
    mistake("mistake by messages", 55, When::Always, |draft| {
        let sql = draft.dice.pick(&[
            "SELECT 1/0",
            "SELEC 1",
            "SELECT * FROM nowhere",
            "SELECT no_such(1)",
        ]);
        Words::extended(sql, &[])
    }),
    mistake("unknown function", 15, When::Always, |_| Words::query("SELECT no_such_function(1)")),
    mistake("wrong value", 20, When::Always, |draft| {
        Words::query(draft.dice.pick(&[
            "SELECT 'x'::int",
            "SELECT '2024-13-01'::date",
            "SELECT 300::\"char\"::int::smallint + 'a'",
        ]))
    }),
    mistake("mistake among several", 21, When::Always, |draft| {
        let wrong = draft.dice.pick(&["SELECT 1/0", "SELECT * FROM nowhere"]);
        Words::queries(&["SELECT 1", wrong, "SELECT 2"])
    }),
    mistake("raised", 10, When::Always, |_| Words::query("SELECT no_such_column FROM place")),
    mistake("not allowed", 10, When::Always, |draft| {
        Words::query(draft.dice.pick(&[
            "SELECT * FROM pg_authid",
            "CREATE ROLE somebody",
            "ALTER SYSTEM SET work_mem = 1",
        ]))
    }),
    mistake("not in a block", 7, When::InBlock, |_| Words::query("VACUUM")),
];
