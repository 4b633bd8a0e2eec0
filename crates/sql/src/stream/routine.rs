//! `CREATE`: bodies of routines hold semicolons, queries behind `AS` hold calls.

use super::{Before, Mark, Stream};
use crate::atoms::pack;

/// Where we are in `CREATE [OR REPLACE] {FUNCTION|PROCEDURE} … BEGIN ATOMIC … END`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Routine {
    /// Not such a statement, or `CREATE` alone so far.
    No,
    /// After `CREATE OR`, `CREATE OR REPLACE`.
    Perhaps,
    Yes,
    /// In the body; so many `BEGIN` and `CASE` await their `END`, at least 1.
    Body(u32),
}

impl Stream {
    /// A word of `CREATE`, outside parentheses: bodies of routines hold semicolons, queries behind `AS` hold calls.
    pub(super) fn create_word(&mut self, packed: u64, word: &[u8]) {
        const CREATE: u64 = pack(b"create");
        const OR: u64 = pack(b"or");
        const REPLACE: u64 = pack(b"replace");
        const FUNCTION: u64 = pack(b"function");
        const BEGIN: u64 = pack(b"begin");
        const ATOMIC: u64 = pack(b"atomic");
        const CASE: u64 = pack(b"case");
        const END: u64 = pack(b"end");
        let follows_begin = self.before == Before::Word(Mark::Begin);
        // `AS end` and `AS case` are labels.
        let label = self.before == Before::Word(Mark::As);
        match (self.routine, packed) {
            (Routine::No, CREATE) => self.routine = Routine::Perhaps,
            (Routine::Perhaps, OR | REPLACE) => {}
            (Routine::Perhaps, FUNCTION) => self.routine = Routine::Yes,
            (Routine::Perhaps, 0) if word.eq_ignore_ascii_case(b"procedure") => {
                self.routine = Routine::Yes;
            }
            (Routine::Perhaps, _) => self.routine = Routine::No,
            (Routine::Yes, BEGIN) => self.mark = Mark::Begin,
            (Routine::Yes, ATOMIC) if follows_begin => self.routine = Routine::Body(1),
            (Routine::Body(open), CASE) if !label => {
                self.routine = Routine::Body(open.saturating_add(1));
            }
            (Routine::Body(1), END) if !label => self.routine = Routine::Yes,
            (Routine::Body(open), END) if !label => self.routine = Routine::Body(open - 1),
            _ => {}
        }
        if self.mark == Mark::As && self.routine == Routine::No {
            self.calls = true;
        }
    }
}
