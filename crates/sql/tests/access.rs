//! Texts and what they read, write and call, as text: every file in `tests/access` holds cases of this form, apart by
//! empty lines.
//!
//! ```text
//! # What is to be seen.
//! SELECT count(*) FROM a.t
//! => read
//! relations: a.t
//! calls: count/0
//! ```
//!
//! Behind `=>` stands the class, then `depends` if a constant matters, and the hint if there is one. The lines of
//! relations and calls are left out if there are none.

use trunkline_sql::access::{Access, Call, Hint, Relation, access};
use trunkline_sql::{Name, Rules};

#[test]
fn texts_are_what_the_files_say() {
    let files = [
        ("queries", include_str!("access/queries.txt")),
        ("names", include_str!("access/names.txt")),
        ("classes", include_str!("access/classes.txt")),
        ("lexical", include_str!("access/lexical.txt")),
        ("drivers", include_str!("access/drivers.txt")),
    ];
    let mut failures = Vec::new();
    let mut count = 0;
    for (file, cases) in files {
        for case in cases.split("\n\n") {
            let Some((text, expected)) = case.split_once("\n=> ") else {
                assert!(case.trim().is_empty(), "{file}: no `=>` in {case}");
                continue;
            };
            count += 1;
            let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("# ")).collect();
            let text = lines.join("\n");
            let found = shown(&access(text.as_bytes(), Rules::default()));
            if found != expected.trim_end() {
                failures
                    .push(format!("{file}: {text}\n-- expected\n{expected}\n-- found\n{found}\n"));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count}\n{}", failures.len(), failures.join("\n"));
    assert!(count >= 200, "only {count} cases");
}

fn shown(access: &Access) -> String {
    let mut shown = access.class.word().to_owned();
    if access.depends_on_literal {
        shown.push_str(" depends");
    }
    match &access.hint {
        Some(Hint::Primary) => shown.push_str(" primary"),
        Some(Hint::Standby) => shown.push_str(" standby"),
        Some(Hint::Unknown(word)) => shown.extend([" unknown:", word]),
        None => {}
    }
    let mut list = |title: &str, names: Vec<String>| {
        if !names.is_empty() {
            shown.extend(["\n", title, ": ", &names.join(", ")]);
        }
    };
    list("relations", access.relations.iter().map(relation).collect());
    list("calls", access.calls.iter().map(call).collect());
    shown
}

fn relation(relation: &Relation) -> String {
    format!("{}{}", before(relation.database.as_ref(), relation.schema.as_ref()), relation.name)
}

fn call(call: &Call) -> String {
    let literal = call.literal.as_ref().map(|literal| format!(" '{literal}'"));
    format!(
        "{}{}/{}{}{}{}",
        before(call.database.as_ref(), call.schema.as_ref()),
        call.name,
        call.arguments,
        if call.named { " named" } else { "" },
        if call.variadic { " variadic" } else { "" },
        literal.unwrap_or_default(),
    )
}

fn before(database: Option<&Name>, schema: Option<&Name>) -> String {
    database.into_iter().chain(schema).flat_map(|name| [name.to_string(), ".".to_owned()]).collect()
}
