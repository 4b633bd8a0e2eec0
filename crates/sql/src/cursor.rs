//! Reading one statement, word by word.

use crate::atoms::pack;
use crate::effect::Span;
use crate::lexer::{Kind, Lexer, Rules, Token};
use crate::name::Name;

/// The text of one statement, or its beginning, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    /// From the first byte of the first token on.
    pub(crate) bytes: &'a [u8],
    /// Place of the first byte in the whole text.
    pub(crate) start: usize,
    /// Where the statement ends in the whole text, whether or not it was cut.
    pub(crate) end: usize,
    /// Whether the statement goes on where the bytes end.
    pub(crate) cut: bool,
    pub(crate) rules: Rules,
}

/// A reader of the tokens of one statement. The end of a statement that was cut looks like its end: readers that need
/// all of it ask [`Text::cut`] first.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    text: Text<'a>,
    lexer: Lexer,
    ahead: Option<Token>,
    /// End of the last token taken.
    end: usize,
}

impl<'a> Cursor<'a> {
    /// A reader in front of the first token.
    pub(crate) fn new(text: Text<'a>) -> Self {
        let mut lexer = Lexer::new(text.rules, text.start);
        let ahead = lexer.next(text.bytes, !text.cut);
        Self { text, lexer, ahead, end: text.start }
    }

    /// The statement that is read.
    pub(crate) fn text(&self) -> Text<'a> {
        self.text
    }

    /// The rules by which it is read.
    pub(crate) fn rules(&self) -> Rules {
        self.text.rules
    }

    /// The next token, left where it is.
    pub(crate) fn peek(&self) -> Option<Token> {
        self.ahead
    }

    /// Takes the next token.
    pub(crate) fn take(&mut self) -> Option<Token> {
        let token = self.ahead?;
        self.end = token.end;
        self.ahead = self.lexer.next(self.text.bytes, !self.text.cut);
        Some(token)
    }

    /// Whether all has been taken, and all was there.
    pub(crate) fn is_done(&self) -> bool {
        self.ahead.is_none() && !self.text.cut
    }

    /// End of the last token taken.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    /// The bytes of the statement from `start` to `end`.
    pub(crate) fn bytes(&self, start: usize, end: usize) -> &'a [u8] {
        let range = start.saturating_sub(self.text.start)..end.saturating_sub(self.text.start);
        self.text.bytes.get(range).unwrap_or_default()
    }

    /// The bytes of a token.
    pub(crate) fn bytes_of(&self, token: Token) -> &'a [u8] {
        self.bytes(token.start, token.end)
    }

    /// The next token as a packed word ([`pack`]); 0 if it is none, or longer than eight bytes.
    pub(crate) fn word(&self) -> u64 {
        match self.ahead {
            Some(token) if token.kind == Kind::Word => pack(self.bytes_of(token)),
            _ => 0,
        }
    }

    /// Whether the next token is the keyword `keyword`.
    pub(crate) fn at_word(&self, keyword: &[u8]) -> bool {
        self.ahead.is_some_and(|token| {
            token.kind == Kind::Word && self.bytes_of(token).eq_ignore_ascii_case(keyword)
        })
    }

    /// Whether the next token is the byte `mark`.
    pub(crate) fn at_mark(&self, mark: u8) -> bool {
        self.ahead.is_some_and(|token| token.kind == Kind::Mark(mark))
    }

    /// Takes the keyword `keyword` if it is next.
    pub(crate) fn eat_word(&mut self, keyword: &[u8]) -> bool {
        let found = self.at_word(keyword);
        if found {
            self.take();
        }
        found
    }

    /// Takes the first of these keywords that is next, if any.
    pub(crate) fn eat_any(&mut self, keywords: &[&[u8]]) -> bool {
        keywords.iter().any(|keyword| self.eat_word(keyword))
    }

    /// Takes these keywords if they follow one another; else nothing.
    pub(crate) fn eat_words(&mut self, keywords: &[&[u8]]) -> bool {
        if !keywords.first().is_some_and(|first| self.at_word(first)) {
            return false;
        }
        let mut trial = self.clone();
        let found = keywords.iter().all(|keyword| trial.eat_word(keyword));
        if found {
            *self = trial;
        }
        found
    }

    /// Takes the byte `mark` if it is next.
    pub(crate) fn eat_mark(&mut self, mark: u8) -> bool {
        let found = self.at_mark(mark);
        if found {
            self.take();
        }
        found
    }

    /// Takes everything up to the parenthesis that closes the one just taken.
    pub(crate) fn skip_parenthesis(&mut self) {
        let mut depth = 1_u32;
        while let Some(token) = self.take() {
            match token.kind {
                Kind::Mark(b'(') => depth = depth.saturating_add(1),
                Kind::Mark(b')') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// Takes a name, if one is next that can be told; with its place.
    pub(crate) fn name(&mut self) -> Option<(Name, Span)> {
        let token = self.ahead?;
        let bytes = self.bytes_of(token);
        let name = match token.kind {
            Kind::Word => Name::from_word(bytes),
            Kind::Quoted => Name::from_quoted(bytes),
            Kind::UnicodeQuoted => Name::from_unicode_quoted(bytes)?,
            _ => return None,
        };
        self.take();
        if token.kind == Kind::UnicodeQuoted && self.at_word(b"uescape") {
            return None;
        }
        Some((name, Span { start: token.start, end: token.end }))
    }
}
