use super::*;
use crate::effect::{Span, Value};
use crate::scan::scan;

/// What a scanner holds on to, in bytes, besides its answer.
fn held(scanner: &Scanner) -> usize {
    scanner.name_kept.capacity() + scanner.statement_kept.capacity()
}

fn feed_often(scanner: &mut Scanner, piece: &str, times: usize) {
    for _ in 0..times {
        scanner.feed(piece.as_bytes());
        assert!(
            held(scanner) <= 2 * (STATEMENT_KEPT + NAME_KEPT),
            "{} bytes are held",
            held(scanner)
        );
    }
}

#[test]
fn endless_texts_are_followed_in_bounded_memory() {
    for (start, piece) in [
        ("SELECT '", "string "),
        ("SELECT ", "word"),
        ("SELECT \"", "quoted \"\" name "),
        ("SELECT $tag$", "$$ $tag body "),
        ("/*", "/* comment "),
        ("SET a TO ", "'x', "),
        ("SELECT ", "f(1) + "),
    ] {
        let mut scanner = Scanner::new(Rules::default());
        scanner.feed(start.as_bytes());
        feed_often(&mut scanner, piece, 20_000);
        assert!(scanner.finish().statements() <= 1);
    }
}

#[test]
fn endless_scripts_have_a_bounded_number_of_effects() {
    let mut scanner = Scanner::new(Rules::default());
    feed_often(&mut scanner, "BEGIN;", 2 * EFFECTS_KEPT);
    let scan = scanner.finish();
    assert_eq!(scan.statements(), 2 * EFFECTS_KEPT);
    assert_eq!(scan.effects().len(), EFFECTS_KEPT);
    assert_eq!(scan.effects().last().unwrap().effect, Effect::Opaque(Opaque::TooMany));
}

#[test]
fn the_bytes_of_all_effects_together_are_bounded() {
    let text = format!("SET a TO '{}';", "x".repeat(10_000)).repeat(100);
    let effects = scan(text.as_bytes(), Rules::default()).into_effects();
    let bytes: usize = effects.iter().map(|found| weight(&found.effect)).sum();
    assert!(
        (EFFECT_BYTES_KEPT - 20_000..EFFECT_BYTES_KEPT + 20_000).contains(&bytes),
        "{bytes} bytes"
    );
    assert_eq!(effects.last().unwrap().effect, Effect::Opaque(Opaque::TooMany));
}

#[test]
fn a_value_too_long_to_keep_is_a_computed_one() {
    let fits = format!("SET a TO '{}'", "x".repeat(STATEMENT_KEPT - 11));
    let found = scan(fits.as_bytes(), Rules::default());
    assert!(found.any(|effect| matches!(effect, Effect::Set { value: Value::Written(_), .. })));
    let long = format!("SET a TO '{}'", "x".repeat(STATEMENT_KEPT));
    let found = scan(long.as_bytes(), Rules::default());
    assert!(found.any(|effect| matches!(effect, Effect::SetComputed { parameter: Some(_), .. })));
}

#[test]
fn a_long_body_does_not_hide_what_stands_before_it() {
    let text = format!("PREPARE p (int) AS SELECT '{}'", "x".repeat(2 * STATEMENT_KEPT));
    let found = scan(text.as_bytes(), Rules::default());
    assert!(
        found.any(|effect| matches!(effect, Effect::Prepare(prepare) if prepare.body_at == Span { start: 19, end: text.len() }))
    );
    let text = format!("PREPARE p ({}) AS SELECT 1", "int,".repeat(STATEMENT_KEPT));
    let found = scan(text.as_bytes(), Rules::default());
    assert!(found.any(|effect| *effect == Effect::Opaque(Opaque::TooLong)));
}

#[test]
fn calls_are_found_at_any_distance() {
    let text = format!(
        "SELECT '{}', nextval('s'), set_config('a', 'b', false), f(1)",
        "x".repeat(1 << 20)
    );
    let mut scanner = Scanner::new(Rules::default());
    text.as_bytes().chunks(8192).for_each(|piece| scanner.feed(piece));
    let found = scanner.finish();
    assert_eq!(found, scan(text.as_bytes(), Rules::default()));
    assert!(found.any(|effect| *effect == Effect::SequenceWrite));
    assert!(found.any(|effect| matches!(
        effect,
        Effect::SetComputed { parameter: None, local: false, argument: None }
    )));
    assert!(found.any(|effect| matches!(effect, Effect::Opaque(Opaque::Function(_)))));
}

#[test]
fn secrets_are_not_shown() {
    let found = scan(b"SET app.password TO 'hunter2'", Rules::default());
    assert!(!format!("{found:?}").contains("hunter2"));
    let mut scanner = Scanner::new(Rules::default());
    scanner.feed(b"SET app.password TO 'hunter2'");
    assert_eq!(format!("{scanner:?}"), "Scanner { statements: 0, .. }");
}

#[test]
fn statements_end_behind_their_last_token() {
    let text =
        "; a -- no ;\n; /* b */ select ';' ;; create procedure p() begin atomic select 1; end; c ";
    let ends = crate::scan::statement_ends(text.as_bytes(), Rules::default());
    for (end, tail) in ends.iter().zip(["; a", "';'", "end", "; c"]) {
        assert!(text.get(..*end).is_some_and(|text| text.ends_with(tail)), "{tail} at {end}");
    }
    assert_eq!(ends.len(), 4);
    assert_eq!(scan(text.as_bytes(), Rules::default()).statements(), 4);
}
