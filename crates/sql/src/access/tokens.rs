//! The tokens of a whole text, as many of them as are read.

use crate::lexer::{Kind, Lexer, Rules, Token};
use crate::name::Name;

/// Texts with more bytes are not read for what they name: how deep a tree can be, and how long it takes to build it,
/// depends on the length of the text alone.
pub const TEXT_READ: usize = 32 * 1024;

/// Nor are texts with more tokens.
pub const TOKENS_READ: usize = 8000;

/// Tokens that room is made for at first.
const TOKENS_EXPECTED: usize = 64;

/// The tokens of a text, by number.
#[derive(Debug)]
pub(crate) struct Tokens<'a> {
    text: &'a [u8],
    list: Vec<Token>,
    /// Whether these are all tokens of the text.
    pub(crate) complete: bool,
    /// Whether a string, a quoted name or a comment lacks its end.
    pub(crate) unended: bool,
}

impl<'a> Tokens<'a> {
    /// Reads a text, up to the limits.
    pub(crate) fn new(text: &'a [u8], rules: Rules) -> Self {
        let read = text.get(..TEXT_READ).unwrap_or(text);
        let mut lexer = Lexer::new(rules, 0);
        let mut list = Vec::with_capacity(TOKENS_EXPECTED);
        let mut complete = read.len() == text.len();
        while list.len() < TOKENS_READ
            && let Some(token) = lexer.next(read, false)
        {
            list.push(token);
        }
        let unended = lexer.is_open();
        if let Some(token) = lexer.next(read, true) {
            complete &= list.len() < TOKENS_READ;
            list.push(token);
        }
        // A character of its own may hold back another.
        list.extend(lexer.next(read, true));
        Self { text, list, complete, unended }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn kind(&self, at: usize) -> Option<Kind> {
        self.list.get(at).map(|token| token.kind)
    }

    /// The bytes of a token; none if there is no such token.
    pub(crate) fn bytes(&self, at: usize) -> &'a [u8] {
        let range = self.list.get(at).map(|token| token.start..token.end);
        range.and_then(|range| self.text.get(range)).unwrap_or_default()
    }

    /// Whether the token is this mark.
    pub(crate) fn is_mark(&self, at: usize, mark: u8) -> bool {
        self.kind(at) == Some(Kind::Mark(mark))
    }

    /// Whether the token is this word, unquoted.
    pub(crate) fn is_word(&self, at: usize, word: &str) -> bool {
        self.kind(at) == Some(Kind::Word) && self.bytes(at).eq_ignore_ascii_case(word.as_bytes())
    }

    /// Whether the token is one of these words, unquoted.
    pub(crate) fn is_any(&self, at: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is_word(at, word))
    }

    /// Whether the token may be a name or a part of one.
    pub(crate) fn is_name(&self, at: usize) -> bool {
        matches!(self.kind(at), Some(Kind::Word | Kind::Quoted | Kind::UnicodeQuoted))
    }

    /// Whether the token is a string of any form.
    pub(crate) fn is_string(&self, at: usize) -> bool {
        matches!(self.kind(at), Some(Kind::Text | Kind::Dollar))
    }

    /// Whether nothing stands between the token and the one before it.
    pub(crate) fn touches(&self, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.list.get(before));
        before.zip(self.list.get(at)).is_some_and(|(before, token)| before.end == token.start)
    }

    /// Whether the token and the next are `::`.
    pub(crate) fn is_cast(&self, at: usize) -> bool {
        self.is_mark(at, b':') && self.is_mark(at + 1, b':') && self.touches(at + 1)
    }

    /// The name that the token is. None if it has escapes that only the server understands.
    pub(crate) fn name(&self, at: usize) -> Option<Name> {
        let bytes = self.bytes(at);
        match self.kind(at)? {
            Kind::Word => Some(Name::from_word(bytes)),
            Kind::Quoted => {
                Some(Name::from_quoted(bytes)).filter(|name| !name.as_bytes().is_empty())
            }
            Kind::UnicodeQuoted if self.is_word(at + 1, "uescape") => None,
            Kind::UnicodeQuoted => Some(Name::from_quoted(&unescaped(bytes.get(2..)?)?)),
            _ => None,
        }
    }

    /// The first token of the dotted name that ends with this one.
    pub(crate) fn chain_start(&self, mut at: usize) -> usize {
        while at >= 2 && self.is_mark(at - 1, b'.') && self.is_name(at - 2) {
            at -= 2;
        }
        at
    }

    /// The last token of the dotted name that begins with this one.
    pub(crate) fn chain_end(&self, mut at: usize) -> usize {
        while self.is_mark(at + 1, b'.') && self.is_name(at + 2) {
            at += 2;
        }
        at
    }

    /// The parenthesis that closes this one, before `end`.
    pub(crate) fn closing(&self, open: usize, end: usize) -> Option<usize> {
        let mut depth = 0_usize;
        (open..end).find(|at| {
            match self.kind(*at) {
                Some(Kind::Mark(b'(')) => depth += 1,
                Some(Kind::Mark(b')')) => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        })
    }
}

/// A quoted name of `U&"…"` with its escapes read: those of the server too, if its encoding is UTF-8. In any other a
/// name with such a character is none that it has.
fn unescaped(quoted: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(quoted.len());
    let mut rest = quoted;
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        if let Some(more) = more.strip_prefix(b"\\") {
            out.push(b'\\');
            rest = more;
            continue;
        }
        let (digits, more) = match more.strip_prefix(b"+") {
            Some(more) => more.split_at_checked(6)?,
            None => more.split_at_checked(4)?,
        };
        let code = std::str::from_utf8(digits)
            .ok()
            .filter(|it| it.bytes().all(|it| it.is_ascii_hexdigit()))?;
        let letter = char::from_u32(u32::from_str_radix(code, 16).ok()?)?;
        if matches!(letter, '"' | '\0') {
            return None;
        }
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        rest = more;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lacks_its_end_is_seen() {
        for (text, unended) in [
            ("select 'a'", false),
            ("select 'a", true),
            ("select E'a\\'", true),
            ("select \"a", true),
            ("select $x$ a $X$", true),
            ("select 1 /* /* */", true),
            ("select 1 -- a", false),
            ("select a", false),
        ] {
            assert_eq!(Tokens::new(text.as_bytes(), Rules::default()).unended, unended, "{text}");
        }
    }

    #[test]
    fn no_more_than_the_limits_is_read() {
        let read = |text: &str| {
            let tokens = Tokens::new(text.as_bytes(), Rules::default());
            (tokens.len(), tokens.complete)
        };
        assert_eq!(read(&"+ ".repeat(TOKENS_READ)), (TOKENS_READ, true));
        assert!(!read(&"+ ".repeat(TOKENS_READ + 1)).1);
        assert_eq!(read(&format!("'{}'", "a".repeat(TEXT_READ - 2))), (1, true));
        assert!(!read(&format!("'{}'", "a".repeat(TEXT_READ - 1))).1);
    }

    #[test]
    fn escapes_in_names_are_read() {
        let name = |text: &str| {
            let tokens = Tokens::new(text.as_bytes(), Rules::default());
            tokens.name(0).map(|name| name.to_string())
        };
        assert_eq!(
            name(r#"U&"gr\00F6\+0000DFe""#.replace("\\\\", "\\").as_str()).as_deref(),
            Some("größe")
        );
        for unknown in
            [r#"U&"\00""#, r#"U&"\zzzz""#, r#"U&"\D800""#, r#"U&"a" UESCAPE '!'"#, "\"\""]
        {
            assert_eq!(name(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn each_byte_of_a_text_is_read_once_however_it_is_made() {
        let pieces = [
            "'",
            "''",
            "\"",
            "$a$",
            "$",
            "/*",
            "*/",
            "--",
            "\n",
            "E'\\'",
            "U&'",
            "x'",
            "(",
            ";",
            "a.",
            "1e",
            "1.",
            "<",
            "@-",
            "begin atomic ",
            "\u{e9}",
            "$1",
            ":",
        ];
        for first in pieces {
            for second in pieces {
                let text =
                    (first.to_owned() + second).repeat(TEXT_READ / (first.len() + second.len()));
                let tokens = Tokens::new(text.as_bytes(), Rules::default());
                let mut end = 0;
                for token in &tokens.list {
                    assert!(token.start >= end && token.end > token.start, "{first}{second}");
                    end = token.end;
                }
                assert!(tokens.list.len() <= TOKENS_READ + 2 && end <= text.len());
            }
        }
    }
}
