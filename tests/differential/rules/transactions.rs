//! Transactions and savepoints.

use super::{Rule, When, reads, rule, settings};
use crate::draft::Draft;
use crate::script::Words;

pub const RULES: &[Rule] = &[
    rule("begin", 60, When::Idle, begin),
    rule("begin by messages", 8, When::Idle, begin_by_messages),
    rule("begin again", 3, When::Open, begin),
    rule("commit", 10, When::Open, |_| Words::query("COMMIT")),
    rule("commit by messages", 4, When::InBlock, |_| Words::extended("COMMIT", &[])),
    rule("commit of nothing", 3, When::Idle, |draft| {
        Words::query(draft.dice.pick(&["COMMIT", "ROLLBACK", "END"]))
    }),
    rule("rollback", 5, When::InBlock, |_| Words::query("ROLLBACK")),
    rule("chain", 4, When::InBlock, |draft| {
        Words::query(draft.dice.pick(&["COMMIT AND CHAIN", "ROLLBACK AND CHAIN"]))
    }),
    rule("savepoint", 24, When::Open, |draft| {
        let name = savepoint(draft);
        let set = settings::set(draft);
        draft.then(&SET, Words::query(set));
        let back = draft.dice.pick(&["ROLLBACK TO", "ROLLBACK TO", "RELEASE"]);
        let rule = if back == "RELEASE" { &RELEASE } else { &BACK };
        draft.then(rule, Words::query(format!("{back} {name}")));
        let shown = reads::settings(draft);
        draft.then(&reads::SETTINGS, shown);
        Words::query(format!("SAVEPOINT {name}"))
    }),
    SET,
    BACK,
    RELEASE,
    rule("whole transaction in one", 8, When::Idle, whole),
    rule("end and begin in one", 4, When::InBlock, |_| Words::queries(&["COMMIT", "BEGIN"])),
    rule("isolation", 4, When::InBlock, |draft| {
        let level = draft.dice.pick(&["REPEATABLE READ", "SERIALIZABLE", "READ COMMITTED"]);
        Words::query(format!("SET TRANSACTION ISOLATION LEVEL {level}"))
    }),
];

pub const END: Rule = rule("end", 0, When::InBlock, |draft| {
    Words::query(draft.dice.pick(&["COMMIT", "ROLLBACK", "END", "ABORT"]))
});

const SET: Rule =
    rule("set behind a savepoint", 3, When::InBlock, |draft| Words::query(settings::set(draft)));

const BACK: Rule = rule("rollback to", 5, When::InBlock, |draft| {
    let name = savepoint(draft);
    Words::query(format!("ROLLBACK TO {name}"))
});

const RELEASE: Rule = rule("release", 6, When::InBlock, |draft| {
    Words::query(format!("RELEASE {}", savepoint(draft)))
});

fn savepoint(draft: &mut Draft) -> &'static str {
    draft.dice.pick(&["one", "two"])
}

fn begin(draft: &mut Draft) -> Words {
    Words::query(draft.dice.pick(&[
        "BEGIN",
        "BEGIN",
        "START TRANSACTION",
        "BEGIN ISOLATION LEVEL REPEATABLE READ",
        "BEGIN READ ONLY",
    ]))
}

fn begin_by_messages(_draft: &mut Draft) -> Words {
    Words::extended("BEGIN", &[])
}

fn whole(draft: &mut Draft) -> Words {
    let (slot, end) = (draft.slot, draft.dice.pick(&["COMMIT", "ROLLBACK"]));
    let memory = format!("SET work_mem = '{}kB'", 2_000 + slot);
    let read = "SELECT pg_backend_pid() AS server, current_setting('work_mem')";
    Words::queries(&["BEGIN", &memory, read, end])
}
