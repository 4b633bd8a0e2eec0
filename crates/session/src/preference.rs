//! `trunkline.route`: where a session wants what it sends to go.
//!
//! For PostgreSQL it is a placeholder like any other, so that `SET`, `RESET`, `SHOW` and rollbacks are its own, and it is
//! followed and replayed as settings are. But a value that means nothing is refused, as PostgreSQL would if it knew the
//! setting: its servers are given a text in its place that they refuse whatever the state of the transaction, and their
//! error is told as ours.

use std::ops::Range;

use bytes::BytesMut;
use trunkline_sql::Value;
pub use trunkline_sql::settings::ROUTE;
use trunkline_wire::{
    SqlState,
    backend::{self, Report},
    frontend,
};

use crate::{
    change::Change,
    client::{ClientSession, Unnamed},
    effect::Effects,
    expect::Owed,
    from_client::{Step, Ways},
    idle::unquoted,
    report::error_code,
    server::{Intake, ServerSession},
};

/// The name of the statement that is refused.
const NAME: &[u8] = b"__trunkline_route";

/// Not SQL. The server's log shows it.
const TEXT: &[u8] = b"trunkline: no value of trunkline.route";

/// Bytes of a message before its body.
const HEADER: usize = 5;

/// The longest part of a value that is repeated in an error.
const SHOWN_MAX: usize = 64;

/// Where a session wants what it sends to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preference {
    /// Where it may.
    Any,
    /// To the primary.
    Primary,
    /// To a standby.
    Standby,
}

impl Preference {
    /// What a value of the setting means, in any case; none if it means nothing.
    pub fn from_word(word: &[u8]) -> Option<Self> {
        let all = [("any", Self::Any), ("primary", Self::Primary), ("standby", Self::Standby)];
        let found = all.into_iter().find(|(own, _)| word.eq_ignore_ascii_case(own.as_bytes()));
        found.map(|(_, preference)| preference)
    }

    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Literal(text) => Self::from_word(text),
            Value::Written(text) => unquoted(text).and_then(Self::from_word),
            Value::TimeZone(_) => None,
        }
    }
}

/// What is wrong with a value that means nothing, in PostgreSQL's words, and what helps.
pub fn wrong_route(value: &str) -> (String, &'static str) {
    let shown: String = value.chars().take(SHOWN_MAX).collect();
    let message = format!("invalid value for parameter \"{ROUTE}\": \"{shown}\"");
    (message, "Available values: any, primary, standby.")
}

/// What a `SET` of it does that means nothing.
pub(crate) fn refused(name: &[u8], value: &Value) -> Option<Change> {
    let wrong = name == ROUTE.as_bytes() && Preference::of(value).is_none();
    wrong.then(|| {
        let text = unquoted(value.as_bytes()).unwrap_or_else(|| value.as_bytes());
        Change::Unroutable(String::from_utf8_lossy(text).into())
    })
}

impl Effects {
    /// The value of `trunkline.route` in it that means nothing.
    pub(crate) fn unroutable(&self) -> Option<&str> {
        let Self::Many(changes) = self else { return None };
        changes.iter().find_map(|(_, change)| match change {
            Change::Unroutable(value) => Some(&**value),
            _ => None,
        })
    }
}

impl ClientSession {
    /// Where it wants what it sends to go, if it has said so.
    #[inline]
    pub fn preference(&self) -> Option<Preference> {
        self.settings.current().preference()
    }

    /// Has a query refused that sets what means nothing.
    pub(crate) fn refuse_route(
        &mut self,
        value: &str,
        server: &mut ServerSession,
        ways: &mut Ways<'_, '_>,
    ) -> Step {
        self.remember_unnamed(server);
        server
            .owed
            .push(Owed::Query(Effects::Many([(0, Change::Unroutable(value.into()))].into()), 0));
        self.begin_query(server);
        frontend::query(ways.server.insert(), TEXT);
        Step::Next
    }

    /// The same of a Parse.
    pub(crate) fn refuse_route_parsed(
        &mut self,
        value: &str,
        named: bool,
        server: &mut ServerSession,
        ways: &mut Ways<'_, '_>,
    ) -> Step {
        server.intake = Intake::Unsynced;
        if !named {
            // PostgreSQL forgets the one before it reads the new one.
            self.unnamed = Unnamed::None;
            server.unnamed = 0;
        }
        let name = if named { NAME } else { b"" };
        frontend::parse(ways.server.insert(), name, TEXT, b"\0\0");
        server.owed.push(Owed::Unroutable(value.into()));
        Step::Next
    }
}

/// The body of the error as the client is told it, if this one is that of the text.
pub(crate) fn told(value: &str, body: &[u8]) -> Option<Vec<u8>> {
    if error_code(body) != Some(SqlState::SYNTAX_ERROR) {
        return None;
    }
    let mut written = BytesMut::new();
    let (message, hint) = wrong_route(value);
    let report = Report::error(SqlState::INVALID_PARAMETER_VALUE, &message).with_hint(hint);
    backend::error_response(&mut written, &report);
    let body: Range<usize> = HEADER..written.len();
    written.get(body).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::tests::set;

    #[test]
    fn a_value_is_read_in_whichever_form_it_is_written() {
        for (written, expected) in [
            ("primary", Some(Preference::Primary)),
            ("'standby'", Some(Preference::Standby)),
            ("'ANY'", Some(Preference::Any)),
            ("''", None),
            ("primary, standby", None),
            ("1", None),
        ] {
            assert_eq!(set(&[(ROUTE, written)]).preference(), expected, "{written}");
        }
        assert_eq!(set(&[("work_mem", "primary")]).preference(), None);
        let mut changed = set(&[(ROUTE, "primary")]);
        changed.remove(ROUTE.as_bytes());
        assert_eq!(changed.preference(), None);
    }

    #[test]
    fn only_the_error_of_the_text_is_told_otherwise() {
        let of = |code: &str| told("x", format!("SERROR\0C{code}\0Mno\0\0").as_bytes());
        let ours = of("42601").unwrap();
        assert_eq!(error_code(&ours), Some(SqlState::INVALID_PARAMETER_VALUE));
        assert_eq!(of("57014"), None);
    }
}
