//! Places in the write-ahead log, told by one session and found by another: `SHOW trunkline.lsn`, `SET trunkline.after_lsn`.
//!
//! PostgreSQL knows neither. What asks for a place goes to the server as a question of ours, whose answer is the client's. What
//! sets one goes as a statement that leaves nothing behind: whoever has been served by the primary finds everything there was
//! at that time, so there is nothing to do but to look whether it is a token. A standby may not have replayed what it names,
//! and the transaction cannot go elsewhere, so there it is refused. A client that holds no server is answered by the shell.

use std::{fmt, str::FromStr};

use bytes::BytesMut;
use trunkline_wire::{
    SqlState,
    backend::{self, Report},
    frontend,
};

use crate::{
    change::Change, client::Surroundings, effect::Effects, expect::Owed, from_client::Step,
    outgoing::Outgoing, report::error_code, restore::Restoring, server::ServerSession,
};

/// Longer texts are not about places: a token has at most 47 bytes.
const ASKED_MAX: usize = 256;

/// The setting that tells a place.
const PLACE: &str = "trunkline.lsn";

/// The setting that names one.
const AFTER: &str = "trunkline.after_lsn";

/// Asks a server for its place. All names are qualified, as the client's `search_path` holds. A standby tells what it has
/// replayed. The timeline is as in the names of files of the log, of which a standby has none.
const QUESTION: &[u8] = b"\
SELECT pg_catalog.format('%s/%s:%s', (SELECT system_identifier FROM pg_catalog.pg_control_system()), \
CASE WHEN in_recovery THEN pg_catalog.lpad(pg_catalog.upper(pg_catalog.to_hex(\
coalesce((SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver), \
(SELECT timeline_id FROM pg_catalog.pg_control_checkpoint())))), 8, '0') \
ELSE pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8) END, \
CASE WHEN in_recovery THEN pg_catalog.pg_last_wal_replay_lsn() \
ELSE pg_catalog.pg_current_wal_insert_lsn() END) AS \"trunkline.lsn\" \
FROM (SELECT pg_catalog.pg_is_in_recovery() AS in_recovery OFFSET 0) AS now";

/// A statement that answers like the client's, and leaves nothing behind that differs between sessions.
const NOTHING: &[u8] = b"SET trunkline.after_lsn TO ''";

/// Not SQL. The server's log shows it.
const REFUSED: &[u8] = b"trunkline: what trunkline.after_lsn is set to cannot be taken";

/// The name of the statement that is refused.
pub(crate) const NAME: &[u8] = b"__trunkline_no_place";

/// Bytes of a message before its body.
const HEADER: usize = 5;

/// A place in the log of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// The cluster (`pg_control_system().system_identifier`).
    pub system: u64,
    /// The timeline.
    pub timeline: u32,
    /// The place.
    pub lsn: u64,
}

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoToken;

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (high, low) = (self.lsn >> 32, self.lsn & 0xFFFF_FFFF);
        write!(f, "{}/{:08X}:{high:X}/{low:X}", self.system, self.timeline)
    }
}

impl FromStr for Token {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        let (system, rest) = text.split_once('/').ok_or(NoToken)?;
        let (timeline, lsn) = rest.split_once(':').ok_or(NoToken)?;
        let (high, low) = lsn.split_once('/').ok_or(NoToken)?;
        let digits = !system.is_empty() && system.bytes().all(|byte| byte.is_ascii_digit());
        Ok(Self {
            system: system.parse().ok().filter(|_| digits).ok_or(NoToken)?,
            timeline: hex(timeline)?,
            lsn: u64::from(hex(high)?) << 32 | u64::from(hex(low)?),
        })
    }
}

fn hex(text: &str) -> Result<u32, NoToken> {
    let digits = (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(text, 16).ok().filter(|_| digits).ok_or(NoToken)
}

/// What a text does about places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// It asks for the place that the session must find.
    Place,
    /// It names one that the session must find; none if it names nothing.
    After(Option<Token>),
    /// It names something else.
    Wrong(Box<str>),
}

/// Why a place cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is none.
    NoToken(Box<str>),
    /// It is one of another cluster.
    Elsewhere(Token),
    /// The transaction is at a standby, which may not have replayed it.
    AtStandby,
}

impl Refusal {
    /// The error that the client is told, as a message.
    pub fn write(&self, out: &mut BytesMut) {
        match self {
            Self::NoToken(value) => {
                let message = format!("invalid value for parameter \"{AFTER}\": \"{value}\"");
                let report = Report::error(SqlState::INVALID_PARAMETER_VALUE, &message);
                let hint = format!("Give it what another session was told by SHOW {PLACE}.");
                backend::error_response(out, &report.with_hint(&hint));
            }
            Self::Elsewhere(token) => {
                let message = format!("invalid value for parameter \"{AFTER}\": \"{token}\"");
                let report = Report::error(SqlState::INVALID_PARAMETER_VALUE, &message);
                let detail = "It was told by another cluster: the system identifiers differ.";
                backend::error_response(out, &report.with_detail(detail));
            }
            Self::AtStandby => {
                let message =
                    format!("\"{AFTER}\" cannot be set in a transaction that a standby serves");
                let report = Report::error(SqlState::ACTIVE_SQL_TRANSACTION, &message);
                let hint = "Set it before the transaction begins.";
                backend::error_response(out, &report.with_hint(hint));
            }
        }
    }

    /// The body of the error as the client is told it, if this one is that of the text which stands for the client's.
    pub(crate) fn told(&self, body: &[u8]) -> Option<Vec<u8>> {
        if error_code(body) != Some(SqlState::SYNTAX_ERROR) {
            return None;
        }
        let mut written = BytesMut::new();
        self.write(&mut written);
        written.get(HEADER..).map(<[u8]>::to_vec)
    }
}

impl Asked {
    /// Whether it can be taken, if this is the cluster; as far as that is known.
    pub fn refusal(&self, system: Option<u64>) -> Option<Refusal> {
        match self {
            Self::Wrong(value) => Some(Refusal::NoToken(value.clone())),
            Self::After(Some(token)) if system.is_some_and(|system| system != token.system) => {
                Some(Refusal::Elsewhere(*token))
            }
            Self::Place | Self::After(_) => None,
        }
    }
}

/// Whether a text may begin with `SHOW` or `SET`: seen quickly.
fn may_ask(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let begin = text.get(..3).unwrap_or_default();
    begin.eq_ignore_ascii_case(b"set")
        || begin.eq_ignore_ascii_case(b"sho")
        || matches!(begin, [b'/', b'*', _] | [b'-', b'-', _])
}

/// What a text does about places; none if it is not about them.
pub fn asked(text: &[u8]) -> Option<Asked> {
    if text.len() > ASKED_MAX || !may_ask(text) {
        return None;
    }
    let mut words = Words(std::str::from_utf8(text).ok()?);
    let verb = words.take()?;
    if verb.eq_ignore_ascii_case("show") {
        return (words.take()?.eq_ignore_ascii_case(PLACE) && words.is_done())
            .then_some(Asked::Place);
    }
    if !verb.eq_ignore_ascii_case("set") {
        return None;
    }
    let mut name = words.take()?;
    if ["session", "local"].iter().any(|word| name.eq_ignore_ascii_case(word)) {
        name = words.take()?;
    }
    let sign = words.take()?;
    if !name.eq_ignore_ascii_case(AFTER) || sign != "=" && !sign.eq_ignore_ascii_case("to") {
        return None;
    }
    let value = words.take()?;
    if !words.is_done() {
        return None;
    }
    let written = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
    Some(match written {
        None if value.eq_ignore_ascii_case("default") => Asked::After(None),
        Some("") => Asked::After(None),
        _ => {
            let value = written.unwrap_or(value).replace("''", "'");
            match value.parse() {
                Ok(token) => Asked::After(Some(token)),
                Err(NoToken) => Asked::Wrong(value.into()),
            }
        }
    })
}

/// The words of a short statement: names with their dots, signs, and strings with their quotes.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// Behind white space and comments.
    fn skip(&mut self) {
        loop {
            self.0 = self.0.trim_start();
            let behind = if let Some(comment) = self.0.strip_prefix("--") {
                comment.split_once('\n').map_or("", |(_, behind)| behind)
            } else if let Some(comment) = self.0.strip_prefix("/*") {
                // One that is in another is left to PostgreSQL.
                let Some((inner, behind)) = comment.split_once("*/") else { return };
                if inner.contains("/*") {
                    return;
                }
                behind
            } else {
                return;
            };
            self.0 = behind;
        }
    }

    fn take(&mut self) -> Option<&'a str> {
        self.skip();
        let text = self.0;
        let first = text.chars().next()?;
        let is_part = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '.';
        let end = if first == '\'' {
            end_of_string(text)?
        } else if is_part(first) {
            text.find(|it| !is_part(it)).unwrap_or(text.len())
        } else {
            first.len_utf8()
        };
        let (word, rest) = text.split_at_checked(end)?;
        self.0 = rest;
        Some(word)
    }

    /// Whether nothing comes but the end of the statement.
    fn is_done(&mut self) -> bool {
        self.skip();
        while let Some(rest) = self.0.strip_prefix(';') {
            self.0 = rest;
            self.skip();
        }
        self.0.is_empty()
    }
}

/// Where the string ends that the text begins with.
fn end_of_string(text: &str) -> Option<usize> {
    let mut quotes = text.char_indices().filter(|(_, it)| *it == '\'').map(|(at, _)| at).skip(1);
    loop {
        let end = quotes.next()?.saturating_add(1);
        if !text.get(end..)?.starts_with('\'') {
            return Some(end);
        }
        quotes.next();
    }
}

/// What a server is sent in place of a text about places.
#[derive(Debug)]
pub(crate) enum Instead {
    /// This text.
    Text(&'static [u8]),
    /// One that is refused, and this is why.
    Refused(Refusal),
}

impl Instead {
    /// What a simple query leaves behind that goes to the server like this, and how it goes.
    pub(crate) fn into_query(self) -> (Effects, Option<Restoring>) {
        let (text, effects) = match self {
            Self::Text(text) => (text, Effects::None),
            Self::Refused(refusal) => {
                (REFUSED, Effects::Many([(0, Change::NoPlace(Box::new(refusal)))].into()))
            }
        };
        (effects, Some(Restoring::Text(text.to_vec())))
    }
}

/// Why the text cannot be taken that was sent as one that is refused.
pub(crate) fn refusal_of(owed: &Owed) -> Option<&Refusal> {
    match owed {
        Owed::NoPlace(refusal) => Some(refusal),
        Owed::Query(Effects::Many(changes), _) => match changes.as_ref() {
            [(0, Change::NoPlace(refusal))] => Some(refusal),
            _ => None,
        },
        _ => None,
    }
}

/// Sends a Parse that is refused instead of the client's.
pub(crate) fn refuse_parse(
    name: &[u8],
    refusal: Refusal,
    server: &mut ServerSession,
    out: &mut Outgoing<'_>,
) -> Step {
    frontend::parse(out.insert(), name, REFUSED, b"\0\0");
    server.owed.push(Owed::NoPlace(Box::new(refusal)));
    Step::Next
}

impl Effects {
    /// Those of a text that is about places.
    #[cold]
    pub(crate) fn of_places(text: &[u8]) -> Option<Self> {
        asked(text).map(|asked| Self::Many([(0, Change::Place(Box::new(asked)))].into()))
    }

    /// What goes to the server instead of the text, if that is about places.
    pub(crate) fn instead(
        &self,
        server: &ServerSession,
        around: &impl Surroundings,
    ) -> Option<Instead> {
        let Self::Many(changes) = self else { return None };
        let [(0, Change::Place(asked))] = changes.as_ref() else { return None };
        if **asked == Asked::Place {
            return Some(Instead::Text(QUESTION));
        }
        let refusal = asked.refusal(around.system());
        let refusal = refusal.or_else(|| {
            let names_one = matches!(**asked, Asked::After(Some(_)));
            (names_one && server.is_standby).then_some(Refusal::AtStandby)
        });
        Some(match refusal {
            None => Instead::Text(NOTHING),
            Some(refusal) => Instead::Refused(refusal),
        })
    }
}

#[cfg(test)]
mod tests;
