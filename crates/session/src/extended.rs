//! The extended protocol, from the client: statements by our names, portals by the client's.

use std::{ops::Range, sync::Arc};

use bytes::{BufMut, BytesMut};
use trunkline_wire::{
    Frame, backend,
    frontend::{self, Bind, Close, Describe, Execute},
};

use crate::{
    client::{ClientSession, PoolMode, Surroundings, Unnamed},
    copy::NOBODYS,
    effect::Effects,
    environment::Meaning,
    expect::{Bound, Named, Ours, Owed},
    from_client::{Step, Ways},
    hold::Forgetting,
    name,
    outgoing::Outgoing,
    overfull,
    planted::planted,
    queue::Kind,
    server::{Intake, ServerSession},
    setting::{Folds, SettingSet},
    shape,
    statement::{RESERVED_PREFIX, Statement},
};

impl ClientSession {
    pub(crate) fn on_bind(
        &mut self,
        server: &mut ServerSession,
        frame: Frame<'_>,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
        around: &mut impl Surroundings,
    ) -> Step {
        // A malformed body is for the server to refuse.
        let parsed = Bind::parse(frame.body).ok().filter(|_| self.mode != PoolMode::Session);
        let Some(bind) = parsed else {
            if self.mode == PoolMode::Session && self.note_plain_bind(frame.body, server) {
                return Step::Wait;
            }
            server.intake = Intake::Unsynced;
            server.owed.push_light(Kind::Bind);
            ways.server.forward(range);
            return Step::Next;
        };
        let meaning = self.statement_to_bind(bind.statement, server, ways.server, around);
        let place = (&bind, range.end);
        let meaning = self.by_catalog_of_now(meaning, place, server, ways.server, around);
        let effects = match meaning {
            Meaning::Undecided => return Step::Wait,
            Meaning::Overfull => return overfull::refuse_message(server, ways, around),
            Meaning::Stale(statement) => return self.refuse_stale(statement, server, ways),
            Meaning::Ours(statement) => {
                self.bind_ours(statement, &bind, server, ways, around);
                return Step::Next;
            }
            Meaning::NotOurs if self.names_aside(bind.statement, server) => {
                return Self::step_aside(server);
            }
            Meaning::NotOurs if bind.statement.is_empty() => {
                self.lend_to_unnamed(server, ways.server, around);
                let effects = self.give_unnamed(server, ways.server);
                let effects = self.effects_by_now(effects, || self.unnamed.text(), server);
                self.note_text_of_unnamed(&effects, server);
                self.before_bind(&effects, server, ways.server);
                ways.server.forward(range);
                effects
            }
            Meaning::NotOurs => {
                let effects = self.effects_there(bind.statement);
                self.lend_to_message(&effects, server, ways.server, around);
                let stranger = Stranger::of(bind.statement);
                if stranger.is_plain() {
                    ways.server.forward(range);
                } else {
                    frontend::bind(ways.server.insert(), bind.portal, &stranger.name(), bind.rest);
                }
                effects
            }
        };
        self.note_portal(bind.portal, effects.bound(bind.rest));
        server.intake = Intake::Unsynced;
        server.owed.push_light(Kind::Bind);
        Step::Next
    }

    fn bind_ours(
        &mut self,
        statement: Arc<Statement>,
        bind: &Bind<'_>,
        server: &mut ServerSession,
        ways: &mut Ways<'_, '_>,
        around: &mut impl Surroundings,
    ) {
        let meant = self.meant.take();
        server.intake = Intake::Unsynced;
        let effects = self.effects_by_now(statement.effects.clone(), || &statement.text, server);
        if effects.is_none() {
            self.give(&statement, server, ways.server);
        } else {
            self.note_text(&statement.text, &effects, server);
            self.lend_to_message(&effects, server, ways.server, around);
            self.give(&statement, server, ways.server);
            self.before_bind(&effects, server, ways.server);
        }
        let to_server = ways.server.insert();
        if bind.portal.is_empty() {
            frontend::bind_named(to_server, &statement.bind_names, bind.rest);
        } else {
            frontend::bind(to_server, bind.portal, &statement.name, bind.rest);
        }
        self.note_portal_of(&statement, bind.portal, effects.bound(bind.rest));
        let tail = name::tail(name::of_protocol(bind.statement));
        server.owed.push_bind(Bound { statement, tail, meant });
    }

    /// The message is refused: it uses a statement that looks otherwise here than the client was told.
    pub(crate) fn refuse_stale(
        &mut self,
        statement: Arc<Statement>,
        server: &mut ServerSession,
        ways: &mut Ways<'_, '_>,
    ) -> Step {
        self.meant = None;
        shape::refuse_message(statement, server, ways)
    }

    /// Makes sure the unnamed statement on the server is this client's, or that there is none.
    pub(crate) fn give_unnamed(
        &self,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
    ) -> Effects {
        match &self.unnamed {
            Unnamed::Kept { key, body, effects, settings, .. } => {
                if *key != server.unnamed {
                    server.doubt_unnamed();
                    let parsed = (parsed_under(settings.as_deref()), Folds::Constants);
                    self.parse_under(parsed, server, out, |server, out| {
                        replay_parse(out.insert(), body);
                        server.owed.push(Owed::Ours(Ours::ParseUnnamed(*key)));
                    });
                    server.unnamed = *key;
                }
                effects.clone()
            }
            Unnamed::OnServer { key, effects } if *key == server.unnamed => effects.clone(),
            _ => {
                if server.unnamed != 0 {
                    frontend::close(out.insert(), frontend::STATEMENT, b"");
                    server.doubt_unnamed();
                    server.owed.push(Owed::Ours(Ours::CloseUnnamed));
                    server.unnamed = 0;
                }
                Effects::None
            }
        }
    }

    /// Before the unnamed statement changes: what is sent now may be discarded because of an error before it.
    pub(crate) fn remember_unnamed(&mut self, server: &mut ServerSession) {
        if server.doubt_unnamed() {
            let before = (std::mem::take(&mut self.unnamed), server.unnamed);
            server.owed.push(Owed::Before(Box::new(before)));
        }
    }

    pub(crate) fn on_describe(
        &mut self,
        server: &mut ServerSession,
        frame: Frame<'_>,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
        around: &mut impl Surroundings,
    ) -> Step {
        let mut owed = match frame.body.first() {
            Some(&frontend::STATEMENT) => Owed::DescribeStatement,
            _ => Owed::DescribePortal,
        };
        match Describe::parse(frame.body) {
            Ok(Describe { kind: frontend::STATEMENT, name }) if self.mode != PoolMode::Session => {
                match self.statement(name, server, ways.server, around) {
                    Meaning::Undecided => return Step::Wait,
                    Meaning::Overfull => return overfull::refuse_message(server, ways, around),
                    Meaning::Stale(statement) => return self.refuse_stale(statement, server, ways),
                    Meaning::Ours(statement) => {
                        let meant = self.meant.take();
                        self.lend_to_message(&statement.effects, server, ways.server, around);
                        self.meant = meant;
                        self.give(&statement, server, ways.server);
                        self.owe_meant(server);
                        let to_server = ways.server.insert();
                        frontend::describe(to_server, frontend::STATEMENT, &statement.name);
                        if !statement.told().is_whole() {
                            owed = Owed::Describe(statement);
                        }
                    }
                    Meaning::NotOurs if self.names_aside(name, server) => {
                        return Self::step_aside(server);
                    }
                    Meaning::NotOurs if name.is_empty() => {
                        self.lend_to_unnamed(server, ways.server, around);
                        self.give_unnamed(server, ways.server);
                        ways.server.forward(range);
                    }
                    Meaning::NotOurs => {
                        let effects = self.effects_there(name);
                        self.lend_to_message(&effects, server, ways.server, around);
                        let name = Stranger::of(name).name();
                        frontend::describe(ways.server.insert(), frontend::STATEMENT, &name);
                    }
                }
            }
            described => {
                if let Ok(Describe { kind: frontend::PORTAL, name }) = described
                    && let Some(statement) = self.untold_of_portal(name)
                {
                    owed = Owed::Describe(statement);
                }
                ways.server.forward(range);
            }
        }
        server.intake = Intake::Unsynced;
        server.owed.push(owed);
        Step::Next
    }

    pub(crate) fn on_execute(
        &mut self,
        server: &mut ServerSession,
        frame: Frame<'_>,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
        around: &mut impl Surroundings,
    ) -> Step {
        let effects = if self.portals.is_empty() {
            Effects::None
        } else {
            let execute = Execute::parse(frame.body);
            execute.map_or(Effects::None, |execute| self.effects_of_portal(execute.portal))
        };
        if server.awaits_names_of(&effects, ways.server) {
            return Step::Wait;
        }
        let effects = self.with_meanings(effects);
        if !effects.is_none() && self.awaits_listener(&effects, server) {
            return Step::Listen;
        }
        server.intake = Intake::Unsynced;
        if self.mode == PoolMode::Session && !effects.is_none() {
            ways.server.forward(range);
            self.execute_taking(&effects, server, ways.server);
            return Step::Next;
        }
        self.note_looks(&effects);
        self.await_outcome(&effects, server, Forgetting::Unsynced);
        self.lend_to_execute(&effects, server, ways.server, around);
        self.expect_made(&effects, server, around);
        ways.server.forward(range);
        let step = self.step_of(&effects, server);
        match effects {
            Effects::None => server.owed.push_light(Kind::Execute),
            effects if self.settings.base().is_empty() => server.owed.push(Owed::Execute(effects)),
            effects => {
                server.owed.push(Owed::Execute(effects.clone()));
                self.restore_behind(&effects, server, ways.server);
            }
        }
        step
    }

    pub(crate) fn on_close(
        &mut self,
        server: &mut ServerSession,
        frame: Frame<'_>,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
    ) -> Step {
        let close = Close::parse(frame.body);
        if let Ok(Close { kind: frontend::STATEMENT, name }) = close
            && self.mode != PoolMode::Session
        {
            if self.names_aside(name, server) {
                return Self::step_aside(server);
            }
            if server.awaits_name_of_both(name::of_protocol(name), ways.server)
                || server.takes_lent_back(name::of_protocol(name), ways.server)
            {
                return Step::Wait;
            }
            server.intake = Intake::Unsynced;
            if name.is_empty() {
                self.remember_unnamed(server);
                self.unnamed = Unnamed::None;
                server.unnamed = 0;
                server.owed.push(Owed::CloseUnnamed);
                ways.server.forward(range);
            } else if let Some((name, statement)) = self.names.remove(name::of_protocol(name)) {
                planted!(self, LostClose, self.names.insert(name.clone(), Arc::clone(&statement)));
                if server.owes_client_nothing() {
                    backend::close_complete(ways.client);
                } else {
                    frontend::close(ways.server.insert(), frontend::STATEMENT, NOBODYS);
                    server.begin_naming(&name);
                    server.owed.push(Owed::Closed(Box::new(Named { name, statement })));
                }
            } else if let Some(name) = self.there.take(name::of_protocol(name)) {
                server.begin_naming(&name);
                frontend::close(
                    ways.server.insert(),
                    frontend::STATEMENT,
                    &Stranger::of(&name).name(),
                );
                server.owed.push(Owed::CloseThere(name));
            } else {
                let name = Stranger::of(name).name();
                frontend::close(ways.server.insert(), frontend::STATEMENT, &name);
                server.owed.push(Owed::Close);
            }
            return Step::Next;
        }
        server.intake = Intake::Unsynced;
        server.owed.push(Owed::Close);
        ways.server.forward(range);
        Step::Next
    }
}

/// The environment of an unnamed statement that was parsed under these settings; none for those of a new connection.
pub(crate) fn parsed_under(settings: Option<&SettingSet>) -> &[u8] {
    settings.map_or(b"", SettingSet::environment)
}

/// Writes a Parse message whose body was kept.
fn replay_parse(out: &mut BytesMut, body: &[u8]) {
    let length = u32::try_from(body.len().saturating_add(4)).unwrap_or(u32::MAX);
    out.put_u8(frontend::tag::PARSE);
    out.put_u32(length);
    out.extend_from_slice(body);
}

/// A statement name the client does not have: the server is to say so.
pub(crate) struct Stranger<'a>(&'a [u8]);

impl<'a> Stranger<'a> {
    pub(crate) const fn of(name: &'a [u8]) -> Self {
        Self(name)
    }

    /// Whether it can go on as it is.
    pub(crate) fn is_plain(&self) -> bool {
        !self.0.starts_with(RESERVED_PREFIX)
    }

    /// The name that means nothing to the server.
    pub(crate) fn name(&self) -> std::borrow::Cow<'a, [u8]> {
        if self.is_plain() {
            return self.0.into();
        }
        [b"_", self.0].concat().into()
    }
}
