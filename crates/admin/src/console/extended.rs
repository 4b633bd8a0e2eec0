//! The extended protocol's memory: prepared statements and portals of one session.

use std::{collections::BTreeMap, vec};

use trunkline_wire::{
    SqlState,
    backend::format,
    frontend::{Bind, Parse},
};

use super::{
    command::Command,
    refusal::Refusal,
    table::{Column, Formats, Row},
};

/// Most prepared statements of one session. Drivers prepare one for each different text; there are a few dozen.
pub(super) const MAX_STATEMENTS: usize = 256;

/// Most portals of one session. Drivers use the unnamed one, or one for each open cursor.
pub(super) const MAX_PORTALS: usize = 16;

/// A prepared statement: a command, or none for an empty text.
pub(super) type Statement = Option<Command>;

/// A statement that can be run.
#[derive(Debug)]
pub(super) struct Portal {
    pub(super) statement: Statement,
    pub(super) formats: Formats,
    pub(super) progress: Progress,
}

/// How far a portal has come.
#[derive(Debug)]
pub(super) enum Progress {
    /// Not run yet.
    New,
    /// Run; these rows have not been asked for yet.
    Suspended(vec::IntoIter<Row>),
    /// Run to the end.
    Done,
}

/// Statements and portals by name.
#[derive(Debug, Default)]
pub(super) struct Extended {
    statements: BTreeMap<Box<[u8]>, Statement>,
    portals: BTreeMap<Box<[u8]>, Portal>,
}

impl Extended {
    /// Prepares a statement.
    pub(super) fn parse(&mut self, message: &Parse<'_>) -> Result<(), Refusal> {
        let mut commands = Command::parse_all(text(message.text)?)?;
        let statement = commands.pop();
        if !commands.is_empty() {
            return Err(Refusal::syntax(
                "cannot insert multiple commands into a prepared statement",
            ));
        }
        if !message.name.is_empty() {
            if self.statements.contains_key(message.name) {
                let message =
                    format!("prepared statement \"{}\" already exists", shown(message.name));
                return Err(Refusal::new(SqlState::DUPLICATE_PREPARED_STATEMENT, message));
            }
            if self.statements.len() >= MAX_STATEMENTS {
                return Err(too_many("prepared statements", MAX_STATEMENTS));
            }
        }
        self.statements.insert(message.name.into(), statement);
        Ok(())
    }

    /// Makes a portal.
    pub(super) fn bind(&mut self, message: &Bind<'_>) -> Result<(), Refusal> {
        let statement = self.statement(message.statement)?.clone();
        let columns = statement.as_ref().and_then(columns).map_or(0, |columns| columns.len());
        let wanted = BindRest::parse(message.rest)?;
        if wanted.parameters != 0 {
            return Err(Refusal::protocol(format!(
                "bind message supplies {} parameters, but prepared statement \"{}\" requires 0",
                wanted.parameters,
                shown(message.statement)
            )));
        }
        let formats = wanted.formats(columns)?;
        if !message.portal.is_empty() {
            if self.portals.contains_key(message.portal) {
                let message = format!("cursor \"{}\" already exists", shown(message.portal));
                return Err(Refusal::new(SqlState::DUPLICATE_CURSOR, message));
            }
            if self.portals.len() >= MAX_PORTALS {
                return Err(too_many("portals", MAX_PORTALS));
            }
        }
        let portal = Portal { statement, formats, progress: Progress::New };
        self.portals.insert(message.portal.into(), portal);
        Ok(())
    }

    /// The statement of this name.
    pub(super) fn statement(&self, name: &[u8]) -> Result<&Statement, Refusal> {
        self.statements.get(name).ok_or_else(|| {
            let message = format!("prepared statement \"{}\" does not exist", shown(name));
            Refusal::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
        })
    }

    /// The portal of this name.
    pub(super) fn portal(&mut self, name: &[u8]) -> Result<&mut Portal, Refusal> {
        self.portals.get_mut(name).ok_or_else(|| {
            let message = format!("portal \"{}\" does not exist", shown(name));
            Refusal::new(SqlState::INVALID_CURSOR_NAME, message)
        })
    }

    /// Gives up a statement; one that is not there is no error.
    pub(super) fn close_statement(&mut self, name: &[u8]) {
        self.statements.remove(name);
    }

    /// Gives up a portal; one that is not there is no error.
    pub(super) fn close_portal(&mut self, name: &[u8]) {
        self.portals.remove(name);
    }

    /// Gives up all statements.
    pub(super) fn deallocate_all(&mut self) {
        self.statements.clear();
    }

    /// The transaction has ended, and all portals with it.
    pub(super) fn end_transaction(&mut self) {
        self.portals.clear();
    }

    /// A simple query replaces the unnamed statement and portal.
    pub(super) fn forget_unnamed(&mut self) {
        self.statements.remove(&b""[..]);
        self.portals.remove(&b""[..]);
    }
}

/// The columns that a command answers with; `None` if it answers with no rows.
pub(super) fn columns(command: &Command) -> Option<Vec<Column>> {
    match command {
        Command::Show(view) => Some(view.columns().to_vec()),
        Command::ShowParameter(name) => Some(vec![Column::text(name)]),
        _ => None,
    }
}

/// A text of the client; everything it says must be UTF-8.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(bytes).map_err(|_| {
        let message = "invalid byte sequence for encoding \"UTF8\"";
        Refusal::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message)
    })
}

fn shown(name: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(name)
}

fn too_many(what: &str, limit: usize) -> Refusal {
    let message = format!("a console session has at most {limit} {what}");
    Refusal::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message)
        .with_hint("Close those that are not needed any more.")
}

/// What follows the names in a Bind: formats of parameters, parameters, formats of columns.
struct BindRest {
    parameters: usize,
    formats: Vec<u16>,
}

impl BindRest {
    fn parse(rest: &[u8]) -> Result<Self, Refusal> {
        let mut reader = Reader(rest);
        let inputs = reader.u16()?;
        reader.take(usize::from(inputs) * 2)?;
        let parameters = reader.u16()?;
        for _ in 0..parameters {
            // The length -1 is NULL.
            let len = reader.i32()?;
            reader.take(usize::try_from(len).unwrap_or(0))?;
        }
        let count = reader.u16()?;
        let formats = (0..count).map(|_| reader.u16()).collect::<Result<_, _>>()?;
        if !reader.0.is_empty() {
            return Err(Refusal::protocol("invalid message format"));
        }
        Ok(Self { parameters: parameters.into(), formats })
    }

    /// The formats for so many columns, by the rules of the protocol: none means text, one means all alike.
    fn formats(&self, columns: usize) -> Result<Formats, Refusal> {
        let binary: Vec<bool> = self
            .formats
            .iter()
            .map(|format| match *format {
                format::TEXT => Ok(false),
                format::BINARY => Ok(true),
                other => {
                    let message = format!("unsupported format code: {other}");
                    Err(Refusal::new(SqlState::INVALID_PARAMETER_VALUE, message))
                }
            })
            .collect::<Result<_, _>>()?;
        match *binary {
            [] => Ok(Formats::TEXT),
            [all] => Ok(Formats::All(all)),
            _ if binary.len() == columns => Ok(Formats::Each(binary)),
            _ => Err(Refusal::protocol(format!(
                "bind message has {} result formats but query has {columns} columns",
                binary.len()
            ))),
        }
    }
}

/// Takes numbers off the front of a message.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Refusal> {
        let short = || Refusal::protocol("insufficient data left in message");
        let (taken, rest) = self.0.split_at_checked(len).ok_or_else(short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16, Refusal> {
        let bytes = self.take(2)?;
        Ok(bytes.iter().fold(0, |number, byte| number << 8 | u16::from(*byte)))
    }

    fn i32(&mut self) -> Result<i32, Refusal> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().fold(0, |number, byte| number << 8 | i32::from(*byte)))
    }
}
