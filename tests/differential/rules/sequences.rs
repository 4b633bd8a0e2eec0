//! Sequences. The values of `nextval` are the database's, so each client has a sequence of its own; `lastval` is the
//! same call for all.
//!
//! Known limit: `currval` and `lastval` in a later transaction than `nextval` may be refused, until the first such call
//! has kept the session on its server. So they are called before any `nextval`, in the same transaction, and after that.

use super::{Rule, When, mistake, pinning, rule};
use crate::draft::{Draft, Sequence};
use crate::script::{Step, Words};
use crate::transcript::Answer;

pub const RULES: &[Rule] = &[
    rule("nextval", 5, When::Always, |draft| {
        let sequence = sequence(draft);
        Words::query(format!("SELECT nextval('{sequence}')"))
    }),
    pinning(READ, 14, When::Always, |draft| {
        let read = format!("SELECT currval('{}'), lastval()", sequence(draft));
        told(draft, &read)
    }),
    pinning(LAST, 8, When::Always, |draft| told(draft, "SELECT lastval()")),
    mistake("unknown sequence", 3, When::Always, |_| Words::query("SELECT nextval('no_sequence')")),
];

const READ: &str = "nextval and currval";
const LAST: &str = "nextval and lastval";

/// Reads the sequence, behind a `nextval` if it must be, or by chance.
fn told(draft: &mut Draft, read: &str) -> Words {
    let next = format!("SELECT nextval('{}')", sequence(draft));
    if draft.sequence == Sequence::Untold || draft.dice.percent(50) {
        Words::queries(&[&next, read])
    } else {
        Words::query(read)
    }
}

fn sequence(draft: &Draft) -> String {
    format!("public.ticket_{:02}", draft.slot)
}

/// Follows what is known of the session's sequence after a step.
pub fn learn(draft: &mut Draft, step: &Step, answer: &Answer) {
    if answer.errors > 0 {
        // DISCARD ALL and nextval change nothing when they fail, and what is in doubt is not read alone.
        return;
    }
    draft.sequence = match step.rule {
        "nextval" if draft.sequence != Sequence::Told => Sequence::Untold,
        READ | LAST => Sequence::Told,
        "discard all" => Sequence::Untouched,
        _ => draft.sequence,
    };
}
