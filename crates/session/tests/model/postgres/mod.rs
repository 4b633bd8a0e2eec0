//! A small PostgreSQL: the protocol of one server session as postgres.c plays it, with just enough of a database
//! behind it that anything a session leaves behind can be seen. `extended.rs` has the messages of the extended protocol,
//! `perform.rs` what statements do.

use std::collections::{BTreeMap, BTreeSet};

use bytes::BytesMut;
use trunkline_wire::{SqlState, backend, backend::Report};

use crate::model::sql::Sql;

mod extended;
mod perform;

/// The transaction block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Block {
    #[default]
    None,
    Open,
    Failed,
}

/// What a rollback takes back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    settings: BTreeMap<String, String>,
    /// `SET LOCAL`.
    local: BTreeMap<String, String>,
    temps: BTreeSet<String>,
}

/// A statement of the protocol or of SQL `PREPARE`: they share their names.
#[derive(Debug)]
struct Prepared {
    sql: Sql,
    /// What was folded in when it was analysed, and where names were looked for then.
    zone: String,
    path: String,
    from_sql: bool,
}

#[derive(Debug)]
struct Portal {
    sql: Sql,
    zone: String,
    /// Rows still to come; none when it has run to its end.
    rows: Option<usize>,
}

/// COPY FROM STDIN is under way.
#[derive(Debug)]
struct CopyIn {
    rows: usize,
    /// The statements of the simple query that come after it; none in the extended protocol.
    rest: Option<Vec<Sql>>,
}

/// One server session.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that hold independently of each other")]
pub(crate) struct Postgres {
    statements: BTreeMap<String, Prepared>,
    portals: BTreeMap<String, Portal>,
    /// What the startup packet has set.
    defaults: BTreeMap<String, String>,
    block: Block,
    now: State,
    committed: State,
    saved: Vec<(String, State)>,
    /// What is discarded up to the next Sync.
    skipping: bool,
    copy: Option<CopyIn>,
    told: BTreeMap<String, String>,
    /// A message of the extended protocol came after the last Sync.
    unsynced: bool,
    /// One of them was for a statement that names another.
    named: bool,
    /// It has ended the connection.
    dead: bool,
}

type Failure = (&'static str, String);
type Done = Result<(), Failure>;

/// The settings that are reported when they change, and their values in a new session.
pub(crate) const REPORTED: [(&str, &str); 2] = [("TimeZone", "GMT"), ("application_name", "")];

impl Postgres {
    pub(crate) fn new(startup: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let told = REPORTED.iter().chain(startup).map(owned);
        Self {
            statements: BTreeMap::new(),
            portals: BTreeMap::new(),
            defaults: startup.iter().map(owned).collect(),
            block: Block::None,
            now: State::default(),
            committed: State::default(),
            saved: Vec::new(),
            skipping: false,
            copy: None,
            told: told.collect(),
            unsynced: false,
            named: false,
            dead: false,
        }
    }

    /// Whether another client could begin here.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.block == Block::None && !self.skipping && self.copy.is_none() && !self.unsynced
    }

    /// Whether a query comes to a place where nothing may be sent for it before, or would be refused.
    pub(crate) fn lends_nothing(&self) -> bool {
        (self.unsynced && !self.skipping) || self.copy.is_some() || self.block == Block::Failed
    }

    /// What is set, as committed.
    pub(crate) fn settings(&self) -> &BTreeMap<String, String> {
        &self.now.settings
    }

    /// The reported settings as last told.
    pub(crate) fn told(&self) -> &BTreeMap<String, String> {
        &self.told
    }

    /// The names of the statements of the protocol, apart from the unnamed one.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.statements.keys().map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Whether something is here that `DISCARD ALL` would take away, apart from settings and statements.
    pub(crate) fn has_belongings(&self) -> bool {
        !self.now.temps.is_empty() || self.statements.values().any(|known| known.from_sql)
    }

    /// Takes one message and answers it.
    pub(crate) fn take(&mut self, tag: u8, body: &[u8], out: &mut BytesMut) {
        if self.dead {
            return;
        }
        if body.is_empty() && b"QPBDECF".contains(&tag) && self.copy.is_none() && !self.skipping {
            return self.refuse_empty(tag, out);
        }
        if self.copy.is_some() {
            return self.take_copy(tag, body, out);
        }
        if self.skipping && tag != b'S' {
            return;
        }
        match tag {
            b'Q' => self.query(body, out),
            b'F' => self.function(out),
            b'S' => {
                self.skipping = false;
                self.ready(out);
            }
            b'P' | b'B' | b'D' | b'E' | b'C' => {
                self.unsynced = true;
                let done = match tag {
                    b'P' => self.parse(body, out),
                    b'B' => self.bind(body, out),
                    b'D' => self.describe(body, out),
                    b'E' => self.execute(body, out),
                    _ => {
                        self.close(body, out);
                        Ok(())
                    }
                };
                self.extended_done(done, out);
            }
            // Flush, and COPY messages that come too late.
            _ => {}
        }
    }

    /// A message without a body that should have one.
    fn refuse_empty(&mut self, tag: u8, out: &mut BytesMut) {
        self.fail(&("08P01", "invalid string in message".to_owned()), out);
        if matches!(tag, b'Q' | b'F') {
            self.ready(out);
        } else {
            self.skipping = true;
        }
    }

    fn extended_done(&mut self, done: Done, out: &mut BytesMut) {
        if let Err(failure) = done {
            self.fail(&failure, out);
            self.skipping = true;
        }
    }

    fn query(&mut self, body: &[u8], out: &mut BytesMut) {
        self.statements.remove("");
        let text = text_of(body);
        let all = Sql::read(&text);
        if all.contains(&Sql::Bad) {
            self.fail(&syntax(), out);
        } else if all.is_empty() {
            backend::empty_query_response(out);
        } else {
            let several = all.len() > 1;
            return self.run(all, several, out);
        }
        self.ready(out);
    }

    /// Runs the statements of a simple query, up to a COPY that waits for data.
    fn run(&mut self, all: Vec<Sql>, several: bool, out: &mut BytesMut) {
        let mut rest = all.into_iter();
        while let Some(sql) = rest.next() {
            let zone = self.setting("timezone");
            let done = self.allowed(&sql).and_then(|()| {
                if sql.has_rows() {
                    self.check(&sql)?;
                    backend::row_description(out, &[]);
                }
                self.perform(&sql, &zone, several, out)
            });
            match done {
                Ok(()) if sql == Sql::CopyIn => {
                    self.copy = Some(CopyIn { rows: 0, rest: Some(rest.collect()) });
                    return;
                }
                Ok(()) => {}
                Err(failure) => {
                    self.fail(&failure, out);
                    break;
                }
            }
        }
        self.ready(out);
    }

    fn function(&mut self, out: &mut BytesMut) {
        match self.allowed(&Sql::Rows(1)) {
            Ok(()) => backend::function_call_response(out, Some(b"1")),
            Err(failure) => self.fail(&failure, out),
        }
        self.ready(out);
    }

    fn take_copy(&mut self, tag: u8, body: &[u8], out: &mut BytesMut) {
        let Some(copy) = &mut self.copy else { return };
        let failure = match tag {
            b'd' if body.starts_with(b"bad") => {
                ("22P04", "extra data after last expected column".to_owned())
            }
            b'd' => {
                copy.rows += 1;
                return;
            }
            b'S' | b'H' => return,
            b'c' => {
                let Some(copy) = self.copy.take() else { return };
                backend::command_complete(out, format!("COPY {}", copy.rows).as_bytes());
                if let Some(rest) = copy.rest {
                    self.run(rest, true, out);
                }
                return;
            }
            b'f' => ("57014", format!("COPY from stdin failed: {}", text_of(body))),
            _ => {
                // PostgreSQL names the type; which message comes first may depend on what the session adds.
                let message = "unexpected message type during COPY from stdin".to_owned();
                self.fail(&("08P01", message), out);
                let end = "terminating connection because protocol synchronization was lost";
                backend::error_response(out, &Report::fatal(SqlState::PROTOCOL_VIOLATION, end));
                self.dead = true;
                return;
            }
        };
        let extended = self.copy.take().is_some_and(|copy| copy.rest.is_none());
        self.fail(&failure, out);
        if extended {
            self.skipping = true;
        } else {
            self.ready(out);
        }
    }

    fn allowed(&self, sql: &Sql) -> Done {
        if self.block == Block::Failed && !sql.leaves_failed() {
            let message =
                "current transaction is aborted, commands ignored until end of transaction block";
            return Err(("25P02", message.into()));
        }
        Ok(())
    }

    fn allowed_or_empty(&self, sql: &Sql) -> Done {
        if *sql == Sql::Empty { Ok(()) } else { self.allowed(sql) }
    }

    /// What analysis finds.
    fn check(&self, sql: &Sql) -> Done {
        match sql {
            Sql::FromTemp(name) if !self.now.temps.contains(name) => {
                Err(("42P01", format!("relation \"{name}\" does not exist")))
            }
            _ => Ok(()),
        }
    }

    fn setting(&self, name: &str) -> String {
        let name = name.to_ascii_lowercase();
        let value = self.now.local.get(&name).or_else(|| self.now.settings.get(&name));
        value.or_else(|| self.defaults.get(&name)).map_or_else(|| default_of(&name), Clone::clone)
    }

    fn fail(&mut self, (code, message): &Failure, out: &mut BytesMut) {
        let code = SqlState::from_bytes(code.as_bytes()).expect("five characters");
        backend::error_response(out, &Report::error(code, message));
        if self.block == Block::None {
            self.end(false);
        } else {
            // They stay until the end of the block, but cannot be run any more (portalmem.c, AtAbort_Portals).
            self.portals.values_mut().for_each(|portal| portal.rows = None);
            self.block = Block::Failed;
            self.now = self.saved.last().map_or_else(|| self.committed.clone(), |(_, s)| s.clone());
        }
    }

    /// Ends an implicit transaction, reports what has changed, and waits for the next message.
    fn ready(&mut self, out: &mut BytesMut) {
        self.unsynced = false;
        self.named = false;
        if self.block == Block::None {
            self.end(true);
        }
        for (name, _) in REPORTED {
            let value = self.setting(name);
            if self.told.insert(name.to_owned(), value.clone()).as_ref() != Some(&value) {
                backend::parameter_status(out, name.as_bytes(), value.as_bytes());
            }
        }
        let status = match self.block {
            Block::None => b'I',
            Block::Open => b'T',
            Block::Failed => b'E',
        };
        backend::ready_for_query(out, status);
    }
}

fn default_of(name: &str) -> String {
    let known = REPORTED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map_or_else(|| "default".to_owned(), |(_, value)| (*value).to_owned())
}

fn warning(out: &mut BytesMut, message: &str) {
    let code = SqlState::from_bytes(b"25001").expect("five characters");
    backend::notice_response(out, &Report::error(code, message));
}

fn syntax() -> Failure {
    ("42601", "syntax error".into())
}

fn unknown_statement(name: &str) -> Failure {
    ("26000", format!("prepared statement \"{name}\" does not exist"))
}

fn unknown_portal(name: &str) -> Failure {
    ("34000", format!("portal \"{name}\" does not exist"))
}

fn target(body: &[u8]) -> (u8, String) {
    (body.first().copied().unwrap_or(0), text_of(body.get(1..).unwrap_or_default()))
}

fn write_rows(count: usize, out: &mut BytesMut) {
    for _ in 0..count {
        backend::data_row(out, [Some(b"1".as_slice())]);
    }
}

fn text_of(body: &[u8]) -> String {
    lossy(body.split(|byte| *byte == 0).next())
}

fn lossy(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}
