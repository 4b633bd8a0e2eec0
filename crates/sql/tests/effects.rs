//! Statements and what they do, as text: every file in `tests/effects` holds cases of this form, apart by empty lines.
//!
//! ```text
//! # What is to be seen, and the rules if they are not the usual: `# rules: backslash`.
//! SET a TO 1; SELECT 1
//! ----
//! SET set a = [1]
//! SELECT
//! ```
//!
//! Below the dashes stands one line for each statement: its keyword, then its effects, apart by ` | `. Each case is
//! scanned whole, and in pieces of every size up to its length.

mod render;

use trunkline_sql::{Rules, Scan, Scanner, scan};

struct Case {
    line: usize,
    rules: Rules,
    text: String,
    expected: String,
}

#[test]
fn statements_do_what_the_files_say() {
    let files: &[(&str, &str)] = &[
        ("transactions", include_str!("effects/transactions.sql")),
        ("settings", include_str!("effects/settings.sql")),
        ("set_config", include_str!("effects/set_config.sql")),
        ("prepared", include_str!("effects/prepared.sql")),
        ("staying", include_str!("effects/staying.sql")),
        ("functions", include_str!("effects/functions.sql")),
        ("lexical", include_str!("effects/lexical.sql")),
        ("splitting", include_str!("effects/splitting.sql")),
        ("drivers", include_str!("effects/drivers.sql")),
        ("tools", include_str!("effects/tools.sql")),
    ];
    let mut failures = Vec::new();
    let mut count = 0;
    for (name, file) in files {
        for case in parse(file) {
            count += 1;
            check(name, &case, &mut failures);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(count >= 600, "only {count} cases");
}

fn check(file: &str, case: &Case, failures: &mut Vec<String>) {
    let whole = scan(case.text.as_bytes(), case.rules);
    let found = render::scan(&case.text, &whole);
    if found != case.expected {
        let (line, text, expected) = (case.line, &case.text, &case.expected);
        failures.push(format!(
            "{file}.sql:{line}\n{text}\n---- expected\n{expected}\n---- found\n{found}\n"
        ));
    }
    for size in 1..=case.text.len() {
        let pieces = in_pieces(&case.text, case.rules, size);
        assert_eq!(pieces, whole, "{file}.sql:{} in pieces of {size} bytes", case.line);
    }
}

fn in_pieces(text: &str, rules: Rules, size: usize) -> Scan {
    let mut scanner = Scanner::new(rules);
    text.as_bytes().chunks(size).for_each(|piece| scanner.feed(piece));
    scanner.finish()
}

fn parse(file: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut lines = file.lines().enumerate().peekable();
    while lines.peek().is_some() {
        let mut rules = Rules::default();
        let mut text = Vec::new();
        let mut start = 0;
        for (number, line) in lines.by_ref() {
            if let (true, Some(note)) = (text.is_empty(), line.strip_prefix('#')) {
                rules.standard_conforming_strings &= !note.contains("rules: backslash");
                rules.ascii_in_characters |= note.contains("rules: two-byte");
            } else if line == "----" {
                break;
            } else if !(text.is_empty() && line.is_empty()) {
                if text.is_empty() {
                    start = number + 1;
                }
                text.push(line);
            }
        }
        let expected: Vec<_> =
            lines.by_ref().map(|(_, line)| line).take_while(|line| !line.is_empty()).collect();
        if !text.is_empty() {
            cases.push(Case {
                line: start,
                rules,
                text: text.join("\n"),
                expected: expected.join("\n"),
            });
        }
    }
    cases
}
