//! One statement as its tokens pass by: where it ends, and the few facts that can stand anywhere in it.
//!
//! This is the hot path: ordinary statements are seen by this module and the lexer only. Nothing here needs an earlier
//! token's text, so that a statement of any length can be followed.

mod calls;
mod routine;

use self::routine::Routine;
use crate::atoms::pack;
use crate::facts::Facts;
use crate::keyword::Keyword;
use crate::lexer::{Kind, Token};
use crate::name::Name;

/// So many bytes of a name that may be needed later are kept: enough for 63 bytes, each a doubled quote, between
/// quotes.
pub(crate) const NAME_KEPT: usize = 128;

/// What the last token was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Word,
    Quoted,
    /// `U&"…"`.
    UnicodeQuoted,
    Dot,
    Close,
    Colon,
    /// `::`.
    Cast,
    Other,
}

/// Words that say what the name behind them is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    As,
    Into,
    /// The `INTO` of `INSERT` and `MERGE`.
    IntoTarget,
    Insert,
    From,
    To,
    /// A name follows that may be followed by a parenthesis without being a function: `COPY`, `EXECUTE`, `WITH`,
    /// `RECURSIVE`, `ORDINALITY`, `TABLESAMPLE`.
    NameNext,
    Begin,
    Other,
}

/// What stood before the name at hand, all its parts taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Word(Mark),
    Close,
    /// `::`, so that the name is a type.
    Cast,
    /// It is the first word of the statement.
    Nothing,
    Other,
}

/// The schema that qualifies the name at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Schema {
    None,
    Catalog,
    Other,
}

/// The statement at hand.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about what has passed"
)]
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) started: bool,
    /// First byte of the first token.
    pub(crate) start: usize,
    /// The byte after the last token so far.
    pub(crate) end: usize,
    pub(crate) keyword: Keyword,
    pub(crate) facts: Facts,
    /// Functions called that are not known to be clean, each once.
    pub(crate) functions: Vec<Name>,
    last: Last,
    mark: Mark,
    before: Before,
    schema: Schema,
    /// Open parentheses.
    depth: u32,
    /// Whether a keyword has been seen.
    named: bool,
    /// Whether a name before a parenthesis is a call.
    calls: bool,
    /// Whether we are still among the names of a `WITH` list.
    with_list: bool,
    /// Whether `DISTINCT` has been seen, behind whose `ON (…)` a call may follow at once.
    distinct: bool,
    routine: Routine,
}

impl Stream {
    pub(crate) fn new() -> Self {
        Self {
            started: false,
            start: 0,
            end: 0,
            keyword: Keyword::Other,
            facts: Facts::default(),
            functions: Vec::new(),
            last: Last::Other,
            mark: Mark::Other,
            before: Before::Other,
            schema: Schema::None,
            depth: 0,
            named: false,
            calls: false,
            with_list: false,
            distinct: false,
            routine: Routine::No,
        }
    }

    /// Whether the last token is a name, whose text may be needed with the next.
    pub(crate) fn last_is_name(&self) -> bool {
        matches!(self.last, Last::Word | Last::Quoted | Last::UnicodeQuoted)
    }

    /// Whether a `;` here ends the statement.
    pub(crate) fn may_end(&self) -> bool {
        self.depth == 0 && !matches!(self.routine, Routine::Body(_))
    }

    /// Takes the next token. `name` is the text of the token if it is a name, else that of the name before it, if
    /// [`Stream::last_is_name`]; its first [`NAME_KEPT`] bytes at most.
    #[inline]
    pub(crate) fn take(&mut self, token: Token, name: &[u8]) {
        if !self.started {
            self.started = true;
            self.start = token.start;
        }
        self.end = token.end;
        self.last = match token.kind {
            Kind::Word => {
                self.word(name);
                Last::Word
            }
            Kind::Quoted | Kind::UnicodeQuoted => {
                self.quoted(name, token.kind == Kind::UnicodeQuoted);
                if token.kind == Kind::Quoted { Last::Quoted } else { Last::UnicodeQuoted }
            }
            Kind::Mark(b'(') => {
                if self.calls && self.last_is_name() {
                    self.call(name);
                }
                self.depth = self.depth.saturating_add(1);
                Last::Other
            }
            Kind::Mark(b')') => {
                self.depth = self.depth.saturating_sub(1);
                Last::Close
            }
            Kind::Mark(b'.') => {
                self.dot(name);
                Last::Dot
            }
            Kind::Mark(b':') if self.last == Last::Colon => Last::Cast,
            Kind::Mark(b':') => Last::Colon,
            Kind::Lost => {
                self.facts.add(Facts::LOST);
                Last::Other
            }
            _ => Last::Other,
        };
    }

    /// Notes what stands before the name that begins here, unless it goes on after a dot.
    #[inline]
    fn begin_name(&mut self) {
        if self.last == Last::Dot {
            return;
        }
        self.schema = Schema::None;
        self.before = match self.last {
            Last::Word => Before::Word(self.mark),
            Last::Quoted | Last::UnicodeQuoted => Before::Word(Mark::Other),
            Last::Close => Before::Close,
            Last::Cast => Before::Cast,
            Last::Dot | Last::Colon | Last::Other if self.named => Before::Other,
            Last::Dot | Last::Colon | Last::Other => Before::Nothing,
        };
    }

    #[inline]
    fn word(&mut self, word: &[u8]) {
        self.begin_name();
        if !self.named {
            self.named = true;
            self.begin(Keyword::from_word(word));
        }
        if matches!(word.first(), Some(b'p' | b'P')) {
            self.name_with_p(word);
        }
        if self.last == Last::Dot {
            self.mark = Mark::Other;
            return;
        }
        let packed = pack(word);
        self.mark = self.mark_of(packed, word);
        if self.keyword == Keyword::Create && self.depth == 0 {
            self.create_word(packed, word);
        }
    }

    /// The first keyword is known.
    fn begin(&mut self, keyword: Keyword) {
        self.keyword = keyword;
        self.with_list = keyword == Keyword::With;
        self.calls = matches!(
            keyword,
            Keyword::Select
                | Keyword::Insert
                | Keyword::Update
                | Keyword::Delete
                | Keyword::With
                | Keyword::Values
                | Keyword::Merge
                | Keyword::Explain
                | Keyword::Copy
                | Keyword::Declare
                | Keyword::Execute
        );
    }

    /// `pg_temp`, `pg_temp_3` and `pg_settings` mean something wherever they stand.
    fn name_with_p(&mut self, name: &[u8]) {
        if is_temp_schema(name) {
            self.facts.add(Facts::TEMP);
        } else if name.eq_ignore_ascii_case(b"pg_settings")
            && matches!(self.keyword, Keyword::Update | Keyword::With | Keyword::Explain)
        {
            self.facts.add(Facts::SETTINGS_VIEW);
        }
    }

    #[inline]
    fn mark_of(&mut self, packed: u64, word: &[u8]) -> Mark {
        const AS: u64 = pack(b"as");
        const INTO: u64 = pack(b"into");
        const FROM: u64 = pack(b"from");
        const TO: u64 = pack(b"to");
        const INSERT: u64 = pack(b"insert");
        const MERGE: u64 = pack(b"merge");
        const SELECT: u64 = pack(b"select");
        const UPDATE: u64 = pack(b"update");
        const DELETE: u64 = pack(b"delete");
        const VALUES: u64 = pack(b"values");
        const TABLE: u64 = pack(b"table");
        const WITH: u64 = pack(b"with");
        const COPY: u64 = pack(b"copy");
        const EXECUTE: u64 = pack(b"execute");
        const DISTINCT: u64 = pack(b"distinct");
        const TEMP: u64 = pack(b"temp");
        const LOCAL: u64 = pack(b"local");
        const GLOBAL: u64 = pack(b"global");
        const UESCAPE: u64 = pack(b"uescape");
        const STDIN: u64 = pack(b"stdin");
        const STDOUT: u64 = pack(b"stdout");
        const DEFAULT: u64 = pack(b"default");
        const USING: u64 = pack(b"using");
        match packed {
            0 => self.long_word(word),
            AS => Mark::As,
            FROM => Mark::From,
            TO => Mark::To,
            INTO => self.into(),
            SELECT | UPDATE | DELETE | VALUES | TABLE => {
                self.leave_with_list();
                Mark::Other
            }
            INSERT | MERGE => {
                self.leave_with_list();
                Mark::Insert
            }
            WITH | COPY | EXECUTE => Mark::NameNext,
            DISTINCT => {
                self.distinct = true;
                Mark::Other
            }
            TEMP | LOCAL | GLOBAL => self.after_into(Mark::Other),
            UESCAPE if self.last == Last::UnicodeQuoted => {
                self.facts.add(Facts::UNICODE_NAME);
                Mark::Other
            }
            STDIN | STDOUT if self.keyword == Keyword::Copy && self.depth == 0 => self.copy_end(),
            DEFAULT | USING if self.keyword == Keyword::Alter => {
                self.calls = true;
                Mark::Other
            }
            _ => Mark::Other,
        }
    }

    /// Words of more than eight letters.
    fn long_word(&mut self, word: &[u8]) -> Mark {
        match word.len() {
            9 if word.eq_ignore_ascii_case(b"recursive") => Mark::NameNext,
            9 if word.eq_ignore_ascii_case(b"temporary") => self.after_into(Mark::Other),
            10 if word.eq_ignore_ascii_case(b"ordinality") => Mark::NameNext,
            11 if word.eq_ignore_ascii_case(b"tablesample") => Mark::NameNext,
            _ => Mark::Other,
        }
    }

    fn into(&mut self) -> Mark {
        if self.last == Last::Word && self.mark == Mark::Insert {
            return Mark::IntoTarget;
        }
        if self.calls {
            self.facts.add(Facts::INTO);
        }
        Mark::Into
    }

    /// `TEMP` and its kin: behind `INTO` they make a temporary table.
    fn after_into(&mut self, otherwise: Mark) -> Mark {
        if self.last == Last::Word && self.mark == Mark::Into && self.calls {
            self.facts.add(Facts::TEMP);
        }
        otherwise
    }

    fn leave_with_list(&mut self) {
        if self.depth == 0 {
            self.with_list = false;
        }
    }

    /// `STDIN` or `STDOUT`, which PostgreSQL takes for one another: the direction decides.
    fn copy_end(&mut self) -> Mark {
        match (self.last, self.mark) {
            (Last::Word, Mark::From) => self.facts.add(Facts::STDIN),
            (Last::Word, Mark::To) => self.facts.add(Facts::STDOUT),
            _ => {}
        }
        Mark::Other
    }

    fn quoted(&mut self, name: &[u8], unicode: bool) {
        self.begin_name();
        self.mark = Mark::Other;
        let inside = if unicode { name.get(3..) } else { name.get(1..) }.unwrap_or_default();
        if unicode && inside.contains(&b'\\') {
            self.facts.add(Facts::UNICODE_NAME);
        }
        if let Some(name) = inside.strip_suffix(b"\"")
            && name.starts_with(b"pg_")
        {
            self.name_with_p(name);
        }
    }
}

/// Whether this is the schema of a session's temporary objects: `pg_temp`, or `pg_temp_` and its number.
pub(crate) fn is_temp_schema(name: &[u8]) -> bool {
    let Some((prefix, rest)) = name.split_at_checked(7) else { return false };
    prefix.eq_ignore_ascii_case(b"pg_temp")
        && (rest.is_empty()
            || rest.strip_prefix(b"_").is_some_and(|number| number.iter().all(u8::is_ascii_digit)))
}
