//! Constants that name something: what a text does may depend on them.

use std::ops::Range;

use super::calls::Candidate;
use super::relations::{self, Relation};
use super::tokens::Tokens;
use crate::lexer::Rules;
use crate::literal;
use crate::name::Name;

/// The type whose values are relations.
const REGCLASS: &str = "regclass";

/// Functions of PostgreSQL one of whose arguments names a relation, as `regclass` or as text. Those of sequences are not
/// here: they are none for a standby, whatever they name.
#[rustfmt::skip]
const OF_A_RELATION: [&str; 19] = [
    "has_any_column_privilege", "has_column_privilege", "has_sequence_privilege", "has_table_privilege",
    "pg_get_serial_sequence", "pg_get_viewdef", "pg_indexes_size", "pg_partition_ancestors", "pg_partition_root",
    "pg_partition_tree", "pg_relation_filenode", "pg_relation_filepath", "pg_relation_size", "pg_table_size",
    "pg_total_relation_size", "row_security_active", "table_to_xml", "table_to_xmlschema", "to_regclass",
];

/// Functions of PostgreSQL whose first argument names a setting.
const OF_A_SETTING: [&str; 2] = ["current_setting", "set_config"];

/// The relations that constants become in these tokens, and the token of each. None if a constant cannot be told.
pub(crate) fn relations(
    tokens: &Tokens<'_>,
    range: Range<usize>,
    rules: Rules,
) -> Option<Vec<(usize, Relation)>> {
    let mut found = Vec::new();
    for at in range.clone() {
        if tokens.is_word(at, REGCLASS) || tokens.bytes(at) == b"\"regclass\"" {
            let strings = cast_strings(tokens, at, range.clone());
            for string in strings.filter(|at| tokens.is_string(*at)) {
                let name = literal::decode(tokens.bytes(string), rules)?;
                // The number of an object is the same everywhere.
                if name.is_empty() || !name.iter().all(u8::is_ascii_digit) {
                    found.push((string, relations::in_string(&name)));
                }
            }
        }
    }
    Some(found)
}

/// What a call says of what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    /// Nothing, or something that is only known when it runs.
    Computed,
    /// A constant, which is this if it can be told.
    Constant(Option<Name>),
}

/// The constant by which a call of some functions of PostgreSQL names what it is about: a setting, a relation. None if
/// it is a relation that cannot be told.
pub(crate) fn argument(
    tokens: &Tokens<'_>,
    candidate: &Candidate,
    rules: Rules,
) -> Option<Argument> {
    let setting = tokens.is_any(candidate.at, &OF_A_SETTING);
    if !setting && !tokens.is_any(candidate.at, &OF_A_RELATION) {
        return Some(Argument::Computed);
    }
    // A role may stand before the relation.
    let fewest = if tokens.is_word(candidate.at, "has_column_privilege") { 3 } else { 2 };
    let role = candidate.arguments > fewest
        && tokens.bytes(candidate.at).get(..4).is_some_and(|it| it.eq_ignore_ascii_case(b"has_"));
    let first = candidate.at + 2;
    let string = if role && tokens.is_mark(first + 1, b',') { first + 2 } else { first };
    let alone = tokens.is_mark(string + 1, b',') || tokens.is_mark(string + 1, b')');
    if !tokens.is_string(string) || !alone {
        return Some(Argument::Computed);
    }
    let name = literal::decode(tokens.bytes(string), rules);
    if setting {
        return Some(Argument::Constant(name.map(|name| Name::of_setting(&name))));
    }
    Some(Argument::Constant(Some(Name::new(&name?))))
}

/// The constants that become a relation by the type name at `at`: `regclass 'x'`, `'x'::regclass`, `CAST('x' AS
/// regclass)`, and every constant in the parentheses that such a cast stands behind.
fn cast_strings(tokens: &Tokens<'_>, at: usize, range: Range<usize>) -> Range<usize> {
    let none = at..at;
    if tokens.is_string(at + 1) {
        return at + 1..at + 2;
    }
    let mut first = tokens.chain_start(at);
    loop {
        let Some(before) = first.checked_sub(1).filter(|before| *before >= range.start) else {
            return none;
        };
        let operand = if tokens.is_word(before, "as") {
            before.checked_sub(1)
        } else if before > 0 && tokens.is_cast(before - 1) {
            before.checked_sub(2)
        } else {
            return none;
        };
        let Some(operand) = operand else { return none };
        if tokens.is_string(operand) {
            return operand..operand + 1;
        }
        if tokens.is_mark(operand, b')') {
            let Some(open) = opening(tokens, operand, range.start) else { return none };
            let modifies = open >= 2 && tokens.is_name(open - 1) && {
                let start = tokens.chain_start(open - 1);
                start >= 2 && tokens.is_cast(start - 2)
            };
            if !modifies {
                return open..operand;
            }
            // `'x'::varchar(5)::regclass`.
            first = tokens.chain_start(open - 1);
            continue;
        }
        if !tokens.is_name(operand) {
            return none;
        }
        // `'x'::text::regclass`: the type before this one.
        first = tokens.chain_start(operand);
    }
}

/// The parenthesis that the one at `close` closes.
fn opening(tokens: &Tokens<'_>, close: usize, start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    (start..=close).rev().find(|at| {
        if tokens.is_mark(*at, b')') {
            depth += 1;
        } else if tokens.is_mark(*at, b'(') {
            depth -= 1;
        }
        depth == 0
    })
}

#[cfg(test)]
mod tests {
    use super::super::calls::candidates;
    use super::*;

    /// The relations that constants of a text become.
    fn of(text: &str) -> String {
        let tokens = Tokens::new(text.as_bytes(), Rules::default());
        let Some(found) = relations(&tokens, 0..tokens.len(), Rules::default()) else {
            return "?".to_owned();
        };
        found.iter().map(|(_, it)| it.name.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn casts_to_relations_name_them() {
        for (text, expected) in [
            (
                "select 'a.b'::regclass, 'c'::text::regclass, 'd'::varchar(9)::pg_catalog.regclass",
                "b c d",
            ),
            ("select regclass 'a', cast('b' as regclass), $$c$$::\"regclass\"", "a b c"),
            ("select ('a')::regclass, (b || 'c')::regclass", "a c"),
            ("select a::regclass, $1::regclass, b.c::regclass, 'x'::regtype, 'y'", ""),
            ("select 'a' as b, c::regclass, '16384'::regclass", ""),
            ("select E'a\\b'::regclass", "?"),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn some_calls_are_about_what_a_constant_names() {
        for (text, expected) in [
            ("current_setting('App.X', true)", Some("app.x")),
            ("CURRENT_SETTING('a')", Some("a")),
            ("HAS_table_privilege($1, 't', 'select')", Some("t")),
            ("set_config('a', b, false)", Some("a")),
            ("pg_catalog.to_regclass('S.t')", Some("S.t")),
            ("has_table_privilege('t', 'select')", Some("t")),
            ("has_table_privilege('r', 't', 'select')", Some("t")),
            ("has_column_privilege('t', 'c', 'select')", Some("t")),
            ("has_column_privilege($1, 't', 'c', 'select')", Some("t")),
            ("current_setting(a)", None),
            ("current_setting('a' || b)", None),
            ("lower('a')", None),
        ] {
            let tokens = Tokens::new(text.as_bytes(), Rules::default());
            let call = candidates(&tokens, 0..tokens.len()).remove(0);
            let expected = match expected {
                Some(name) => Argument::Constant(Some(Name::new(name.as_bytes()))),
                None => Argument::Computed,
            };
            assert_eq!(argument(&tokens, &call, Rules::default()), Some(expected), "{text}");
        }
    }

    #[test]
    fn constants_that_only_the_server_reads_are_not_told() {
        let of = |text: &str| {
            let tokens = Tokens::new(text.as_bytes(), Rules::default());
            let call = candidates(&tokens, 0..tokens.len()).remove(0);
            argument(&tokens, &call, Rules::default())
        };
        assert_eq!(of(r"current_setting(E'a\x62')"), Some(Argument::Constant(None)));
        assert_eq!(of(r"to_regclass(E'a\x62')"), None);
    }
}
