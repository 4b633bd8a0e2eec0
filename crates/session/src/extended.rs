//! The extended protocol, from the client: statements by our names, portals by the client's.

use std::{ops::Range, sync::Arc};

use bytes::{BufMut, BytesMut};
use trunkline_wire::{
    Frame,
    frontend::{self, Bind, Close, Describe, Execute, Parse},
};

use crate::{
    client::{ClientSession, PoolMode, Surroundings, Unnamed},
    effect::Effects,
    expect::{Named, Ours, Owed},
    from_client::{Step, Ways},
    from_server::settle,
    pin::PinReason,
    queue::Kind,
    server::{Forgetting, Intake, ServerSession, TxStatus},
    statement::RESERVED_PREFIX,
};

impl ClientSession {
    pub(crate) fn on_parse(
        &mut self,
        server: &mut ServerSession,
        frame: Frame<'_>,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
        around: &mut impl Surroundings,
    ) -> Step {
        server.intake = Intake::Unsynced;
        let Ok(parse) = Parse::parse(frame.body) else {
            server.owed.push(Owed::ParseOther);
            ways.server.forward(range);
            return Step::Next;
        };
        if self.mode == PoolMode::Session {
            server.owed.push(Owed::ParseOther);
            ways.server.forward(range);
            return Step::Next;
        }
        if parse.name.is_empty() {
            let effects = Self::effects_of(parse.text, server);
            if let Some(refusal) = self.refusal(&effects) {
                return refusal;
            }
            self.remember_unnamed(server);
            let key = around.unnamed_key();
            self.keep_unnamed(key, frame.body, effects);
            server.unnamed = key;
            if matches!(self.unnamed, Unnamed::OnServer { .. }) {
                server.await_unnamed();
            }
            server.owed.push_light(Kind::ParseUnnamed);
            ways.server.forward(range);
            return Step::Next;
        }
        self.on_parse_named(server, &parse, range, ways, around)
    }

    fn keep_unnamed(&mut self, key: u64, body: &[u8], effects: Effects) {
        if body.len() > self.limits.unnamed_bytes {
            self.unnamed = Unnamed::OnServer { key, effects };
            return;
        }
        let mut kept = match std::mem::take(&mut self.unnamed) {
            Unnamed::Kept { body, .. } => body,
            _ => Box::default(),
        };
        kept.clear();
        kept.extend_from_slice(body);
        self.unnamed = Unnamed::Kept { key, body: kept, effects };
    }

    fn on_parse_named(
        &mut self,
        server: &mut ServerSession,
        parse: &Parse<'_>,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
        around: &mut impl Surroundings,
    ) -> Step {
        if self.names.contains_key(parse.name) {
            refuse_duplicate(server, parse, range, ways);
            return Step::Next;
        }
        if self.names.len() >= self.limits.client_statements {
            self.pins.add(PinReason::TooManyStatements);
        }
        let effects = Self::effects_of(parse.text, server);
        if let Some(refusal) = self.refusal(&effects) {
            return refusal;
        }
        // What a pending SET or a failed transaction makes of the text is the server's to say: such a statement is
        // not shared.
        let settled = server.status != TxStatus::Failed && !settings_pending(server);
        let environment = self.environment();
        let parts = (parse.text, parse.types, environment.as_ref());
        let statement = if settled {
            let hash = around.hash(parse.text, parse.types, &environment);
            around.with_store(|store| store.intern(hash, parts, || effects))
        } else {
            around.with_store(|store| store.unshared(parts, effects))
        };
        self.names.insert(parse.name.into(), Arc::clone(&statement));
        let named = Box::new(Named { name: parse.name.into(), statement: Arc::clone(&statement) });
        if server.statements.touch(statement.id) {
            server.owed.push(Owed::Parsed(named));
            settle(server, ways.client);
        } else {
            frontend::parse(ways.server.insert(), &statement.name, parse.text, parse.types);
            server.owed.push(Owed::Parse(named));
            self.hold(&statement, server, ways.server);
        }
        Step::Next
    }

    /// What decides, beside text and types, what a statement means.
    pub(crate) fn environment(&self) -> Box<[u8]> {
        let mut environment = self.scope.to_be_bytes().to_vec();
        self.settings.current().write_parse_environment(&mut environment);
        environment.into()
    }

    pub(crate) fn on_bind(
        &mut self,
        server: &mut ServerSession,
        frame: Frame<'_>,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
    ) -> Step {
        server.intake = Intake::Unsynced;
        let parsed = Bind::parse(frame.body);
        let Ok(bind) = parsed else {
            server.owed.push(Owed::Bind(None));
            ways.server.forward(range);
            return Step::Next;
        };
        if self.mode == PoolMode::Session {
            server.owed.push(Owed::Bind(None));
            ways.server.forward(range);
            return Step::Next;
        }
        let (effects, statement) = match self.names.get(bind.statement) {
            Some(statement) if !bind.statement.is_empty() => {
                let statement = Arc::clone(statement);
                self.give(&statement, server, ways.server);
                self.lend_to_message(&statement.effects, server, ways.server);
                frontend::bind(ways.server.insert(), bind.portal, &statement.name, bind.rest);
                (statement.effects.clone(), Some(statement))
            }
            _ if bind.statement.is_empty() => {
                let effects = self.give_unnamed(server, ways);
                self.lend_to_message(&effects, server, ways.server);
                ways.server.forward(range);
                (effects, None)
            }
            _ => {
                let stranger = Stranger::of(bind.statement);
                if stranger.is_plain() {
                    ways.server.forward(range);
                } else {
                    frontend::bind(ways.server.insert(), bind.portal, &stranger.name(), bind.rest);
                }
                (Effects::None, None)
            }
        };
        self.note_portal(bind.portal, effects.bound(bind.rest));
        server.owed.push(Owed::Bind(statement));
        Step::Next
    }

    /// Makes sure the unnamed statement on the server is this client's, or that there is none.
    pub(crate) fn give_unnamed(
        &mut self,
        server: &mut ServerSession,
        ways: &mut Ways<'_, '_>,
    ) -> Effects {
        match &self.unnamed {
            Unnamed::Kept { key, body, effects } => {
                if *key != server.unnamed {
                    replay_parse(ways.server.insert(), body);
                    server.doubt_unnamed();
                    server.owed.push(Owed::Ours(Ours::ParseUnnamed(*key)));
                    server.unnamed = *key;
                }
                effects.clone()
            }
            Unnamed::OnServer { key, effects } if *key == server.unnamed => effects.clone(),
            _ => {
                if server.unnamed != 0 {
                    frontend::close(ways.server.insert(), frontend::STATEMENT, b"");
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

    #[inline]
    pub(crate) fn note_portal(&mut self, portal: &[u8], effects: Effects) {
        if !self.portals.is_empty() || !effects.is_none() {
            self.note_portal_that_matters(portal, effects);
        }
    }

    fn note_portal_that_matters(&mut self, portal: &[u8], effects: Effects) {
        self.portals.retain(|(name, _)| name.as_ref() != portal);
        if !effects.is_none() {
            self.portals.push((portal.into(), effects));
        }
    }

    pub(crate) fn on_describe(
        &mut self,
        server: &mut ServerSession,
        frame: Frame<'_>,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
    ) -> Step {
        server.intake = Intake::Unsynced;
        let owed = match frame.body.first() {
            Some(&frontend::STATEMENT) => Kind::DescribeStatement,
            _ => Kind::DescribePortal,
        };
        if let Ok(Describe { kind: frontend::STATEMENT, name }) = Describe::parse(frame.body)
            && self.mode != PoolMode::Session
        {
            if let Some(statement) = self.names.get(name).map(Arc::clone) {
                self.give(&statement, server, ways.server);
                self.lend_to_message(&statement.effects, server, ways.server);
                frontend::describe(ways.server.insert(), frontend::STATEMENT, &statement.name);
            } else if name.is_empty() {
                let effects = self.give_unnamed(server, ways);
                self.lend_to_message(&effects, server, ways.server);
                ways.server.forward(range);
            } else {
                frontend::describe(
                    ways.server.insert(),
                    frontend::STATEMENT,
                    &Stranger::of(name).name(),
                );
            }
        } else {
            ways.server.forward(range);
        }
        server.owed.push_light(owed);
        Step::Next
    }

    pub(crate) fn on_execute(
        &mut self,
        server: &mut ServerSession,
        frame: Frame<'_>,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
    ) -> Step {
        server.intake = Intake::Unsynced;
        let effects = if self.portals.is_empty() {
            Effects::None
        } else {
            Execute::parse(frame.body)
                .ok()
                .and_then(|execute| {
                    self.portals.iter().find(|(name, _)| name.as_ref() == execute.portal)
                })
                .map_or(Effects::None, |(_, effects)| effects.clone())
        };
        if effects.forgets_statements() {
            server.forgetting = Forgetting::Unsynced;
        }
        self.lend_to_message(&effects, server, ways.server);
        match effects {
            Effects::None => server.owed.push_light(Kind::Execute),
            effects => server.owed.push(Owed::Execute(effects)),
        }
        ways.server.forward(range);
        Step::Next
    }

    pub(crate) fn on_close(
        &mut self,
        server: &mut ServerSession,
        frame: Frame<'_>,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
    ) -> Step {
        server.intake = Intake::Unsynced;
        let close = Close::parse(frame.body);
        if let Ok(Close { kind: frontend::STATEMENT, name }) = close
            && self.mode != PoolMode::Session
        {
            if name.is_empty() {
                self.remember_unnamed(server);
                self.unnamed = Unnamed::None;
                server.unnamed = 0;
                server.owed.push(Owed::CloseUnnamed);
                ways.server.forward(range);
            } else if let Some((name, statement)) = self.names.remove_entry(name) {
                server.owed.push(Owed::Closed(Box::new(Named { name, statement })));
                settle(server, ways.client);
            } else {
                let name = Stranger::of(name).name();
                frontend::close(ways.server.insert(), frontend::STATEMENT, &name);
                server.owed.push(Owed::Close);
            }
            return Step::Next;
        }
        server.owed.push(Owed::Close);
        ways.server.forward(range);
        Step::Next
    }
}

/// Writes a Parse message whose body was kept.
fn replay_parse(out: &mut BytesMut, body: &[u8]) {
    let length = u32::try_from(body.len().saturating_add(4)).unwrap_or(u32::MAX);
    out.put_u8(frontend::tag::PARSE);
    out.put_u32(length);
    out.extend_from_slice(body);
}

/// Whether a setting may change before what is sent now is parsed.
fn settings_pending(server: &ServerSession) -> bool {
    server.owed.iter().any(|owed| match owed {
        Owed::Query(effects, _) | Owed::Execute(effects) => effects.touches_settings(),
        _ => false,
    })
}

/// The client parses under a name it already has. PostgreSQL refuses that (42P05), so the server is made to: it is
/// given an empty statement of that name first, which is closed after the next Sync.
fn refuse_duplicate(
    server: &mut ServerSession,
    parse: &Parse<'_>,
    range: Range<usize>,
    ways: &mut Ways<'_, '_>,
) {
    let stranger = Stranger::of(parse.name);
    frontend::parse(ways.server.insert(), &stranger.name(), b"", b"\0\0");
    server.owed.push(Owed::Ours(Ours::Decoy));
    if stranger.is_plain() {
        ways.server.forward(range);
    } else {
        frontend::parse(ways.server.insert(), &stranger.name(), parse.text, parse.types);
    }
    server.owed.push(Owed::ParseOther);
    server.decoys.push(stranger.name().into());
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
