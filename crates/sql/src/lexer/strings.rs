//! String constants and quoted identifiers.

use super::{Kind, Lexer, State, Token};
use crate::atoms::{ends_line, is_space};

impl Lexer {
    /// Consumes the quote that opens a string after its prefix letter.
    pub(super) fn enter_text(&mut self, escapes: bool) -> Option<Token> {
        self.at += 1;
        self.open_text(escapes);
        None
    }

    pub(super) fn open_text(&mut self, escapes: bool) {
        self.state = State::Text;
        self.escapes = escapes;
        self.after_high = false;
    }

    pub(super) fn open_quoted(&mut self, kind: Kind) {
        self.state = State::Quoted;
        self.quoted = kind;
    }

    pub(super) fn text(&mut self, rest: &[u8]) -> Option<Token> {
        if !self.escapes {
            match rest.iter().position(|byte| *byte == b'\'') {
                None => self.at += rest.len(),
                Some(inside) => self.close_text(inside),
            }
            return None;
        }
        let Some(inside) = rest.iter().position(|byte| matches!(byte, b'\'' | b'\\')) else {
            self.after_high = rest.last().is_some_and(|byte| *byte >= 0x80);
            self.at += rest.len();
            return None;
        };
        if rest.get(inside) == Some(&b'\'') {
            self.close_text(inside);
            return None;
        }
        let before = inside.checked_sub(1).and_then(|index| rest.get(index));
        let after_high = before.map_or(self.after_high, |byte| *byte >= 0x80);
        self.at += inside + 1;
        self.after_high = false;
        if after_high && self.rules.ascii_in_characters {
            return Some(self.lose());
        }
        self.state = State::TextEscape;
        None
    }

    /// Consumes `inside` bytes of the string and the quote behind them.
    pub(super) fn close_text(&mut self, inside: usize) {
        self.at += inside + 1;
        self.end = self.here();
        self.state = State::TextEnd;
    }

    pub(super) fn text_escape(&mut self, rest: &[u8]) -> Option<Token> {
        self.after_high = rest.first().is_some_and(|byte| *byte >= 0x80);
        self.at += 1;
        self.state = State::Text;
        None
    }

    pub(super) fn text_end(&mut self, rest: &[u8]) -> Option<Token> {
        if rest.first() == Some(&b'\'') {
            self.at += 1;
            self.after_high = false;
            self.state = State::Text;
        } else {
            self.state = State::Gap { newline: false };
        }
        None
    }

    pub(super) fn gap(&mut self, rest: &[u8], mut newline: bool) -> Option<Token> {
        for (index, byte) in rest.iter().enumerate() {
            if is_space(*byte) {
                newline |= ends_line(*byte);
                continue;
            }
            self.at += index;
            return match byte {
                b'\'' if newline => self.enter_text(self.escapes),
                b'-' => {
                    self.at += 1;
                    self.state = State::GapDash { newline };
                    None
                }
                _ => Some(self.hand_out(Kind::Text, self.end)),
            };
        }
        self.at += rest.len();
        self.state = State::Gap { newline };
        None
    }

    pub(super) fn quoted(&mut self, rest: &[u8]) -> Option<Token> {
        match rest.iter().position(|byte| *byte == b'"') {
            None => self.at += rest.len(),
            Some(inside) => {
                self.at += inside + 1;
                self.state = State::QuotedEnd;
            }
        }
        None
    }

    pub(super) fn quoted_end(&mut self, rest: &[u8]) -> Option<Token> {
        if rest.first() == Some(&b'"') {
            self.at += 1;
            self.state = State::Quoted;
            return None;
        }
        Some(self.hand_out(self.quoted, self.here()))
    }
}
