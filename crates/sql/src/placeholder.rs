//! Settings with a dot in their name that a text may set somewhere inside: in the body of a `DO` block, or by
//! `set_config` amid other things.
//!
//! A server tells of such settings only to who asks by name. So names are collected here, rather too many than too few;
//! what is around them is not understood.

use crate::atoms::{is_space, is_word};
use crate::settings::is_placeholder;

/// At most so many names are collected of one text.
const NAMES_MAX: usize = 64;

/// The names, in lower case. None if a name is put together at run time, or there are too many.
pub fn placeholders(text: &[u8]) -> Option<Vec<Box<[u8]>>> {
    let text = text.to_ascii_lowercase();
    let mut names: Vec<Box<[u8]>> = Vec::new();
    let mut rest = text.as_slice();
    let mut before = b';';
    while let Some((first, behind)) = rest.split_first() {
        let word = rest.iter().take_while(|byte| is_word(**byte)).count();
        if word == 0 || is_word(before) {
            (before, rest) = (*first, behind);
            continue;
        }
        let (word, behind) = rest.split_at(word);
        let found = match word {
            b"set_config" => called(behind),
            b"set" => commanded(behind, before),
            _ => Found::Nothing,
        };
        match found {
            Found::Name(name) if is_placeholder(name) && names.len() == NAMES_MAX => return None,
            Found::Name(name) if is_placeholder(name) => names.push(name.into()),
            Found::PutTogether => return None,
            Found::Name(_) | Found::Nothing => {}
        }
        (before, rest) = (b'_', behind);
        if let Some((first, behind)) = rest.split_first() {
            (before, rest) = (*first, behind);
        }
    }
    Some(names)
}

/// What stands behind a word that sets something.
enum Found<'a> {
    Nothing,
    Name(&'a [u8]),
    /// A name that is only known at run time.
    PutTogether,
}

/// The name in what follows `set_config`.
fn called(text: &[u8]) -> Found<'_> {
    let Some(arguments) = trimmed(text).strip_prefix(b"(") else { return Found::Nothing };
    let (name, behind) = name_of(arguments);
    let alone = trimmed(behind).first() == Some(&b',');
    if !name.is_empty() && arguments.contains(&b'\'') && alone {
        return Found::Name(name);
    }
    if is_local(arguments) { Found::Nothing } else { Found::PutTogether }
}

/// Whether the last argument says that it is for the transaction only.
fn is_local(arguments: &[u8]) -> bool {
    let end = arguments.iter().position(|byte| *byte == b';').unwrap_or(arguments.len());
    let call = arguments.get(..end).unwrap_or_default();
    let ends = call.iter().enumerate().filter(|(_, byte)| **byte == b')').map(|(place, _)| place);
    ends.filter_map(|place| call.get(..place)).any(|before| {
        let before = before.trim_ascii_end();
        before.strip_suffix(b"true").is_some_and(|it| it.trim_ascii_end().ends_with(b","))
    })
}

/// The name in what follows `SET`, before which this byte stands.
fn commanded(text: &[u8], before: u8) -> Found<'_> {
    let mut rest = trimmed(text);
    for word in [b"session".as_slice(), b"local"] {
        if let Some(behind) =
            rest.strip_prefix(word).filter(|it| it.first().is_some_and(|byte| is_space(*byte)))
        {
            rest = trimmed(behind);
        }
    }
    let put_together = matches!(rest, [b'%' | b'\'', ..]);
    if before == b'\'' && put_together {
        return Found::PutTogether;
    }
    Found::Name(name_of(rest).0)
}

fn trimmed(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|byte| is_space(**byte)).count();
    text.get(spaces..).unwrap_or_default()
}

/// The name at the beginning, within up to two quotes or none, and what follows it.
fn name_of(text: &[u8]) -> (&[u8], &[u8]) {
    let is_quote = |byte: &&u8| matches!(byte, b'\'' | b'"');
    let text = trimmed(text);
    let quotes = text.iter().take_while(is_quote).count().min(2);
    let text = text.get(quotes..).unwrap_or_default();
    let length = text.iter().take_while(|byte| is_word(**byte) || **byte == b'.').count();
    let (name, behind) = text.split_at(length);
    let quotes = behind.iter().take_while(is_quote).count().min(2);
    (name, behind.get(quotes..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Option<Vec<String>> {
        let names = placeholders(text.as_bytes())?;
        Some(names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }

    #[test]
    fn names_are_found_wherever_they_are() {
        for (text, expected) in [
            ("do $$ begin perform set_config('App.X', v, false); end $$", vec!["app.x"]),
            ("do $$ begin set app.x = 1; set local app.y to 'a'; end $$", vec!["app.x", "app.y"]),
            ("do $$ begin execute 'set app.x = 1'; end $$", vec!["app.x"]),
            ("do 'begin perform set_config(''app.x'', ''v'', false); end'", vec!["app.x"]),
            ("do $$ begin set timezone = 'UTC'; update t set a = b.c; end $$", vec![]),
            (
                "select set_config('a.b', x, false), set_config ( 'c.d' , y, true) from t",
                vec!["a.b", "c.d"],
            ),
            ("select set_config('app.' || k, v, true) from t", vec![]),
            ("select offset_config('a.b'), reset from t", vec![]),
        ] {
            let expected = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(named(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn names_that_are_put_together_are_not_known() {
        for text in [
            "do $$ begin perform set_config('app.' || k, v, false); end $$",
            "do $$ begin perform set_config(k, v, false); end $$",
            "do $$ begin execute format('set %I = 1', k); end $$",
            "do $$ begin execute 'set ' || k || ' = 1'; end $$",
        ] {
            assert_eq!(named(text), None, "{text}");
        }
        let many: Vec<_> = (0..=NAMES_MAX).map(|number| format!("set a.n{number} = 1")).collect();
        assert_eq!(named(&many.join(";")), None);
    }
}
