//! What `RESET` goes back to: for PostgreSQL, to what the startup packet has said.
//!
//! A server is opened with what all clients of its pool have said; the rest of a client's startup packet, such as its
//! `application_name`, is set on it like any other setting. So what takes a setting back is followed at once by a
//! statement that gives the server this client's value, in the same transaction. In a simple query it is inserted in
//! the text behind the statement it belongs to, so that the statements behind it find the value; its completion is
//! swallowed, and the places of errors behind it are told as they are in the client's own text. In the extended protocol
//! it goes behind the Execute. `DISCARD ALL` must be alone in its text and is therefore sent as messages of that
//! protocol. All of it in session mode too, where nothing else is followed (see [`crate::taking`]).
//!
//! PostgreSQL reports settings before `ReadyForQuery` only, with the values they have then: the client is not told of
//! the value in between.

use trunkline_sql::{Parameter, quote, statement_ends};
use trunkline_wire::frontend;

use crate::{
    change::Change,
    client::{ClientSession, PoolMode},
    effect::Effects,
    environment::{run_between, run_between_as},
    expect::{Ours, Owed},
    outgoing::Outgoing,
    queue::Kind,
    replay::Replay,
    report::{Fields, is_whole},
    server::{ServerSession, TxStatus},
    setting::{SettingSet, is_identity},
};

/// How a simple query goes to the server that takes settings of the startup packet back.
#[derive(Debug)]
pub(crate) enum Restoring {
    /// With this text.
    Text(Vec<u8>),
    /// As messages of the extended protocol, and these statements behind it; unless a transaction is open, where it is
    /// refused. All that was sent before must be answered: if it fails, a Sync is the client's to send.
    Messages(Replay),
    /// What is under way decides it: the message waits.
    Undecided,
}

impl ClientSession {
    /// What a simple query leaves behind, and how it goes to the server if not as it is.
    #[inline]
    pub(crate) fn effects_of_query(
        &self,
        text: &[u8],
        server: &ServerSession,
    ) -> (Effects, Option<Restoring>) {
        if self.mode == PoolMode::Session {
            if self.settings.base().is_empty() || !may_take_back(text) {
                return (Effects::None, None);
            }
            return self.effects_in_session_mode(text, server);
        }
        let effects = self.effects_of(text, server);
        match &effects {
            Effects::Many(_) if !self.settings.base().is_empty() => {
                self.restoring(text, effects, server)
            }
            _ => (effects, None),
        }
    }

    /// In session mode nothing else is followed.
    #[cold]
    fn effects_in_session_mode(
        &self,
        text: &[u8],
        server: &ServerSession,
    ) -> (Effects, Option<Restoring>) {
        let (effects, restoring) = self.restoring(text, self.effects_of(text, server), server);
        let Effects::Many(changes) = effects else { return (Effects::None, restoring) };
        let kept: Vec<_> = changes
            .iter()
            .filter(|(_, change)| matches!(change, Change::Restore { .. }))
            .cloned()
            .collect();
        (if kept.is_empty() { Effects::None } else { Effects::Many(kept.into()) }, restoring)
    }

    fn restoring(
        &self,
        text: &[u8],
        effects: Effects,
        server: &ServerSession,
    ) -> (Effects, Option<Restoring>) {
        let Effects::Many(changes) = &effects else { return (effects, None) };
        if let [(0, change @ Change::DiscardAll)] = changes.as_ref() {
            let replay = self.lost_by(change);
            // Among other statements it is refused.
            let can = !replay.text.is_empty() && statement_ends(text, server.rules).len() == 1;
            return (effects, can.then_some(Restoring::Messages(replay)));
        }
        if self.may_be_local_for_nothing(text, changes, server) {
            return (effects, Some(Restoring::Undecided));
        }
        match self.restored_text(text, changes, server) {
            Some((text, effects)) => (effects, Some(Restoring::Text(text))),
            None => (effects, None),
        }
    }

    /// Whether it takes something back for its transaction only, and it is not known yet whether one is open.
    fn may_be_local_for_nothing(
        &self,
        text: &[u8],
        changes: &[(usize, Change)],
        server: &ServerSession,
    ) -> bool {
        !server.owes_client_nothing()
            && changes.iter().any(|(_, change)| {
                matches!(change, Change::SetLocal(..)) && !self.lost_by(change).text.is_empty()
            })
            && statement_ends(text, server.rules).len() == 1
    }

    /// The text with a statement behind each that takes something of the startup packet back; none if there is none.
    fn restored_text(
        &self,
        text: &[u8],
        changes: &[(usize, Change)],
        server: &ServerSession,
    ) -> Option<(Vec<u8>, Effects)> {
        let lost = |change: &Change| {
            let replay = self.lost_by(change);
            (!replay.text.is_empty()).then_some(replay)
        };
        if !changes.iter().any(|(_, change)| lost(change).is_some()) {
            return None;
        }
        let ends = statement_ends(text, server.rules);
        // PostgreSQL warns of SET LOCAL outside of a transaction; with another statement there would be one.
        let alone = ends.len() == 1 && server.status != TxStatus::Open;
        let utf8 = server.reported.get(b"client_encoding") == Some(b"UTF8");
        let (mut written, mut marked) = (Vec::new(), Vec::new());
        let (mut copied, mut before, mut here, mut statement_at) = (0, 0_usize, 0_usize, 0);
        for (place, change) in changes {
            if *place > statement_at {
                (before, here, statement_at) = (before.saturating_add(here), 0, *place);
            }
            marked.push((place.saturating_add(before), change.clone()));
            let local = matches!(change, Change::SetLocal(..));
            let Some(replay) = lost(change).filter(|_| !(local && alone)) else { continue };
            let end = *ends.get(*place)?;
            written.extend_from_slice(text.get(copied..end)?);
            copied = end;
            for statement in replay.statements() {
                let inserted = [b";", statement].concat();
                here = here.saturating_add(1);
                let mark = Change::Restore {
                    at: characters(&written, utf8),
                    length: characters(&inserted, utf8),
                };
                marked.push((place.saturating_add(before).saturating_add(here), mark));
                written.extend_from_slice(&inserted);
            }
        }
        if copied == 0 {
            return None;
        }
        written.extend_from_slice(text.get(copied..)?);
        Some((written, Effects::Many(marked.into())))
    }

    /// The statements that give back what a change takes from the startup packet.
    fn lost_by(&self, change: &Change) -> Replay {
        let base = self.settings.base();
        let mut lost = SettingSet::default();
        match change {
            Change::Reset(name) | Change::SetLocal(name, None) => {
                if let Some(value) = base.get(name) {
                    lost.set(name, value.clone());
                }
            }
            Change::ResetAll | Change::DiscardAll => {
                for entry in base.iter().filter(|entry| !is_identity(&entry.name)) {
                    lost.set(&entry.name, entry.value.clone());
                }
            }
            _ => return Replay::default(),
        }
        // What answers with a row cannot be swallowed inside a query; the next lease gives it back.
        let with_row = lost
            .iter()
            .any(|entry| quote::answers_with_row(&Parameter::named(&entry.name), &entry.value));
        let none = SettingSet::default();
        match change {
            _ if with_row => Replay::default(),
            Change::SetLocal(..) => Replay::local(&none, &lost),
            _ => Replay::between(&none, &lost),
        }
    }

    /// Of these effects those that take something of the startup packet back.
    pub(crate) fn taken_back_by(&self, effects: &Effects) -> Effects {
        let Effects::Many(changes) = effects else { return Effects::None };
        let taking = changes.iter().filter(|(_, change)| !self.lost_by(change).text.is_empty());
        let taking: Vec<_> = taking.cloned().collect();
        if taking.is_empty() { Effects::None } else { Effects::Many(taking.into()) }
    }

    /// Behind the Execute of a statement with these effects.
    #[cold]
    pub(crate) fn restore_behind(
        &self,
        effects: &Effects,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
    ) {
        let Effects::Many(changes) = effects else { return };
        for (_, change) in changes.iter() {
            for statement in self.lost_by(change).statements() {
                run_between(statement, server, out);
            }
        }
    }
}

/// Sends a simple query as messages of the extended protocol, and `replay` behind it. The client is told what it is told
/// after a simple query: the completion, or the error, and that the server is ready.
pub(crate) fn send_as_messages(
    text: &[u8],
    effects: Effects,
    replay: &Replay,
    server: &mut ServerSession,
    out: &mut Outgoing<'_>,
) {
    debug_assert!(server.owes_client_nothing(), "it may be skipped");
    // As the simple query would have done.
    frontend::close(out.insert(), frontend::STATEMENT, b"");
    server.owed.push(Owed::Ours(Ours::CloseOther));
    run_between_as(text, Owed::Execute(effects), server, out);
    for statement in replay.statements() {
        run_between(statement, server, out);
    }
    frontend::sync(out.insert());
    server.owed.push_light(Kind::Sync);
}

/// Whether a text may take a setting back, by its words.
pub(crate) fn may_take_back(text: &[u8]) -> bool {
    let words: [&[u8]; 3] = [b"reset", b"discard", b"default"];
    text.iter().enumerate().any(|(place, byte)| {
        matches!(byte | 0x20, b'r' | b'd')
            && words.iter().any(|word| {
                let there = text.get(place..place.saturating_add(word.len()));
                there.is_some_and(|there| there.eq_ignore_ascii_case(word))
            })
    })
}

/// The number of characters, as PostgreSQL counts the place of an error. In encodings other than UTF-8 a character
/// counts as its bytes.
pub(crate) fn characters(text: &[u8], utf8: bool) -> usize {
    if utf8 { text.iter().filter(|byte| **byte & 0xC0 != 0x80).count() } else { text.len() }
}

/// Whether the statement at `place` of a text was inserted.
pub(crate) fn is_inserted(effects: &Effects, place: usize) -> bool {
    let Effects::Many(changes) = effects else { return false };
    changes.iter().any(|(at, change)| *at == place && matches!(change, Change::Restore { .. }))
}

/// An error of a query with inserted statements, with its place in the client's own text. Nothing if that is the same.
pub(crate) fn with_own_place(front: Option<&Owed>, body: &[u8]) -> Option<Vec<u8>> {
    let Some(Owed::Query(Effects::Many(changes), _)) = front else { return None };
    if !is_whole(body) {
        return None;
    }
    let (_, place) = Fields::of(body).find(|(field, _)| *field == b'P')?;
    let place: usize = std::str::from_utf8(place).ok()?.parse().ok()?;
    let (mut more, mut less) = (0_usize, 0_usize);
    for (_, change) in changes.iter() {
        match change {
            Change::Restore { at, length } if *at < place => more = more.saturating_add(*length),
            Change::Renamed(renamed) if renamed.stands_before(place) => {
                more = more.saturating_add(renamed.ours.len());
                less = less.saturating_add(renamed.length);
            }
            _ => {}
        }
    }
    let own = place.saturating_add(less).saturating_sub(more);
    if own == place {
        return None;
    }
    let mut told = Vec::with_capacity(body.len());
    for (field, value) in Fields::of(body) {
        let own = own.to_string();
        told.push(field);
        told.extend_from_slice(if field == b'P' { own.as_bytes() } else { value });
        told.push(0);
    }
    told.push(0);
    Some(told)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline_sql::Value;
    use trunkline_wire::Reported;

    use super::*;
    use crate::client::SessionLimits;

    fn session(mode: PoolMode) -> ClientSession {
        let mut base = SettingSet::default();
        base.set(b"application_name", Value::Literal(b"app".as_slice().into()));
        ClientSession::new(mode, Arc::new(base), Arc::default(), SessionLimits::default())
    }

    fn server() -> ServerSession {
        let mut reported = Reported::new();
        let _known = reported.set(b"client_encoding", b"UTF8");
        ServerSession::new(Arc::new(reported))
    }

    /// How a text goes to the server in both modes.
    fn sent(text: &str) -> String {
        let texts = [PoolMode::Transaction, PoolMode::Session].map(|mode| {
            match session(mode).effects_of_query(text.as_bytes(), &server()).1 {
                None => "as it is".to_owned(),
                Some(Restoring::Text(text)) => String::from_utf8(text).unwrap(),
                Some(Restoring::Messages(replay)) => {
                    format!("messages, {}", String::from_utf8(replay.text).unwrap())
                }
                Some(Restoring::Undecided) => "later".to_owned(),
            }
        });
        assert_eq!(texts[0], texts[1]);
        texts[0].clone()
    }

    #[test]
    fn a_statement_stands_behind_each_that_takes_the_name_back() {
        const SET: &str = r#"SET "application_name" TO 'app'"#;
        for (text, expected) in [
            ("reset application_name", format!("reset application_name;{SET}")),
            (
                "/* ä */ RESET application_name -- so\n; show application_name",
                format!("/* ä */ RESET application_name;{SET} -- so\n; show application_name"),
            ),
            ("select 1;;reset all;select 2", format!("select 1;;reset all;{SET};select 2")),
            (
                "set application_name to default; set application_name = default;",
                format!("set application_name to default;{SET}; set application_name = default;{SET};"),
            ),
            ("discard all", format!("messages, {SET};")),
            ("; discard all; -- so", format!("messages, {SET};")),
            ("discard all; select 1", "as it is".to_owned()),
            ("reset work_mem", "as it is".to_owned()),
            ("select 'reset application_name'", "as it is".to_owned()),
            ("set local application_name to default", "as it is".to_owned()),
            (
                "begin; set local application_name to default",
                r#"begin; set local application_name to default;SET LOCAL "application_name" TO 'app'"#
                    .to_owned(),
            ),
        ] {
            assert_eq!(sent(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_inserted_is_told_from_the_rest_and_moves_what_follows() {
        let text = "select 1; reset all; begin; reset application_name; set work_mem to '1MB'";
        let (effects, _) =
            session(PoolMode::Transaction).effects_of_query(text.as_bytes(), &server());
        let inserted: Vec<_> = (0..8).filter(|place| is_inserted(&effects, *place)).collect();
        assert_eq!(inserted, [2, 5]);
        let Effects::Many(changes) = effects else { panic!("there are some") };
        let set = changes.iter().find(|(_, change)| matches!(change, Change::Set(..)));
        assert_eq!(set.map(|(place, _)| *place), Some(6));
    }

    #[test]
    fn errors_behind_an_insertion_are_told_with_their_own_place() {
        let text = "/* ä */ reset all; select x";
        let (effects, restoring) =
            session(PoolMode::Transaction).effects_of_query(text.as_bytes(), &server());
        let Some(Restoring::Text(written)) = restoring else { panic!("it takes the name back") };
        let place = |text: &str| text.chars().position(|c| c == 'x').unwrap() + 1;
        let own = place(text);
        let there = String::from_utf8(written).unwrap();
        let moved = there.chars().count() - there.chars().rev().position(|c| c == 'x').unwrap();
        let error = |place: usize| format!("SERROR\0C42703\0Mno\0P{place}\0\0").into_bytes();
        let owed = Owed::Query(effects, 0);
        assert_eq!(with_own_place(Some(&owed), &error(moved)), Some(error(own)));
        assert_eq!(with_own_place(Some(&owed), &error(3)), None);
        assert_eq!(with_own_place(Some(&owed), b"SERROR\0C42703\0\0"), None);
        assert_eq!(with_own_place(None, &error(moved)), None);
    }
}
