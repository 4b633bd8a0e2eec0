//! What PostgreSQL has and the parser has not, as something that both have and that names and calls the same.

use sqlparser::tokenizer::Token;

use super::parentheses::Open;
use super::{Builder, OPERATOR};
use crate::access::types;
use crate::access::vocabulary::{LONGEST, fold};
use crate::lexer::Kind;

/// What became of a word that the parser may not know.
pub(super) enum Rewritten {
    /// It is nothing of the kind.
    No,
    /// It and what belongs to it was shown; this token is next.
    As(usize),
    /// It does not stand where it may.
    Strange,
}

impl Builder<'_> {
    /// What the parser does not know, as something that it knows.
    pub(super) fn rewritten(&mut self, at: usize) -> Rewritten {
        let tokens = self.tokens;
        let next = |words: &[&str]| tokens.is_any(at + 1, words);
        let before = |words: &[&str]| at > 0 && tokens.is_any(at - 1, words);
        if at > 0 && (tokens.is_mark(at - 1, b'.') || tokens.is_word(at - 1, "as")) {
            return Rewritten::No;
        }
        let mut folded = [0; LONGEST];
        let Some(word) = fold(tokens.bytes(at), &mut folded) else { return Rewritten::No };
        let done = match word {
            "only" if !before(&["row", "rows"]) => self.only(at),
            "table" => self.table(at),
            "rows" if next(&["from"]) && tokens.is_mark(at + 2, b'(') => {
                self.open.push(Open::Plain);
                self.show(at + 2, Token::LParen);
                Some(self.keyword(at + 2, "SELECT"))
            }
            "row" | "rows" if next(&["only"]) => Some(at + 2),
            "row" | "rows" if next(&["with"]) && tokens.is_word(at + 2, "ties") => Some(at + 3),
            "fetch" if next(&["first", "next"]) => Some(self.fetch(at)),
            "for" if next(&["read"]) && tokens.is_word(at + 2, "only") => Some(at + 3),
            "is" if self.tested(at).is_some() => self.test(at),
            "isnull" | "notnull" => Some(self.is_null(at)),
            "symmetric" | "asymmetric" => before(&["between"]).then_some(at + 1),
            "variadic" => Some(at + 1),
            "overlaps" => Some(self.show(at, Token::Eq)),
            "not" if next(&["like", "ilike"]) && self.compares_many(at + 1) => Some(at + 1),
            "like" | "ilike" if self.compares_many(at) => Some(self.show(at, Token::Eq)),
            "using" if self.is_operator(at + 1) => Some(self.operator_end(at + 1)),
            "operator" if tokens.is_mark(at + 1, b'(') && self.is_operator(at) => {
                let end = self.operator_end(at);
                let of_many = tokens.is_any(end, &["any", "all", "some"]);
                self.show(at, if of_many { Token::Eq } else { Token::Plus });
                Some(end)
            }
            // What is compared by a collation is compared as well without it.
            "collate" if tokens.is_name(at + 1) => Some(tokens.chain_end(at + 1) + 1),
            "collation" if next(&["for"]) && tokens.is_mark(at + 2, b'(') => Some(at + 2),
            "exclude" if next(&["ties", "group"]) => Some(at + 2),
            "exclude" if next(&["current", "no"]) => Some(at + 3),
            "tablesample" if tokens.is_name(at + 1) => {
                self.keyword(at, "TABLESAMPLE");
                self.keyword(at, "SYSTEM");
                Some(tokens.chain_end(at + 1) + 1)
            }
            "search" if next(&["breadth", "depth"]) => self.behind(at, "set"),
            "cycle" if at > 0 && tokens.is_name(at + 1) && self.follows_cte(at) => {
                self.behind(at, "using")
            }
            _ => return Rewritten::No,
        };
        done.map_or(Rewritten::Strange, Rewritten::As)
    }

    /// What belongs to the syntax of XML only: names of elements and attributes, and what kind of text it is.
    pub(super) fn in_xml(&mut self, at: usize) -> Option<usize> {
        let tokens = self.tokens;
        let first = self.shown.last().is_some_and(|shown| shown.token == Token::LParen);
        if first && tokens.is_word(at, "name") && tokens.is_name(at + 1) {
            return Some(at + 2 + usize::from(tokens.is_mark(at + 2, b',')));
        }
        if first && tokens.is_any(at, &["content", "document"]) {
            return Some(at + 1);
        }
        if tokens.is_word(at, "as") {
            return types::end(tokens, at + 1);
        }
        let by = tokens.is_word(at + 1, "by") && tokens.is_any(at + 2, &["ref", "value"]);
        if !first && tokens.is_word(at, "passing") {
            self.show(at, Token::Comma);
            return Some(if by { at + 3 } else { at + 1 });
        }
        None
    }

    /// `FETCH FIRST n ROWS ONLY`: `LIMIT n`.
    fn fetch(&mut self, at: usize) -> usize {
        self.keyword(at, "LIMIT");
        if self.tokens.is_any(at + 2, &["row", "rows"]) {
            self.show(at + 2, Token::Number("1".to_owned(), false));
        }
        at + 2
    }

    /// The token behind `IS [NOT] [form] NORMALIZED`, `IS [NOT] DOCUMENT`, `IS [NOT] JSON [kind]`.
    fn tested(&self, is: usize) -> Option<usize> {
        let tokens = self.tokens;
        let skip = |at: usize, words: &[&str]| at + usize::from(tokens.is_any(at, words));
        let at = skip(is + 1, &["not"]);
        let form = skip(at, &["nfc", "nfd", "nfkc", "nfkd"]);
        if tokens.is_word(form, "normalized") || tokens.is_word(at, "document") {
            return Some(form + 1);
        }
        if !tokens.is_word(at, "json") {
            return None;
        }
        let kind = skip(at + 1, &["value", "array", "object", "scalar"]);
        let unique =
            tokens.is_any(kind, &["with", "without"]) && tokens.is_word(kind + 1, "unique");
        Some(if unique { skip(kind + 2, &["keys"]) } else { kind })
    }

    fn test(&mut self, is: usize) -> Option<usize> {
        let end = self.tested(is)?;
        self.is_null(is);
        Some(end)
    }

    /// `ONLY name`, `ONLY (name)`: the name alone.
    fn only(&mut self, at: usize) -> Option<usize> {
        if !self.tokens.is_mark(at + 1, b'(') {
            return self.tokens.is_name(at + 1).then_some(at + 1);
        }
        let last = self.tokens.chain_end(at + 2);
        if !self.tokens.is_name(at + 2) || !self.tokens.is_mark(last + 1, b')') {
            return None;
        }
        let mut part = at + 2;
        while part <= last {
            part = self.step(part)?;
        }
        Some(last + 2)
    }

    /// `TABLE name`: `SELECT * FROM name`.
    fn table(&mut self, at: usize) -> Option<usize> {
        if !self.tokens.is_name(at + 1) {
            return None;
        }
        self.keyword(at, "SELECT");
        self.show(at, Token::Mul);
        Some(self.keyword(at, "FROM"))
    }

    fn is_null(&mut self, at: usize) -> usize {
        self.keyword(at, "IS");
        self.keyword(at, "NULL")
    }

    /// Whether `LIKE` compares with many at once.
    fn compares_many(&self, like: usize) -> bool {
        self.tokens.is_any(like + 1, &["any", "all", "some"])
    }

    /// Whether an operator begins here, as it is or in `OPERATOR(…)`.
    fn is_operator(&self, at: usize) -> bool {
        let is_mark =
            |at| matches!(self.tokens.kind(at), Some(Kind::Mark(byte)) if OPERATOR.contains(&byte));
        if is_mark(at) {
            return true;
        }
        let inside = at + 2;
        let named = self.tokens.is_word(at, "operator") && self.tokens.is_mark(at + 1, b'(');
        let operator =
            if self.tokens.is_name(inside) { self.tokens.chain_end(inside) + 2 } else { inside };
        named && is_mark(operator)
    }

    /// The token behind the operator that begins here.
    fn operator_end(&self, at: usize) -> usize {
        if self.tokens.is_word(at, "operator") {
            self.tokens.closing(at + 1, self.end).map_or(self.end, |close| close + 1)
        } else {
            self.operator_at(at).1
        }
    }

    /// Whether a clause of a `WITH` query stands here: behind its parentheses, or behind another such clause.
    fn follows_cte(&self, at: usize) -> bool {
        let tokens = self.tokens;
        tokens.is_mark(at - 1, b')') || at >= 2 && tokens.is_word(at - 2, "set")
    }

    /// The token behind the name that follows the next word `word`: the end of a clause that only names columns.
    fn behind(&self, at: usize, word: &str) -> Option<usize> {
        let tokens = self.tokens;
        let end =
            (at..self.end).find(|at| tokens.is_word(*at, word) || tokens.is_mark(*at, b'('))?;
        (tokens.is_word(end, word) && tokens.is_name(end + 1)).then_some(end + 2)
    }

    /// A word between the arguments of `EXTRACT` and its kin: a comma, or nothing if no argument stands before it.
    pub(super) fn between_arguments(&mut self, at: usize) -> Option<usize> {
        let first = self.shown.last().is_some_and(|shown| shown.token == Token::LParen);
        match self.tokens.bytes(at).to_ascii_lowercase().as_slice() {
            b"from" if self.tokens.is_word(at - 1, "distinct") => None,
            b"both" | b"leading" | b"trailing" => Some(at + 1),
            b"from" | b"for" | b"placing" | b"escape" if first => Some(at + 1),
            b"from" | b"for" | b"placing" | b"escape" => Some(self.show(at, Token::Comma)),
            b"similar" if !first => {
                self.show(at, Token::Comma);
                Some(at + 1 + usize::from(self.tokens.is_word(at + 1, "to")))
            }
            _ => None,
        }
    }
}
