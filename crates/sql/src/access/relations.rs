//! Relations that a text names.

use super::tokens::Tokens;
use crate::name::Name;

/// A relation that a text names: a table, a view, a sequence, whatever it turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The database, if the text names one: an error, unless it is that of the session.
    pub database: Option<Name>,
    /// The schema, if the text names one.
    pub schema: Option<Name>,
    /// The name of the relation.
    pub name: Name,
}

/// The relation whose name these tokens are. None if a part of it cannot be told.
pub(crate) fn relation(tokens: &Tokens<'_>, first: usize, last: usize) -> Option<Relation> {
    let (database, schema, name) = qualified(tokens, first, last)?;
    Some(Relation { database, schema, name })
}

/// The database and the schema, if any, and the name of the dotted name whose tokens these are.
pub(crate) fn qualified(
    tokens: &Tokens<'_>,
    first: usize,
    last: usize,
) -> Option<(Option<Name>, Option<Name>, Name)> {
    let part = |back: usize| match last.checked_sub(back).filter(|at| *at >= first) {
        Some(at) => tokens.name(at).map(Some),
        None => Some(None),
    };
    // No name has more than three parts.
    if part(6)?.is_some() {
        return None;
    }
    Some((part(4)?, part(2)?, tokens.name(last)?))
}

/// The relation that a string names where PostgreSQL takes it for a name (`'a.b'::regclass`). What is no name comes out
/// as the name that it is: there is no such relation.
pub(crate) fn in_string(string: &[u8]) -> Relation {
    let mut parts = parts(string).unwrap_or_else(|| vec![Name::new(string)]);
    let name = parts.pop().unwrap_or_else(|| Name::new(string));
    Relation { schema: parts.pop(), database: parts.pop(), name }
}

/// The parts of a dotted name in a string (`stringToQualifiedNameList`).
fn parts(string: &[u8]) -> Option<Vec<Name>> {
    let mut parts = Vec::new();
    let mut rest = string.trim_ascii();
    loop {
        let length = if rest.first() == Some(&b'"') {
            quoted_length(rest)?
        } else {
            rest.iter().position(|byte| *byte == b'.').unwrap_or(rest.len())
        };
        let (part, behind) = rest.split_at_checked(length)?;
        parts.push(match part {
            [b'"', ..] => Name::from_quoted(part),
            _ => Name::from_word(part.trim_ascii()),
        });
        match behind.trim_ascii_start() {
            [] => return Some(parts),
            [b'.', more @ ..] => rest = more.trim_ascii_start(),
            _ => return None,
        }
    }
}

/// The length of the quoted name at the beginning, its quotes included.
fn quoted_length(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match (text.get(at)?, text.get(at + 1)) {
            (b'"', Some(b'"')) => at += 2,
            (b'"', _) => return Some(at + 1),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_read_as_postgresql_reads_names_in_them() {
        for (string, schema, name) in [
            ("t", None, "t"),
            (" T ", None, "t"),
            ("s.T", Some("s"), "t"),
            ("\"S\" . \"a.\"\"b\"", Some("S"), "a.\"b"),
            ("d.s.t", Some("s"), "t"),
            ("16384", None, "16384"),
            ("\"unfinished", None, "\"unfinished"),
            ("\"a\"b", None, "\"a\"b"),
            ("", None, ""),
        ] {
            let relation = in_string(string.as_bytes());
            let found = relation.schema.map(|name| name.to_string());
            assert_eq!((found.as_deref(), &*relation.name.to_string()), (schema, name), "{string}");
        }
    }
}
