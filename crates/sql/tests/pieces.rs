//! The answer of a scan does not depend on where the text was cut, whatever the text is.

use proptest::prelude::*;
use trunkline_sql::{Rules, Scan, Scanner, fuzz, scan};

/// Scraps whose neighbourhood matters: any text made of them is a hard one.
const SCRAPS: &[&str] = &[
    "SELECT ",
    "select\n",
    "BEGIN",
    "COMMIT",
    "SET ",
    "a",
    " TO ",
    "= ",
    "'",
    "''",
    "E'",
    "e'",
    "N'",
    "B'",
    "U&'",
    "U&\"",
    "\"",
    "\"\"",
    "\\",
    "\\'",
    "$",
    "$$",
    "$a$",
    "$a",
    "$1",
    "--",
    "-",
    "/*",
    "*/",
    "/",
    "*",
    ";",
    "(",
    ")",
    ".",
    ",",
    ":",
    "::",
    "\n",
    "\r",
    " ",
    "\t",
    "é",
    "表",
    "1",
    "1.5",
    "e",
    "u",
    "u&",
    "set_config(",
    "'x'",
    "'y',",
    "false)",
    "true)",
    "nextval('s')",
    "pg_temp",
    "pg_temp_1.",
    "pg_settings ",
    "pg_catalog.",
    "f(",
    "\"f\"(",
    "count(",
    "INTO ",
    "TEMP ",
    "INSERT ",
    "t (",
    "UPDATE ",
    "DELETE ",
    "WITH ",
    "AS ",
    "EXPLAIN ",
    "ANALYZE ",
    "CREATE ",
    "FUNCTION ",
    "BEGIN ATOMIC ",
    "CASE ",
    "END",
    "PREPARE ",
    "EXECUTE ",
    "p ",
    "DEALLOCATE ",
    "ALL",
    "COPY ",
    "FROM ",
    "STDIN",
    "STDOUT",
    "uescape",
    "DISTINCT ",
    "default",
    "LOCAL ",
    "ROLE ",
    "SESSION ",
    "TIME ZONE ",
    "TRANSACTION ",
    "TABLE ",
    "ON COMMIT DROP",
    "DECLARE ",
    "CURSOR ",
    "WITH HOLD ",
];

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(SCRAPS), 0..24).prop_map(|scraps| scraps.concat())
}

fn rules() -> impl Strategy<Value = Rules> {
    (any::<bool>(), any::<bool>()).prop_map(|(standard_conforming_strings, ascii_in_characters)| {
        Rules { standard_conforming_strings, ascii_in_characters }
    })
}

/// Scanned from start to end by the scanner, without the short way for plain texts.
fn in_two(text: &[u8], cut: usize, rules: Rules) -> Scan {
    let (first, second) = text.split_at(cut);
    let mut scanner = Scanner::new(rules);
    scanner.feed(first);
    scanner.finish_with(second)
}

/// `PROPTEST_CASES` asks for more than usual.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(2000), ..usual }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_cut_gives_the_same(text in text(), rules in rules()) {
        let whole = scan(text.as_bytes(), rules);
        for cut in 0..=text.len() {
            prop_assert_eq!(&in_two(text.as_bytes(), cut, rules), &whole, "cut at {}", cut);
        }
    }

    #[test]
    fn every_byte_may_be_a_piece(text in text(), rules in rules()) {
        let mut scanner = Scanner::new(rules);
        text.as_bytes().chunks(1).for_each(|piece| scanner.feed(piece));
        prop_assert_eq!(scanner.finish(), scan(text.as_bytes(), rules));
    }

    #[test]
    fn no_bytes_are_too_strange(data in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz::scan(&data);
    }
}
