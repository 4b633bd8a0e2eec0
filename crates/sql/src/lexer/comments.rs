//! Comments, and the few other things that only a second byte decides.

use super::{Kind, Lexer, State, Token};
use crate::atoms::ends_line;

impl Lexer {
    /// Comments, and what looks like the beginning of one.
    pub(super) fn rare(&mut self, rest: &[u8]) -> Option<Token> {
        let byte = *rest.first()?;
        match (self.state, byte) {
            (State::Dash, b'-') => self.step_to(State::LineComment),
            (State::Dash, _) => return Some(self.hand_out(Kind::Mark(b'-'), self.start + 1)),
            (State::Slash, b'*') => self.step_to(State::BlockComment { depth: 1, previous: 0 }),
            (State::Slash, _) => return Some(self.hand_out(Kind::Mark(b'/'), self.start + 1)),
            (State::LineComment, _) => {
                if self.skip_line(rest) {
                    self.state = State::Between;
                }
            }
            (State::BlockComment { depth, previous }, _) => {
                self.block_comment(rest, depth, previous);
            }
            (State::GapDash { .. }, b'-') => self.step_to(State::GapComment),
            (State::GapDash { .. }, _) => {
                let text = self.hand_out(Kind::Text, self.end);
                self.start = self.here() - 1;
                self.state = State::Dash;
                return Some(text);
            }
            (State::GapComment, _) => {
                if self.skip_line(rest) {
                    self.state = State::Gap { newline: false };
                }
            }
            (State::UnicodePrefix, b'\'') => return self.enter_text(false),
            (State::UnicodePrefix, b'"') => {
                self.at += 1;
                self.open_quoted(Kind::UnicodeQuoted);
            }
            (State::UnicodePrefix, _) => {
                let word = self.hand_out(Kind::Word, self.start + 1);
                self.start += 1;
                self.state = State::Waiting(b'&');
                return Some(word);
            }
            _ => self.at += rest.len(),
        }
        None
    }

    pub(super) fn step_to(&mut self, state: State) {
        self.at += 1;
        self.state = state;
    }

    /// Skips to the end of the line; says whether it is in this piece. The newline itself is left to be read.
    pub(super) fn skip_line(&mut self, rest: &[u8]) -> bool {
        let length = rest.iter().position(|byte| ends_line(*byte));
        self.at += length.unwrap_or(rest.len());
        length.is_some()
    }

    pub(super) fn block_comment(&mut self, rest: &[u8], mut depth: u32, mut previous: u8) {
        for (index, byte) in rest.iter().enumerate() {
            match (previous, byte) {
                (b'/', b'*') => {
                    depth = depth.saturating_add(1);
                    previous = 0;
                }
                (b'*', b'/') => {
                    depth = depth.saturating_sub(1);
                    previous = 0;
                }
                _ => previous = *byte,
            }
            if depth == 0 {
                self.at += index + 1;
                self.state = State::Between;
                return;
            }
        }
        self.at += rest.len();
        self.state = State::BlockComment { depth, previous };
    }
}
