//! PostgreSQL's lexical rules (manual 4.1, `scan.l`) as a state machine that can stop at any byte and go on later.
//!
//! Tokens are only kinds and places: where their text is kept is the caller's matter. Two liberties are taken, both
//! without consequence for what a statement does to the session: operators come out one byte at a time, and letters
//! right after digits are a word of their own (as PostgreSQL up to 14 reads `1from`; later servers refuse it or read
//! `1e9` and `0x1f` as one number).

mod comments;
mod dollar;
mod strings;

use crate::atoms::{is_space, is_word, starts_word};

/// What the meaning of a text depends on besides its bytes: two session settings, as last reported by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `standard_conforming_strings`: off makes a backslash escape the next byte in plain `'…'` too.
    pub standard_conforming_strings: bool,
    /// Whether `client_encoding` is one whose characters may end in an ASCII byte (SJIS, `SHIFT_JIS_2004`, BIG5, GBK,
    /// UHC, GB18030, JOHAB): there a backslash may be half of a character, so that the end of an escape string
    /// cannot be told without decoding. Such a string makes the rest of the text unreadable.
    pub ascii_in_characters: bool,
}

impl Rules {
    /// The rules of a session, from these settings as the server reports them.
    pub fn new(standard_conforming_strings: bool, client_encoding: &[u8]) -> Self {
        let encodings = ["SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "UHC", "GB18030", "JOHAB"];
        let ascii_in_characters =
            encodings.iter().any(|name| client_encoding.eq_ignore_ascii_case(name.as_bytes()));
        Self { standard_conforming_strings, ascii_in_characters }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self { standard_conforming_strings: true, ascii_in_characters: false }
    }
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An unquoted identifier or a keyword.
    Word,
    /// `"…"`.
    Quoted,
    /// `U&"…"`.
    UnicodeQuoted,
    /// A string constant of any form, all its continuation lines included.
    Text,
    /// `$tag$…$tag$`.
    Dollar,
    /// Digits and dots that began with a digit.
    Number,
    /// `$1`.
    Parameter,
    /// Any other byte: punctuation or one byte of an operator.
    Mark(u8),
    /// The text cannot be followed any further; the last token there is.
    Lost,
}

/// A token: what it is and where it stands in the whole text, in bytes, end exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between tokens.
    Between,
    /// A token of one byte that is already consumed: it waits to be handed out.
    Waiting(u8),
    Word,
    /// After `U&`, where a quote decides.
    UnicodePrefix,
    Number,
    /// After a `$` that begins a token.
    Dollar,
    Parameter,
    /// Inside the tag that opens a dollar quote.
    Tag,
    /// Inside a dollar quote; so many bytes of the closing delimiter are matched.
    DollarBody {
        matched: usize,
    },
    Quoted,
    /// After a `"` that ends the identifier unless another one follows.
    QuotedEnd,
    Text,
    /// After a backslash that escapes the next byte.
    TextEscape,
    /// After a `'` that ends the string unless another one follows.
    TextEnd,
    /// Behind a string, where a newline and another `'` would go on with it (manual 4.1.2.1).
    Gap {
        newline: bool,
    },
    /// In such a gap, after a single `-`.
    GapDash {
        newline: bool,
    },
    /// In such a gap, in a `--` comment.
    GapComment,
    /// After a `-` that may begin a comment.
    Dash,
    /// After a `/` that may begin a comment.
    Slash,
    LineComment,
    /// In `/* … */` comments nested `depth` deep (at least 1), after the byte `previous`.
    BlockComment {
        depth: u32,
        previous: u8,
    },
    /// Nothing more can be told about the text.
    Lost,
}

/// The state machine. Feed it the pieces of a text in order: all tokens of one by [`Lexer::next`], then
/// [`Lexer::leave`] before the next piece.
#[derive(Clone, Debug)]
pub(crate) struct Lexer {
    rules: Rules,
    state: State,
    /// Place of the piece at hand in the whole text.
    base: usize,
    /// Next byte of the piece at hand.
    at: usize,
    /// Where the token at hand begins.
    start: usize,
    /// Where the string at hand ends, if nothing continues it.
    end: usize,
    /// First byte of the word at hand.
    first: u8,
    /// What the quote at hand comes out as.
    quoted: Kind,
    /// Whether a backslash escapes in the string at hand.
    escapes: bool,
    /// Whether the byte before in an escape string had its high bit set.
    after_high: bool,
    /// Tag of the dollar quote at hand; bounded in `dollar.rs`.
    tag: Vec<u8>,
}

impl Lexer {
    /// A lexer for a text whose first byte has the place `base`.
    pub(crate) fn new(rules: Rules, base: usize) -> Self {
        Self {
            rules,
            state: State::Between,
            base,
            at: 0,
            start: base,
            end: base,
            first: 0,
            quoted: Kind::Quoted,
            escapes: false,
            after_high: false,
            tag: Vec::new(),
        }
    }

    /// Place of the piece at hand in the whole text.
    pub(crate) fn base(&self) -> usize {
        self.base
    }

    /// Ends the piece at hand, which had `length` bytes.
    pub(crate) fn leave(&mut self, length: usize) {
        self.base += length;
        self.at = 0;
    }

    /// Where the unfinished token begins, if the lexer stopped inside something that may be one.
    pub(crate) fn unfinished(&self) -> Option<usize> {
        match self.state {
            State::Between | State::LineComment | State::BlockComment { .. } | State::Lost => None,
            _ => Some(self.start),
        }
    }

    /// Whether the lexer stopped inside a string, a quoted identifier or a comment, which lacks its end so far.
    pub(crate) fn is_open(&self) -> bool {
        matches!(
            self.state,
            State::Quoted
                | State::Text
                | State::TextEscape
                | State::DollarBody { .. }
                | State::BlockComment { .. }
        )
    }

    /// Where the unfinished name begins, if the lexer stopped inside one.
    pub(crate) fn unfinished_name(&self) -> Option<usize> {
        match self.state {
            State::Word | State::UnicodePrefix | State::Quoted | State::QuotedEnd => {
                Some(self.start)
            }
            State::Tag => Some(self.start + 1),
            _ => None,
        }
    }

    /// Next token that ends in this piece; `last` says that no further piece follows.
    #[inline]
    pub(crate) fn next(&mut self, piece: &[u8], last: bool) -> Option<Token> {
        loop {
            let rest = piece.get(self.at..).unwrap_or_default();
            if rest.is_empty() && !matches!(self.state, State::Waiting(_)) {
                return if last { self.flush() } else { None };
            }
            let token = match self.state {
                State::Between => self.between(rest),
                State::Word => self.word(rest),
                State::Number => self.number(rest),
                State::Waiting(byte) => Some(self.hand_out(Kind::Mark(byte), self.start + 1)),
                State::Text => self.text(rest),
                State::TextEscape => self.text_escape(rest),
                State::TextEnd => self.text_end(rest),
                State::Gap { newline } => self.gap(rest, newline),
                State::Quoted => self.quoted(rest),
                State::QuotedEnd => self.quoted_end(rest),
                State::Dollar | State::Parameter | State::Tag | State::DollarBody { .. } => {
                    self.dollar(rest)
                }
                _ => self.rare(rest),
            };
            if token.is_some() {
                return token;
            }
        }
    }

    /// A token of the kind `kind` from the start to `end`; the lexer is between tokens again.
    #[inline]
    fn hand_out(&mut self, kind: Kind, end: usize) -> Token {
        self.state = State::Between;
        Token { kind, start: self.start, end }
    }

    /// Place of the next byte.
    #[inline]
    fn here(&self) -> usize {
        self.base + self.at
    }

    fn between(&mut self, rest: &[u8]) -> Option<Token> {
        let Some(skipped) = rest.iter().position(|byte| !is_space(*byte)) else {
            self.at += rest.len();
            return None;
        };
        let byte = *rest.get(skipped)?;
        self.at += skipped;
        self.start = self.here();
        self.at += 1;
        if starts_word(byte) {
            self.first = byte;
            self.state = State::Word;
            return None;
        }
        match byte {
            b'0'..=b'9' => self.state = State::Number,
            b'\'' => self.open_text(!self.rules.standard_conforming_strings),
            b'"' => self.open_quoted(Kind::Quoted),
            b'$' => self.state = State::Dollar,
            b'-' => self.state = State::Dash,
            b'/' => self.state = State::Slash,
            _ => return Some(self.hand_out(Kind::Mark(byte), self.start + 1)),
        }
        None
    }

    fn word(&mut self, rest: &[u8]) -> Option<Token> {
        let Some(length) = rest.iter().position(|byte| !is_word(*byte)) else {
            self.at += rest.len();
            return None;
        };
        self.at += length;
        if self.here() == self.start + 1 {
            match (rest.get(length)?, self.first) {
                (b'\'', b'e' | b'E') => return self.enter_text(true),
                (b'\'', b'b' | b'B' | b'x' | b'X') => return self.enter_text(false),
                (b'\'', b'n' | b'N') => {
                    return self.enter_text(!self.rules.standard_conforming_strings);
                }
                (b'&', b'u' | b'U') => {
                    self.at += 1;
                    self.state = State::UnicodePrefix;
                    return None;
                }
                _ => {}
            }
        }
        Some(self.hand_out(Kind::Word, self.here()))
    }

    fn number(&mut self, rest: &[u8]) -> Option<Token> {
        let Some(length) = rest.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'.')) else {
            self.at += rest.len();
            return None;
        };
        self.at += length;
        Some(self.hand_out(Kind::Number, self.here()))
    }

    /// Gives the text up: one last token, then nothing.
    fn lose(&mut self) -> Token {
        self.state = State::Lost;
        Token { kind: Kind::Lost, start: self.start, end: self.here() }
    }

    /// The token that the end of the text ends. Strings, identifiers and dollar quotes that lack their end come out
    /// too: the server will refuse the text.
    fn flush(&mut self) -> Option<Token> {
        let here = self.here();
        let token = match self.state {
            State::Between | State::LineComment | State::BlockComment { .. } | State::Lost => {
                return None;
            }
            State::Waiting(byte) => self.hand_out(Kind::Mark(byte), self.start + 1),
            State::Word => self.hand_out(Kind::Word, here),
            State::Number => self.hand_out(Kind::Number, here),
            State::Parameter => self.hand_out(Kind::Parameter, here),
            State::Dollar => self.hand_out(Kind::Mark(b'$'), here),
            State::Dash => self.hand_out(Kind::Mark(b'-'), here),
            State::Slash => self.hand_out(Kind::Mark(b'/'), here),
            State::DollarBody { .. } => self.hand_out(Kind::Dollar, here),
            State::Quoted | State::QuotedEnd => self.hand_out(self.quoted, here),
            State::Text | State::TextEscape => self.hand_out(Kind::Text, here),
            State::TextEnd | State::Gap { .. } | State::GapComment => {
                self.hand_out(Kind::Text, self.end)
            }
            State::GapDash { .. } => {
                let text = self.hand_out(Kind::Text, self.end);
                self.start = here - 1;
                self.state = State::Dash;
                text
            }
            State::UnicodePrefix => {
                let word = self.hand_out(Kind::Word, self.start + 1);
                self.start += 1;
                self.state = State::Waiting(b'&');
                word
            }
            State::Tag => {
                let dollar = self.hand_out(Kind::Mark(b'$'), self.start + 1);
                self.start += 1;
                self.state = State::Word;
                dollar
            }
        };
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_with_ascii_inside_of_characters_are_known() {
        assert!(Rules::new(true, b"SJIS").ascii_in_characters);
        assert!(Rules::new(true, b"gbk").ascii_in_characters);
        assert_eq!(Rules::new(true, b"UTF8"), Rules::default());
        assert!(!Rules::new(false, b"LATIN1").standard_conforming_strings);
    }

    #[test]
    fn tokens_have_their_places() {
        let text = "a.\"b\" <= $1 -- c\n$$d$$";
        let mut lexer = Lexer::new(Rules::default(), 0);
        let mut tokens = Vec::new();
        while let Some(token) = lexer.next(text.as_bytes(), true) {
            tokens.push((token.kind, text.get(token.start..token.end).unwrap_or_default()));
        }
        let expected = [
            (Kind::Word, "a"),
            (Kind::Mark(b'.'), "."),
            (Kind::Quoted, "\"b\""),
            (Kind::Mark(b'<'), "<"),
            (Kind::Mark(b'='), "="),
            (Kind::Parameter, "$1"),
            (Kind::Dollar, "$$d$$"),
        ];
        assert_eq!(tokens, expected);
    }
}
