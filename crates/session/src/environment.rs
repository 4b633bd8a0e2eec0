//! The settings that a statement is parsed under, and keeping each statement under its own.
//!
//! PostgreSQL folds settings into a statement when it parses it: `'2020-01-01 00:00'::timestamptz` prepared under UTC
//! stays what it was after `SET TimeZone`. So a statement that is prepared on another server is parsed under the
//! settings of its first Parse. A client whose settings have changed since then does not use the statement it shares
//! with others any more, but one of its own: a server may have to analyse a statement anew at any time, and what it
//! folds in then must not reach other clients. After a change of `search_path` PostgreSQL itself analyses a statement
//! anew under the settings of that moment; then the client gets the statement of those settings.

use std::{borrow::Cow, sync::Arc};

use trunkline_wire::frontend;

use crate::{
    ahead::Course,
    change::{Change, Look},
    client::{ClientSession, Surroundings},
    effect::{Effects, Transaction},
    expect::{Named, Ours, Owed},
    hold::Forgetting,
    name,
    outgoing::Outgoing,
    pin::PinReason,
    planted::planted,
    replay::Replay,
    server::{ServerSession, TxStatus},
    setting::{Folds, SettingSet},
    statement::Statement,
    track::SettingsTrack,
};

/// What a client means by the name of a statement.
#[derive(Debug)]
pub(crate) enum Meaning {
    /// A statement that servers know by a name of ours.
    Ours(Arc<Statement>),
    /// The unnamed statement, one that lives on the server under the client's own name, or none.
    NotOurs,
    /// What is under way decides it: the message waits.
    Undecided,
    /// It would have to be prepared anew for the settings of now, for which there is no room.
    Overfull,
    /// A statement that looks otherwise on this server than clients were told; see [`crate::shape`].
    Stale(Arc<Statement>),
}

/// The name of the statement and of the portal by which a setting is changed for a Parse.
const DETOUR: &[u8] = b"__trunkline_set";

impl ClientSession {
    /// The settings that what is sent now will be parsed under, if all that was sent before succeeds. What is sent
    /// behind a failure is skipped by the server, up to a Sync; and what follows that Sync waits (see
    /// [`Self::await_outcome`]).
    pub(crate) fn outlook(&self, server: &ServerSession) -> Cow<'_, SettingsTrack> {
        if !server.unsettled.has_settings() {
            return Cow::Borrowed(&self.settings);
        }
        let mut track = self.settings.clone();
        for owed in server.owed.iter() {
            match owed {
                Owed::Query(effects, done) => foresee(&mut track, effects, *done),
                Owed::Execute(effects) => foresee(&mut track, effects, 0),
                _ => {}
            }
        }
        Cow::Owned(track)
    }

    /// Before something is sent: whether what follows it depends on its outcome, and therefore waits for it.
    pub(crate) fn await_outcome(
        &self,
        effects: &Effects,
        server: &mut ServerSession,
        when: Forgetting,
    ) {
        if effects.is_none() {
            return;
        }
        if effects.unsettles(self.settings.is_open()) {
            server.unsettled.add_settings();
            server.forgetting = when;
        }
    }

    /// What tells statements apart beside their texts and types: the pool, how often its catalog has changed, and the
    /// settings.
    pub(crate) fn environment(&self, settings: &SettingSet, folds: Folds) -> Box<[u8]> {
        let (number, changes) = (self.scope.number, self.scope.facts().catalog().changes());
        let (number, changes) = (number.to_be_bytes(), changes.to_be_bytes());
        planted!(self, SharedKey, return [number, changes].concat().into());
        [number.as_slice(), &changes, settings.environment_for(folds)].concat().into()
    }

    /// The statement that this client means by a name, as it may be used now. If that is another than before, the
    /// caller finds what it was in `self.meant`, for the case that its message is refused.
    pub(crate) fn statement(
        &mut self,
        name: &[u8],
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
        around: &mut impl Surroundings,
    ) -> Meaning {
        self.statement_to_bind(name, server, out, around)
    }

    /// The same, for a whole Bind.
    #[expect(clippy::inline_always, reason = "it has two callers, one of which is in a hurry")]
    #[inline(always)]
    pub(crate) fn statement_to_bind(
        &mut self,
        name: &[u8],
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
        around: &mut impl Surroundings,
    ) -> Meaning {
        if server.unsettled.is_nothing()
            && !self.settings.is_unknown()
            && let Some(statement) = self.names.get(name::of_protocol(name))
            && statement.is_of(self.settings.seen())
        {
            let statement = Arc::clone(statement);
            return self.as_told(statement, server, out);
        }
        self.statement_undecided(name, server, out, around)
    }

    /// It may have to be waited for, there may be none, or the settings may be others than those of the statement.
    #[cold]
    fn statement_undecided(
        &mut self,
        name: &[u8],
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
        around: &mut impl Surroundings,
    ) -> Meaning {
        if name.is_empty() {
            let effects = self.unnamed.effects();
            let waits = server.awaits_unnamed()
                || server.awaits_names_of(&effects, out)
                || self.gives_unnamed_ahead(server, out);
            return if waits { Meaning::Undecided } else { Meaning::NotOurs };
        }
        if server.awaits_name_of_both(name::of_protocol(name), out) {
            return Meaning::Undecided;
        }
        let statement = match self.meaning(name, server, around) {
            Meaning::Ours(statement) => statement,
            other => return other,
        };
        let course = self.course_of(&statement, server);
        if course == Course::Ahead {
            self.give(&statement, server, out);
            self.owe_meant(server);
            server.end_ahead(out);
            return Meaning::Undecided;
        }
        if course == Course::Undecided
            || server.awaits_name(&statement.name)
            || server.awaits_names_of(&statement.effects, out)
        {
            self.mean_as_before();
            return Meaning::Undecided;
        }
        self.as_told(statement, server, out)
    }

    /// The message for which a name was looked up is not sent: it means what it meant before.
    pub(crate) fn mean_as_before(&mut self) {
        if let Some(meant) = self.meant.take() {
            self.names.insert(meant.name, meant.statement);
        }
    }

    /// What a name means if all that is under way succeeds.
    pub(crate) fn meaning(
        &mut self,
        name: &[u8],
        server: &ServerSession,
        around: &mut impl Surroundings,
    ) -> Meaning {
        let known = self.names.get(name::of_protocol(name));
        let Some(mut statement) = known.map(Arc::clone) else { return Meaning::NotOurs };
        if statement.is_draft() {
            let Some(made) = self.statement_of_draft(name, around) else {
                return Meaning::Overfull;
            };
            statement = made;
        }
        let settled = !server.unsettled.has_settings() && !self.settings.is_unknown();
        if settled && statement.is_of(self.settings.seen()) {
            return Meaning::Ours(statement);
        }
        let elsewhere = self.statement_elsewhere(name, statement, server, around);
        elsewhere.map_or(Meaning::Overfull, Meaning::Ours)
    }

    /// The settings may be others than those of the statement. None if there is no room for another.
    fn statement_elsewhere(
        &mut self,
        name: &[u8],
        statement: Arc<Statement>,
        server: &ServerSession,
        around: &mut impl Surroundings,
    ) -> Option<Arc<Statement>> {
        if server.status == TxStatus::Failed && server.owed.is_empty() {
            // It will be refused.
            return Some(statement);
        }
        let outlook = self.outlook(server);
        let (seen, unknown) = (Arc::clone(outlook.seen()), outlook.is_unknown());
        drop(outlook);
        if !unknown && statement.is_of(&seen) {
            return Some(statement);
        }
        let folds = statement.folds();
        let now = self.environment(&seen, folds);
        let (text, types) = (statement.text.as_ref(), statement.types.as_ref());
        let effects = statement.effects.clone();
        let other = if !unknown && plans_follow(statement.settings(), seen.environment_for(folds)) {
            let hash = around.hash(text, types, &now);
            around.with_store(|store| store.intern(hash, (text, types, &now), || effects))
        } else if !statement.is_shared() {
            return Some(statement);
        } else {
            let parts = (text, types, statement.environment.as_ref());
            around.with_store(|store| store.unshared(parts, effects))
        };
        if !other.place().fits(0) {
            return None;
        }
        let name: Box<[u8]> = name::of_protocol(name).into();
        self.names.insert(name.clone(), Arc::clone(&other));
        self.meant = Some(Box::new(Named { name, statement }));
        Some(other)
    }

    /// What a name meant before a message that may be refused.
    pub(crate) fn owe_meant(&mut self, server: &mut ServerSession) {
        if let Some(meant) = self.meant.take()
            && !server.owed.is_empty()
        {
            server.owed.push(Owed::Meant(meant));
        }
    }

    /// The settings change to those of `environment`, for what is written by `parse`, and back. All of it is undone
    /// by the server if any of it fails, as the settings are changed for the transaction only.
    pub(crate) fn parse_under(
        &self,
        (environment, folds): (&[u8], Folds),
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
        parse: impl FnOnce(&mut ServerSession, &mut Outgoing<'_>),
    ) {
        let Some((here, there)) = self.detour((environment, folds), server) else {
            return parse(server, out);
        };
        change_settings(&Replay::local(&here, &there), server, out);
        parse(server, out);
        change_settings(&Replay::local(&there, &here), server, out);
    }

    /// The settings of the moment, and those to which they must change for a Parse under `environment`; none if they are
    /// the same.
    pub(crate) fn detour(
        &self,
        (environment, folds): (&[u8], Folds),
        server: &ServerSession,
    ) -> Option<(SettingSet, SettingSet)> {
        if !server.unsettled.has_settings()
            && environment == self.settings.seen().environment_for(folds)
        {
            return None;
        }
        let outlook = self.outlook(server);
        let here = outlook.seen().environment_for(folds);
        // What is not known could not be brought back.
        let changes = !outlook.is_unknown() && environment != here;
        changes.then(|| (SettingSet::of_environment(here), SettingSet::of_environment(environment)))
    }
}

/// Runs the statements of a replay in the extended protocol, in the transaction that is open there. What an error has
/// left of an earlier one is closed first.
fn change_settings(replay: &Replay, server: &mut ServerSession, out: &mut Outgoing<'_>) {
    for text in replay.statements() {
        run_between(text, server, out);
    }
}

/// Runs a statement of ours between messages of the extended protocol.
pub(crate) fn run_between(text: &[u8], server: &mut ServerSession, out: &mut Outgoing<'_>) {
    run_between_as(text, Owed::Ours(Ours::Execute), server, out);
}

/// The same; `executed` is owed for its execution.
pub(crate) fn run_between_as(
    text: &[u8],
    executed: Owed,
    server: &mut ServerSession,
    out: &mut Outgoing<'_>,
) {
    let to_server = out.insert();
    frontend::close(to_server, frontend::STATEMENT, DETOUR);
    frontend::parse(to_server, DETOUR, text, b"\0\0");
    frontend::bind(to_server, DETOUR, DETOUR, b"\0\0\0\0\0\0");
    frontend::execute(to_server, DETOUR, 0);
    frontend::close(to_server, frontend::PORTAL, DETOUR);
    frontend::close(to_server, frontend::STATEMENT, DETOUR);
    let before = [Ours::CloseOther, Ours::Decoy, Ours::Bind].map(Owed::Ours);
    let behind = [Ours::CloseOther, Ours::CloseOther].map(Owed::Ours);
    for owed in before.into_iter().chain([executed]).chain(behind) {
        server.owed.push(owed);
    }
}

/// Whether PostgreSQL itself analyses a statement of environment `old` anew under `new` (plancache.c,
/// `RevalidateCachedQuery`), with the settings of that moment: it does when names may mean other things, but never
/// reads the text again.
fn plans_follow(old: &[u8], new: &[u8]) -> bool {
    let (old, new) = (SettingSet::of_environment(old), SettingSet::of_environment(new));
    let differs = |name: &[u8]| old.get(name) != new.get(name);
    let mut names = old.iter().chain(new.iter()).map(|entry| entry.name.as_ref());
    if differs(b"search_path") {
        return !READING.iter().any(|name| differs(name));
    }
    names.all(|name| name == b"role" || name == b"session_authorization" || !differs(name))
}

/// The settings by which a text is read.
const READING: [&[u8]; 3] =
    [b"backslash_quote", b"client_encoding", b"standard_conforming_strings"];

/// Follows what has been sent as if it had succeeded; `done` statements of it have.
fn foresee(track: &mut SettingsTrack, effects: &Effects, done: usize) {
    match effects {
        Effects::None | Effects::Transaction(Transaction::Begin) => {}
        Effects::Transaction(Transaction::Commit) => track.commit(),
        Effects::Transaction(Transaction::Rollback) => track.rollback(),
        Effects::Many(changes) => {
            for (_, change) in changes.iter().filter(|(place, _)| *place >= done) {
                foresee_change(track, change);
            }
        }
    }
}

fn foresee_change(track: &mut SettingsTrack, change: &Change) {
    match change {
        Change::Commit => track.commit(),
        Change::Rollback => track.rollback(),
        Change::Savepoint(name) => track.savepoint(name),
        Change::RollbackTo(name) => track.rollback_to(name),
        Change::Release(name) => track.release(name),
        Change::Set(name, value) => {
            let followed = track.set(name, value);
            if !followed {
                track.set_unknown();
            }
        }
        Change::SetLocal(name, value) => track.set_local(name, value.as_ref()),
        Change::SetLocalUnknown
        | Change::SetBound { .. }
        | Change::Look(Look::Hidden(_) | Look::Computed(_))
        | Change::Pin(PinReason::HiddenState | PinReason::ComputedSetting) => track.set_unknown(),
        Change::Reset(name) => track.reset(name),
        Change::ResetAll => track.reset_all(),
        Change::DiscardAll => track.discard_all(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use trunkline_sql::Value;

    use super::*;

    fn environment(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut set = SettingSet::default();
        for (name, value) in entries {
            set.set(name.as_bytes(), Value::Written(value.as_bytes().into()));
        }
        set.environment().to_vec()
    }

    #[test]
    fn plans_follow_names_but_not_constants_or_the_reading_of_the_text() {
        let none = environment(&[]);
        let path = environment(&[("search_path", "a")]);
        let path_and_zone = environment(&[("search_path", "a"), ("timezone", "UTC")]);
        let zone = environment(&[("timezone", "UTC")]);
        let role = environment(&[("role", "a")]);
        let role_and_zone = environment(&[("role", "a"), ("timezone", "UTC")]);
        let path_and_reading =
            environment(&[("search_path", "a"), ("standard_conforming_strings", "off")]);
        for (old, new, follow) in [
            (&none, &path, true),
            (&none, &path_and_zone, true),
            (&none, &role, true),
            (&none, &zone, false),
            (&zone, &none, false),
            (&none, &role_and_zone, false),
            (&none, &path_and_reading, false),
        ] {
            assert_eq!(plans_follow(old, new), follow, "{old:?} {new:?}");
        }
    }
}
