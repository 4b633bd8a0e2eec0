//! The short way for texts that are one ordinary statement: `SELECT`, `INSERT`, `UPDATE`, `DELETE` or `WITH` without
//! anything special, and the bare words that begin and end transactions.
//!
//! Knows nothing that the scanner does not know; it is only quicker, by reading the text once and remembering no more
//! than the last name. Whatever is unusual is left to the scanner, from the first byte on. A test holds the two
//! together.

use crate::atoms::{is_space, is_word, pack, starts_word};
use crate::effect::{Effect, Modes};
use crate::functions::{Call, lookup};
use crate::keyword::Keyword;

/// The word that the text begins with, if it is one ordinary statement that does nothing. Strings must conform.
#[inline]
pub(crate) fn ordinary(text: &[u8]) -> Option<Keyword> {
    Reader::new(text).read()
}

/// `BEGIN`, `COMMIT`, `END` or `ROLLBACK`, alone or with a semicolon.
pub(crate) fn bare_word(text: &[u8]) -> Option<(Keyword, Effect)> {
    const BEGIN: u64 = pack(b"begin");
    const COMMIT: u64 = pack(b"commit");
    const END: u64 = pack(b"end");
    const ROLLBACK: u64 = pack(b"rollback");
    let word = text.strip_suffix(b";").unwrap_or(text);
    if !word.first().is_some_and(|byte| starts_word(*byte)) {
        return None;
    }
    match pack(word) {
        BEGIN => Some((Keyword::Begin, Effect::Begin(Modes::default()))),
        COMMIT => Some((Keyword::Commit, Effect::Commit { chain: false })),
        END => Some((Keyword::End, Effect::Commit { chain: false })),
        ROLLBACK => Some((Keyword::Rollback, Effect::Rollback { chain: false })),
        _ => None,
    }
}

/// What the last token was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Word,
    Quoted,
    Dot,
    Other,
}

/// What may come of `INSERT INTO name`, whose columns look like a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    /// Nothing more.
    None,
    /// `INTO`.
    Into,
    /// The name.
    Name,
    /// More parts of the name, or the columns.
    Reading,
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    keyword: Keyword,
    last: Last,
    /// The last word, and whether a dot stood before it.
    word: &'a [u8],
    dotted: bool,
    target: Target,
}

impl<'a> Reader<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            keyword: Keyword::Other,
            last: Last::Other,
            word: &[],
            dotted: false,
            target: Target::None,
        }
    }

    /// The keyword of the statement, if all of the text is plain.
    fn read(mut self) -> Option<Keyword> {
        self.first_word()?;
        while let Some(byte) = self.text.get(self.at) {
            let byte = *byte;
            if is_space(byte) {
                self.at += 1;
            } else if starts_word(byte) {
                self.word(byte)?;
            } else if byte == b';' {
                let rest = self.text.get(self.at + 1..)?;
                return rest.iter().all(|byte| is_space(*byte)).then_some(self.keyword);
            } else {
                self.other(byte)?;
            }
        }
        Some(self.keyword)
    }

    fn first_word(&mut self) -> Option<()> {
        self.skip(is_space);
        let start = self.at;
        self.skip(is_word);
        self.keyword = Keyword::from_word(self.text.get(start..self.at)?);
        self.target = if self.keyword == Keyword::Insert { Target::Into } else { Target::None };
        self.last = Last::Other;
        match self.keyword {
            Keyword::Select
            | Keyword::Insert
            | Keyword::Update
            | Keyword::Delete
            | Keyword::With => Some(()),
            _ => None,
        }
    }

    #[inline]
    fn skip(&mut self, class: impl Fn(u8) -> bool) {
        let (text, mut at) = (self.text, self.at);
        while text.get(at).is_some_and(|byte| class(*byte)) {
            at += 1;
        }
        self.at = at;
    }

    #[inline]
    fn word(&mut self, first: u8) -> Option<()> {
        let start = self.at;
        self.at += 1;
        self.skip(is_word);
        let word = self.text.get(start..self.at)?;
        let unusual = match first | 0x20 {
            // `pg_temp`, `pg_settings`.
            b'p' => {
                word.len() >= 7
                    && word.get(2) == Some(&b'_')
                    && matches!(word.get(3)? | 0x20, b't' | b's')
            }
            b'i' => {
                self.target != Target::Into && word.len() == 4 && word.eq_ignore_ascii_case(b"into")
            }
            // The prefixes of strings.
            b'e' | b'b' | b'x' | b'n' | b'u' => {
                word.len() == 1 && matches!(self.text.get(self.at), Some(b'\'' | b'&'))
            }
            _ => false,
        };
        if unusual || self.target == Target::Into && !word.eq_ignore_ascii_case(b"into") {
            return None;
        }
        self.dotted = self.last == Last::Dot;
        self.step_target();
        self.last = Last::Word;
        self.word = word;
        Some(())
    }

    /// A name begins, or goes on after a dot.
    #[inline]
    fn step_target(&mut self) {
        if self.last != Last::Dot && self.target != Target::None {
            self.target = match self.target {
                Target::Into => Target::Name,
                Target::Name => Target::Reading,
                Target::Reading | Target::None => Target::None,
            };
        }
    }

    #[inline]
    fn other(&mut self, byte: u8) -> Option<()> {
        self.at += 1;
        match byte {
            b'0'..=b'9' => self.skip(|byte| matches!(byte, b'0'..=b'9' | b'.')),
            b'\'' => self.string()?,
            b'"' => {
                self.quoted()?;
                if self.target == Target::Into {
                    return None;
                }
                self.step_target();
                self.last = Last::Quoted;
                return Some(());
            }
            b'(' => self.parenthesis()?,
            b'.' => {
                self.last = Last::Dot;
                return Some(());
            }
            b'$' => {
                if !self.text.get(self.at)?.is_ascii_digit() {
                    return None;
                }
                self.skip(|byte| byte.is_ascii_digit());
            }
            b'-' if self.text.get(self.at) == Some(&b'-') => return None,
            b'/' if self.text.get(self.at) == Some(&b'*') => return self.comment(),
            _ => {}
        }
        self.last = Last::Other;
        self.target = Target::None;
        Some(())
    }

    /// A name before a parenthesis must be the target of `INSERT`, a keyword or a clean function.
    fn parenthesis(&mut self) -> Option<()> {
        let plain = match self.last {
            Last::Word | Last::Quoted if self.target == Target::Reading => true,
            Last::Word => {
                !self.dotted
                    && matches!(lookup(self.word, false), Some(Call::Keyword | Call::Clean))
            }
            Last::Quoted => false,
            Last::Dot | Last::Other => true,
        };
        plain.then_some(())
    }

    /// A string that ends here, and that nothing further on may continue.
    fn string(&mut self) -> Option<()> {
        loop {
            self.skip(|byte| byte != b'\'');
            self.at += 1;
            if self.text.get(self.at) != Some(&b'\'') {
                break;
            }
            self.at += 1;
        }
        if self.at > self.text.len() {
            return None;
        }
        let mut behind = self.at;
        while self.text.get(behind).is_some_and(|byte| is_space(*byte)) {
            behind += 1;
        }
        (!matches!(self.text.get(behind), Some(b'\'' | b'-'))).then_some(())
    }

    /// A quoted name without quotes in it.
    fn quoted(&mut self) -> Option<()> {
        let start = self.at;
        self.skip(|byte| byte != b'"');
        let name = self.text.get(start..self.at)?;
        self.at += 1;
        if self.at > self.text.len()
            || self.text.get(self.at) == Some(&b'"')
            || name.starts_with(b"pg_")
        {
            return None;
        }
        Some(())
    }

    /// A comment without a comment in it.
    fn comment(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            self.skip(|byte| byte != b'*' && byte != b'/');
            match (self.text.get(self.at)?, self.text.get(self.at + 1)?) {
                (b'*', b'/') => {
                    self.at += 2;
                    return Some(());
                }
                (b'/', b'*') => return None,
                _ => self.at += 1,
            }
        }
    }
}
