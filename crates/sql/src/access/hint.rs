//! Hints: what a comment in front of a text asks for.
//!
//! `/* trunkline:primary */` and `/* trunkline:standby */`, also behind `--` and amid other words, in any case; and
//! Pgpool-II's `/*NO LOAD BALANCE*/`. Only comments before the first token count, so that no string can be taken for
//! a hint.

use crate::atoms::{ends_line, is_space};

/// What our hints begin with.
const PREFIX: &[u8] = b"trunkline:";

/// Pgpool-II's words for "the primary".
const NO_LOAD_BALANCE: &[&[u8]] = &[b"no", b"load", b"balance"];

/// So many bytes of a hint that is not known are kept.
const UNKNOWN_KEPT: usize = 32;

/// Where a text wants to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// To the primary. Said also if another hint says otherwise: it is the one that cannot be wrong.
    Primary,
    /// To a standby.
    Standby,
    /// Something that is not known here, as it was written: whoever wrote it should be told.
    Unknown(Box<str>),
}

/// The hint of a text, if its first comments hold one. One that is known counts before one that is not. Nothing behind them
/// is looked at.
pub fn hint(text: &[u8]) -> Option<Hint> {
    let mut found = None;
    for comment in (Comments { rest: text }) {
        if is_no_load_balance(comment) {
            return Some(Hint::Primary);
        }
        for word in words(comment) {
            if word.eq_ignore_ascii_case(b"primary") {
                return Some(Hint::Primary);
            }
            if word.eq_ignore_ascii_case(b"standby") {
                found = Some(Hint::Standby);
            } else if found.is_none() {
                let word = word.get(..UNKNOWN_KEPT).unwrap_or(word);
                found = Some(Hint::Unknown(String::from_utf8_lossy(word).into()));
            }
        }
    }
    found
}

/// Whether this comment may hold a hint of any kind.
pub(crate) fn may_be_hint(comment: &[u8]) -> bool {
    is_no_load_balance(comment) || words(comment).next().is_some()
}

/// The words that follow our prefix in a comment.
fn words(comment: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts = comment.windows(PREFIX.len()).enumerate();
    let is_ours = move |start: usize| {
        // The end of a longer word is none.
        let before = start.checked_sub(1).and_then(|before| comment.get(before));
        !before.is_some_and(|byte| is_hint_byte(*byte))
    };
    let ours = starts
        .filter(move |(start, window)| window.eq_ignore_ascii_case(PREFIX) && is_ours(*start));
    ours.map(|(start, _)| {
        let rest = comment.get(start + PREFIX.len()..).unwrap_or_default();
        let rest = skip(rest, is_space);
        let length = rest.iter().take_while(|byte| is_hint_byte(**byte)).count();
        rest.get(..length).unwrap_or_default()
    })
}

fn is_hint_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Whether a comment is Pgpool-II's, in any case and with any white space.
fn is_no_load_balance(comment: &[u8]) -> bool {
    let mut said = comment.split(|byte| is_space(*byte)).filter(|word| !word.is_empty());
    let alike = |word: &&[u8]| said.next().is_some_and(|said| said.eq_ignore_ascii_case(word));
    NO_LOAD_BALANCE.iter().all(alike) && said.next().is_none()
}

/// The insides of the comments before the first token.
struct Comments<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Comments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match skip(self.rest, is_space) {
            [b'-', b'-', inside @ ..] => {
                let length = inside.iter().position(|byte| ends_line(*byte));
                let (comment, rest) = inside.split_at(length.unwrap_or(inside.len()));
                self.rest = rest;
                Some(comment)
            }
            [b'/', b'*', inside @ ..] => {
                let length = block(inside);
                let (comment, rest) = inside.split_at(length);
                self.rest = rest;
                Some(comment.strip_suffix(b"*/").unwrap_or(comment))
            }
            _ => None,
        }
    }
}

/// The length of a block comment behind its opening, its end included. Comments in it are a part of it.
fn block(inside: &[u8]) -> usize {
    let mut depth = 1_u32;
    let mut at = 0;
    while let Some(byte) = inside.get(at) {
        match (byte, inside.get(at + 1)) {
            (b'/', Some(b'*')) => {
                depth = depth.saturating_add(1);
                at += 2;
            }
            (b'*', Some(b'/')) => {
                depth -= 1;
                at += 2;
            }
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    inside.len()
}

fn skip(bytes: &[u8], unwanted: impl Fn(u8) -> bool) -> &[u8] {
    let length = bytes.iter().take_while(|byte| unwanted(**byte)).count();
    bytes.get(length..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Hint> {
        hint(text.as_bytes())
    }

    #[test]
    fn comments_before_the_first_token_are_read() {
        for text in [
            "/* trunkline:primary */ SELECT 1",
            "/*TRUNKLINE:Primary*/SELECT 1",
            "-- trunkline: primary\nSELECT 1",
            " \n/* a */ -- b\r\n /* c /* trunkline:primary */ */ SELECT 1",
            "/* app=x, trunkline:primary, y */ SELECT 1",
            "/*NO LOAD BALANCE*/ SELECT 1",
            "/* no  load\tbalance */ SELECT 1",
            "/* trunkline:standby */ /* trunkline:primary */ SELECT 1",
            "/* trunkline:standby trunkline:primary */ SELECT 1",
            "/* trunkline:x trunkline:primary */",
        ] {
            assert_eq!(of(text), Some(Hint::Primary), "{text}");
        }
        assert_eq!(of("--trunkline:standby\nSELECT 1"), Some(Hint::Standby));
        assert_eq!(of("/* trunkline:x trunkline:standby */"), Some(Hint::Standby));
    }

    #[test]
    fn nothing_else_is_a_hint() {
        for text in [
            "SELECT 1 /* trunkline:primary */",
            "SELECT '/* trunkline:primary */'",
            "(/* trunkline:primary */ SELECT 1)",
            "/* trunkline primary */ SELECT 1",
            "/* mytrunkline:primary */ SELECT 1",
            "/* my-trunkline:primary */ SELECT 1",
            "; /* trunkline:primary */ SELECT 1",
            "/*LOAD BALANCE*/ SELECT 1",
            "/* NO LOAD BALANCE please */ SELECT 1",
            "/* unfinished",
            "",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn words_that_are_not_known_are_told() {
        let unknown = |word: &str| Some(Hint::Unknown(word.into()));
        assert_eq!(of("/* trunkline:replica */ SELECT 1"), unknown("replica"));
        assert_eq!(of("/* trunkline: */ SELECT 1"), unknown(""));
        assert_eq!(of("-- trunkline:primary2"), unknown("primary2"));
    }
}
