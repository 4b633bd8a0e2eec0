//! The words of a function's body.
//!
//! Nothing is parsed: a body may be in any language, and a function may run a text that stands in a string. So words count
//! wherever they stand, also in strings and comments; that makes a function look worse than it is at most.

use std::borrow::Cow;

/// The longest name that is looked for, in bytes with its quotes doubled. PostgreSQL's own limit is 63.
const NAME_MAX: usize = 128;

/// A name in a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Word<'a> {
    /// As it would be stored: in lower case unless quoted.
    pub(crate) name: Cow<'a, str>,
    /// What follows it.
    pub(crate) rest: &'a str,
}

impl Word<'_> {
    /// Whether it may be called here: a parenthesis follows, or a comment behind which there may be one.
    pub(crate) fn is_called(&self) -> bool {
        let rest = self.rest.trim_start();
        ["(", "/*", "--"].iter().any(|sign| rest.starts_with(sign))
    }

    /// The first argument of the call, if it is a plain string.
    pub(crate) fn literal(&self) -> Option<&str> {
        let text = self.rest.trim_start().strip_prefix('(')?.trim_start().strip_prefix('\'')?;
        let (literal, behind) = text.split_once('\'')?;
        // A quote, a backslash or another operand, and it is not the whole of it.
        let whole = behind.trim_start().starts_with([',', ')']) && !literal.contains('\\');
        whole.then_some(literal)
    }
}

/// All names of a body. What stands between two double quotes counts as one name and as the words that it has, because the
/// quote may be one in a string.
pub(crate) fn words(body: &str) -> impl Iterator<Item = Word<'_>> {
    let mut rest = body;
    std::iter::from_fn(move || {
        loop {
            let first = rest.chars().next()?;
            let after = rest.strip_prefix(first)?;
            if first == '"' {
                rest = after;
                if let Some(word) = quoted(after) {
                    return Some(word);
                }
            } else if is_begin(first) {
                let end = rest.find(|c| !is_inside(c)).unwrap_or(rest.len());
                let (word, behind) = rest.split_at_checked(end)?;
                rest = behind;
                return Some(Word { name: folded(word), rest: behind });
            } else if first.is_ascii_digit() {
                rest = after.trim_start_matches(is_inside);
            } else {
                rest = after;
            }
        }
    })
}

/// Whether a name is written with escapes (`U&"..."`), which nothing here reads.
pub(crate) fn has_escaped_names(body: &str) -> bool {
    body.contains("U&\"") || body.contains("u&\"")
}

fn is_begin(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

fn is_inside(c: char) -> bool {
    is_begin(c) || c.is_ascii_digit() || c == '$'
}

fn folded(word: &str) -> Cow<'_, str> {
    if word.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(word.to_ascii_lowercase())
    } else {
        Cow::Borrowed(word)
    }
}

/// The name up to the closing quote. A doubled one stands for itself.
fn quoted(text: &str) -> Option<Word<'_>> {
    let mut from = 0;
    loop {
        let end = from + text.get(from..)?.find('"')?;
        if end > NAME_MAX {
            return None;
        }
        let rest = text.get(end + 1..)?;
        if rest.starts_with('"') {
            from = end + 2;
            continue;
        }
        let name = text.get(..end)?;
        let name =
            if from == 0 { Cow::Borrowed(name) } else { Cow::Owned(name.replace("\"\"", "\"")) };
        return Some(Word { name, rest });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(body: &str) -> Vec<String> {
        words(body).map(|word| word.name.into_owned()).collect()
    }

    #[test]
    fn words_are_folded_and_quoted_names_are_not() {
        assert_eq!(names("SELECT Next_1(a.b$2)"), ["select", "next_1", "a", "b$2"]);
        assert_eq!(names("\"My Fn\"(1)"), ["My Fn", "my", "fn"]);
        assert_eq!(names("1e5 größe $1 x"), ["größe", "x"]);
        assert!(names("\"say \"\"hi\"\"\" ()").contains(&"say \"hi\"".to_owned()));
    }

    #[test]
    fn a_quote_in_a_string_hides_no_name() {
        assert!(names("'5\" pipe' || \"Bad Fn\"(1)").contains(&"Bad Fn".to_owned()));
    }

    #[test]
    fn a_call_is_seen_behind_blanks_and_comments() {
        let called = |body| words(body).next().is_some_and(|word: Word<'_>| word.is_called());
        for body in ["f(1)", "f (1)", "f\n\t(1)", "f/* c */(1)", "f -- c\n(1)", "\"f\" (1)"] {
            assert!(called(body), "{body}");
        }
        assert!(!called("f.g(1)"));
        assert!(!called("f"));
    }

    #[test]
    fn only_a_whole_plain_string_is_a_literal() {
        let literal =
            |body| words(body).next().and_then(|word: Word<'_>| word.literal().map(str::to_owned));
        assert_eq!(literal("f('a.b', true)").as_deref(), Some("a.b"));
        assert_eq!(literal("f ( 'port' )").as_deref(), Some("port"));
        for body in
            ["f('a' || x)", "f('it''s')", "f(x)", "f(E'a')", "f('a\\b')", "f('a'::text)", "f('a"]
        {
            assert_eq!(literal(body), None, "{body}");
        }
    }

    #[test]
    fn a_body_of_nothing_but_quotes_takes_no_time() {
        assert!(words(&"\"".repeat(65_536)).count() < 65_536);
    }
}
