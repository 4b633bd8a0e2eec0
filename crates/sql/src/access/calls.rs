//! Names before parentheses, as the tokens show them: each may be a call.

use std::ops::Range;

use super::relations::{self, Relation};
use super::tokens::Tokens;
use crate::functions;
use crate::lexer::Kind;
use crate::name::Name;

/// A function that a text calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The database, if the text names one: an error, unless it is that of the session.
    pub database: Option<Name>,
    /// The schema, if the text names one.
    pub schema: Option<Name>,
    /// The name of the function.
    pub name: Name,
    /// How many arguments it is given; `*` is none. Those of an ordered set (`WITHIN GROUP`) count, as they do for
    /// PostgreSQL.
    pub arguments: usize,
    /// Whether some are given by name, so that others may be left out between them.
    pub named: bool,
    /// Whether the last one is an array of arguments (`VARIADIC`).
    pub variadic: bool,
    /// The constant by which a call of some functions of PostgreSQL names what it is about: the setting of
    /// `current_setting` and `set_config`, the relation of `to_regclass`, `pg_table_size` and their kin.
    pub literal: Option<Name>,
}

impl Call {
    /// The relation that [`Call::literal`] names, if it is one. A number is that of an object, which is the same
    /// everywhere.
    pub fn relation(&self) -> Option<Relation> {
        let literal = self.literal.as_ref()?.as_bytes();
        let setting = self.name == *"current_setting" || self.name == *"set_config";
        let number = !literal.is_empty() && literal.iter().all(u8::is_ascii_digit);
        (!setting && !number).then(|| relations::in_string(literal))
    }
}

/// A name before a parenthesis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The first token of the dotted name.
    pub(crate) first: usize,
    /// Its last token, before the parenthesis.
    pub(crate) at: usize,
    pub(crate) arguments: usize,
    pub(crate) named: bool,
    pub(crate) variadic: bool,
    /// Whether there are words between the arguments that only a syntax of its own has.
    pub(crate) special: bool,
}

/// Keywords that PostgreSQL takes for a function's name as well, where no clause can begin with them. Whether there is
/// a call then is for the parser to say.
const CLAUSES: [&str; 18] = [
    "by",
    "columns",
    "conflict",
    "cube",
    "explain",
    "filter",
    "insert",
    "json",
    "materialized",
    "over",
    "passing",
    "rollup",
    "set",
    "sets",
    "user",
    "varying",
    "within",
    "zone",
];

/// Keywords with a syntax of their own that are also called like any function, with commas; and those that are words of
/// the grammar only since a late version.
#[rustfmt::skip]
const SPECIAL: [&str; 14] = [
    "json_array", "json_arrayagg", "json_exists", "json_object", "json_objectagg", "json_query", "json_scalar",
    "json_serialize", "json_table", "json_value", "merge_action", "overlay", "substring", "system_user",
];

impl Candidate {
    /// Whether it cannot be a call, whatever stands around it.
    pub(crate) fn is_syntax(&self, tokens: &Tokens<'_>) -> bool {
        if self.first != self.at || tokens.kind(self.at) != Some(Kind::Word) {
            return false;
        }
        let word = tokens.bytes(self.at);
        functions::lookup(word, false) == Some(functions::Call::Keyword)
            && !tokens.is_any(self.at, &CLAUSES)
            && (self.special || !tokens.is_any(self.at, &SPECIAL))
    }

    /// Whether it is a keyword that begins a clause, if it is no call.
    pub(crate) fn is_clause(&self, tokens: &Tokens<'_>) -> bool {
        let fetch = self.at > 0 && tokens.is_word(self.at - 1, "fetch");
        self.first == self.at
            && (tokens.is_any(self.at, &CLAUSES)
                || fetch && tokens.is_any(self.at, &["first", "next"]))
    }

    /// Whether the word before the name says that it is a type, or what a relation or a column is called here.
    pub(crate) fn is_named_here(
        &self,
        tokens: &Tokens<'_>,
        is_keyword: impl Fn(usize) -> bool,
    ) -> bool {
        let Some(before) = self.first.checked_sub(1) else { return false };
        match tokens.kind(before) {
            Some(Kind::Word) => {
                tokens.is_any(before, &["as", "ordinality", "tablesample"]) || !is_keyword(before)
            }
            Some(Kind::Quoted | Kind::UnicodeQuoted | Kind::Mark(b')' | b']')) => true,
            Some(Kind::Mark(b':')) => before > 0 && tokens.is_cast(before - 1),
            _ => false,
        }
    }
}

/// An open parenthesis or bracket.
struct Open {
    /// The candidate whose arguments these are.
    candidate: Option<usize>,
    /// The candidate that gets the arguments of an ordered set.
    within: Option<usize>,
    start: usize,
    commas: usize,
    /// Whether an `ORDER BY` of an aggregate has begun, whose commas are none of the arguments'.
    ordered: bool,
}

/// Every name before a parenthesis in these tokens, in their order.
pub(crate) fn candidates(tokens: &Tokens<'_>, range: Range<usize>) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    // The candidate whose parenthesis closed last.
    let mut closed = None;
    for at in range.clone() {
        match tokens.kind(at) {
            Some(Kind::Mark(b'(')) => {
                open.push(opened(tokens, at, range.start, &mut found, closed));
            }
            Some(Kind::Mark(b'[')) => open.push(Open::bracket(at)),
            Some(Kind::Mark(b')' | b']')) => {
                if let Some(done) = open.pop() {
                    close(&done, at, tokens, &mut found);
                    closed = done.candidate;
                }
            }
            Some(Kind::Mark(b',')) => {
                if let Some(top) =
                    open.last_mut().filter(|top| !top.ordered || top.within.is_some())
                {
                    top.commas += 1;
                }
            }
            Some(Kind::Mark(b'=' | b'>')) => {
                let arrow = tokens.is_mark(at, b'=') && tokens.is_mark(at + 1, b'>');
                let assigned = at > 0 && tokens.is_mark(at - 1, b':') && tokens.touches(at);
                if let Some(candidate) = of(open.last(), &mut found)
                    && (arrow && tokens.touches(at + 1) || assigned)
                {
                    candidate.named = true;
                }
            }
            Some(Kind::Word) => word(tokens, at, &mut open, &mut found),
            _ => {}
        }
    }
    found
}

impl Open {
    fn bracket(start: usize) -> Self {
        Self { candidate: None, within: None, start, commas: 0, ordered: false }
    }
}

/// A parenthesis opens at `at`.
fn opened(
    tokens: &Tokens<'_>,
    at: usize,
    start: usize,
    found: &mut Vec<Candidate>,
    closed: Option<usize>,
) -> Open {
    let mut opened = Open::bracket(at);
    if at == start || !tokens.is_name(at - 1) {
        return opened;
    }
    if tokens.is_word(at - 1, "group") && at >= 2 && tokens.is_word(at - 2, "within") {
        opened.within = closed.filter(|_| at >= 3 && tokens.is_mark(at - 3, b')'));
        return opened;
    }
    opened.candidate = Some(found.len());
    found.push(Candidate {
        first: tokens.chain_start(at - 1).max(start),
        at: at - 1,
        arguments: 0,
        named: false,
        variadic: false,
        special: false,
    });
    opened
}

/// The candidate whose arguments we are in.
fn of<'a>(top: Option<&Open>, found: &'a mut [Candidate]) -> Option<&'a mut Candidate> {
    top?.candidate.and_then(|number| found.get_mut(number))
}

/// A parenthesis closes at `at`: its arguments are counted.
fn close(done: &Open, at: usize, tokens: &Tokens<'_>, found: &mut [Candidate]) {
    let inside = at - done.start - 1;
    let star = inside == 1 && tokens.is_mark(done.start + 1, b'*');
    let count = if inside == 0 || star { 0 } else { done.commas + 1 };
    if let Some(candidate) = done.candidate.and_then(|number| found.get_mut(number)) {
        candidate.arguments = count;
    }
    if let Some(candidate) = done.within.and_then(|number| found.get_mut(number)) {
        candidate.arguments += count;
    }
}

/// Words between arguments that mean something for the call they stand in.
fn word(tokens: &Tokens<'_>, at: usize, open: &mut [Open], found: &mut [Candidate]) {
    // All of them reserved: no argument is called so.
    const SYNTAX: [&str; 7] = ["both", "for", "from", "leading", "placing", "similar", "trailing"];
    let Some(top) = open.last_mut() else { return };
    if tokens.is_word(at, "order") && tokens.is_word(at + 1, "by") {
        top.ordered = true;
        return;
    }
    let Some(candidate) = of(open.last(), found) else { return };
    if tokens.is_word(at, "variadic") {
        candidate.variadic = true;
    } else if tokens.is_any(at, &SYNTAX) && !(at > 0 && tokens.is_word(at - 1, "distinct")) {
        candidate.special = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::Rules;

    /// The candidates of a text, as `name/arguments` and signs for what else is known of them.
    fn of(text: &str) -> String {
        let tokens = Tokens::new(text.as_bytes(), Rules::default());
        let found = candidates(&tokens, 0..tokens.len());
        let shown =
            found.iter().filter(|candidate| !candidate.is_syntax(&tokens)).map(|candidate| {
                let name: Vec<_> = (candidate.first..=candidate.at)
                    .map(|at| String::from_utf8_lossy(tokens.bytes(at)).into_owned())
                    .collect();
                let named = if candidate.named { " named" } else { "" };
                let variadic = if candidate.variadic { " variadic" } else { "" };
                format!("{}/{}{named}{variadic}", name.concat(), candidate.arguments)
            });
        shown.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn arguments_are_counted_at_their_own_depth() {
        for (text, expected) in [
            (
                "select count(*), f(), g(1), h(1, (2, 3), k(4, 5), a[6, 7])",
                "count/0, f/0, g/1, h/4, k/2",
            ),
            ("select f(distinct a, b), array_agg(a order by b, c)", "f/2, array_agg/1"),
            ("select s.f(1), \"S\".\"F\"(1, 2), a.b.c(1)", "s.f/1, \"S\".\"F\"/2, a.b.c/1"),
            ("select f(a => 1, b := 2), f(variadic a), f(a >= 1)", "f/2 named, f/1 variadic, f/1"),
            (
                "select percentile_cont(0.5) within group (order by a), \
                 rank(1, 2) within group (order by a, b)",
                "percentile_cont/2, rank/4",
            ),
            ("select f(select 1, 2 order by 3, 4)", "f/2"),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn syntax_is_no_call_and_the_same_names_with_commas_are() {
        for (text, expected) in [
            (
                "select coalesce(a, 1), a in (1), exists (select 1), row(1), cast(a as numeric(1, 2))",
                "",
            ),
            ("select extract(year from a), position(a in b), trim(both from a), trim(a)", ""),
            (
                "select substring(a from 1 for 2), substring(a, 1, 2), substr(a, 1)",
                "substring/3, substr/2",
            ),
            ("select overlay(a placing b from 1), overlay(a, b, 1)", "overlay/3"),
            (
                "select left(a, 1), ceil(a), floor(a), point(1, 2), \"coalesce\"(a)",
                "left/2, ceil/1, floor/1, point/2, \"coalesce\"/1",
            ),
            (
                "select s.coalesce(a), json_object('a', 1), json_object(value, key)",
                "s.coalesce/1, json_object/2, json_object/2",
            ),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }
}
