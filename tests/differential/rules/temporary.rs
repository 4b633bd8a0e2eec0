//! Temporary tables.

use super::{Rule, When, pinning, rule};
use crate::script::Words;

pub const RULES: &[Rule] = &[
    pinning(KEPT, 40, When::Always, |draft| {
        let slot = draft.slot;
        draft.then(&INSERT, Words::query(format!("INSERT INTO scratch VALUES (7, 'of {slot}')")));
        draft.then(&SELECT, Words::query("SELECT * FROM scratch ORDER BY id"));
        Words::query(draft.dice.pick(&[
            "CREATE TEMP TABLE scratch (id int PRIMARY KEY, note text)",
            "CREATE TEMPORARY TABLE scratch (id int PRIMARY KEY, note text) ON COMMIT DELETE ROWS",
            &format!("CREATE TEMP TABLE scratch AS SELECT {slot} AS id, 'made'::text AS note"),
            &format!("SELECT {slot} AS id, 'selected'::text AS note INTO TEMP scratch"),
        ]))
    }),
    rule(BRIEF, 24, When::Open, |draft| {
        draft.then(&INSERT, Words::query("INSERT INTO brief VALUES (1), (2)"));
        draft.then(&SELECT, Words::query("SELECT count(*) FROM brief"));
        Words::query("CREATE TEMP TABLE brief (id int) ON COMMIT DROP")
    }),
    INSERT,
    SELECT,
    rule("drop of the temporary table", 5, When::Always, |draft| {
        Words::query(draft.dice.pick(&[
            "DROP TABLE scratch",
            "DROP TABLE IF EXISTS scratch",
            "DISCARD TEMP",
        ]))
    }),
];

const KEPT: &str = "temporary table";
const BRIEF: &str = "temporary table until commit";

/// Whether a rule makes a temporary table.
pub fn makes(rule: &Rule) -> bool {
    matches!(rule.name, KEPT | BRIEF)
}

const INSERT: Rule = rule("insert into the temporary table", 5, When::Always, |draft| {
    let (slot, id) = (draft.slot, draft.dice.below(4));
    Words::query(format!("INSERT INTO scratch VALUES ({id}, 'of {slot}')"))
});

const SELECT: Rule = rule("select from the temporary table", 6, When::Always, |draft| {
    let table = draft.dice.pick(&["scratch", "scratch", "brief"]);
    Words::query(format!("SELECT * FROM {table} ORDER BY id"))
});
