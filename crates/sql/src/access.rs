//! What a text reads, writes and calls: from the text alone, for whoever chooses a server for it.
//!
//! Two readers must agree. Our lexer finds statements, their first words, and words that make more of a query than a
//! query, wherever they stand; and every name before a parenthesis. A parser is shown the grammar of what is a query
//! so far ([`skeleton`]), and says which of the names are relations, calls, types or names given by the text itself.
//! A text is a [`Class::Read`] only if nothing is left unexplained.
//!
//! What no text can show: what the operators, casts, views and columns (`t.f` for `f(t)`) that it names call.

pub mod cache;
mod calls;
mod class;
mod danger;
mod hint;
mod leading;
mod literals;
mod relations;
mod shape;
mod skeleton;
mod stack;
mod tokens;
mod tree;
mod types;
mod vocabulary;
mod witness;

use std::ops::Range;

pub use self::calls::Call;
pub use self::class::Class;
pub use self::hint::{Hint, hint};
use self::leading::Leading;
use self::literals::Argument;
pub use self::relations::Relation;
pub use self::shape::{Secret, Shape, shape};
use self::tokens::Tokens;
pub use self::tokens::{TEXT_READ, TOKENS_READ};
use crate::lexer::{Kind, Rules};

/// What a text reads, writes and calls.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Access {
    /// What it is.
    pub class: Class,
    /// How many statements it has, empty ones left out; of a text that is not read to its end, at least so many.
    pub statements: usize,
    /// The relations that it reads, each once, in the order of the text. Of a [`Class::Read`] only.
    pub relations: Vec<Relation>,
    /// The functions that it calls, each once, in the order of the text. Of a [`Class::Read`] only.
    pub calls: Vec<Call>,
    /// Whether any of this depends on a constant, so that it is not that of other texts of the same shape.
    pub depends_on_literal: bool,
    /// Where it wants to go.
    pub hint: Option<Hint>,
}

/// Texts of more bytes may take longer to judge than a loop with other work should be held: tens of milliseconds at the
/// limits, if they are made for it. Shorter ones take about one then, and microseconds if they are not.
pub const QUICK: usize = 1024;

/// Texts that name more relations, or more functions, are too long.
const NAMES_KEPT: usize = 256;

/// Judges a text, which must be in UTF-8: one in another encoding is judged by what its bytes are in UTF-8, if they are
/// that, so that names of other letters than ASCII's may be others. A session whose `client_encoding` is not UTF-8 can
/// be trusted with ASCII only.
pub fn access(text: &[u8], rules: Rules) -> Access {
    let mut access = Access {
        class: Class::Empty,
        statements: 0,
        relations: Vec::new(),
        calls: Vec::new(),
        depends_on_literal: false,
        hint: hint(text),
    };
    if let Some(class) = unreadable(text, rules) {
        access.class = class;
        return access;
    }
    let tokens = Tokens::new(text, rules);
    stack::with_room(tokens.len(), || access.read(&tokens, text, rules));
    access
}

/// Why the bytes of a text cannot be trusted to be what they seem.
fn unreadable(text: &[u8], rules: Rules) -> Option<Class> {
    if !rules.standard_conforming_strings && text.contains(&b'\\') {
        Some(Class::Strings)
    } else if rules.ascii_in_characters && !text.is_ascii() || std::str::from_utf8(text).is_err() {
        Some(Class::Encoding)
    } else {
        None
    }
}

/// The tokens of the next statement that is not empty.
fn next_statement(tokens: &Tokens<'_>, from: usize) -> Option<Range<usize>> {
    let start = (from..tokens.len()).find(|at| !tokens.is_mark(*at, b';'))?;
    let mut depth = 0_usize;
    let end = (start..tokens.len()).find(|at| {
        match tokens.kind(*at) {
            Some(Kind::Mark(b'(')) => depth += 1,
            Some(Kind::Mark(b')')) => depth = depth.saturating_sub(1),
            Some(Kind::Mark(b';')) => return depth == 0,
            _ => {}
        }
        false
    });
    Some(start..end.unwrap_or(tokens.len()))
}

impl Access {
    /// Judges statement after statement, until one is more than a read.
    fn read(&mut self, tokens: &Tokens<'_>, text: &[u8], rules: Rules) {
        let mut at = 0;
        while let Some(statement) = next_statement(tokens, at) {
            at = statement.end + 1;
            self.statements += 1;
            if matches!(self.class, Class::Empty | Class::Read) {
                self.class = self.judge(tokens, statement.clone(), rules);
            }
            if tokens.is_word(statement.start, "create") {
                // Bodies of routines hold semicolons: the scanner knows how to count behind them.
                self.statements = crate::scan(text, rules).statements();
                break;
            }
        }
        if tokens.unended && tokens.complete {
            self.class = Class::NotUnderstood;
        }
        if self.class != Class::Read {
            self.relations.clear();
            self.calls.clear();
            self.depends_on_literal = false;
        }
    }

    /// The class of one statement; what it names is added.
    fn judge(&mut self, tokens: &Tokens<'_>, statement: Range<usize>, rules: Rules) -> Class {
        match leading::leading(tokens, statement) {
            Leading::Class(class) => class,
            Leading::Table(first) => {
                let relation = relations::relation(tokens, first, tokens.chain_end(first));
                relation.map_or(Class::NotUnderstood, |relation| {
                    add(&mut self.relations, relation);
                    Class::Read
                })
            }
            Leading::Query(query) if is_select_alone(tokens, &query) => Class::Read,
            Leading::Query(query) => match danger::danger(tokens, query.clone()) {
                Some(class) => class,
                None if !tokens.complete => Class::TooLong,
                None => self.query(tokens, query, rules).unwrap_or(Class::NotUnderstood),
            },
        }
    }

    /// The class of a query that no word in it makes more than one. None if it is not understood.
    fn query(&mut self, tokens: &Tokens<'_>, query: Range<usize>, rules: Rules) -> Option<Class> {
        let candidates = calls::candidates(tokens, query.clone());
        let literals = literals::relations(tokens, query.clone(), rules)?;
        let shown = skeleton::skeleton(tokens, query.clone(), &candidates)?;
        let mut tree = tree::tree(tokens, shown)?;
        tree.sort();
        witness::relations(tokens, query, &candidates, &tree)?;
        self.depends_on_literal |= !literals.is_empty();
        let mut named = literals;
        for (first, last) in &tree.relations {
            named.push((*first, relations::relation(tokens, *first, *last)?));
        }
        named.sort_by_key(|(at, _)| *at);
        for (_, relation) in named {
            add(&mut self.relations, relation);
            if self.relations.len() > NAMES_KEPT {
                return Some(Class::TooLong);
            }
        }
        for candidate in &witness::calls(tokens, candidates, &tree)? {
            let (database, schema, name) =
                relations::qualified(tokens, candidate.first, candidate.at)?;
            let literal = match literals::argument(tokens, candidate, rules)? {
                Argument::Computed => None,
                Argument::Constant(name) => {
                    self.depends_on_literal = true;
                    name
                }
            };
            let calls::Candidate { arguments, named, variadic, .. } = *candidate;
            add(
                &mut self.calls,
                Call { database, schema, name, arguments, named, variadic, literal },
            );
            if self.calls.len() > NAMES_KEPT {
                return Some(Class::TooLong);
            }
        }
        Some(Class::Read)
    }
}

/// `SELECT` and nothing else, which PostgreSQL takes and the parser does not.
fn is_select_alone(tokens: &Tokens<'_>, query: &Range<usize>) -> bool {
    query.len() == 1 && tokens.is_word(query.start, "select")
}

/// Adds what is not there yet.
fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}
