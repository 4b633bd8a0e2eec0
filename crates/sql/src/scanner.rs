//! A text, piece by piece: statements are told apart, and what must outlive a piece is kept.

use std::fmt;

use crate::cursor::Text;
use crate::effect::{
    Deallocate, Effect, Execute, Opaque, Parameter, Pin, Prepare, StatementEffect,
};
use crate::lexer::{Kind, Lexer, Rules, Token};
use crate::scan::Scan;
use crate::statement;
use crate::stream::{NAME_KEPT, Stream};

/// So many bytes of a statement are read for its details. What must stand further back (the end of a list of settings,
/// `ON COMMIT DROP`) is not seen then, and the effect says so. Also bounds what is copied when a text comes in pieces.
const STATEMENT_KEPT: usize = 16 * 1024;

/// Most effects of one text; a script may have thousands of statements.
const EFFECTS_KEPT: usize = 4096;

/// So many functions of a statement that are not known to be clean are kept by name.
pub(crate) const FUNCTIONS_KEPT: usize = 16;

/// Most bytes of names and values in the effects of one text.
const EFFECT_BYTES_KEPT: usize = 256 * 1024;

/// Follows a text that comes in pieces of any size, in bounded memory: `feed` all but the last piece, then
/// `finish_with` it (or `finish`). The answer does not depend on where the text was cut.
#[derive(Clone)]
pub struct Scanner {
    rules: Rules,
    lexer: Lexer,
    stream: Stream,
    /// Where the last name is; its text may be needed with the token behind it.
    name: (usize, usize),
    /// The beginning of that name, or of one that is not at its end yet, if it is not in the piece at hand.
    name_kept: Vec<u8>,
    /// The statement at hand, or what may be its first token, up to the piece at hand.
    statement_kept: Vec<u8>,
    scan: Scan,
    effects: usize,
    effect_bytes: usize,
}

impl Scanner {
    /// A scanner in front of the first byte of a text.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            lexer: Lexer::new(rules, 0),
            stream: Stream::new(),
            name: (0, 0),
            name_kept: Vec::new(),
            statement_kept: Vec::new(),
            scan: Scan::default(),
            effects: 0,
            effect_bytes: 0,
        }
    }

    /// Takes the next piece of the text, which is not the last.
    pub fn feed(&mut self, piece: &[u8]) {
        self.run(piece, false);
        self.keep_statement(piece);
        self.keep_name(piece);
        self.lexer.leave(piece.len());
    }

    /// Ends the text.
    pub fn finish(self) -> Scan {
        self.finish_with(&[])
    }

    /// Takes the last piece of the text and ends it. For a text that is whole this is the only call, and nothing of
    /// it is copied.
    pub fn finish_with(mut self, piece: &[u8]) -> Scan {
        self.run(piece, true);
        if self.stream.started {
            self.end_statement(piece);
        }
        self.scan
    }

    /// Where each statement of a text that is whole ends, behind its last token; empty statements do not count.
    pub(crate) fn statement_ends(mut self, text: &[u8]) -> Vec<usize> {
        let mut ends = Vec::new();
        while let Some(token) = self.lexer.next(text, true) {
            let (statements, end) = (self.scan.statements, self.stream.end);
            self.take(token, text);
            if self.scan.statements > statements {
                ends.push(end);
            }
        }
        if self.stream.started {
            ends.push(self.stream.end);
        }
        ends
    }

    #[inline]
    fn run(&mut self, piece: &[u8], last: bool) {
        while let Some(token) = self.lexer.next(piece, last) {
            self.take(token, piece);
        }
    }

    #[inline]
    fn take(&mut self, token: Token, piece: &[u8]) {
        match token.kind {
            Kind::Word | Kind::Quoted | Kind::UnicodeQuoted => {
                let base = self.lexer.base();
                if token.start < base {
                    self.keep_more_of_name(
                        piece.get(..token.end.saturating_sub(base)).unwrap_or_default(),
                    );
                }
                self.name = (token.start, token.end);
                self.stream.take(token, name_text(self.name, base, piece, &self.name_kept));
            }
            Kind::Mark(b'(' | b'.') if self.stream.last_is_name() => {
                self.stream
                    .take(token, name_text(self.name, self.lexer.base(), piece, &self.name_kept));
            }
            Kind::Mark(b';') if self.stream.may_end() => {
                if self.stream.started {
                    self.end_statement(piece);
                }
            }
            _ => self.stream.take(token, &[]),
        }
    }

    fn end_statement(&mut self, piece: &[u8]) {
        let index = self.scan.statements;
        self.scan.statements += 1;
        if let Some(keyword) = self.scan.keywords.get_mut(index) {
            *keyword = self.stream.keyword;
        }
        let stream = std::mem::replace(&mut self.stream, Stream::new());
        if statement::needs_reading(&stream) {
            self.read_statement(&stream, index, piece);
        }
        self.statement_kept.clear();
    }

    fn read_statement(&mut self, stream: &Stream, index: usize, piece: &[u8]) {
        let base = self.lexer.base();
        let length = stream.end - stream.start;
        let mut kept = std::mem::take(&mut self.statement_kept);
        let bytes = if stream.start >= base {
            piece.get(stream.start - base..stream.end - base).unwrap_or_default()
        } else {
            append(
                &mut kept,
                piece.get(..stream.end.saturating_sub(base)).unwrap_or_default(),
                STATEMENT_KEPT,
            );
            &kept
        };
        let bytes = bytes.get(..length.min(STATEMENT_KEPT)).unwrap_or(bytes);
        let (start, end, cut) = (stream.start, stream.end, length > STATEMENT_KEPT);
        let text = Text { bytes, start, end, cut, rules: self.rules };
        statement::read(text, stream, &mut |effect| self.add(index, effect));
        self.statement_kept = kept;
    }

    fn add(&mut self, statement: usize, effect: Effect) {
        if self.effects >= EFFECTS_KEPT || self.effect_bytes > EFFECT_BYTES_KEPT {
            return;
        }
        self.effects += 1;
        self.effect_bytes += weight(&effect);
        let full = self.effects == EFFECTS_KEPT || self.effect_bytes > EFFECT_BYTES_KEPT;
        let effect = if full { Effect::Opaque(Opaque::TooMany) } else { effect };
        self.scan.effects.push(StatementEffect { statement, effect });
    }

    /// Keeps what is in this piece of the statement at hand.
    fn keep_statement(&mut self, piece: &[u8]) {
        let from =
            if self.stream.started { Some(self.stream.start) } else { self.lexer.unfinished() };
        let base = self.lexer.base();
        let Some(from) = from else {
            self.statement_kept.clear();
            return;
        };
        if from >= base {
            self.statement_kept.clear();
        }
        append(
            &mut self.statement_kept,
            piece.get(from.saturating_sub(base)..).unwrap_or_default(),
            STATEMENT_KEPT,
        );
    }

    /// Keeps what is in this piece of the name that ends in a later one, or that was the last token.
    fn keep_name(&mut self, piece: &[u8]) {
        let base = self.lexer.base();
        if let Some(start) = self.lexer.unfinished_name() {
            if start >= base {
                self.name_kept.clear();
            }
            self.keep_more_of_name(piece.get(start.saturating_sub(base)..).unwrap_or_default());
        } else if self.stream.last_is_name() && self.name.0 >= base {
            self.name_kept.clear();
            self.keep_more_of_name(
                piece.get(self.name.0 - base..self.name.1 - base).unwrap_or_default(),
            );
        }
    }

    fn keep_more_of_name(&mut self, more: &[u8]) {
        append(&mut self.name_kept, more, NAME_KEPT);
    }
}

/// Shows nothing of the text, which may hold secrets.
impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner").field("statements", &self.scan.statements).finish_non_exhaustive()
    }
}

/// The text of the name at `place`, at most [`NAME_KEPT`] bytes of it: in the piece at `base`, or kept from earlier.
#[inline]
fn name_text<'a>(
    (start, end): (usize, usize),
    base: usize,
    piece: &'a [u8],
    kept: &'a [u8],
) -> &'a [u8] {
    let length = (end - start).min(NAME_KEPT);
    let (bytes, start) = if start >= base { (piece, start - base) } else { (kept, 0) };
    bytes.get(start..start + length).unwrap_or_default()
}

fn append(kept: &mut Vec<u8>, more: &[u8], limit: usize) {
    let room = limit.saturating_sub(kept.len());
    kept.extend_from_slice(more.get(..room).unwrap_or(more));
}

/// The bytes of names and values that an effect keeps.
fn weight(effect: &Effect) -> usize {
    let parameter = |parameter: &Parameter| match parameter {
        Parameter::Ordinary(name) => name.as_bytes().len(),
        Parameter::Role | Parameter::SessionAuthorization => 0,
    };
    match effect {
        Effect::Set { parameter: name, value, .. } => parameter(name) + value.as_bytes().len(),
        Effect::SetComputed { parameter: Some(name), .. }
        | Effect::Reset { parameter: name, .. } => parameter(name),
        Effect::Savepoint(name)
        | Effect::RollbackTo(name)
        | Effect::Release(name)
        | Effect::Listen(name)
        | Effect::Unlisten(name)
        | Effect::CloseCursor(name)
        | Effect::Pin(Pin::HoldCursor(name))
        | Effect::Prepare(Prepare { name, .. })
        | Effect::Deallocate(Deallocate::Name { name, .. })
        | Effect::Opaque(Opaque::Function(name)) => name.as_bytes().len(),
        Effect::Execute(Execute { name, arguments, .. }) => {
            name.as_bytes().len()
                + arguments.iter().flatten().map(|value| value.as_bytes().len()).sum::<usize>()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
