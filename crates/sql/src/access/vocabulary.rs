//! Which words of a query are its grammar, and which are only names.
//!
//! The parser knows the words of a dozen other dialects. It is shown those of PostgreSQL, where they mean something;
//! any other word reaches it as a quoted name.

use super::tokens::Tokens;
use crate::lexer::Kind;

/// What a word is where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A word of the grammar.
    Keyword,
    /// A name.
    Name,
    /// A reserved word that no query has, or not here.
    Strange,
}

/// Words of the grammar wherever they stand without a dot or an `AS` before them.
#[rustfmt::skip]
const ALWAYS: [&str; 83] = [
    "all", "and", "any", "array", "as", "asc", "between", "both", "case", "cast", "collate", "cross",
    "current_date", "current_time", "current_timestamp", "desc", "distinct", "else", "end", "escape", "except",
    "exists", "extract", "false", "fetch", "following", "for", "from", "full", "group", "having", "ilike", "in",
    "inner", "intersect", "is", "isnull", "join", "lateral", "leading", "left", "like", "limit", "localtime",
    "localtimestamp", "natural", "not", "notnull", "null", "offset", "on", "only", "or", "order", "outer",
    "overlaps", "overlay", "placing", "position", "preceding", "right", "row", "rows", "select", "similar", "some",
    "substring", "symmetric", "table", "tablesample", "then", "to", "trailing", "trim", "true", "union", "using",
    "values", "variadic", "when", "where", "window", "with",
];

/// Words of the grammar only before one of these words or marks.
const BEFORE: [(&str, &[&str]); 22] = [
    ("at", &["time", "local"]),
    ("bit", &["varying"]),
    ("char", &["varying"]),
    ("character", &["varying"]),
    ("cube", &["("]),
    ("current", &["row"]),
    ("double", &["precision"]),
    ("filter", &["("]),
    ("grouping", &["sets"]),
    ("groups", &["between", "unbounded", "current"]),
    ("interval", &["'", "("]),
    ("national", &["character", "char"]),
    ("nchar", &["varying"]),
    ("no", &["others"]),
    ("nulls", &["first", "last"]),
    ("partition", &["by"]),
    ("range", &["between", "unbounded", "current"]),
    ("rollup", &["("]),
    ("time", &["with", "without", "zone", "("]),
    ("timestamp", &["with", "without", "("]),
    ("within", &["group"]),
    ("without", &["time"]),
];

/// Words of the grammar only behind one of these words or marks.
const BEHIND: [(&str, &[&str]); 26] = [
    ("asymmetric", &["between"]),
    ("by", &["order", "group", "partition"]),
    ("day", &["interval", "to", "'", ":"]),
    ("first", &["nulls", "fetch"]),
    ("hour", &["interval", "to", "'", ":"]),
    ("interval", &[":", "as"]),
    ("last", &["nulls"]),
    ("local", &["at"]),
    ("materialized", &["as", "not"]),
    ("minute", &["interval", "to", "'", ":"]),
    ("month", &["interval", "to", "'", ":"]),
    ("next", &["fetch"]),
    ("ordinality", &["with"]),
    ("others", &["no"]),
    ("over", &[")"]),
    ("precision", &["double"]),
    ("recursive", &["with"]),
    ("repeatable", &[")"]),
    ("second", &["interval", "to", "'", ":"]),
    ("sets", &["grouping"]),
    ("ties", &["with", "exclude"]),
    ("unbounded", &["between", "and", "rows", "range", "groups"]),
    ("unknown", &["is", "not"]),
    ("varying", &["character", "char", "bit", "nchar"]),
    ("year", &["interval", "to", "'", ":"]),
    ("zone", &["time"]),
];

/// Reserved words of PostgreSQL that are none of the above.
#[rustfmt::skip]
const STRANGE: [&str; 29] = [
    "analyse", "analyze", "authorization", "binary", "check", "collation", "column", "concurrently", "constraint",
    "create", "default", "deferrable", "do", "foreign", "freeze", "grant", "initially", "inout", "into",
    "none", "out", "primary", "references", "returning", "setof", "treat", "unique", "verbose",
    "xmltable",
];

/// Types of more than one word, which keep their words behind `AS` too.
#[rustfmt::skip]
const TYPES: [&str; 11] = [
    "bit", "char", "character", "double", "interval", "materialized", "national", "nchar", "not", "time",
    "timestamp",
];

/// What the word at `at` is.
pub(crate) fn role(tokens: &Tokens<'_>, at: usize) -> Role {
    let before = at.checked_sub(1);
    let behind = |mark: u8| before.is_some_and(|before| tokens.is_mark(before, mark));
    // In `select .5` the dot belongs to the number.
    let qualifies = tokens.is_mark(at + 1, b'.') && tokens.kind(at + 2) != Some(Kind::Number);
    if behind(b'.') || qualifies {
        return Role::Name;
    }
    let mut folded = [0; LONGEST];
    let Some(word) = fold(tokens.bytes(at), &mut folded) else { return Role::Name };
    if before.is_some_and(|before| tokens.is_word(before, "as")) {
        let is_type = TYPES.contains(&word);
        return if is_type { Role::Keyword } else { Role::Name };
    }
    if ALWAYS.binary_search(&word).is_ok()
        || near(&BEFORE, word, |near| stands(tokens, Some(at + 1), near))
        || near(&BEHIND, word, |near| stands(tokens, before, near))
    {
        return Role::Keyword;
    }
    if STRANGE.binary_search(&word).is_ok() { Role::Strange } else { Role::Name }
}

/// Length of the longest word of the tables.
pub(crate) const LONGEST: usize = 17;

/// A word in lower case, if it is not longer than any that is looked for.
pub(crate) fn fold<'a>(word: &[u8], folded: &'a mut [u8; LONGEST]) -> Option<&'a str> {
    let folded = folded.get_mut(..word.len())?;
    folded.copy_from_slice(word);
    folded.make_ascii_lowercase();
    std::str::from_utf8(folded).ok()
}

fn near(table: &[(&str, &[&str])], word: &str, stands: impl Fn(&str) -> bool) -> bool {
    let found = table.binary_search_by_key(&word, |(known, _)| known).ok();
    found.and_then(|at| table.get(at)).is_some_and(|(_, near)| near.iter().any(|near| stands(near)))
}

/// Whether the token is what the tables name: a word, a mark, `'` for any constant, or nothing in particular.
fn stands(tokens: &Tokens<'_>, at: Option<usize>, near: &str) -> bool {
    let Some(at) = at else { return false };
    match near.as_bytes() {
        [] => true,
        b"'" => tokens.is_string(at),
        [mark] => tokens.is_mark(at, *mark),
        _ => tokens.is_word(at, near),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::Rules;

    #[test]
    fn the_tables_are_sorted_and_the_longest_word_fits() {
        assert!(
            ALWAYS.is_sorted() && STRANGE.is_sorted() && BEFORE.is_sorted() && BEHIND.is_sorted()
        );
        let words =
            ALWAYS.iter().chain(&STRANGE).chain(BEFORE.iter().chain(&BEHIND).map(|(it, _)| it));
        assert_eq!(words.map(|word| word.len()).max(), Some(LONGEST));
    }

    #[test]
    fn words_mean_what_they_mean_where_they_stand() {
        for (text, at, expected) in [
            ("select a", 0, Role::Keyword),
            ("select t.select", 3, Role::Name),
            ("select a as table", 3, Role::Name),
            ("select first", 1, Role::Name),
            ("nulls first", 1, Role::Keyword),
            ("select range from t", 1, Role::Name),
            ("range between 1", 0, Role::Keyword),
            ("select interval", 1, Role::Name),
            ("select interval '1'", 1, Role::Keyword),
            ("x as timestamp with time zone", 2, Role::Keyword),
            ("limit .5", 0, Role::Keyword),
            ("key.x", 0, Role::Name),
            ("select qualify", 1, Role::Name),
            ("default", 0, Role::Strange),
            ("SELECT a", 0, Role::Keyword),
        ] {
            let tokens = Tokens::new(text.as_bytes(), Rules::default());
            assert_eq!(role(&tokens, at), expected, "{text}");
        }
    }
}
