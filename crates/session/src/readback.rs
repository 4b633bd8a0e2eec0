//! What a session really has on its server, when the texts of its statements do not tell: the question, and the answer.
//!
//! The question is a prepared statement of ours, which each server is given once. The client sees nothing of it.
//! Everything in it is qualified by its schema, operators too: the client's `search_path` may be anything.

use std::collections::BTreeSet;

use bytes::{BufMut, BytesMut};
use trunkline_wire::{backend::DataRow, frontend};

use crate::{
    expect::{Ours, Owed},
    facts::Facts,
    report::is_fatal,
    server::{ServerSession, TxStatus},
};

/// The question.
const QUESTION: &[u8] = include_bytes!("readback.sql");

/// The name of the statement and of its portal.
pub(crate) const NAME: &[u8] = b"__trunkline_look";

/// Two bytes for the number of parameters, then `text`, `text[]`, `text[]`, `bool`.
const TYPES: &[u8] = &[0, 4, 0, 0, 0, 25, 0, 0, 3, 0xF1, 0, 0, 3, 0xF1, 0, 0, 0, 16];

/// Values of settings that are longer are not carried to other servers: the client keeps its own.
const VALUE_MAX: usize = 8 << 10;

/// An answer with more rows is not gone through: the client keeps its server.
const ROWS_MAX: usize = 32 << 10;

/// What is asked for.
#[derive(Debug, Default)]
pub(crate) struct Question<'a> {
    /// The mark of the facts that are known.
    pub(crate) mark: &'a [u8],
    /// Settings of which the server tells only if it is asked by name.
    pub(crate) names: BTreeSet<&'a [u8]>,
    /// Functions that were called, and are harmless by the facts that are known.
    pub(crate) functions: BTreeSet<&'a [u8]>,
    /// All is to be told, whatever these are.
    pub(crate) whole: bool,
}

/// The answer, as far as it has come.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own that was told or not")]
pub(crate) struct Findings {
    /// The server has told all; otherwise there was nothing that could have changed anything.
    pub(crate) is_whole: bool,
    /// What is known of the functions of the database; none if nothing has changed.
    pub(crate) facts: Option<Facts>,
    /// Settings that the session has set, and their values if they can be carried along.
    pub(crate) settings: Vec<Found>,
    /// Those that were asked for by name, or that functions name, as far as the server knows them.
    pub(crate) placeholders: Vec<Found>,
    /// `none`, or the role.
    pub(crate) role: Box<[u8]>,
    /// Names of prepared statements, ours too.
    pub(crate) statements: BTreeSet<Box<[u8]>>,
    pub(crate) has_held_cursor: bool,
    pub(crate) has_lock: bool,
    pub(crate) has_temporary: bool,
    /// Channels that the server listens to.
    pub(crate) channels: BTreeSet<Box<[u8]>>,
    pub(crate) has_slot: bool,
    pub(crate) mark: Box<[u8]>,
    /// The role that it acts for now, and its path.
    pub(crate) path: Option<[Box<[u8]>; 2]>,
    pub(crate) rows: usize,
    /// The server could not tell, or what it told could not be understood, or was too much.
    pub(crate) is_broken: bool,
}

/// A setting of the session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// In lower case.
    pub(crate) name: Box<[u8]>,
    /// Its value; none if it is too long.
    pub(crate) value: Option<Box<[u8]>>,
    /// It is the one that a `RESET` would give.
    pub(crate) is_default: bool,
}

impl Findings {
    /// Takes a row of the answer.
    fn take(&mut self, body: &[u8]) {
        self.rows = self.rows.saturating_add(1);
        if self.rows > ROWS_MAX || self.understand(body).is_none() {
            self.is_broken = true;
        }
    }

    fn understand(&mut self, body: &[u8]) -> Option<()> {
        let row = DataRow::parse(body).ok()?;
        let mut values = row.iter();
        let (kind, name, value) = (values.next()??, values.next()?, values.next()?);
        match kind {
            b"mark" => self.mark = value?.into(),
            b"path" => self.path = Some([name?.into(), value?.into()]),
            b"anew" => self.facts = Some(Facts::of(&self.mark)),
            b"whole" => self.is_whole = true,
            b"named" => {
                self.facts.as_mut()?.names.insert(name?.into());
                self.placeholder(name?, value);
            }
            b"maker" => {
                self.facts.as_mut()?.makers.insert(name?.into());
            }
            b"keeper" => {
                let facts = self.facts.as_mut()?;
                facts.keepers.insert(name?.into());
                if value.is_some() {
                    facts.stayers.insert(name?.into());
                }
            }
            b"reader" => {
                self.facts.as_mut()?.readers.insert(name?.into());
            }
            b"trigger" => self.facts.as_mut()?.in_triggers = true,
            b"anywhere" => self.facts.as_mut()?.anywhere = true,
            b"setting" => self.settings.push(found(name?, value)),
            b"default" => {
                self.settings.push(Found { is_default: true, ..found(name?, value) });
            }
            b"placeholder" => self.placeholder(name?, value),
            b"role" => self.role = value?.into(),
            b"statement" => {
                self.statements.insert(name?.into());
            }
            b"cursor" => self.has_held_cursor = true,
            b"lock" => self.has_lock = true,
            b"temporary" => self.has_temporary = true,
            b"channel" => {
                self.channels.insert(name?.into());
            }
            b"slot" => self.has_slot = true,
            _ => return None,
        }
        Some(())
    }

    /// One that the server does not know is not there.
    fn placeholder(&mut self, name: &[u8], value: Option<&[u8]>) {
        if value.is_some() && !self.placeholders.iter().any(|found| *found.name == *name) {
            self.placeholders.push(found(name, value));
        }
    }
}

fn found(name: &[u8], value: Option<&[u8]>) -> Found {
    let value = value.filter(|value| value.len() <= VALUE_MAX).map(Into::into);
    Found { name: name.to_ascii_lowercase().into(), value, is_default: false }
}

/// What a frame was to a server that is being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// A part of the answer.
    More,
    /// Its end.
    All,
    /// Not of the answer.
    Nothing,
}

impl ServerSession {
    /// Puts the question. Nothing else may be under way.
    pub(crate) fn look(&mut self, question: &Question<'_>, out: &mut BytesMut) {
        if !self.statements.has_reader() {
            frontend::parse(out, NAME, QUESTION, TYPES);
        }
        frontend::bind(out, b"", NAME, &parameters(question));
        frontend::execute(out, b"", 0);
        frontend::sync(out);
        self.owed.push(Owed::Ours(Ours::Look));
        self.findings = Some(Box::default());
    }

    /// Takes a frame while it is being asked.
    pub(crate) fn on_told(&mut self, tag: u8, body: &[u8]) -> Told {
        let Some(findings) = &mut self.findings else { return Told::Nothing };
        match tag {
            b'1' => self.statements.set_reader(true),
            b'2' | b'C' => {}
            b'D' => findings.take(body),
            b'E' if !is_fatal(body) => {
                findings.is_broken = true;
                // Somebody may have deallocated the question.
                self.statements.set_reader(false);
            }
            b'Z' => {
                let status = body.first().copied().and_then(TxStatus::from_byte);
                findings.is_broken |= status != Some(TxStatus::Idle);
                self.owed.pop();
                self.became_ready(status.unwrap_or_default());
                return Told::All;
            }
            _ => return Told::Nothing,
        }
        Told::More
    }

    /// Whether it is being asked: its rows must be whole then to be understood.
    #[inline]
    pub fn is_asked(&self) -> bool {
        self.findings.is_some()
    }
}

/// What follows the names in a Bind message.
fn parameters(question: &Question<'_>) -> Vec<u8> {
    let mut rest = vec![0, 0, 0, 4];
    let whole: &[u8] = if question.whole { b"t" } else { b"f" };
    let values =
        [question.mark, &array(&question.names), &array(&question.functions), whole].map(Vec::from);
    for value in values {
        rest.put_u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        rest.extend_from_slice(&value);
    }
    rest.extend_from_slice(&[0, 0]);
    rest
}

/// A `text[]`, as text.
fn array(values: &BTreeSet<&[u8]>) -> Vec<u8> {
    let mut text = vec![b'{'];
    for (place, value) in values.iter().enumerate() {
        text.extend_from_slice(if place == 0 { b"\"" } else { b",\"" });
        for byte in *value {
            if matches!(byte, b'"' | b'\\') {
                text.push(b'\\');
            }
            text.push(*byte);
        }
        text.push(b'"');
    }
    text.push(b'}');
    text
}

#[cfg(test)]
mod tests {
    use trunkline_wire::backend;

    use super::*;

    fn row(values: [Option<&str>; 3]) -> Vec<u8> {
        let mut out = BytesMut::new();
        backend::data_row(&mut out, values.map(|value| value.map(str::as_bytes)));
        out.split_off(5).to_vec()
    }

    #[test]
    fn rows_are_told_apart_by_their_kind() {
        let mut findings = Findings::default();
        findings.take(&row([Some("mark"), None, Some("1/2")]));
        findings.take(&row([Some("anew"), None, None]));
        findings.take(&row([Some("named"), Some("app.y"), Some("z")]));
        findings.take(&row([Some("maker"), Some("f"), None]));
        findings.take(&row([Some("setting"), Some("TimeZone"), Some("UTC")]));
        findings.take(&row([Some("setting"), Some("long"), None]));
        findings.take(&row([Some("default"), Some("jit"), Some("on")]));
        findings.take(&row([Some("placeholder"), Some("app.x"), None]));
        findings.take(&row([Some("role"), None, Some("none")]));
        findings.take(&row([Some("statement"), Some("p"), None]));
        findings.take(&row([Some("lock"), None, None]));
        assert!(!findings.is_broken && findings.has_lock && !findings.has_temporary);
        assert_eq!(findings.settings[0], found(b"timezone", Some(b"UTC")));
        assert_eq!(findings.settings[1].value, None);
        assert_eq!(findings.settings[2].value.as_deref(), Some(b"on".as_slice()));
        assert_eq!(
            findings.settings.iter().map(|found| found.is_default).collect::<Vec<_>>(),
            [false, false, true]
        );
        assert_eq!(findings.placeholders, [found(b"app.y", Some(b"z"))]);
        assert_eq!(*findings.role, *b"none");
        assert!(findings.facts.as_ref().unwrap().makers.contains(b"f".as_slice()));
        findings.take(&row([Some("what"), None, None]));
        assert!(findings.is_broken);
    }

    #[test]
    fn too_many_rows_are_not_believed() {
        let mut findings = Findings::default();
        for _ in 0..ROWS_MAX {
            findings.take(&row([Some("lock"), None, None]));
        }
        assert!(!findings.is_broken);
        findings.take(&row([Some("lock"), None, None]));
        assert!(findings.is_broken);
    }

    #[test]
    fn names_are_quoted_in_an_array() {
        let names: [&[u8]; 2] = [br#"a."\"#, b"b"];
        assert_eq!(array(&names.into_iter().collect()), br#"{"a.\"\\","b"}"#);
        assert_eq!(array(&BTreeSet::new()), b"{}");
    }
}
