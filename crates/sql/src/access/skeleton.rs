//! What the parser is shown of a query: its grammar.
//!
//! The parser gets tokens from us, not a text. Strings are empty, names are all the same quoted one, operators are `+`
//! unless the grammar knows them, and what the parser does not know but is the same as something that it knows is
//! written so. It thus cannot read a quote, a comment, a number, an operator or a word of another dialect otherwise
//! than we do. Where it finds something, the place that each token carries says which of our tokens that is: the line
//! is 1, and the column is the token's number, counted from 1.

mod parentheses;
mod rewrite;

use std::ops::Range;

use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan};

use self::parentheses::{Open, shallow};
use self::rewrite::Rewritten;
use super::calls::Candidate;
use super::tokens::Tokens;
use super::types;
use super::vocabulary::{Role, role};
use crate::lexer::Kind;

/// So many joins may wait for their `ON` at once (`a JOIN b JOIN c ON … ON …`): the parser calls itself for each.
pub(crate) const JOINS_NESTED: usize = 50;

/// What every name is called.
const NAME: &str = "q";

/// Characters that operators are made of.
const OPERATOR: &[u8] = b"+-*/<>=~!@#%^&|`?";

/// An operator of more than one character may end in `+` or `-` only if it has one of these.
const ENDING: &[u8] = b"~!@#%^&|`?";

/// Functions with words between their arguments (`trim(both 'x' from y)`).
const WORDY: [&str; 4] = ["extract", "overlay", "substring", "trim"];

/// The number of the token that this place stands for.
pub(crate) fn number(span: Span) -> Option<usize> {
    usize::try_from(span.start.column).ok()?.checked_sub(1)
}

/// The tokens that the parser is shown for these of a query. None if they are none that it could make sense of.
pub(crate) fn skeleton(
    tokens: &Tokens<'_>,
    range: Range<usize>,
    candidates: &[Candidate],
) -> Option<Vec<TokenWithSpan>> {
    shallow(tokens, range.clone())?;
    let shown = Vec::with_capacity(range.len() + range.len() / 4);
    let mut builder =
        Builder { tokens, candidates, end: range.end, shown, open: Vec::new(), joins: 0 };
    let mut at = range.start;
    while at < range.end {
        at = builder.step(at)?;
    }
    Some(builder.shown)
}

struct Builder<'a> {
    tokens: &'a Tokens<'a>,
    candidates: &'a [Candidate],
    end: usize,
    shown: Vec<TokenWithSpan>,
    /// What stands before each open parenthesis.
    open: Vec<Open>,
    /// Joins that wait for their `ON`.
    joins: usize,
}

impl Builder<'_> {
    /// Shows the token at `at`, and what belongs to it; says which is next.
    fn step(&mut self, at: usize) -> Option<usize> {
        match self.tokens.kind(at)? {
            Kind::Word => self.word(at),
            Kind::Quoted | Kind::UnicodeQuoted => {
                self.tokens.name(at)?;
                Some(self.name(at))
            }
            Kind::Text | Kind::Dollar => Some(self.string(at)),
            Kind::Number => Some(self.number(at)),
            Kind::Parameter => Some(self.parameter(at)),
            Kind::Mark(byte) if OPERATOR.contains(&byte) => Some(self.operator(at)),
            Kind::Mark(byte) => self.mark(at, byte),
            Kind::Lost => None,
        }
    }

    fn show(&mut self, at: usize, token: Token) -> usize {
        let column = u64::try_from(at + 1).unwrap_or_default();
        let place = Location { line: 1, column };
        self.shown.push(TokenWithSpan { token, span: Span::new(place, place) });
        at + 1
    }

    fn name(&mut self, at: usize) -> usize {
        self.show(at, Token::make_word(NAME, Some('"')))
    }

    fn keyword(&mut self, at: usize, word: &str) -> usize {
        self.show(at, Token::make_keyword(word))
    }

    /// A constant; a type before it (`regclass 'x'`) goes with it.
    fn string(&mut self, at: usize) -> usize {
        let before = at.checked_sub(1).filter(|before| self.tokens.is_name(*before));
        if let Some(before) = before.filter(|before| self.is_plain_name(*before)) {
            let first = self.tokens.chain_start(before);
            while self
                .shown
                .last()
                .and_then(|shown| number(shown.span))
                .is_some_and(|it| it >= first)
            {
                self.shown.pop();
            }
        }
        self.show(at, Token::SingleQuotedString(String::new()));
        let escaped = self.tokens.is_word(at + 1, "uescape") && self.tokens.is_string(at + 2);
        if escaped { at + 3 } else { at + 1 }
    }

    fn is_plain_name(&self, at: usize) -> bool {
        self.tokens.kind(at) != Some(Kind::Word) || role(self.tokens, at) == Role::Name
    }

    /// A number; its exponent (`e5`, `e-5`) may be further tokens.
    fn number(&mut self, at: usize) -> usize {
        let next = self.show(at, Token::Number("1".to_owned(), false));
        let word = self.tokens.bytes(next);
        if self.tokens.kind(next) != Some(Kind::Word) || !self.tokens.touches(next) {
            return next;
        }
        match word {
            [b'e' | b'E'] => {
                let signed =
                    self.tokens.is_mark(next + 1, b'-') || self.tokens.is_mark(next + 1, b'+');
                let digits = self.tokens.kind(next + 2) == Some(Kind::Number);
                let touch = self.tokens.touches(next + 1) && self.tokens.touches(next + 2);
                // Letters right behind it are no part of any number.
                let junk =
                    self.tokens.kind(next + 3) == Some(Kind::Word) && self.tokens.touches(next + 3);
                if signed && digits && touch && !junk { next + 3 } else { next }
            }
            [b'e' | b'E', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => next + 1,
            _ => next,
        }
    }

    /// A parameter: a number, which is what the parser wants behind `FETCH`; a name where `($1).x` follows.
    fn parameter(&mut self, at: usize) -> usize {
        let selected = self.tokens.is_mark(at + 2, b'.') || self.tokens.is_mark(at + 1, b'[');
        if selected || self.tokens.is_mark(at + 2, b'[') {
            self.name(at)
        } else {
            self.show(at, Token::Number("1".to_owned(), false))
        }
    }

    fn mark(&mut self, at: usize, byte: u8) -> Option<usize> {
        let token = match byte {
            b'(' => {
                self.open(at);
                Token::LParen
            }
            b')' => {
                if self.open.pop() == Some(Open::Doubled) {
                    self.show(at, Token::RParen);
                }
                Token::RParen
            }
            b'[' if self.tokens.is_mark(at + 1, b':') && !self.tokens.is_cast(at + 1) => {
                self.show(at, Token::LBracket);
                return Some(self.show(at + 1, Token::Number("1".to_owned(), false)) - 1);
            }
            b'[' => Token::LBracket,
            b']' => Token::RBracket,
            b',' => Token::Comma,
            b'.' => {
                let fraction = self.tokens.kind(at + 1) == Some(Kind::Number);
                if fraction && self.tokens.touches(at + 1) {
                    return Some(at + 1);
                }
                // `(x).*` is as good as `(x)`.
                let closed = at > 0
                    && (self.tokens.is_mark(at - 1, b')') || self.tokens.is_mark(at - 1, b']'));
                if closed && self.tokens.is_mark(at + 1, b'*') {
                    return Some(at + 2);
                }
                Token::Period
            }
            b':' if self.tokens.is_cast(at) => {
                self.show(at, Token::DoubleColon);
                return self.data_type(at + 2);
            }
            b':' if self.tokens.is_mark(at + 1, b'=') && self.tokens.touches(at + 1) => {
                self.show(at, Token::RArrow);
                return Some(at + 2);
            }
            b':' => Token::Colon,
            _ => return None,
        };
        Some(self.show(at, token))
    }

    /// The name of a type: always the same one. Brackets behind it are left.
    fn data_type(&mut self, at: usize) -> Option<usize> {
        let end = types::end(self.tokens, at)?;
        self.keyword(at, "INT");
        Some(end)
    }

    /// One operator, which may be several tokens.
    fn operator(&mut self, at: usize) -> usize {
        let (operator, next) = self.operator_at(at);
        if operator == b"*" && self.follows_relation(at) {
            return next;
        }
        let of_many = self.tokens.is_any(next, &["any", "all", "some"]);
        self.show(at, known(&operator, of_many));
        next
    }

    /// Whether the `*` at `at` is that of `FROM t *`, which is `FROM t`.
    fn follows_relation(&self, at: usize) -> bool {
        let name = at
            .checked_sub(1)
            .filter(|name| self.tokens.is_name(*name) && self.is_plain_name(*name));
        let before = name.and_then(|name| self.tokens.chain_start(name).checked_sub(1));
        self.open.last() != Some(&Open::Wordy)
            && before.is_some_and(|before| self.tokens.is_any(before, &["from", "join"]))
            && !before
                .is_some_and(|before| before > 0 && self.tokens.is_word(before - 1, "distinct"))
    }

    /// The operator that begins at `at` by PostgreSQL's rules, and the token behind it.
    fn operator_at(&self, at: usize) -> (Vec<u8>, usize) {
        let mut next = at;
        let mut operator = Vec::new();
        while let Some(Kind::Mark(byte)) = self.tokens.kind(next)
            && OPERATOR.contains(&byte)
            && (next == at || self.tokens.touches(next))
            && next < self.end
        {
            operator.push(byte);
            next += 1;
        }
        while operator.len() > 1
            && matches!(operator.last(), Some(b'+' | b'-'))
            && !operator.iter().any(|byte| ENDING.contains(byte))
        {
            operator.pop();
            next -= 1;
        }
        (operator, next)
    }

    fn word(&mut self, at: usize) -> Option<usize> {
        let tokens = self.tokens;
        let within = match self.open.last() {
            Some(Open::Cast) if tokens.is_word(at, "as") => {
                self.keyword(at, "AS");
                return self.data_type(at + 1);
            }
            Some(Open::Wordy) => self.between_arguments(at),
            Some(Open::Xml) => self.in_xml(at),
            _ => None,
        };
        if within.is_some() {
            return within;
        }
        match self.rewritten(at) {
            Rewritten::As(next) => return Some(next),
            Rewritten::Strange => return None,
            Rewritten::No => {}
        }
        match role(tokens, at) {
            Role::Strange => None,
            Role::Name => Some(self.name(at)),
            Role::Keyword if self.is_function(at) => Some(self.name(at)),
            Role::Keyword => {
                self.count_joins(at)?;
                let word = std::str::from_utf8(tokens.bytes(at)).ok()?;
                Some(self.keyword(at, word))
            }
        }
    }

    /// Follows how many joins wait for their `ON`. None if they are too many.
    fn count_joins(&mut self, at: usize) -> Option<()> {
        if self.tokens.is_any(at, &["on", "using"]) {
            self.joins = self.joins.saturating_sub(1);
        } else if self.tokens.is_word(at, "join") {
            let mut kinds = (at.saturating_sub(3)..at).rev();
            let waits = !kinds.any(|at| self.tokens.is_any(at, &["natural", "cross"]));
            self.joins += usize::from(waits);
        }
        (self.joins <= JOINS_NESTED).then_some(())
    }

    /// Whether a word that may be a keyword is a name here, by what stands behind it.
    fn is_function(&self, at: usize) -> bool {
        let tokens = self.tokens;
        let parenthesis = tokens.is_mark(at + 1, b'(');
        if tokens.is_any(at, &["left", "right"]) {
            parenthesis
        } else if tokens.is_any(at, &WORDY) {
            true
        } else {
            !parenthesis && tokens.is_any(at, &["position", "values"])
        }
    }

    /// The candidate whose name ends with this token.
    fn candidate(&self, at: usize) -> Option<&Candidate> {
        let by = self.candidates.binary_search_by_key(&at, |candidate| candidate.at);
        by.ok().and_then(|by| self.candidates.get(by))
    }
}

/// What the parser is shown for an operator.
fn known(operator: &[u8], of_many: bool) -> Token {
    match operator {
        b"*" => Token::Mul,
        b"=" => Token::Eq,
        b"<" => Token::Lt,
        b">" => Token::Gt,
        b"<=" => Token::LtEq,
        b">=" => Token::GtEq,
        b"<>" | b"!=" => Token::Neq,
        b"=>" => Token::RArrow,
        _ if of_many => Token::Eq,
        b"-" => Token::Minus,
        b"/" => Token::Div,
        _ => Token::Plus,
    }
}
