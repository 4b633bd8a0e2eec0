use super::*;

fn of(text: &str) -> Option<Vec<u64>> {
    read(text.as_bytes(), Vec::new())
}

#[test]
fn texts_that_differ_in_constants_only_have_one_shape() {
    for (one, other) in [
        ("select 1", "SELECT 22"),
        ("select 1", "select  /* x */ 1.5e-3 -- y"),
        ("select 'a'", "select 'b''c'"),
        ("select a from t where b=1", "select a\nfrom t where b = 2"),
        ("select a in (1)", "select a in (1, 2, 3)"),
        ("select a in ('x')", "select a in ('x','y')"),
        ("select a in ($1)", "select a in ($1, $2, $3)"),
        ("select a in (1) and b", "select a in (1,2) and b"),
        ("select -1", "select -.5"),
        ("select café", "select café"),
        ("select f(1, 'a')", "select F(2,'b')"),
        ("/* traceparent='1' */ select 1", "/* traceparent='2' */ select 1"),
        ("select abcdefgh", "select ABCDEFGH"),
    ] {
        assert!(of(one).is_some(), "{one}");
        assert_eq!(of(one), of(other), "{one} / {other}");
    }
}

#[test]
fn texts_that_differ_otherwise_do_not() {
    let texts = [
        "select 1",
        "select 'a'",
        "select $1",
        "select $2",
        "select a",
        "select \"a\"",
        "select \"A\"",
        "select a b",
        "select ab",
        "select a.b",
        "select a_b",
        "select abcdefgh ijkl",
        "select abcdefghijkl",
        "select abcdefgh",
        "select \"abcdefgh\"",
        "select \"abcdefghi\"",
        "select \"abcdefgh\" i",
        "select \"abcdefg\"",
        "select f(1)",
        "select f(1, 2)",
        "select f(1, 2, 3)",
        "select a < - b",
        "select a <- b",
        "select a :: b",
        "select a : : b",
        "select a in (1)",
        "select a in (1,)",
        "select a in (1, b)",
        "select a in (1, 2, b + 1)",
        "select 1; select 1",
        "select 1;",
        "select é",
        "select É",
        "select a from t /* x */ , u",
        "select 1 e5",
        "select 1e5a",
    ];
    let shapes: Vec<_> = texts.iter().map(|text| of(text).expect(text)).collect();
    for (number, shape) in shapes.iter().enumerate() {
        for (other, before) in shapes.iter().enumerate().take(number) {
            assert!(shape != before, "{} / {}", texts[number], texts[other]);
        }
    }
}

#[test]
fn what_takes_more_than_a_look_has_no_shape() {
    for text in [
        "select E'a'",
        "select U&'a'",
        "select $$a$$",
        "select $a$b$a$",
        "select 'a'\n'b'",
        "select 'a' -- c\n'b'",
        "select 'a",
        "select \"a",
        "select \"a\"\"b\"",
        "select \"a\0b\"",
        "select /* a",
        "/* trunkline:primary */ select 1",
        "-- trunkline:x\nselect 1",
        "/*NO LOAD BALANCE*/ select 1",
        "select '\0'; \0",
    ] {
        assert_eq!(of(text), None, "{text}");
    }
    assert_eq!(read(b"select '\xff'", Vec::new()), None);
    let escapes = Rules { standard_conforming_strings: false, ..Rules::default() };
    let secret = Secret::new([7; 16]);
    assert_eq!(shape(br"select '\'", escapes, &secret), None);
    assert!(shape(b"select 'a'", escapes, &secret).is_some());
}

#[test]
fn numbers_of_shapes_depend_on_the_secret() {
    let of =
        |text: &str, secret| shape(text.as_bytes(), Rules::default(), &Secret::new([secret; 16]));
    assert_eq!(of("select 1", 1), of("select 2", 1));
    assert_ne!(of("select 1", 1), of("select 1", 2));
    assert_ne!(of("select 1", 1), of("select a", 1));
    assert_eq!(format!("{:?}", Secret::new([1; 16])), "Secret");
}
