//! What begins with a dollar sign: parameters and dollar quotes.

use super::{Kind, Lexer, State, Token};
use crate::atoms::{is_word, starts_word};

/// Longest tag of a dollar quote (`$tag$`) that is followed, in bytes. PostgreSQL has no limit; beyond this one the
/// rest of the text counts as unreadable, so that a tag cannot make us keep memory.
const TAG_LIMIT: usize = 256;

impl Lexer {
    /// Everything that begins with a dollar sign.
    pub(super) fn dollar(&mut self, rest: &[u8]) -> Option<Token> {
        let byte = *rest.first()?;
        match self.state {
            State::Dollar => {
                self.tag.clear();
                match byte {
                    b'0'..=b'9' => self.state = State::Parameter,
                    b'$' => {
                        self.at += 1;
                        self.state = State::DollarBody { matched: 0 };
                    }
                    _ if starts_word(byte) => self.state = State::Tag,
                    _ => return Some(self.hand_out(Kind::Mark(b'$'), self.start + 1)),
                }
                None
            }
            State::Parameter => {
                let length = rest.iter().position(|byte| !byte.is_ascii_digit());
                self.at += length.unwrap_or(rest.len());
                length.map(|_| self.hand_out(Kind::Parameter, self.here()))
            }
            State::Tag => self.tag(rest),
            State::DollarBody { matched } => self.dollar_body(rest, matched),
            _ => None,
        }
    }

    pub(super) fn tag(&mut self, rest: &[u8]) -> Option<Token> {
        let length = rest.iter().position(|byte| *byte == b'$' || !is_word(*byte));
        let more = rest.get(..length.unwrap_or(rest.len())).unwrap_or_default();
        self.at += more.len();
        if self.tag.len() + more.len() > TAG_LIMIT {
            // A word as long as this is not worth following either.
            return Some(self.lose());
        }
        self.tag.extend_from_slice(more);
        if rest.get(length?) == Some(&b'$') {
            self.at += 1;
            self.state = State::DollarBody { matched: 0 };
            return None;
        }
        // Not a dollar quote: a lone dollar sign and a word. `word` finds the word's end, here, for itself.
        let dollar = self.hand_out(Kind::Mark(b'$'), self.start + 1);
        self.start += 1;
        self.first = self.tag.first().copied().unwrap_or_default();
        self.state = State::Word;
        Some(dollar)
    }

    pub(super) fn dollar_body(&mut self, rest: &[u8], mut matched: usize) -> Option<Token> {
        let closing = self.tag.len() + 1;
        for (index, byte) in rest.iter().enumerate() {
            matched = match (matched, byte) {
                (0, b'$') => 1,
                (0, _) => 0,
                (matched, b'$') if matched == closing => {
                    self.at += index + 1;
                    return Some(self.hand_out(Kind::Dollar, self.here()));
                }
                (_, b'$') => 1,
                (matched, byte) if self.tag.get(matched - 1) == Some(byte) => matched + 1,
                _ => 0,
            };
        }
        self.at += rest.len();
        self.state = State::DollarBody { matched };
        None
    }
}
