//! Several messages before the client waits, with errors among them.
//!
//! Known limit: names in SQL texts (`EXECUTE`, `DEALLOCATE`) are not looked for behind messages without a Sync.

use super::statements::{name, text};
use super::{Rule, When, rule, settings, tables};
use crate::draft::Draft;
use crate::script::Words;

pub const RULES: &[Rule] = &[
    rule("pipeline", 22, When::Always, |draft| pieces(Words::default(), draft).sync()),
    rule("two pipelines at once", 8, When::Always, |draft| {
        let first = pieces(Words::default(), draft).sync();
        pieces(first, draft).sync()
    }),
    rule("pipeline and query at once", 6, When::Always, |draft| {
        let first = pieces(Words::default(), draft).sync();
        first.and_query("SELECT pg_backend_pid() AS server, current_setting('work_mem')", 1)
    }),
    rule("queries at once", 6, When::Always, |draft| {
        let middle = draft.dice.pick(&["SELECT 1/0", "SELECT 2", "SET DateStyle TO German"]);
        let words = Words::query("SELECT 1").and_query(middle, 1);
        words.and_query("SELECT pg_backend_pid() AS server, '04/05/2024'::date", 1)
    }),
    rule("transaction at once", 6, When::Idle, |draft| {
        let words = Words::default().run("BEGIN", &[]);
        let words = pieces(words.sync(), draft).sync();
        words.and_query(*draft.dice.pick(&[&"COMMIT", &"ROLLBACK"]), 1)
    }),
];

/// Some of what is sent in pipelines.
fn pieces(mut words: Words, draft: &mut Draft) -> Words {
    for _ in 0..2 + draft.dice.below(3) {
        words = piece(words, draft);
    }
    words
}

fn piece(words: Words, draft: &mut Draft) -> Words {
    let slot = draft.slot;
    match draft.dice.below(17) {
        0 | 1 => words.run("SELECT pg_backend_pid() AS server, $1::int AS one", &[Some("1")]),
        2 => words.run(format!("SET work_mem = '{}kB'", 4_000 + slot), &[]),
        3 => words.run("SET TimeZone = 'Asia/Tokyo'", &[]),
        4 => words.run("SHOW work_mem", &[]),
        5 => {
            let (name, text) = (name(draft), text(draft));
            words.parse(name, text, &[]).run_named(name, &[Some("5")])
        }
        6 => {
            let name = name(draft);
            words.run_named(name, &[Some("4")])
        }
        7 => {
            let name = name(draft);
            words.close_statement(name)
        }
        8 => {
            let (name, text) = (name(draft), text(draft));
            words.close_statement(name).parse(name, text, &[])
        }
        9 => words.run("SELECT 1/0", &[]),
        10 => words.run("SELECT * FROM nowhere", &[]),
        11 => words.run("SELECT '2024-07-01 12:00'::timestamptz::text", &[]).flush(),
        12 => {
            let sql = format!("INSERT INTO {} VALUES ($1, 'piped')", tables::table(draft));
            words.run(sql, &[Some("2")])
        }
        13 => words.run(*draft.dice.pick(&[&"SAVEPOINT one", &"ROLLBACK TO one", &"COMMIT"]), &[]),
        14 => {
            let set = settings::set(draft);
            words.run(set, &[])
        }
        15 => {
            words.run(*draft.dice.pick(&[&"RESET ALL", &"RESET TimeZone", &"SET ROLE friend"]), &[])
        }
        _ => {
            let name = name(draft);
            words.describe_statement(name)
        }
    }
}
