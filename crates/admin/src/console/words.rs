//! The words of a command: split at white space and punctuation, quoting and comments as in SQL.

use super::refusal::Refusal;

/// Most statements in one message. Nobody types more; a generated text is cut off before it costs anything.
pub(crate) const MAX_STATEMENTS: usize = 64;

/// One word of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// What was written, without quotes.
    pub(crate) text: String,
    /// How it was written.
    pub(crate) kind: WordKind,
    /// Where it begins, in characters from 1.
    pub(crate) position: u32,
}

/// How a word was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WordKind {
    /// As it is. A keyword, or a name.
    Bare,
    /// In double or single quotes. A name or a value, never a keyword.
    Quoted,
    /// One character of punctuation.
    Sign,
}

impl Word {
    /// Whether it is this keyword, in any case.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        self.kind == WordKind::Bare && self.text.eq_ignore_ascii_case(keyword)
    }

    /// Whether it is this character.
    pub(crate) fn is_sign(&self, sign: char) -> bool {
        self.kind == WordKind::Sign && self.text.chars().eq([sign])
    }
}

/// Takes a text apart into statements, each a list of words; empty statements are left out.
pub(crate) fn statements(text: &str) -> Result<Vec<Vec<Word>>, Refusal> {
    let mut statements = Vec::new();
    let mut current = Vec::new();
    let mut scanner = Scanner { rest: text, position: 1 };
    while let Some(word) = scanner.next_word()? {
        if !word.is_sign(';') {
            current.push(word);
        } else if !current.is_empty() {
            statements.push(std::mem::take(&mut current));
        }
        if statements.len() > MAX_STATEMENTS {
            return Err(Refusal::syntax(format!(
                "more than {MAX_STATEMENTS} statements in one message"
            )));
        }
    }
    if !current.is_empty() {
        statements.push(current);
    }
    Ok(statements)
}

/// Goes through a text.
struct Scanner<'a> {
    rest: &'a str,
    /// Of the next character, from 1.
    position: u32,
}

impl<'a> Scanner<'a> {
    fn next_word(&mut self) -> Result<Option<Word>, Refusal> {
        self.skip_blank()?;
        let position = self.position;
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let (text, kind) = match first {
            '"' | '\'' => (self.quoted(first)?, WordKind::Quoted),
            _ if is_sign(first) => (self.take(first.len_utf8()).to_owned(), WordKind::Sign),
            _ => (self.bare().to_owned(), WordKind::Bare),
        };
        Ok(Some(Word { text, kind, position }))
    }

    fn skip_blank(&mut self) -> Result<(), Refusal> {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.take(blank);
            if self.rest.starts_with("--") {
                self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                self.skip_comment()?;
            } else {
                return Ok(());
            }
        }
    }

    /// A comment between `/*` and `*/`; they nest.
    fn skip_comment(&mut self) -> Result<(), Refusal> {
        let begin = self.position;
        let mut depth = 0_usize;
        loop {
            if self.rest.starts_with("/*") {
                depth = depth.saturating_add(1);
                self.take(2);
            } else if self.rest.starts_with("*/") {
                depth = depth.saturating_sub(1);
                self.take(2);
                if depth == 0 {
                    return Ok(());
                }
            } else if let Some(other) = self.rest.chars().next() {
                self.take(other.len_utf8());
            } else {
                return Err(Refusal::syntax("unterminated /* comment").at(begin));
            }
        }
    }

    /// A text in quotes; a doubled quote stands for one.
    fn quoted(&mut self, quote: char) -> Result<String, Refusal> {
        let begin = self.position;
        let mut text = String::new();
        self.take(quote.len_utf8());
        loop {
            let Some(end) = self.rest.find(quote) else {
                return Err(Refusal::syntax("unterminated quoted text").at(begin));
            };
            text.push_str(self.take(end));
            self.take(quote.len_utf8());
            if !self.rest.starts_with(quote) {
                return Ok(text);
            }
            text.push(quote);
            self.take(quote.len_utf8());
        }
    }

    fn bare(&mut self) -> &'a str {
        let ends = |(at, character): (usize, char)| {
            let comment = self
                .rest
                .get(at..)
                .is_some_and(|rest| rest.starts_with("--") || rest.starts_with("/*"));
            comment || character.is_whitespace() || is_sign(character) || "\"'".contains(character)
        };
        let end = self.rest.char_indices().find(|found| ends(*found));
        self.take(end.map_or(self.rest.len(), |(at, _)| at))
    }

    /// Takes `len` bytes, which must end at a character.
    fn take(&mut self, len: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.rest = rest;
        let characters = u32::try_from(taken.chars().count()).unwrap_or(u32::MAX);
        self.position = self.position.saturating_add(characters);
        taken
    }
}

const fn is_sign(character: char) -> bool {
    matches!(character, ';' | ',' | '=' | '(' | ')')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<Vec<String>> {
        let found = statements(text).unwrap();
        found.into_iter().map(|words| words.into_iter().map(|word| word.text).collect()).collect()
    }

    #[test]
    fn statements_end_at_semicolons_outside_of_quotes_and_comments() {
        assert_eq!(
            texts("show pools; PAUSE \"a;\"\"b\" /* ; /* ; */ */;;-- ;\nRESUME my-db;"),
            [vec!["show", "pools"], vec!["PAUSE", "a;\"b"], vec!["RESUME", "my-db"]]
        );
        assert_eq!(texts(" ; -- nothing\n"), Vec::<Vec<String>>::new());
    }

    #[test]
    fn a_quoted_word_is_no_keyword() {
        let found = statements("\"SHOW\" 'SHOW' SHOW").unwrap();
        let keywords: Vec<bool> = found[0].iter().map(|word| word.is("show")).collect();
        assert_eq!(keywords, [false, false, true]);
    }

    #[test]
    fn positions_count_characters() {
        let found = statements("/*\u{e9}*/ \u{e9}\u{e9} x=1").unwrap();
        let positions: Vec<u32> = found[0].iter().map(|word| word.position).collect();
        assert_eq!(positions, [7, 10, 11, 12]);
    }

    #[test]
    fn what_is_opened_must_be_closed() {
        for text in ["SHOW 'pools", "PAUSE \"x\"\"", "/* /* */"] {
            assert!(statements(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_flood_of_statements_is_refused() {
        assert_eq!(statements(&"x;".repeat(MAX_STATEMENTS)).unwrap().len(), MAX_STATEMENTS);
        assert!(statements(&"x;".repeat(MAX_STATEMENTS + 1)).is_err());
    }
}
