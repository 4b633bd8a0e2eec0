//! Advisory locks. Each client has its own, so that none ever waits.

use super::{Rule, When, pinning, rule};
use crate::draft::Draft;
use crate::script::Words;

pub const RULES: &[Rule] = &[
    pinning("lock of the session", 20, When::Always, |draft| {
        let (key, kind) = (key(draft), draft.dice.pick(&["", "_shared"]));
        let attempt = draft.dice.pick(&["", "try_"]);
        draft.then(&SHOWN, Words::query(LOCKS));
        draft.then(&UNLOCK, Words::query(format!("SELECT pg_advisory_unlock{kind}({key})")));
        Words::query(format!("SELECT pg_{attempt}advisory_lock{kind}({key})"))
    }),
    rule("lock of the transaction", 10, When::Always, |draft| {
        let (key, attempt) = (key(draft), draft.dice.pick(&["", "try_"]));
        Words::query(format!("SELECT pg_{attempt}advisory_xact_lock({key})"))
    }),
    UNLOCK,
    rule("unlock all", 3, When::Always, |_| Words::query("SELECT pg_advisory_unlock_all()")),
    SHOWN,
];

const SHOWN: Rule = rule("locks", 8, When::Always, |_| Words::query(LOCKS));

const UNLOCK: Rule = rule("unlock", 5, When::Always, |draft| {
    let (key, kind) = (key(draft), draft.dice.pick(&["", "_shared"]));
    Words::query(format!("SELECT pg_advisory_unlock{kind}({key})"))
});

/// One of the client's two locks.
fn key(draft: &mut Draft) -> String {
    format!("{}, {}", draft.slot, draft.dice.below(2))
}

const LOCKS: &str = "SELECT pg_backend_pid() AS server, l.classid, l.objid, l.mode FROM pg_catalog.pg_locks l \
    WHERE locktype = 'advisory' AND l.pid = pg_backend_pid() ORDER BY 2, 3, 4";
