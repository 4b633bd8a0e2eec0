//! Prepared statements of SQL, in one space of names with those of the protocol.

use super::statements::name;
use super::{Rule, When, mistake, rule};
use crate::draft::Draft;
use crate::script::Words;

pub const RULES: &[Rule] = &[
    rule("prepare", 26, When::Always, |draft| {
        let (name, slot) = (either(draft), draft.slot);
        draft.then(&EXECUTE, Words::query(format!("EXECUTE {name}(1)")));
        draft.then(&BIND, Words::default().run_named(name, &[Some("5")]).sync());
        let text = match draft.dice.below(4) {
            0 => format!("SELECT $1 + {slot} AS sum"),
            1 if !draft.makes_tables => {
                "SELECT '2024-07-01 12:00'::timestamptz::text AS moment, $1".to_owned()
            }
            2 => "SELECT place, $1 FROM place".to_owned(),
            _ => format!("SELECT pg_backend_pid() AS server, $1 * {slot} AS product"),
        };
        Words::query(format!("PREPARE {name} (int) AS {text}"))
    }),
    rule("prepare and execute in one", 6, When::Always, |draft| {
        let (name, slot) = (either(draft), draft.slot);
        let prepare = format!("PREPARE {name} (int) AS SELECT {slot} AS slot, $1");
        Words::queries(&[&prepare, &format!("EXECUTE {name}(6)")])
    }),
    EXECUTE,
    rule("execute by messages", 5, When::Always, |draft| {
        let name = either(draft);
        Words::extended(format!("EXECUTE {name}(3)"), &[])
    }),
    BIND,
    rule("explain execute", 4, When::Always, |draft| {
        let name = either(draft);
        Words::query(format!("EXPLAIN (COSTS OFF, VERBOSE) EXECUTE {name}(1)"))
    }),
    rule("deallocate", 6, When::Always, |draft| {
        let name = either(draft);
        Words::query(format!("DEALLOCATE {name}"))
    }),
    rule("deallocate all", 3, When::Always, |_| Words::query("DEALLOCATE ALL")),
    mistake("wrong prepare", 4, When::Always, |draft| {
        let name = either(draft);
        Words::query(format!("PREPARE {name} AS SELECT * FROM nowhere"))
    }),
];

const EXECUTE: Rule = rule("execute", 10, When::Always, |draft| {
    let name = either(draft);
    let values = draft.dice.pick(&["", "(1)", "(2)", "('x')"]);
    Words::query(format!("EXECUTE {name}{values}"))
});

const BIND: Rule = rule("bind of what SQL has prepared", 3, When::Always, |draft| {
    let name = either(draft);
    Words::default().run_named(name, &[Some("5")]).sync()
});

/// A name of its own, or one of those that are mostly prepared by messages.
fn either(draft: &mut Draft) -> &'static str {
    if draft.dice.percent(40) { "q" } else { name(draft) }
}
