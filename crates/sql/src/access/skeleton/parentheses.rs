//! Parentheses: how deep they may be, and those that the parser takes for something else than PostgreSQL does.

use std::ops::Range;

use sqlparser::tokenizer::Token;

use super::{Builder, WORDY};
use crate::access::leading::QUERY;
use crate::access::tokens::Tokens;
use crate::lexer::Kind;

/// Functions of XML, with a syntax of their own.
const XML: [&str; 7] =
    ["xmlattributes", "xmlelement", "xmlexists", "xmlforest", "xmlparse", "xmlpi", "xmlserialize"];

/// Words that go on with a query behind its parentheses.
const BEHIND_QUERY: [&str; 8] =
    ["except", "fetch", "for", "intersect", "limit", "offset", "order", "union"];

/// So many parentheses, brackets and `CASE`s may be open at once. Deeper queries cost the parser much for each level,
/// the more so if it does not come to an end.
const NESTING_READ: usize = 64;

/// So many parentheses may open one behind the other: each time the parser tries what may stand in them.
const OPENED_AT_ONCE: usize = 24;

/// What stands before a parenthesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// Nothing in particular.
    Plain,
    /// A function with words between its arguments.
    Wordy,
    /// `CAST`.
    Cast,
    /// `XMLELEMENT` and its kin.
    Xml,
    /// `ANY` and a query that the parser is shown in parentheses more than there are.
    Doubled,
}

impl Builder<'_> {
    /// Shows what the parser needs before the parenthesis that opens at `at`.
    pub(super) fn open(&mut self, at: usize) {
        let open = self.opening(at);
        self.open.push(open);
        if self.begins_list(at) {
            self.show(at, Token::Number("1".to_owned(), false));
            self.show(at, Token::Comma);
        }
        if open == Open::Doubled {
            self.show(at, Token::LParen);
        }
        if open == Open::Doubled || self.begins_combined(at) {
            self.keyword(at, "SELECT");
            self.show(at, Token::Mul);
            self.keyword(at, "FROM");
        }
    }

    /// What the parenthesis at `at` belongs to.
    fn opening(&self, at: usize) -> Open {
        let Some(candidate) = at.checked_sub(1).and_then(|name| self.candidate(name)) else {
            return Open::Plain;
        };
        if self.tokens.is_any(candidate.at, &["any", "all", "some"]) {
            // The parser knows a query here by its first word, and only by two of them.
            let known = self.tokens.is_any(at + 1, &["select", "with", "table"]);
            let doubled = self.begins_query(at) && !known;
            return if doubled { Open::Doubled } else { Open::Plain };
        }
        if candidate.first != candidate.at {
            Open::Plain
        } else if candidate.special && self.tokens.is_any(candidate.at, &WORDY) {
            Open::Wordy
        } else if self.tokens.is_word(candidate.at, "cast") {
            Open::Cast
        } else if self.tokens.is_any(candidate.at, &XML) {
            Open::Xml
        } else {
            Open::Plain
        }
    }

    /// Whether this parenthesis is the second of `((SELECT …) UNION …)`: the parser takes no query for one of an expression
    /// that begins with a parenthesis of its own.
    fn begins_combined(&self, at: usize) -> bool {
        let tokens = self.tokens;
        at > 0
            && tokens.is_mark(at - 1, b'(')
            && tokens.is_any(at + 1, &["select", "values", "table", "with"])
            && tokens
                .closing(at, self.end)
                .is_some_and(|close| tokens.is_any(close + 1, &["union", "intersect", "except"]))
    }

    /// Whether this parenthesis is the second of `IN ((SELECT …), …)`: the parser takes a list that begins with a query
    /// for a query.
    fn begins_list(&self, at: usize) -> bool {
        let tokens = self.tokens;
        at >= 2
            && tokens.is_mark(at - 1, b'(')
            && tokens.is_word(at - 2, "in")
            && self.begins_query(at)
            && tokens.closing(at, self.end).is_some_and(|close| {
                !tokens.is_mark(close + 1, b')') && !tokens.is_any(close + 1, &BEHIND_QUERY)
            })
    }

    /// Whether a query begins at `at`, parentheses left out.
    fn begins_query(&self, at: usize) -> bool {
        let word = (at..self.end).find(|at| !self.tokens.is_mark(*at, b'(')).unwrap_or(at);
        self.tokens.is_any(word, &QUERY)
    }
}

/// Nothing if these tokens are nested too deep.
pub(super) fn shallow(tokens: &Tokens<'_>, range: Range<usize>) -> Option<()> {
    let (mut depth, mut deepest, mut opened) = (0_usize, 0, 0);
    for at in range {
        opened = if tokens.is_mark(at, b'(') { opened + 1 } else { 0 };
        if opened > OPENED_AT_ONCE {
            return None;
        }
        match tokens.kind(at) {
            Some(Kind::Mark(b'(' | b'[')) => depth += 1,
            Some(Kind::Mark(b')' | b']')) => depth = depth.saturating_sub(1),
            Some(Kind::Word) if tokens.is_word(at, "case") => depth += 1,
            Some(Kind::Word) if tokens.is_word(at, "end") => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    (deepest <= NESTING_READ).then_some(())
}
