//! Names of types, which may be several words.

use super::tokens::Tokens;

/// Fields of an interval.
const FIELDS: [&str; 6] = ["day", "hour", "minute", "month", "second", "year"];

/// The token behind the type whose name begins at `at`, its modifiers included, brackets not. None if it is no type.
pub(crate) fn end(tokens: &Tokens<'_>, at: usize) -> Option<usize> {
    let skip = |at: usize, words: &[&str]| at + usize::from(tokens.is_any(at, words));
    let first = skip(at, &["setof"]);
    let word = skip(first, &["national"]);
    if !tokens.is_name(word) {
        return None;
    }
    let last = tokens.chain_end(word) + 1;
    if last > word + 1 {
        return modified(tokens, last);
    }
    if tokens.is_any(word, &["character", "char", "bit", "nchar"]) {
        modified(tokens, skip(last, &["varying"]))
    } else if tokens.is_word(word, "double") {
        Some(skip(last, &["precision"]))
    } else if tokens.is_any(word, &["time", "timestamp"]) {
        let end = modified(tokens, last)?;
        let zoned = tokens.is_any(end, &["with", "without"]) && tokens.is_word(end + 1, "time");
        Some(if zoned { end + 3 } else { end })
    } else if tokens.is_word(word, "interval") {
        let mut end = skip(last, &FIELDS);
        if tokens.is_word(end, "to") {
            end = skip(end + 1, &FIELDS);
        }
        modified(tokens, end)
    } else {
        modified(tokens, last)
    }
}

/// The token behind the modifiers that may stand at `at`: constants, words, no calls.
fn modified(tokens: &Tokens<'_>, at: usize) -> Option<usize> {
    if !tokens.is_mark(at, b'(') {
        return Some(at);
    }
    let close =
        (at + 1..tokens.len()).find(|at| tokens.is_mark(*at, b')') || tokens.is_mark(*at, b'('))?;
    tokens.is_mark(close, b')').then_some(close + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::Rules;

    #[test]
    fn types_end_where_they_end() {
        for (text, expected) in [
            ("int + 1", 1),
            ("s.\"T\" [1]", 3),
            ("numeric(10, 2) a", 6),
            ("double precision a", 2),
            ("double a", 1),
            ("national character varying(3) a", 6),
            ("timestamp(3) with time zone a", 7),
            ("time without time zone a", 4),
            ("timestamp with a", 1),
            ("interval day to second(3) a", 7),
            ("interval a", 1),
            ("geometry(Point, 4326) <-> a", 6),
        ] {
            let tokens = Tokens::new(text.as_bytes(), Rules::default());
            assert_eq!(end(&tokens, 0), Some(expected), "{text}");
        }
        for text in ["(1)", "1", "a(f(x))", "a(1", ""] {
            let tokens = Tokens::new(text.as_bytes(), Rules::default());
            assert_eq!(end(&tokens, 0), None, "{text}");
        }
    }
}
