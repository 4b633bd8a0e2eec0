//! Several statements in one simple query, which are one transaction unless they say otherwise.
//!
//! Known limit: names of prepared statements in a text are not looked for behind what ends a failed transaction, nor if
//! it mentions COPY, so none are used here.

use super::{Rule, When, reads, rule, settings, tables};
use crate::draft::Draft;
use crate::script::Words;

pub const RULES: &[Rule] = &[
    rule("several in one", 22, When::Always, |draft| {
        let shown = reads::settings(draft);
        draft.then(&reads::SETTINGS, shown);
        let all: Vec<String> = (0..2 + draft.dice.below(4)).map(|_| piece(draft)).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        Words::queries(&all)
    }),
    rule("changes and rollback in one", 5, When::Idle, |draft| {
        let (one, other) = (settings::set(draft), settings::set(draft));
        Words::queries(&["BEGIN", &one, "SAVEPOINT one", &other, "ROLLBACK TO one", "COMMIT"])
    }),
];

fn piece(draft: &mut Draft) -> String {
    match draft.dice.below(17) {
        0..=3 => settings::set(draft),
        4 => settings::reset(draft),
        5 => "BEGIN".to_owned(),
        6 => "COMMIT".to_owned(),
        7 => "ROLLBACK".to_owned(),
        8 => "SAVEPOINT one".to_owned(),
        9 => "ROLLBACK TO one".to_owned(),
        10 => "SELECT 1/0".to_owned(),
        11 => "SET ROLE friend".to_owned(),
        12 => "RESET ALL".to_owned(),
        13 => format!("INSERT INTO {} VALUES (3, 'among others')", tables::table(draft)),
        14 => format!("SET app.tenant TO 'one of several {}'", draft.slot),
        _ => "SELECT pg_backend_pid() AS server, current_setting('work_mem')".to_owned(),
    }
}
