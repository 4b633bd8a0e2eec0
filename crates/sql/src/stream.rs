//! One statement as its tokens pass by: where it ends, and the few facts that can stand anywhere in it.
//!
//! This is the hot path: ordinary statements are seen by this module and the lexer only. Nothing here needs an earlier
//! token's text, so that a statement of any length can be followed.

use crate::atoms::pack;
use crate::functions::{Call, lookup};
use crate::keyword::Keyword;
use crate::lexer::{Kind, Token};
use crate::name::{NAME_LIMIT, Name};

/// So many bytes of a name that may be needed later are kept: enough for 63 bytes, each a doubled quote, between
/// quotes.
pub(crate) const NAME_KEPT: usize = 128;

/// Facts found anywhere in a statement, as a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts(u32);

impl Facts {
    pub(crate) const TEMP: Self = Self(1);
    pub(crate) const INTO: Self = Self(1 << 1);
    pub(crate) const SET_CONFIG: Self = Self(1 << 2);
    pub(crate) const ADVISORY_LOCK: Self = Self(1 << 3);
    pub(crate) const ADVISORY_UNLOCK: Self = Self(1 << 4);
    pub(crate) const DBLINK: Self = Self(1 << 5);
    pub(crate) const DBLINK_END: Self = Self(1 << 6);
    pub(crate) const ORIGIN: Self = Self(1 << 7);
    pub(crate) const ORIGIN_END: Self = Self(1 << 8);
    pub(crate) const SLOT: Self = Self(1 << 9);
    pub(crate) const SLOT_END: Self = Self(1 << 10);
    pub(crate) const BACKUP: Self = Self(1 << 11);
    pub(crate) const BACKUP_END: Self = Self(1 << 12);
    pub(crate) const SEQUENCE_READ: Self = Self(1 << 13);
    pub(crate) const SEQUENCE_WRITE: Self = Self(1 << 14);
    pub(crate) const NOTIFY: Self = Self(1 << 15);
    pub(crate) const UNICODE_NAME: Self = Self(1 << 16);
    pub(crate) const SETTINGS_VIEW: Self = Self(1 << 17);
    pub(crate) const STDIN: Self = Self(1 << 18);
    pub(crate) const STDOUT: Self = Self(1 << 19);
    pub(crate) const LOST: Self = Self(1 << 20);

    pub(crate) fn has(self, fact: Self) -> bool {
        self.0 & fact.0 != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn add(&mut self, fact: Self) {
        self.0 |= fact.0;
    }
}

/// What the last token was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Word,
    Quoted,
    Dot,
    Close,
    Colon,
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
    /// First function called that is not known to be clean.
    pub(crate) function: Option<Name>,
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

/// Where we are in `CREATE [OR REPLACE] {FUNCTION|PROCEDURE} … BEGIN ATOMIC … END`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Routine {
    /// Not such a statement, or `CREATE` alone so far.
    No,
    /// After `CREATE OR`, `CREATE OR REPLACE`.
    Perhaps,
    Yes,
    /// In the body; so many `BEGIN` and `CASE` await their `END`, at least 1.
    Body(u32),
}

impl Stream {
    pub(crate) fn new() -> Self {
        Self {
            started: false,
            start: 0,
            end: 0,
            keyword: Keyword::Other,
            facts: Facts::default(),
            function: None,
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
        matches!(self.last, Last::Word | Last::Quoted)
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
                Last::Quoted
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
            Last::Quoted => Before::Word(Mark::Other),
            Last::Close => Before::Close,
            Last::Colon => Before::Cast,
            Last::Dot | Last::Other => Before::Other,
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
            self.create_word(packed);
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
        if name.get(..7).is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"pg_temp")) {
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

    /// A word of `CREATE`, outside parentheses: bodies of routines hold semicolons, queries behind `AS` hold calls.
    fn create_word(&mut self, packed: u64) {
        const CREATE: u64 = pack(b"create");
        const OR: u64 = pack(b"or");
        const REPLACE: u64 = pack(b"replace");
        const FUNCTION: u64 = pack(b"function");
        const BEGIN: u64 = pack(b"begin");
        const ATOMIC: u64 = pack(b"atomic");
        const CASE: u64 = pack(b"case");
        const END: u64 = pack(b"end");
        let follows_begin = self.before == Before::Word(Mark::Begin);
        // `AS end` and `AS case` are labels.
        let label = self.before == Before::Word(Mark::As);
        match (self.routine, packed) {
            (Routine::No, CREATE) => self.routine = Routine::Perhaps,
            (Routine::Perhaps, OR | REPLACE) => {}
            // The long word that stands here is PROCEDURE, or one of TEMPORARY, RECURSIVE and the like, which no
            // `BEGIN ATOMIC` follows.
            (Routine::Perhaps, FUNCTION | 0) => self.routine = Routine::Yes,
            (Routine::Perhaps, _) => self.routine = Routine::No,
            (Routine::Yes, BEGIN) => self.mark = Mark::Begin,
            (Routine::Yes, ATOMIC) if follows_begin => self.routine = Routine::Body(1),
            (Routine::Body(open), CASE) if !label => {
                self.routine = Routine::Body(open.saturating_add(1));
            }
            (Routine::Body(1), END) if !label => self.routine = Routine::Yes,
            (Routine::Body(open), END) if !label => self.routine = Routine::Body(open - 1),
            _ => {}
        }
        if self.mark == Mark::As && self.routine == Routine::No {
            self.calls = true;
        }
    }

    fn quoted(&mut self, name: &[u8], unicode: bool) {
        self.begin_name();
        self.mark = Mark::Other;
        let inside = if unicode { name.get(3..) } else { name.get(1..) }.unwrap_or_default();
        if unicode && inside.contains(&b'\\') {
            self.facts.add(Facts::UNICODE_NAME);
        }
        if inside.starts_with(b"pg_temp") {
            self.facts.add(Facts::TEMP);
        } else if inside.starts_with(b"pg_settings\"") {
            self.name_with_p(b"pg_settings");
        }
    }

    /// A dot behind the name `name`, which is then a schema or a relation.
    fn dot(&mut self, name: &[u8]) {
        if self.last_is_name() {
            let catalog = name.eq_ignore_ascii_case(b"pg_catalog") || name == b"\"pg_catalog\"";
            self.schema = if catalog && self.schema == Schema::None {
                Schema::Catalog
            } else {
                Schema::Other
            };
        }
    }

    /// A parenthesis behind the name `name`.
    fn call(&mut self, name: &[u8]) {
        match self.before {
            Before::Word(Mark::As | Mark::Into | Mark::IntoTarget | Mark::NameNext)
            | Before::Cast => return,
            Before::Close if !self.distinct => return,
            _ if self.with_list && self.depth == 0 => return,
            _ => {}
        }
        let name = match (self.last, name) {
            (Last::Quoted, [b'u' | b'U', b'&', quoted @ ..] | quoted) => Name::from_quoted(quoted),
            (_, word) if word.len() > NAME_LIMIT => Name::from_word(word),
            (_, word) => {
                let found = lookup(word, false);
                if self.note(found) {
                    self.unknown(Name::from_word(word));
                }
                return;
            }
        };
        let found = lookup(name.as_bytes(), true).filter(|call| *call != Call::Keyword);
        if self.note(found) {
            self.unknown(name);
        }
    }

    /// Notes what a call does; says whether the function is not known to be clean.
    fn note(&mut self, found: Option<Call>) -> bool {
        let qualified = self.schema == Schema::Other;
        let Some(call) = found else { return true };
        let fact = match call {
            Call::Keyword | Call::Clean => return qualified,
            Call::SetConfig => Facts::SET_CONFIG,
            Call::AdvisoryLock => Facts::ADVISORY_LOCK,
            Call::AdvisoryUnlock => Facts::ADVISORY_UNLOCK,
            Call::Dblink => Facts::DBLINK,
            Call::DblinkEnd => Facts::DBLINK_END,
            Call::Origin => Facts::ORIGIN,
            Call::OriginEnd => Facts::ORIGIN_END,
            Call::Slot => Facts::SLOT,
            Call::SlotEnd => Facts::SLOT_END,
            Call::Backup => Facts::BACKUP,
            Call::BackupEnd => Facts::BACKUP_END,
            Call::SequenceRead => Facts::SEQUENCE_READ,
            Call::SequenceWrite => Facts::SEQUENCE_WRITE,
            Call::Notify => Facts::NOTIFY,
        };
        self.facts.add(fact);
        qualified && !matches!(call, Call::Dblink | Call::DblinkEnd)
    }

    fn unknown(&mut self, name: Name) {
        if self.function.is_none() {
            self.function = Some(name);
        }
    }
}
