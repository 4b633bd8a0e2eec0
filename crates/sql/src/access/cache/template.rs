//! A text without its constants, and whether another text is the same but for them.
//!
//! This is quicker than to read a shape, as all between the constants is compared as it is; and it says less, as the
//! same words in other letters or with other spaces do not fit. Who reads a text is in the same state wherever it has
//! come by the same bytes, with constants of the same kinds where the gaps are: so what fits has the same shape. A test
//! holds that.

use std::ops::Range;

use crate::access::shape::{self, Out};
use crate::atoms::is_space;

/// What stands in a gap: one constant, or a list of constants of one kind behind `IN`.
const NUMBER: u8 = b'0';
const NUMBERS: u8 = b'1';
const STRING: u8 = b'\'';
const STRINGS: u8 = b'"';

/// The template of a text as bytes: the length of what stands before a gap, that, what the gap is, and so on; what is
/// behind the last gap is at the end. None if the text has no shape, or nothing in it that may differ.
pub(super) fn of(text: &[u8]) -> Option<Box<[u8]>> {
    let constants = shape::read(text, Constants::default())?.0;
    let mut template = Vec::new();
    let mut at = 0;
    for (place, list) in constants {
        let gap = match (text.get(place.start)?, list) {
            // A parameter is none that differs from one text to the next.
            (b'$', _) => continue,
            (b'\'', false) => STRING,
            (b'\'', true) => STRINGS,
            (_, false) => NUMBER,
            (_, true) => NUMBERS,
        };
        push(&mut template, text.get(at..place.start)?)?;
        template.push(gap);
        at = place.end;
    }
    if template.is_empty() {
        return None;
    }
    push(&mut template, text.get(at..)?)?;
    // A constant may take more to read than is looked at here.
    fits(&template, text).then(|| template.into())
}

/// Adds a piece of a text with its length before it.
fn push(template: &mut Vec<u8>, piece: &[u8]) -> Option<()> {
    template.extend(u16::try_from(piece.len()).ok()?.to_le_bytes());
    template.extend(piece);
    Some(())
}

/// Where the constants of a text are, and whether they are in a list behind `IN`, which is one then.
#[derive(Default)]
struct Constants(Vec<(Range<usize>, bool)>);

impl Out for Constants {
    fn push(&mut self, _: u64) {}

    fn constant(&mut self, place: Range<usize>, begins_list: bool) {
        self.0.push((place, begins_list));
    }

    fn list_ends(&mut self, at: usize) {
        if let Some((list, _)) = self.0.last_mut() {
            list.end = at;
        }
    }
}

#[inline]
fn may_be_constant(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'\''
}

/// What stands before whatever may be a constant: of texts that fit one template, the same.
#[inline]
pub(super) fn head(text: &[u8]) -> &[u8] {
    // Many bytes at once as long as there is none in them.
    let before = without_constants::<16>(text);
    let rest = text.get(before..).unwrap_or_default();
    let before = before + without_constants::<4>(rest);
    let rest = text.get(before..).unwrap_or_default();
    let length = before + rest.iter().position(|byte| may_be_constant(*byte)).unwrap_or(rest.len());
    text.get(..length).unwrap_or(text)
}

/// So many bytes of a text are in chunks in which nothing may be a constant.
#[inline]
fn without_constants<const CHUNK: usize>(text: &[u8]) -> usize {
    let (chunks, _) = text.as_chunks::<CHUNK>();
    let none =
        |chunk: &&[u8; CHUNK]| !chunk.iter().fold(false, |any, byte| any | may_be_constant(*byte));
    CHUNK * chunks.iter().take_while(none).count()
}

/// Whether a text is the one of the template but for its constants.
#[inline]
pub(super) fn fits(template: &[u8], text: &[u8]) -> bool {
    differs_in_constants(template, text).is_some()
}

#[inline]
fn differs_in_constants(mut template: &[u8], mut text: &[u8]) -> Option<()> {
    loop {
        let (length, rest) = template.split_first_chunk()?;
        let (piece, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        text = text.strip_prefix(piece)?;
        let Some((gap, rest)) = rest.split_first() else {
            return text.is_empty().then_some(());
        };
        template = rest;
        text = match *gap {
            NUMBER => behind_number(text)?,
            STRING => behind_string(text)?,
            NUMBERS => behind_list(text, behind_number)?,
            STRINGS => behind_list(text, behind_string)?,
            _ => return None,
        };
    }
}

/// What is behind the number that a text begins with. None if that takes more than digits and dots to tell.
#[inline]
fn behind_number(text: &[u8]) -> Option<&[u8]> {
    let [b'0'..=b'9', behind @ ..] = text else { return None };
    let mut behind = behind;
    while let [b'0'..=b'9' | b'.', rest @ ..] = behind {
        behind = rest;
    }
    (!matches!(behind, [b'e' | b'E', ..])).then_some(behind)
}

/// What is behind the string that a text begins with. None if it is not all in ASCII, whose bytes need no check.
#[inline]
fn behind_string(text: &[u8]) -> Option<&[u8]> {
    let mut text = text.strip_prefix(b"'")?;
    loop {
        let length = text.iter().position(|byte| *byte == b'\'' || !byte.is_ascii())?;
        text = text.get(length..)?.strip_prefix(b"'")?;
        match text.strip_prefix(b"'") {
            Some(more) => text = more,
            None => return Some(text),
        }
    }
}

/// What is behind the constants that a text begins with, with commas between them.
#[inline]
fn behind_list(text: &[u8], behind: impl Fn(&[u8]) -> Option<&[u8]>) -> Option<&[u8]> {
    let mut text = behind(text)?;
    loop {
        let next = match text {
            [b',', b' ', next @ ..] | [b',', next @ ..] => behind_spaces(next),
            [first, ..] if is_space(*first) => match behind_spaces(text).strip_prefix(b",") {
                Some(next) => behind_spaces(next),
                None => return Some(text),
            },
            _ => return Some(text),
        };
        if !next.first().is_some_and(|byte| may_be_constant(*byte)) {
            return Some(text);
        }
        text = behind(next)?;
    }
}

#[inline]
fn behind_spaces(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_space(*first)
    {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests;
