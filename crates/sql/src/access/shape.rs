//! The shape of a text: what is left when constants, comments and white space are gone.
//!
//! Texts of one shape read, write and call the same, unless a constant decides ([`Access::depends_on_literal`]). Numbers
//! are alike and so are strings; lists of constants and parameters behind `IN` are alike whatever their length; words
//! are alike in any case. Parameters elsewhere stay, and names of course.
//!
//! This is a reader of its own beside the lexer, since it is on the way of every statement whose text is not known; it
//! gives up where it would have to know more than a byte or two: then a text has no shape. A test holds that texts of
//! one shape have the same tokens, but for their constants.
//!
//! [`Access::depends_on_literal`]: super::Access::depends_on_literal

mod bytes;

use std::hash::Hasher as _;
use std::ops::Range;

use siphasher::sip128::{Hasher128 as _, SipHasher24};

use super::hint;
use super::tokens::TEXT_READ;
use crate::atoms::{ends_line, is_space, is_word, starts_word};
use crate::lexer::Rules;

/// The shape of a text as one number.
///
/// Whoever could make two texts of one number could have a write taken for the read that it was told to be like. So the
/// number is SipHash-2-4, of 128 bits, of the whole shape under a secret that nobody outside knows: without it no two
/// texts can be made to collide, and by chance none will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape(pub u128);

/// What the shapes of a process are keyed with: chance from outside, told to nobody.
#[derive(Clone)]
pub struct Secret([u8; 16]);

impl Secret {
    /// A secret of these bytes.
    pub fn new(chance: [u8; 16]) -> Self {
        Self(chance)
    }

    /// Its halves, as seeds for hashes that nobody is told.
    pub(crate) fn seeds(&self) -> (u64, u64) {
        let half = |half: Option<&[u8; 8]>| half.map_or(0, |half| u64::from_le_bytes(*half));
        (half(self.0.first_chunk()), half(self.0.last_chunk()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// The shape of a text, if it has one.
pub fn shape(text: &[u8], rules: Rules, secret: &Secret) -> Option<Shape> {
    if !has_usual_rules(text, rules) {
        return None;
    }
    let hasher = read(text, SipHasher24::new_with_key(&secret.0))?;
    Some(Shape(hasher.finish128().as_u128()))
}

/// Whether a text means the same as under the usual rules.
pub(crate) fn has_usual_rules(text: &[u8], rules: Rules) -> bool {
    (rules.standard_conforming_strings || !text.contains(&b'\\'))
        && (!rules.ascii_in_characters || text.is_ascii())
}

/// Where the pieces of a shape go.
///
/// A word comes in pieces of eight bytes, the last of which is shorter, and may be empty: so no two rows of words have
/// the same pieces. Anything else is a piece of one byte that no word has, or begins with a quote.
pub(crate) trait Out {
    /// Takes the next piece.
    fn push(&mut self, piece: u64);

    /// Where in the text the constant stands that the last piece is for, and whether it begins a list behind `IN`.
    fn constant(&mut self, _place: Range<usize>, _begins_list: bool) {}

    /// Where the list ends by now that has begun last: a constant, or parameter, of it was left out.
    fn list_ends(&mut self, _at: usize) {}
}

#[cfg(test)]
impl Out for Vec<u64> {
    fn push(&mut self, piece: u64) {
        Self::push(self, piece);
    }
}

impl Out for SipHasher24 {
    fn push(&mut self, piece: u64) {
        self.write(&piece.to_le_bytes());
    }
}

/// What stands for any number.
const NUMBER: u64 = word(b"0");

/// What stands for any string.
const STRING: u64 = word(b"'");

/// What stands for any parameter in a list.
const PARAMETER: u64 = word(b"$");

/// The word `in`, as a piece.
const IN: u64 = word(b"in");

/// A short word as a piece: its bytes, the first one lowest.
const fn word(word: &[u8]) -> u64 {
    let mut piece = [0; 8];
    let (head, _) = piece.split_at_mut(word.len());
    head.copy_from_slice(word);
    u64::from_le_bytes(piece)
}

/// Reads the shape of a text. None if it has none.
#[expect(clippy::inline_always, reason = "it has two callers, one of which is in a hurry")]
#[inline(always)]
pub(crate) fn read<O: Out>(text: &[u8], out: O) -> Option<O> {
    if text.len() > TEXT_READ {
        return None;
    }
    let mut reader =
        Reader { text, at: 0, out, list: List::None, operator: 0, begun: false, high: 0, zeros: 0 };
    while let Some(byte) = text.get(reader.at) {
        reader.step(*byte)?;
    }
    reader.flush();
    let readable = reader.high & EACH_HIGH == 0 || std::str::from_utf8(text).is_ok();
    (readable && reader.zeros == 0).then_some(reader.out)
}

/// Where we are in a list of constants behind `IN`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    None,
    /// Behind the word `IN`.
    In,
    /// Behind the parenthesis.
    Open,
    /// Behind a constant.
    Item,
    /// Behind a comma that is held back: if a constant follows, both are left out.
    Comma,
}

struct Reader<'a, O> {
    text: &'a [u8],
    at: usize,
    out: O,
    list: List,
    /// Where the operator ends that came last, if nothing else has come behind it; else 0.
    operator: usize,
    /// Whether a token has been seen, so that no comment is a hint any more.
    begun: bool,
    /// All bytes of names, strings and comments, over each other: whether any has its high bit set.
    high: u64,
    /// Not 0 if a quoted name has had a zero.
    zeros: u64,
}

#[expect(
    clippy::inline_always,
    reason = "one function, or where it is in the text goes through memory with every byte"
)]
impl<O: Out> Reader<'_, O> {
    #[inline(always)]
    fn step(&mut self, byte: u8) -> Option<()> {
        if starts_word(byte) {
            self.begun = true;
            return self.word();
        }
        if is_space(byte) {
            self.at += 1;
            return Some(());
        }
        match byte {
            b'0'..=b'9' => self.number(),
            b'\'' => return self.string(),
            b'"' => return self.quoted(),
            b'$' => return self.parameter(),
            b'(' => {
                let list = if self.list == List::In { List::Open } else { List::None };
                self.mark(byte);
                self.list = list;
            }
            b',' if self.list == List::Item => {
                self.at += 1;
                self.list = List::Comma;
                self.operator = 0;
            }
            b'.' if self.text.get(self.at + 1).is_some_and(u8::is_ascii_digit) => self.number(),
            b'-' if self.text.get(self.at + 1) == Some(&b'-') => {
                return self.comment(line_comment(self.text, self.at));
            }
            b'/' if self.text.get(self.at + 1) == Some(&b'*') => {
                return self.comment(block_comment(self.text, self.at)?);
            }
            b'+' | b'-' | b'*' | b'/' | b'<' | b'>' | b'=' | b'~' | b'!' | b'@' | b'#' | b'%'
            | b'^' | b'&' | b'|' | b'`' | b'?' | b':' => self.operator(byte),
            0 => return None,
            _ => self.mark(byte),
        }
        self.begun = true;
        Some(())
    }

    /// Lets the comma go that was held back, as no constant follows it.
    #[inline(always)]
    fn flush(&mut self) {
        if self.list != List::None {
            if self.list == List::Comma {
                self.out.push(u64::from(b','));
            }
            self.list = List::None;
        }
    }

    #[inline(always)]
    fn mark(&mut self, byte: u8) {
        self.flush();
        self.out.push(u64::from(byte));
        self.at += 1;
        self.operator = 0;
    }

    /// A byte of an operator. Whether it touches the one before it tells operators apart.
    #[inline(always)]
    fn operator(&mut self, byte: u8) {
        if self.operator != 0 && self.operator != self.at {
            self.flush();
            self.out.push(u64::from(b' '));
        }
        self.mark(byte);
        self.operator = self.at;
    }

    /// The next eight bytes from a place on, zeros behind the end.
    #[inline(always)]
    fn eight(&self, at: usize) -> u64 {
        let rest = self.text.get(at..).unwrap_or_default();
        if let Some(eight) = rest.first_chunk() {
            return u64::from_le_bytes(*eight);
        }
        // The end of the last eight bytes, if there are as many.
        let missing = 8 * (8 - rest.len().min(8));
        match self.text.last_chunk() {
            Some(last) => shifted(u64::from_le_bytes(*last), missing),
            None => rest.iter().rev().fold(0, |eight, byte| eight << 8 | u64::from(*byte)),
        }
    }

    #[inline(always)]
    fn word(&mut self) -> Option<()> {
        self.flush();
        self.operator = 0;
        let start = self.at;
        // Byte by byte, since a processor guesses well where words end and need not wait until it knows.
        let rest = self.text.get(start..).unwrap_or_default();
        let length = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
        self.at += length;
        let mut at = start;
        while self.at - at >= 8 {
            let eight = self.eight(at);
            self.high |= eight;
            self.out.push(bytes::folded(eight));
            at += 8;
        }
        let tail = bytes::first(self.eight(at), self.at - at);
        self.high |= tail;
        let piece = bytes::folded_tail(tail, self.at - at);
        self.out.push(piece);
        if self.text.get(self.at) == Some(&b' ') {
            self.at += 1;
            if piece == IN {
                self.list = List::In;
            }
            return Some(());
        }
        if piece == IN {
            self.list = List::In;
        } else if self.at == start + 1 && matches!(self.text.get(self.at), Some(b'\'' | b'&')) {
            // `E'…'`, `U&"…"` and their kin.
            return None;
        }
        Some(())
    }

    /// A constant, or a parameter in a list, that ends here.
    #[inline(always)]
    fn constant(&mut self, piece: u64, start: usize) {
        self.operator = 0;
        self.list = match self.list {
            List::Comma => {
                self.out.list_ends(self.at);
                List::Item
            }
            list => {
                let begins_list = list == List::Open;
                self.out.push(piece);
                self.out.constant(start..self.at, begins_list);
                if begins_list { List::Item } else { List::None }
            }
        };
    }

    #[inline(always)]
    fn number(&mut self) {
        let start = self.at;
        self.skip(|byte| matches!(byte, b'0'..=b'9' | b'.'));
        // An exponent, if it is nothing else.
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.text.get(self.at + 1), Some(b'+' | b'-')));
            let digits = self.text.get(self.at + 1 + sign..).unwrap_or_default();
            let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if length > 0 && !digits.get(length).is_some_and(|byte| is_word(*byte)) {
                self.at += 1 + sign + length;
                // Behind `1e-5` the lexer goes on with the dots of the number.
                if sign == 1 {
                    self.skip(|byte| matches!(byte, b'0'..=b'9' | b'.'));
                }
            }
        }
        self.constant(NUMBER, start);
    }

    #[inline(always)]
    fn parameter(&mut self) -> Option<()> {
        let start = self.at;
        self.at += 1;
        self.skip(|byte| byte.is_ascii_digit());
        let digits = self.text.get(start + 1..self.at)?;
        if digits.is_empty() || digits.len() > 7 {
            return None;
        }
        self.begun = true;
        if matches!(self.list, List::Open | List::Comma) {
            self.constant(PARAMETER, start);
        } else {
            self.flush();
            self.operator = 0;
            self.out.push(bytes::first(self.eight(start), self.at - start));
        }
        Some(())
    }

    /// A string that ends here, and that nothing further on may continue.
    #[inline(always)]
    fn string(&mut self) -> Option<()> {
        self.begun = true;
        let start = self.at;
        loop {
            self.at += 1;
            self.skip_to(b'\'')?;
            self.at += 1;
            if self.text.get(self.at) != Some(&b'\'') {
                break;
            }
        }
        let mut behind = self.at;
        while self.text.get(behind).is_some_and(|byte| is_space(*byte)) {
            behind += 1;
        }
        let goes_on = match self.text.get(behind) {
            Some(b'\'') => true,
            Some(b'-') => self.text.get(behind + 1) == Some(&b'-'),
            _ => false,
        };
        self.constant(STRING, start);
        (!goes_on).then_some(())
    }

    /// Skips to the next such byte.
    #[inline(always)]
    fn skip_to(&mut self, byte: u8) -> Option<()> {
        loop {
            let eight = self.eight(self.at);
            let found = bytes::equal(eight, byte);
            if found != 0 {
                let (before, length) = bytes::before(eight, found);
                self.high |= before;
                self.at += length;
                return Some(());
            }
            self.high |= eight;
            self.at += 8;
            if self.at >= self.text.len() {
                return None;
            }
        }
    }

    /// A quoted name without quotes in it: all of its bytes and the quote before them, as if it were a word.
    #[inline(always)]
    fn quoted(&mut self) -> Option<()> {
        self.begun = true;
        self.flush();
        self.operator = 0;
        let mut eight = self.eight(self.at);
        let mut quotes = bytes::equal(eight, b'"') & !0xff;
        loop {
            let (before, length) = bytes::before(eight, quotes);
            self.zeros |= bytes::zeros(before | bytes::behind(quotes));
            self.high |= before;
            self.out.push(before);
            self.at += length;
            if quotes != 0 {
                break;
            }
            if self.at >= self.text.len() {
                return None;
            }
            eight = self.eight(self.at);
            quotes = bytes::equal(eight, b'"');
        }
        self.at += 1;
        (self.text.get(self.at) != Some(&b'"')).then_some(())
    }

    /// A comment ends before `end`; `inside` is where its own bytes end. A hint is no part of a shape.
    #[inline(always)]
    fn comment(&mut self, (inside, end): (usize, usize)) -> Option<()> {
        let comment = self.text.get(self.at + 2..inside)?;
        self.at = end;
        self.high |= comment.iter().fold(0, |high, byte| high | u64::from(*byte));
        (self.begun || !hint::may_be_hint(comment)).then_some(())
    }

    #[inline(always)]
    fn skip(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.text.get(self.at).is_some_and(|byte| wanted(*byte)) {
            self.at += 1;
        }
    }
}

/// Where the comment that begins with two dashes at `at` ends.
fn line_comment(text: &[u8], at: usize) -> (usize, usize) {
    let rest = text.get(at..).unwrap_or_default();
    let length = rest.iter().position(|byte| ends_line(*byte)).unwrap_or(rest.len());
    (at + length, at + length)
}

/// Where the inside of the comment that begins at `at` ends, and where the comment does. None if it does not.
fn block_comment(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut at = at + 2;
    let mut depth = 1_usize;
    loop {
        match (text.get(at)?, text.get(at + 1)) {
            (b'/', Some(b'*')) => depth += 1,
            (b'*', Some(b'/')) => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return Some((at, at + 2));
        }
        at += 2;
    }
}

/// The upper bits of a number, moved down.
#[inline]
fn shifted(number: u64, bits: usize) -> u64 {
    u32::try_from(bits).ok().and_then(|bits| number.checked_shr(bits)).unwrap_or(0)
}

/// The high bit of each byte.
const EACH_HIGH: u64 = 0x8080_8080_8080_8080;

#[cfg(test)]
mod tests;
