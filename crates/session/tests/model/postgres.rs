//! A small PostgreSQL: the protocol of one server session as postgres.c plays it, with just enough of a database
//! behind it that anything a session leaves behind can be seen.

use std::collections::{BTreeMap, BTreeSet};

use bytes::BytesMut;
use trunkline_wire::{SqlState, backend, backend::Report};

use crate::model::sql::Sql;

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

#[derive(Debug)]
struct Prepared {
    sql: Sql,
    /// What was folded in at Parse.
    zone: String,
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
pub(crate) struct Postgres {
    statements: BTreeMap<String, Prepared>,
    portals: BTreeMap<String, Portal>,
    /// Statements of SQL `PREPARE`.
    prepared: BTreeSet<String>,
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
}

type Failure = (&'static str, String);
type Done = Result<(), Failure>;

/// The settings that are reported when they change, and their values in a new session.
pub(crate) const REPORTED: [(&str, &str); 2] = [("TimeZone", "GMT"), ("application_name", "")];

impl Postgres {
    pub(crate) fn new() -> Self {
        let told = REPORTED.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            statements: BTreeMap::new(),
            portals: BTreeMap::new(),
            prepared: BTreeSet::new(),
            block: Block::None,
            now: State::default(),
            committed: State::default(),
            saved: Vec::new(),
            skipping: false,
            copy: None,
            told: told.into(),
            unsynced: false,
        }
    }

    /// Whether another client could begin here.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.block == Block::None && !self.skipping && self.copy.is_none() && !self.unsynced
    }

    /// Whether a simple query reads COPY data.
    pub(crate) fn reads_simple_copy(&self) -> bool {
        self.copy.as_ref().is_some_and(|copy| copy.rest.is_some())
    }

    /// Whether COPY data is read.
    pub(crate) fn reads_copy(&self) -> bool {
        self.copy.is_some()
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
        !self.now.temps.is_empty() || !self.prepared.is_empty()
    }

    /// Takes one message and answers it.
    pub(crate) fn take(&mut self, tag: u8, body: &[u8], out: &mut BytesMut) {
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
            // PostgreSQL names the type; which message comes first may depend on what the session answers itself.
            _ => ("08P01", "unexpected message type during COPY from stdin".to_owned()),
        };
        let extended = self.copy.take().is_some_and(|copy| copy.rest.is_none());
        self.fail(&failure, out);
        if extended {
            self.skipping = true;
        } else {
            self.ready(out);
        }
    }

    fn parse(&mut self, body: &[u8], out: &mut BytesMut) -> Done {
        let mut parts = body.split(|byte| *byte == 0);
        let (name, text) = (lossy(parts.next()), lossy(parts.next()));
        if name.is_empty() {
            self.statements.remove("");
        }
        let mut all = Sql::read(&text);
        if all.contains(&Sql::Bad) {
            return Err(syntax());
        }
        if all.len() > 1 {
            return Err((
                "42601",
                "cannot insert multiple commands into a prepared statement".into(),
            ));
        }
        let sql = all.pop().unwrap_or(Sql::Empty);
        if sql != Sql::Empty {
            self.allowed(&sql)?;
            self.check(&sql)?;
        }
        if self.statements.contains_key(&name) {
            return Err(("42P05", format!("prepared statement \"{name}\" already exists")));
        }
        let zone = self.setting("timezone");
        self.statements.insert(name, Prepared { sql, zone });
        backend::parse_complete(out);
        Ok(())
    }

    fn bind(&mut self, body: &[u8], out: &mut BytesMut) -> Done {
        let mut parts = body.split(|byte| *byte == 0);
        let (portal, name) = (lossy(parts.next()), lossy(parts.next()));
        let prepared = self.statements.get(&name).ok_or_else(|| unknown_statement(&name))?;
        let (sql, zone) = (prepared.sql.clone(), prepared.zone.clone());
        self.allowed_or_empty(&sql)?;
        if portal.is_empty() {
            self.portals.remove("");
        } else if self.portals.contains_key(&portal) {
            return Err(("42P03", format!("cursor \"{portal}\" already exists")));
        }
        let rows = match sql {
            Sql::Rows(rows) => Some(rows),
            _ => Some(0),
        };
        self.portals.insert(portal, Portal { sql, zone, rows });
        backend::bind_complete(out);
        Ok(())
    }

    fn describe(&mut self, body: &[u8], out: &mut BytesMut) -> Done {
        let (kind, name) = target(body);
        let sql = if kind == b'S' {
            let prepared = self.statements.get(&name).ok_or_else(|| unknown_statement(&name))?;
            prepared.sql.clone()
        } else {
            let portal = self.portals.get(&name).ok_or_else(|| unknown_portal(&name))?;
            portal.sql.clone()
        };
        self.allowed_or_empty(&sql)?;
        if kind == b'S' {
            backend::parameter_description(out, []);
        }
        if sql.has_rows() {
            backend::row_description(out, &[]);
        } else {
            backend::no_data(out);
        }
        Ok(())
    }

    fn execute(&mut self, body: &[u8], out: &mut BytesMut) -> Done {
        let end = body.iter().position(|byte| *byte == 0).unwrap_or(0);
        let name = lossy(Some(&body[..end]));
        let most = body[end + 1..].last().copied().map_or(0, usize::from);
        let portal = self.portals.get_mut(&name).ok_or_else(|| unknown_portal(&name))?;
        let (sql, zone) = (portal.sql.clone(), portal.zone.clone());
        if sql == Sql::Empty {
            backend::empty_query_response(out);
            return Ok(());
        }
        let rows = portal.rows;
        self.allowed(&sql)?;
        let Some(rows) = rows else {
            return Err(("55000", format!("portal \"{name}\" cannot be run")));
        };
        if let Sql::Rows(_) = sql
            && most > 0
            && rows > most
        {
            write_rows(most, out);
            self.portals.get_mut(&name).expect("it was found").rows = Some(rows - most);
            backend::portal_suspended(out);
            return Ok(());
        }
        self.portals.get_mut(&name).expect("it was found").rows = None;
        let left = if let Sql::Rows(_) = sql { Sql::Rows(rows) } else { sql };
        self.perform(&left, &zone, false, out)?;
        if left == Sql::CopyIn {
            self.copy = Some(CopyIn { rows: 0, rest: None });
        }
        Ok(())
    }

    fn close(&mut self, body: &[u8], out: &mut BytesMut) {
        let (kind, name) = target(body);
        if kind == b'S' {
            self.statements.remove(&name);
        } else {
            self.portals.remove(&name);
        }
        backend::close_complete(out);
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
        value.map_or_else(|| default_of(&name), Clone::clone)
    }

    /// Runs one statement and answers with its completion.
    fn perform(&mut self, sql: &Sql, zone: &str, several: bool, out: &mut BytesMut) -> Done {
        let tag = match sql {
            Sql::Begin | Sql::Commit | Sql::Rollback => self.transaction(sql, out),
            Sql::Savepoint(_) | Sql::RollbackTo(_) | Sql::Release(_) => self.savepoint(sql)?,
            Sql::CopyIn => {
                backend::copy_in_response(out, 0, [0]);
                return Ok(());
            }
            Sql::CopyOut => {
                backend::copy_out_response(out, 0, [0]);
                backend::copy_data(out, b"1\n");
                backend::copy_done(out);
                "COPY 1".to_owned()
            }
            Sql::Show(_) | Sql::Folded | Sql::SetConfig(..) | Sql::FromTemp(_) => {
                if let Sql::SetConfig(name, value) = sql {
                    self.set(name, value, false)?;
                }
                self.check(sql)?;
                let value = match sql {
                    Sql::Show(name) => self.setting(name),
                    Sql::SetConfig(_, value) => value.clone(),
                    _ => zone.to_owned(),
                };
                backend::data_row(out, [Some(value.as_bytes())]);
                if matches!(sql, Sql::Show(_)) { "SHOW" } else { "SELECT 1" }.to_owned()
            }
            Sql::Rows(rows) => {
                write_rows(*rows, out);
                format!("SELECT {rows}")
            }
            Sql::Fails => return Err(("22012", "division by zero".into())),
            Sql::Bad => return Err(syntax()),
            _ => self.change(sql, several, out)?,
        };
        backend::command_complete(out, tag.as_bytes());
        Ok(())
    }

    fn transaction(&mut self, sql: &Sql, out: &mut BytesMut) -> String {
        match (sql, self.block) {
            (Sql::Begin, Block::None) => self.block = Block::Open,
            (Sql::Begin, _) => warning(out, "there is already a transaction in progress"),
            (_, Block::None) => {
                warning(out, "there is no transaction in progress");
                self.end(*sql == Sql::Commit);
            }
            (_, block) => {
                let commits = *sql == Sql::Commit && block == Block::Open;
                self.block = Block::None;
                self.end(commits);
                return if commits { "COMMIT" } else { "ROLLBACK" }.to_owned();
            }
        }
        sql.text().to_ascii_uppercase()
    }

    fn end(&mut self, commits: bool) {
        if commits {
            self.now.local.clear();
            self.committed = self.now.clone();
        } else {
            self.now = self.committed.clone();
        }
        self.saved.clear();
        self.portals.clear();
    }

    fn savepoint(&mut self, sql: &Sql) -> Result<String, Failure> {
        if self.block == Block::None {
            return Err(("25P01", "SAVEPOINT can only be used in transaction blocks".into()));
        }
        let find = |saved: &[(String, State)], wanted: &str| {
            let place = saved.iter().rposition(|(name, _)| name == wanted);
            place.ok_or_else(|| ("3B001", format!("savepoint \"{wanted}\" does not exist")))
        };
        match sql {
            Sql::Savepoint(name) => {
                self.saved.push((name.clone(), self.now.clone()));
                Ok("SAVEPOINT".to_owned())
            }
            Sql::RollbackTo(name) => {
                let place = find(&self.saved, name)?;
                self.saved.truncate(place + 1);
                self.now = self.saved[place].1.clone();
                self.block = Block::Open;
                self.portals.clear();
                Ok("ROLLBACK".to_owned())
            }
            Sql::Release(name) => {
                let place = find(&self.saved, name)?;
                self.saved.truncate(place);
                Ok("RELEASE".to_owned())
            }
            _ => Err(syntax()),
        }
    }

    fn set(&mut self, name: &str, value: &str, local: bool) -> Done {
        let name = name.to_ascii_lowercase();
        if value == "bad" {
            return Err(("22023", format!("invalid value for parameter \"{name}\": \"bad\"")));
        }
        if local {
            if self.block != Block::None {
                self.now.local.insert(name, value.to_owned());
            }
        } else {
            self.now.local.remove(&name);
            self.now.settings.insert(name, value.to_owned());
        }
        Ok(())
    }

    fn change(&mut self, sql: &Sql, several: bool, out: &mut BytesMut) -> Result<String, Failure> {
        let tag = match sql {
            Sql::Set { name, value, local } => {
                if *local && self.block == Block::None {
                    warning(out, "SET LOCAL can only be used in transaction blocks");
                }
                self.set(name, value, *local)?;
                "SET"
            }
            Sql::Reset(name) => {
                let name = name.to_ascii_lowercase();
                self.now.local.remove(&name);
                self.now.settings.remove(&name);
                "RESET"
            }
            Sql::ResetAll => {
                self.now.settings.clear();
                self.now.local.clear();
                "RESET"
            }
            Sql::DiscardAll => {
                if self.block != Block::None || several {
                    let message = "DISCARD ALL cannot run inside a transaction block";
                    return Err(("25001", message.into()));
                }
                self.now = State::default();
                self.statements.clear();
                self.prepared.clear();
                "DISCARD ALL"
            }
            Sql::DeallocateAll => {
                self.statements.clear();
                self.prepared.clear();
                "DEALLOCATE ALL"
            }
            Sql::Temp(name) => {
                if !self.now.temps.insert(name.clone()) {
                    return Err(("42P07", format!("relation \"{name}\" already exists")));
                }
                "CREATE TABLE"
            }
            Sql::Prepare(name) => {
                if !self.prepared.insert(name.clone()) {
                    return Err(("42P05", format!("prepared statement \"{name}\" already exists")));
                }
                "PREPARE"
            }
            Sql::Execute(name) => {
                if !self.prepared.contains(name) {
                    return Err(unknown_statement(name));
                }
                write_rows(1, out);
                "SELECT 1"
            }
            _ => return Err(syntax()),
        };
        Ok(tag.to_owned())
    }

    fn fail(&mut self, (code, message): &Failure, out: &mut BytesMut) {
        let code = SqlState::from_bytes(code.as_bytes()).expect("five characters");
        backend::error_response(out, &Report::error(code, message));
        self.portals.clear();
        if self.block == Block::None {
            self.end(false);
        } else {
            self.block = Block::Failed;
            self.now = self.saved.last().map_or_else(|| self.committed.clone(), |(_, s)| s.clone());
        }
    }

    /// Ends an implicit transaction, reports what has changed, and waits for the next message.
    fn ready(&mut self, out: &mut BytesMut) {
        self.unsynced = false;
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
