//! A line of a conversation as words, texts and marks.

use anyhow::{Context, Result, bail, ensure};

/// The longest text that an expression may give, in bytes; more is taken for a slip of the pen.
const TEXT_MAX: usize = 64 * 1024 * 1024;

/// The most entries that a list may have: some more than the protocol can count.
const LIST_MAX: usize = 70_000;

/// One word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Name(String),
    Text(Vec<u8>),
    Mark(char),
}

/// One entry of a list: `null`, a number or name, or a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Null,
    Name(String),
    Text(Vec<u8>),
}

/// The words of a line, taken from the front.
#[derive(Debug)]
pub(super) struct Words {
    words: std::vec::IntoIter<Word>,
}

impl Words {
    pub(super) fn of(line: &str) -> Result<Self> {
        Ok(Self { words: split(line)?.into_iter() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.len() == 0
    }

    /// Nothing may follow.
    pub(super) fn end(&self) -> Result<()> {
        ensure!(self.is_empty(), "too much: {:?}", self.words.as_slice());
        Ok(())
    }

    /// The next word, which must be a name or a number.
    pub(super) fn name(&mut self) -> Result<String> {
        match self.words.next() {
            Some(Word::Name(name)) => Ok(name),
            other => bail!("a name is missing before {other:?}"),
        }
    }

    /// The next word, if it is a name.
    pub(super) fn optional_name(&mut self) -> Option<String> {
        let Some(Word::Name(_)) = self.words.as_slice().first() else { return None };
        self.name().ok()
    }

    /// Takes the next word if it is this name.
    pub(super) fn take_name(&mut self, wanted: &str) -> bool {
        let found =
            matches!(self.words.as_slice().first(), Some(Word::Name(name)) if name == wanted);
        if found {
            self.words.next();
        }
        found
    }

    /// Takes the next word if it is this mark.
    pub(super) fn take_mark(&mut self, wanted: char) -> bool {
        let found = self.words.as_slice().first() == Some(&Word::Mark(wanted));
        if found {
            self.words.next();
        }
        found
    }

    pub(super) fn mark(&mut self, wanted: char) -> Result<()> {
        let rest = self.words.as_slice().first().cloned();
        ensure!(self.take_mark(wanted), "{wanted:?} is missing before {rest:?}");
        Ok(())
    }

    pub(super) fn number<T: std::str::FromStr>(&mut self) -> Result<T> {
        let name = self.name()?;
        name.parse().ok().with_context(|| format!("{name} is not such a number"))
    }

    /// The next word as a number, if it looks like one.
    pub(super) fn optional_number<T: std::str::FromStr>(&mut self) -> Option<T> {
        let Some(Word::Name(name)) = self.words.as_slice().first() else { return None };
        let number = name.parse().ok()?;
        self.words.next();
        Some(number)
    }

    /// Whether a text comes next.
    pub(super) fn has_text(&self) -> bool {
        match self.words.as_slice() {
            [Word::Text(_), ..] => true,
            [Word::Name(name), Word::Mark('('), ..] => name == "each",
            _ => false,
        }
    }

    /// An expression of texts: `"a" * 3 + each(1, 3, "$%", ", ")`.
    pub(super) fn text(&mut self) -> Result<Vec<u8>> {
        let mut text = self.product()?;
        while self.take_mark('+') {
            text.extend(self.product()?);
            ensure!(text.len() <= TEXT_MAX, "the text is too long");
        }
        Ok(text)
    }

    /// The same as a string, where only one can stand.
    pub(super) fn string(&mut self) -> Result<String> {
        Ok(String::from_utf8(self.text()?)?)
    }

    fn product(&mut self) -> Result<Vec<u8>> {
        let term = match self.words.next() {
            Some(Word::Text(text)) => text,
            Some(Word::Name(name)) if name == "each" => self.each()?,
            other => bail!("a text is missing before {other:?}"),
        };
        if !self.take_mark('*') {
            return Ok(term);
        }
        let times: usize = self.number()?;
        ensure!(term.len().saturating_mul(times) <= TEXT_MAX, "the text is too long");
        Ok(term.repeat(times))
    }

    /// `(first, last, pattern, between)`: the pattern with `%` as each number in turn.
    fn each(&mut self) -> Result<Vec<u8>> {
        self.mark('(')?;
        let first: usize = self.number()?;
        self.mark(',')?;
        let last: usize = self.number()?;
        self.mark(',')?;
        let pattern = self.string()?;
        self.mark(',')?;
        let between = self.string()?;
        self.mark(')')?;
        ensure!(last.saturating_sub(first) < LIST_MAX, "too many");
        let parts: Vec<_> =
            (first..=last).map(|number| pattern.replace('%', &number.to_string())).collect();
        Ok(parts.join(&between).into_bytes())
    }

    /// A list in brackets, `* n` for its n-fold; empty if there is none.
    pub(super) fn list(&mut self) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        if !self.take_mark('[') {
            return Ok(items);
        }
        while !self.take_mark(']') {
            items.push(self.item()?);
            if !self.take_mark(',') {
                self.mark(']')?;
                break;
            }
        }
        if self.take_mark('*') {
            let times: usize = self.number()?;
            ensure!(items.len().saturating_mul(times) <= LIST_MAX, "the list is too long");
            items = items.iter().cycle().take(items.len() * times).cloned().collect();
        }
        Ok(items)
    }

    fn item(&mut self) -> Result<Item> {
        if self.has_text() {
            return Ok(Item::Text(self.text()?));
        }
        let name = self.name()?;
        Ok(if name == "null" { Item::Null } else { Item::Name(name) })
    }
}

fn split(line: &str) -> Result<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = line.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            ' ' => {}
            '"' => words.push(Word::Text(quoted(&mut rest)?)),
            '[' | ']' | '(' | ')' | ',' | '/' | '*' | '+' | '=' => words.push(Word::Mark(letter)),
            letter if is_of_name(letter) => {
                let mut name = String::from(letter);
                while let Some(letter) = rest.next_if(|&letter| is_of_name(letter)) {
                    name.push(letter);
                }
                words.push(Word::Name(name));
            }
            other => bail!("{other:?} has no meaning here"),
        }
    }
    Ok(words)
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-')
}

/// The rest of a text whose opening quote has been taken.
fn quoted(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    loop {
        match rest.next().context("a text has no end")? {
            '"' => return Ok(text),
            '\\' => text.push(escaped(rest)?),
            letter => text.extend(letter.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
}

fn escaped(rest: &mut impl Iterator<Item = char>) -> Result<u8> {
    Ok(match rest.next() {
        Some('n') => b'\n',
        Some('r') => b'\r',
        Some('t') => b'\t',
        Some('0') => 0,
        Some('"') => b'"',
        Some('\\') => b'\\',
        Some('x') => {
            let digits: String = rest.take(2).collect();
            u8::from_str_radix(&digits, 16).with_context(|| format!("\\x{digits}"))?
        }
        other => bail!("there is no escape {other:?}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_repeated_joined_and_counted() {
        let mut words = Words::of(r#""a" * 3 + "\x00\n" + each(1, 3, "$%", ", ") next"#).unwrap();
        assert_eq!(words.text().unwrap(), b"aaa\0\n$1, $2, $3");
        assert_eq!(words.name().unwrap(), "next");
        assert!(words.is_empty());
    }

    #[test]
    fn a_list_holds_texts_nulls_and_names() {
        let mut words = Words::of(r#"["5", null, int4] * 2"#).unwrap();
        let one = [Item::Text(b"5".into()), Item::Null, Item::Name("int4".into())];
        assert_eq!(words.list().unwrap(), [one.clone(), one].concat());
    }

    #[test]
    fn a_text_without_end_is_told() {
        assert_eq!(Words::of(r#"Query "select"#).unwrap_err().to_string(), "a text has no end");
    }
}
