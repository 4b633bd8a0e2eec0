//! Texts that are made to be expensive, at the limits of what is read and beyond, on a small stack. A stack that is too
//! small ends the process, so the test fails by itself.

use std::fmt::Write as _;
use std::thread;

use trunkline_sql::Rules;
use trunkline_sql::access::{Class, TEXT_READ, TOKENS_READ, access};

/// Less than any thread of a server has.
const STACK: usize = 256 * 1024;

/// `before`, then `piece` as often as it fits, then `behind`; `close` for each piece at the end.
struct Chain {
    before: &'static str,
    piece: &'static str,
    behind: &'static str,
    close: &'static str,
}

const CHAINS: &[Chain] = &[
    chain("SELECT 1", "+1", "", ""),
    chain("SELECT a", " OR a", "", ""),
    chain("SELECT a=1", " AND a=1", "", ""),
    chain("SELECT a", "||a", "", ""),
    chain("SELECT a", "::int", "", ""),
    chain("SELECT a", "[1]", "", ""),
    chain("SELECT a", ".a", "", ""),
    chain("SELECT a", " IS NULL", "", ""),
    chain("SELECT a", " AT TIME ZONE 'x'", "", ""),
    chain("SELECT a", " COLLATE \"C\"", "", ""),
    chain("SELECT a", " BETWEEN 1 AND a", "", ""),
    chain("SELECT a", " LIKE a", "", ""),
    chain("SELECT a", " IN (1)", "", ""),
    chain("SELECT a", "=ANY(b)", "", ""),
    chain("SELECT ", "NOT ", "a", ""),
    chain("SELECT ", "- ", "a", ""),
    chain("SELECT ", "@ ", "a", ""),
    chain("SELECT ", "(", "a", ")"),
    chain("SELECT ", "f(", "a", ")"),
    chain("SELECT ", "f(a,", "a", ")"),
    chain("SELECT ", "ARRAY[", "a", "]"),
    chain("SELECT ", "ROW(", "a", ")"),
    chain("SELECT ", "CASE WHEN a THEN ", "a", " END"),
    chain("SELECT ", "CASE ", "a", " WHEN 1 THEN 2 END"),
    chain("SELECT ", "(SELECT ", "a", ")"),
    chain("SELECT ", "EXISTS(SELECT ", "a", ")"),
    chain("SELECT ", "CAST(", "a", " AS int)"),
    chain("SELECT ", "extract(a FROM ", "a", ")"),
    chain("SELECT ", "a IN (", "a", ")"),
    chain("SELECT ", "a IN (SELECT ", "a", ")"),
    chain("SELECT ", "interval ", "a", ""),
    chain("", "(", "SELECT 1", ")"),
    chain("SELECT * FROM ", "(", "t", ")"),
    chain("SELECT * FROM ", "(SELECT * FROM ", "t", ") x"),
    chain("SELECT * FROM t", " JOIN t ON a", "", ""),
    chain("SELECT * FROM t", ", t", "", ""),
    chain("SELECT * FROM t", " CROSS JOIN t", "", ""),
    chain("SELECT * FROM ", "(t JOIN ", "t", " ON a)"),
    chain("SELECT * FROM t", " JOIN t", "", " ON a"),
    chain("SELECT * FROM f(", "f(", "a", ")"),
    chain("SELECT 1", " UNION SELECT 1", "", ""),
    chain("SELECT 1", " UNION ALL (SELECT 1)", "", ""),
    chain("SELECT 1", " UNION (SELECT 1", "", ")"),
    chain("SELECT 1", " UNION SELECT 1 INTERSECT SELECT 1", "", ""),
    chain("VALUES (1)", ",(1)", "", ""),
    chain("SELECT a FROM t WHERE a IN (1", ",1", ")", ""),
    chain("SELECT a", ",a", "", ""),
    chain("SELECT a", ",f(a)", "", ""),
    chain("SELECT f(a)", ",extract(a FROM b)", "", ""),
    chain("SELECT f(a)", ",f(a) WITHIN GROUP (ORDER BY a)", "", ""),
    chain("SELECT a FROM t ORDER BY a", ",a DESC NULLS LAST", "", ""),
    chain("SELECT a FROM t GROUP BY a", ",ROLLUP(a)", "", ""),
    chain("", "WITH a AS (", "SELECT 1", ") SELECT 1"),
    chain("WITH a AS (SELECT 1)", ",a AS (SELECT * FROM a)", " SELECT * FROM a", ""),
    chain("", "EXPLAIN ", "SELECT 1", ""),
    chain("", "SELECT 1;", "", ""),
    chain("", ";", "", ""),
    chain("", "COPY (", "SELECT 1", ") TO STDOUT"),
    chain("SELECT ", "/*", "", "*/"),
    chain("SELECT ", "'a'\n", "", ""),
    chain("SELECT ", "$a$", "", ""),
    chain("SELECT x'1'", "::regclass", "", ""),
    chain("SELECT ", "('x')::", "regclass", ""),
    chain("SELECT * FROM ", "ONLY ", "t", ""),
    chain("SELECT * FROM ", "LATERAL ", "t", ""),
    chain("", "TABLE ", "t", ""),
];

const fn chain(
    before: &'static str,
    piece: &'static str,
    behind: &'static str,
    close: &'static str,
) -> Chain {
    Chain { before, piece, behind, close }
}

impl Chain {
    fn text(&self, pieces: usize) -> String {
        let mut text = self.before.to_owned();
        text.push_str(&self.piece.repeat(pieces));
        text.push_str(self.behind);
        text.push_str(&self.close.repeat(pieces));
        text
    }

    /// As many pieces as make a text of so many bytes.
    fn fitting(&self, bytes: usize) -> usize {
        (bytes - self.before.len() - self.behind.len()) / (self.piece.len() + self.close.len())
    }
}

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(STACK).spawn(test).expect("a thread");
    thread.join().expect("it ends well");
}

#[test]
fn chains_of_any_length_end_nothing() {
    on_a_small_stack(|| {
        for chain in CHAINS {
            let most = chain.fitting(TEXT_READ);
            for pieces in [1, 20, 50, 199, 1000, 2000, 3990, 7990, most] {
                access(chain.text(pieces.min(most)).as_bytes(), Rules::default());
            }
            access(chain.text(10 * most).as_bytes(), Rules::default());
        }
    });
}

#[test]
fn what_is_above_the_limits_is_not_read_but_told_by_its_first_words() {
    on_a_small_stack(|| {
        let class = |text: &str| access(text.as_bytes(), Rules::default()).class;
        let literal = |bytes: usize| format!("'{}'", "x".repeat(bytes));
        assert_eq!(class(&format!("SELECT {}", literal(TEXT_READ / 2))), Class::Read);
        assert_eq!(class(&format!("SELECT {}", literal(TEXT_READ))), Class::TooLong);
        assert_eq!(class(&format!("INSERT INTO t VALUES ({})", literal(1 << 20))), Class::Write);
        assert_eq!(class(&format!("SELECT 1{}", ",1".repeat(TOKENS_READ / 2 - 1))), Class::Read);
        assert_eq!(class(&format!("SELECT 1{}", ",1".repeat(TOKENS_READ / 2))), Class::TooLong);
        let long = format!("SELECT 1{} FOR UPDATE", ",1".repeat(1000));
        assert_eq!(class(&long), Class::RowLock);
    });
}

#[test]
fn only_so_many_names_are_kept() {
    let class = |text: &str| access(text.as_bytes(), Rules::default()).class;
    let names = |count: usize, before: &str, behind: &str| {
        (0..count).map(|number| format!("{before}{number}{behind}")).collect::<Vec<_>>().join(", ")
    };
    for (count, expected) in [(256, Class::Read), (257, Class::TooLong)] {
        assert_eq!(class(&format!("SELECT 1 FROM {}", names(count, "t", ""))), expected);
        assert_eq!(class(&format!("SELECT {}", names(count, "f", "()"))), expected);
    }
    for (count, expected) in [(256, Class::Read), (257, Class::NotUnderstood)] {
        assert_eq!(
            class(&format!("WITH {} SELECT 1", names(count, "c", " AS (SELECT 1)"))),
            expected
        );
    }
}

#[test]
fn nesting_as_people_write_it_is_read() {
    on_a_small_stack(|| {
        for (piece, close, depth) in [
            ("(SELECT * FROM ", ") x", 40),
            ("f(", ")", 60),
            ("(", ")", 24),
            ("CASE WHEN a THEN ", " END", 40),
        ] {
            let mut text = String::from("SELECT * FROM ");
            if !piece.contains("FROM") {
                text = "SELECT ".to_owned();
            }
            write!(text, "{}t{}", piece.repeat(depth), close.repeat(depth)).unwrap();
            assert_eq!(access(text.as_bytes(), Rules::default()).class, Class::Read, "{text}");
        }
    });
}

#[test]
fn every_beginning_of_a_text_is_judged() {
    let text = "/* trunkline:standby */ WITH RECURSIVE a(b) AS (SELECT f(x => 'y'::regclass) FROM ONLY (t)) \
                SEARCH DEPTH FIRST BY b SET c SELECT DISTINCT ON (1) U&\"\\0041\", E'\\'', $a$ b $a$, \
                trim(both 'x' from y), CAST(z AS numeric(1, 2)) FROM a JOIN LATERAL g(1) AS h(i int) ON true \
                WHERE j OPERATOR(pg_catalog.~) ANY (k) AND l IS NOT NFC NORMALIZED ORDER BY m USING < \
                FETCH FIRST ROW WITH TIES; COPY (TABLE n) TO STDOUT; EXPLAIN (ANALYZE) VALUES (1.5e-3)";
    for end in 0..=text.len() {
        for rules in [
            Rules::default(),
            Rules { standard_conforming_strings: false, ..Rules::default() },
            Rules { ascii_in_characters: true, ..Rules::default() },
        ] {
            access(text.as_bytes().get(..end).unwrap(), rules);
            access(text.as_bytes().get(end..).unwrap(), rules);
        }
    }
    assert_eq!(access(text.as_bytes(), Rules::default()).class, Class::Read);
}

#[test]
fn what_is_not_utf_8_goes_to_the_safe_side() {
    let class = |text: &[u8], rules| access(text, rules).class;
    let shift = Rules { ascii_in_characters: true, ..Rules::default() };
    let escapes = Rules { standard_conforming_strings: false, ..Rules::default() };
    assert_eq!(class(b"SELECT '\xff'", Rules::default()), Class::Encoding);
    assert_eq!(class(b"INSERT \xe9", Rules::default()), Class::Encoding);
    assert_eq!(class("SELECT 'é'".as_bytes(), shift), Class::Encoding);
    assert_eq!(class(b"SELECT 'e'", shift), Class::Read);
    assert_eq!(class(br"SELECT '\'", escapes), Class::Strings);
    assert_eq!(class(b"SELECT ''", escapes), Class::Read);
}
