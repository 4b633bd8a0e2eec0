//! What a PostgreSQL newer than the tables brings along is judged by what it is declared as.

#[path = "common/rows.rs"]
mod rows;

use rows::{Made, function, mark, relation, snapshot, uses};
use trunkline_route::{Call, Named, Path, Reason, Snapshot, Unknown, Verdict, resolve};

fn function_reason(snapshot: &Snapshot, name: &str) -> Option<Reason> {
    let call = Call { function: Named { schema: None, name }, arguments: 1, literal: None };
    reason(resolve(snapshot, Path::Known(&[]), [call], []))
}

fn relation_reason(snapshot: &Snapshot, name: &str) -> Option<Reason> {
    reason(resolve(snapshot, Path::Known(&["public"]), [], [Named { schema: None, name }]))
}

fn reason(verdict: Verdict<'_>) -> Option<Reason> {
    match verdict {
        Verdict::Harmless => None,
        Verdict::Primary(cause) => Some(cause.step().reason),
    }
}

/// A function of `pg_catalog`, in C.
fn system(number: u32, name: &str, volatility: char) -> Made {
    function(number, "pg_catalog", name, &format!("{volatility} f 1 0 f f internal"), "")
}

#[test]
fn new_functions_are_unknown_unless_they_can_only_depend_on_catalogs() {
    let snapshot = snapshot(&[
        mark(),
        system(9_990, "future_sum", 'i'),
        system(9_991, "future_name", 's'),
        system(9_992, "pg_stat_get_future", 's'),
        system(9_993, "future_write", 'v'),
        // One more of a name that is known, and one of its numbers.
        system(9_994, "abs", 'v'),
        system(1_397, "abs", 'i'),
    ]);
    assert_eq!(function_reason(&snapshot, "future_sum"), None);
    assert_eq!(function_reason(&snapshot, "future_name"), None);
    assert_eq!(function_reason(&snapshot, "pg_stat_get_future"), Some(Reason::UnknownFunction));
    assert_eq!(function_reason(&snapshot, "future_write"), Some(Reason::UnknownFunction));
    assert_eq!(function_reason(&snapshot, "abs"), Some(Reason::UnknownFunction));
    assert_eq!(snapshot.counts(), (5, 0));
}

#[test]
fn new_views_are_unknown_and_new_tables_are_catalogs() {
    let snapshot = snapshot(&[
        mark(),
        relation(12_990, "pg_catalog", "pg_stat_future", "v p f"),
        relation(9_995, "pg_catalog", "pg_future", "r p f"),
        relation(12_991, "information_schema", "future", "v p f"),
        relation(20_000, "public", "shown", "v p f"),
        uses("relation uses", 20_000, "r12990"),
    ]);
    assert_eq!(relation_reason(&snapshot, "pg_stat_future"), Some(Reason::UnknownRelation));
    assert_eq!(relation_reason(&snapshot, "pg_future"), None);
    assert_eq!(relation_reason(&snapshot, "shown"), Some(Reason::View));
}

#[test]
fn what_is_not_in_the_answer_is_not_harmless() {
    let view = |list| {
        let rows =
            [mark(), relation(20_000, "public", "v", "v p f"), uses("relation uses", 20_000, list)];
        relation_reason(&snapshot(&rows), "v")
    };
    assert_eq!(view("f1299"), None);
    for list in ["f20001", "r20001", "?", "f12345"] {
        assert_eq!(view(list), Some(Reason::View), "{list}");
    }
    // A view of which nothing is told.
    let rows = [mark(), relation(20_000, "public", "v", "v p f")];
    assert_eq!(relation_reason(&snapshot(&rows), "v"), Some(Reason::View));
}

#[test]
fn an_answer_that_is_not_understood_makes_everything_unknown() {
    let rows =
        [mark(), relation(20_000, "public", "t", "r p f"), relation(20_001, "public", "u", "x")];
    let broken = snapshot(&rows);
    assert!(matches!(broken.why_unknown(), Some(Unknown::Malformed(row)) if row.contains("20001")));
    assert_eq!(relation_reason(&broken, "t"), Some(Reason::UnknownRelation));
    let unmarked = snapshot(&[relation(20_000, "public", "t", "r p f")]);
    assert_eq!(unmarked.why_unknown(), Some(&Unknown::NotRead));
    let unread = Snapshot::unknown(3, Unknown::NotRead);
    assert_eq!((unread.generation(), unread.counts()), (3, (0, 0)));
    assert_eq!(function_reason(&unread, "abs"), Some(Reason::UnknownFunction));
}
