//! What a frame of the client means for the server that serves it.

use std::{ops::Range, sync::Arc};

use bytes::{BufMut, BytesMut};
use trunkline_wire::{
    Frame, SqlState, backend,
    frontend::{self, Bind, Close, Describe, Execute, Parse, Query},
};

use crate::{
    client::{ClientSession, PoolMode, Surroundings, Unnamed},
    effect::{Change, Effects, Transaction},
    expect::{Named, Ours, Owed},
    outgoing::Outgoing,
    pin::PinReason,
    server::{Intake, ServerSession, TxStatus},
    statement::RESERVED_PREFIX,
};

/// What the shell does after a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Goes on with the next frame.
    Next,
    /// The client says goodbye.
    Terminate,
    /// The client has broken the protocol: it is told and closed.
    Refuse(SqlState, &'static str),
}

/// The places a frame's messages go to.
#[derive(Debug)]
pub struct Ways<'a, 'b> {
    /// Towards the server.
    pub server: &'a mut Outgoing<'b>,
    /// Towards the client, for replies made here.
    pub client: &'a mut BytesMut,
}

/// A frame of the client that needs no server, or the wish for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unleased {
    /// A server is needed.
    NeedsServer,
    /// It was answered, or needs no answer.
    Done,
    /// The client says goodbye.
    Terminate,
    /// The client has broken the protocol.
    Refuse(SqlState, &'static str),
}

/// Judges a frame of a client that holds no server: by its tag alone, so that an incomplete frame may be judged.
pub fn unleased(tag: u8, reply: &mut BytesMut) -> Unleased {
    match tag {
        b'Q' | b'P' | b'B' | b'E' | b'D' | b'C' | b'F' => Unleased::NeedsServer,
        b'S' => {
            backend::ready_for_query(reply, TxStatus::Idle.as_byte());
            Unleased::Done
        }
        // PostgreSQL ignores COPY messages outside of COPY (manual, protocol flow, COPY operations).
        b'H' | b'd' | b'c' | b'f' => Unleased::Done,
        b'X' => Unleased::Terminate,
        _ => Unleased::Refuse(SqlState::PROTOCOL_VIOLATION, "invalid frontend message type"),
    }
}

impl ClientSession {
    /// Takes a whole frame, found at `at` in the burst, while `server` serves this client.
    pub fn on_client(
        &mut self,
        server: &mut ServerSession,
        frame: Frame<'_>,
        at: usize,
        ways: &mut Ways<'_, '_>,
        around: &mut impl Surroundings,
    ) -> Step {
        let range = at..at.saturating_add(frame.bytes.len());
        if server.intake == Intake::Skipping && !matches!(frame.tag, b'S' | b'X') {
            return if frontend::is_known(frame.tag) { Step::Next } else { unknown_tag() };
        }
        match frame.tag {
            b'Q' => self.on_query(server, frame, range, ways),
            b'P' => self.on_parse(server, frame, range, ways, around),
            b'B' => self.on_bind(server, frame, range, ways),
            b'D' => self.on_describe(server, frame, range, ways),
            b'E' => self.on_execute(server, frame, range, ways),
            b'C' => self.on_close(server, frame, range, ways),
            b'S' => self.on_sync(server, range, ways),
            b'H' => {
                ways.server.forward(range);
                Step::Next
            }
            b'd' => {
                ways.server.forward(range);
                Step::Next
            }
            b'c' | b'f' => {
                on_copy_end(server);
                ways.server.forward(range);
                self.settle(server, ways.client);
                Step::Next
            }
            b'F' => {
                server.owed.push(Owed::Function);
                server.intake = Intake::Messages;
                ways.server.forward(range);
                Step::Next
            }
            b'X' => Step::Terminate,
            _ => unknown_tag(),
        }
    }

    fn on_query(
        &mut self,
        server: &mut ServerSession,
        frame: Frame<'_>,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
    ) -> Step {
        let effects = match Query::parse(frame.body) {
            Ok(query) if self.mode != PoolMode::Session => Self::effects_of(query.text, server),
            // A malformed body is for the server to refuse.
            _ => Effects::None,
        };
        if let Some(refusal) = self.refusal(&effects) {
            return refusal;
        }
        server.owed.push(Owed::Query(effects, 0));
        // It also ends the implicit transaction that extended messages without a Sync have begun.
        server.intake = Intake::Messages;
        // A simple query destroys the unnamed statement and portal (manual, protocol flow, extended query).
        server.unnamed = 0;
        if !matches!(self.unnamed, Unnamed::None) {
            self.unnamed = Unnamed::None;
        }
        ways.server.forward(range);
        Step::Next
    }

    fn effects_of(text: &[u8], server: &ServerSession) -> Effects {
        Effects::scan(text, server.standard_strings())
    }

    fn refusal(&self, effects: &Effects) -> Option<Step> {
        let begins = match effects {
            Effects::None => false,
            Effects::Transaction(transaction) => *transaction == Transaction::Begin,
            Effects::Many(changes) => changes.iter().any(|(_, change)| *change == Change::Begin),
        };
        (begins && self.mode == PoolMode::Statement).then_some(Step::Refuse(
            SqlState::FEATURE_NOT_SUPPORTED,
            "transaction blocks are not allowed in statement pooling mode; set pool_mode to transaction for this database or user",
        ))
    }

    fn on_parse(
        &mut self,
        server: &mut ServerSession,
        frame: Frame<'_>,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
        around: &mut impl Surroundings,
    ) -> Step {
        server.intake = Intake::Unsynced;
        let Ok(parse) = Parse::parse(frame.body) else {
            server.owed.push(Owed::ParseUnnamed);
            ways.server.forward(range);
            return Step::Next;
        };
        if self.mode == PoolMode::Session {
            server.owed.push(Owed::ParseUnnamed);
            ways.server.forward(range);
            return Step::Next;
        }
        if parse.name.is_empty() {
            let effects = Self::effects_of(parse.text, server);
            if let Some(refusal) = self.refusal(&effects) {
                return refusal;
            }
            let key = around.unnamed_key();
            self.keep_unnamed(key, frame.body, effects);
            server.unnamed = key;
            server.owed.push(Owed::ParseUnnamed);
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
            refuse_duplicate(server, parse.name, range, ways);
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
            self.settle(server, ways.client);
        } else {
            frontend::parse(ways.server.insert(), &statement.name, parse.text, parse.types);
            server.owed.push(Owed::Parse(named));
            self.hold(&statement, server, ways.server);
        }
        Step::Next
    }

    /// What decides, beside text and types, what a statement means.
    fn environment(&self) -> Box<[u8]> {
        let mut environment = self.scope.to_be_bytes().to_vec();
        self.settings.current().write_parse_environment(&mut environment);
        environment.into()
    }

    /// Answers a message of a client that holds no server, if none is needed for it: a Parse of a statement that a
    /// server of this pool has accepted before, and a Close of a statement. The server is given the statement when it
    /// is used. Without this, clients that prepare at their start would queue for servers behind clients that hold
    /// theirs in transactions.
    pub fn answer_alone(
        &mut self,
        frame: Frame<'_>,
        reply: &mut BytesMut,
        around: &mut impl Surroundings,
    ) -> bool {
        if self.mode == PoolMode::Session {
            return false;
        }
        match frame.tag {
            b'P' => self.parse_alone(frame, reply, around),
            b'C' => match Close::parse(frame.body) {
                Ok(Close { kind: frontend::STATEMENT, name })
                    if self.names.remove(name).is_some() =>
                {
                    backend::close_complete(reply);
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn parse_alone(
        &mut self,
        frame: Frame<'_>,
        reply: &mut BytesMut,
        around: &mut impl Surroundings,
    ) -> bool {
        let Ok(parse) = Parse::parse(frame.body) else { return false };
        if parse.name.is_empty()
            || self.names.contains_key(parse.name)
            || self.names.len() >= self.limits.client_statements
        {
            return false;
        }
        let environment = self.environment();
        let parts = (parse.text, parse.types, environment.as_ref());
        let hash = around.hash(parse.text, parse.types, &environment);
        let known = around.with_store(|store| store.find(hash, parts));
        let Some(statement) = known.filter(|statement| statement.is_accepted()) else {
            return false;
        };
        self.names.insert(parse.name.into(), statement);
        backend::parse_complete(reply);
        true
    }

    fn on_bind(
        &mut self,
        server: &mut ServerSession,
        frame: Frame<'_>,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
    ) -> Step {
        server.intake = Intake::Unsynced;
        let parsed = Bind::parse(frame.body);
        let Ok(bind) = parsed else {
            server.owed.push(Owed::Bind);
            ways.server.forward(range);
            return Step::Next;
        };
        if self.mode == PoolMode::Session {
            server.owed.push(Owed::Bind);
            ways.server.forward(range);
            return Step::Next;
        }
        let effects = match self.names.get(bind.statement) {
            Some(statement) if !bind.statement.is_empty() => {
                let statement = Arc::clone(statement);
                self.give(&statement, server, ways.server);
                frontend::bind(ways.server.insert(), bind.portal, &statement.name, bind.rest);
                statement.effects.clone()
            }
            _ if bind.statement.is_empty() => {
                let effects = self.give_unnamed(server, ways);
                ways.server.forward(range);
                effects
            }
            _ => {
                let stranger = Stranger::of(bind.statement);
                if stranger.is_plain() {
                    ways.server.forward(range);
                } else {
                    frontend::bind(ways.server.insert(), bind.portal, &stranger.name(), bind.rest);
                }
                Effects::None
            }
        };
        self.note_portal(bind.portal, effects);
        server.owed.push(Owed::Bind);
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
                    server.owed.push(Owed::Ours(Ours::ParseUnnamed));
                    server.unnamed = *key;
                }
                effects.clone()
            }
            Unnamed::OnServer { key, effects } if *key == server.unnamed => effects.clone(),
            _ => {
                if server.unnamed != 0 {
                    frontend::close(ways.server.insert(), frontend::STATEMENT, b"");
                    server.owed.push(Owed::Ours(Ours::CloseOther));
                    server.unnamed = 0;
                }
                Effects::None
            }
        }
    }

    pub(crate) fn note_portal(&mut self, portal: &[u8], effects: Effects) {
        if self.portals.is_empty() && effects.is_none() {
            return;
        }
        self.portals.retain(|(name, _)| name.as_ref() != portal);
        if !effects.is_none() {
            self.portals.push((portal.into(), effects));
        }
    }

    fn on_describe(
        &mut self,
        server: &mut ServerSession,
        frame: Frame<'_>,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
    ) -> Step {
        server.intake = Intake::Unsynced;
        let owed = match frame.body.first() {
            Some(&frontend::STATEMENT) => Owed::DescribeStatement,
            _ => Owed::DescribePortal,
        };
        if let Ok(Describe { kind: frontend::STATEMENT, name }) = Describe::parse(frame.body)
            && self.mode != PoolMode::Session
        {
            if let Some(statement) = self.names.get(name).map(Arc::clone) {
                self.give(&statement, server, ways.server);
                frontend::describe(ways.server.insert(), frontend::STATEMENT, &statement.name);
            } else if name.is_empty() {
                self.give_unnamed(server, ways);
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
        server.owed.push(owed);
        Step::Next
    }

    fn on_execute(
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
        server.owed.push(Owed::Execute(effects));
        ways.server.forward(range);
        Step::Next
    }

    fn on_close(
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
                self.unnamed = Unnamed::None;
                server.unnamed = 0;
            } else if let Some((name, statement)) = self.names.remove_entry(name) {
                server.owed.push(Owed::Closed(Box::new(Named { name, statement })));
                self.settle(server, ways.client);
                return Step::Next;
            } else {
                frontend::close(
                    ways.server.insert(),
                    frontend::STATEMENT,
                    &Stranger::of(name).name(),
                );
                server.owed.push(Owed::Close);
                return Step::Next;
            }
        }
        server.owed.push(Owed::Close);
        ways.server.forward(range);
        Step::Next
    }

    fn on_sync(
        &mut self,
        server: &mut ServerSession,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
    ) -> Step {
        ways.server.forward(range);
        if server.intake == Intake::CopyData {
            // The server ignores Sync while it reads COPY data.
            return Step::Next;
        }
        server.intake = Intake::Messages;
        server.owed.push(Owed::Sync);
        if !server.decoys.is_empty() {
            for name in std::mem::take(&mut server.decoys) {
                frontend::close(ways.server.insert(), frontend::STATEMENT, &name);
                server.owed.push(Owed::Ours(Ours::CloseOther));
            }
            frontend::sync(ways.server.insert());
            server.owed.push(Owed::Ours(Ours::Sync));
        }
        Step::Next
    }
}

/// The client has sent all its COPY data. After a COPY of the extended protocol its Sync is still due.
fn on_copy_end(server: &mut ServerSession) {
    if server.intake == Intake::CopyData {
        let simple = matches!(server.owed.front(), Some(Owed::Query(..)));
        server.intake = if simple { Intake::Messages } else { Intake::Unsynced };
    }
    server.owed.push(Owed::CopyEnd);
}

/// Writes a Parse message whose body was kept.
fn replay_parse(out: &mut BytesMut, body: &[u8]) {
    let length = u32::try_from(body.len().saturating_add(4)).unwrap_or(u32::MAX);
    out.put_u8(frontend::tag::PARSE);
    out.put_u32(length);
    out.extend_from_slice(body);
}

fn unknown_tag() -> Step {
    Step::Refuse(SqlState::PROTOCOL_VIOLATION, "invalid frontend message type")
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
    name: &[u8],
    range: Range<usize>,
    ways: &mut Ways<'_, '_>,
) {
    frontend::parse(ways.server.insert(), name, b"", b"\0\0");
    server.owed.push(Owed::Ours(Ours::Decoy));
    ways.server.forward(range);
    server.owed.push(Owed::ParseUnnamed);
    server.decoys.push(name.into());
}

/// A statement name the client does not have: the server is to say so.
struct Stranger<'a>(&'a [u8]);

impl<'a> Stranger<'a> {
    const fn of(name: &'a [u8]) -> Self {
        Self(name)
    }

    /// Whether it can go on as it is.
    fn is_plain(&self) -> bool {
        !self.0.starts_with(RESERVED_PREFIX)
    }

    /// The name that means nothing to the server.
    fn name(&self) -> std::borrow::Cow<'a, [u8]> {
        if self.is_plain() {
            return self.0.into();
        }
        [b"_", self.0].concat().into()
    }
}
