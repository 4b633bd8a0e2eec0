//! Cursors, in their transaction and beyond it.

use super::{Rule, When, pinning, rule};
use crate::script::Words;

pub const RULES: &[Rule] = &[
    rule("declare", 4, When::Always, |draft| {
        let slot = draft.slot;
        draft.then(&FETCH, Words::query("FETCH c"));
        let sql = format!("SELECT n, {slot} AS slot FROM generate_series(1, 6) AS n");
        Words::query(format!("DECLARE c CURSOR FOR {sql}"))
    }),
    rule("declare in a block", 10, When::Open, |draft| {
        draft.then(&FETCH, Words::query("FETCH 2 FROM c"));
        draft.then(&FETCH, Words::extended("FETCH 1 FROM c", &[]));
        Words::query("DECLARE c CURSOR FOR SELECT n FROM generate_series(1, 6) AS n")
    }),
    FETCH,
    rule("close of a cursor", 5, When::Always, |draft| {
        Words::query(draft.dice.pick(&["CLOSE c", "CLOSE h", "CLOSE ALL"]))
    }),
    pinning("declare with hold", 22, When::Always, |draft| {
        let slot = draft.slot;
        draft.then(&FETCH_HELD, Words::query("FETCH 2 FROM h"));
        draft.then(&FETCH_HELD, Words::query("FETCH h"));
        let sql = format!("SELECT n, {slot} AS slot FROM generate_series(1, 6) AS n");
        Words::query(format!("DECLARE h CURSOR WITH HOLD FOR {sql}"))
    }),
    FETCH_HELD,
];

const FETCH: Rule = rule("fetch", 5, When::Always, |draft| {
    Words::query(draft.dice.pick(&["FETCH c", "MOVE 1 FROM c", "FETCH ALL FROM c"]))
});

const FETCH_HELD: Rule = rule("fetch of the held one", 5, When::Always, |draft| {
    Words::query(draft.dice.pick(&["FETCH h", "FETCH 2 FROM h"]))
});
