use proptest::prelude::*;

use super::*;

fn shape_of(text: &str) -> Option<Vec<u64>> {
    shape::read(text.as_bytes(), Vec::new())
}

fn fit(one: &str, other: &str) -> bool {
    of(one.as_bytes()).is_some_and(|template| fits(&template, other.as_bytes()))
}

#[test]
fn what_differs_in_constants_only_fits() {
    for (one, other) in [
        ("SELECT 1", "SELECT 22.5"),
        ("SELECT 'a'", "SELECT 'it''s'"),
        ("SELECT a FROM t WHERE b = 1 AND c = 'x';", "SELECT a FROM t WHERE b = 234 AND c = '';"),
        ("SELECT a IN (1) LIMIT 21", "SELECT a IN (1, 2) LIMIT 1"),
        ("SELECT a IN ('x') AND b", "SELECT a IN ('y','z') AND b"),
        ("SELECT a IN (1, 2) AND b", "SELECT a IN (7 ,8,\n9) AND b"),
        ("SELECT a IN ('x', 'y') AND b", "SELECT a IN ('z') AND b"),
        ("SELECT a1, $1 FROM t2 WHERE b = 3", "SELECT a1, $1 FROM t2 WHERE b = 4"),
        ("SELECT a IN (1, 2, b)", "SELECT a IN (3, b)"),
    ] {
        assert!(fit(one, one) && fit(one, other), "{one} / {other}");
        assert_eq!(shape_of(one), shape_of(other), "{one} / {other}");
        assert_eq!(head(one.as_bytes()), head(other.as_bytes()), "{one} / {other}");
    }
}

#[test]
fn what_differs_otherwise_does_not() {
    for (one, other) in [
        ("SELECT 1", "select 1"),
        ("SELECT 1", "SELECT  1"),
        ("SELECT 1", "SELECT '1'"),
        ("SELECT 1", "SELECT 1e5"),
        ("SELECT 1", "SELECT 1 "),
        ("SELECT 1", "SELECT a"),
        ("SELECT 1", "SELECT .5"),
        ("SELECT 'a'", "SELECT 'é'"),
        ("SELECT 'a'", "SELECT 'a' 'b'"),
        ("SELECT 'a'", "SELECT 'a"),
        ("SELECT f(1)", "SELECT f(1, 2)"),
        ("SELECT a IN (1)", "SELECT a IN ('x')"),
        ("SELECT a IN (1)", "SELECT a IN (1, 'x')"),
        ("SELECT a IN (1)", "SELECT a IN (1,)"),
        ("SELECT a IN (1 --\n)", "SELECT a IN (1, 'x' --\n)"),
        ("SELECT a IN ('x')", "SELECT a IN ('x' 'y')"),
        ("SELECT t1.a, 1", "SELECT t2.a, 1"),
        ("SELECT $1, 1", "SELECT $2, 1"),
    ] {
        assert!(fit(one, one) && !fit(one, other), "{one} / {other}");
    }
}

#[test]
fn there_is_no_template_where_nothing_may_differ_or_no_shape_is() {
    for text in ["SELECT a", "SELECT $1", "SELECT a IN ($1, 2)", "SELECT 1e5", "SELECT E'1'"] {
        assert_eq!(of(text.as_bytes()), None, "{text}");
    }
    assert_eq!(head(b"SELECT a FROM a_table WHERE b = 4"), b"SELECT a FROM a_table WHERE b = ");
    assert_eq!(head(b"SELECT a FROM a_table"), b"SELECT a FROM a_table");
    assert_eq!(head(b"'"), b"");
}

/// Pieces of texts of which most are constants, or change what a constant beside them is.
fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "1",
        "22",
        "0.5",
        ".",
        "e",
        "E",
        "e5",
        "'",
        "'a'",
        "'b''c'",
        "''",
        "\\",
        " ",
        "\n",
        ",",
        ", ",
        "(",
        ")",
        " in (",
        "IN",
        "a",
        "a1",
        "\"",
        "\"a\"",
        "$",
        "$1",
        "-",
        "--",
        "/*",
        "*/",
        "+",
        "=",
        ";",
        "é",
        "\0",
        "trunkline:",
        "U&",
        "N",
        "x",
    ]);
    prop::collection::vec(piece, 1..12).prop_map(|pieces| pieces.concat())
}

/// The text with some of its constants put in place of others.
fn dressed(text: &str, constants: &[&str]) -> String {
    let mut constants = constants.iter().cycle();
    let found = shape::read(text.as_bytes(), Constants::default()).unwrap_or_default().0;
    let mut dressed = String::new();
    let mut at = 0;
    for (place, _) in found {
        dressed += text.get(at..place.start).unwrap();
        dressed += constants.next().unwrap();
        at = place.end;
    }
    dressed + text.get(at..).unwrap()
}

proptest! {
    #[test]
    fn what_fits_has_the_same_shape_and_the_same_head(
        text in text(),
        constants in prop::collection::vec(
            prop::sample::select(vec!["1", "22.", "'a'", "'b''c'", "1, 2", "'a','b'", "1e5", "1 ,'b'"]),
            4,
        ),
        other in text(),
    ) {
        let Some(template) = of(text.as_bytes()) else { return Ok(()) };
        prop_assert!(fits(&template, text.as_bytes()));
        for other in [dressed(&text, &constants), other] {
            if fits(&template, other.as_bytes()) {
                prop_assert_eq!(shape_of(&text), shape_of(&other), "{:?} / {:?}", text, other);
                prop_assert_eq!(head(text.as_bytes()), head(other.as_bytes()), "{:?} / {:?}", text, other);
            }
        }
    }
}
