//! The client's Parse messages.

use std::{ops::Range, sync::Arc};

use trunkline_wire::{
    Frame, backend,
    frontend::{self, Parse},
};

use crate::{
    client::{ClientSession, PoolMode, Surroundings, Unnamed},
    effect::Effects,
    expect::{Compare, Named, Ours, Owed},
    extended::Stranger,
    facts::Reach,
    from_client::{Step, Ways},
    name, overfull,
    pin::PinReason,
    queue::Kind,
    recent::RecentParses,
    server::{Intake, ServerSession, TxStatus},
    setting::Folds,
    statement::{Statement, StatementLimits},
    token::{self, Instead},
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
        if self.parse_again_unnamed(server, frame.body, around) {
            server.intake = Intake::Unsynced;
            ways.server.forward(range);
            return Step::Next;
        }
        // A malformed body is for the server to refuse.
        let parsed = Parse::parse(frame.body).ok().filter(|_| self.mode != PoolMode::Session);
        let Some(parse) = parsed else {
            if self.mode != PoolMode::Session {
                server.owed.push_light(Kind::ParseOther);
            } else if self.owe_plain_parse(frame.body, server) {
                return Step::Wait;
            }
            server.intake = Intake::Unsynced;
            ways.server.forward(range);
            return Step::Next;
        };
        if parse.name.is_empty() {
            let effects = if self.has_just_parsed(frame.body, server) {
                Effects::None
            } else {
                self.effects_of(parse.text, server)
            };
            if let Some(instead) = effects.instead(server, around) {
                return self.on_parse_instead(instead, server, &parse, ways, around);
            }
            if let Some(refusal) = self.refusal(&effects) {
                return refusal;
            }
            if Self::is_aside(&effects, server) {
                return Self::step_aside(server);
            }
            if let Some(value) = effects.unroutable() {
                return self.refuse_route_parsed(value, false, server, ways);
            }
            if effects.names_statements() {
                if server.awaits_names_of(&effects, ways.server) {
                    return Step::Wait;
                }
                self.lend_to_message(&effects, server, ways.server, around);
            }
            self.parse_unnamed(frame.body, effects, server, around);
            ways.server.forward(range);
            return Step::Next;
        }
        self.on_parse_named(server, &parse, range, ways, around)
    }

    /// The unnamed statement is to be parsed from this message.
    #[inline]
    fn parse_unnamed(
        &mut self,
        body: &[u8],
        effects: Effects,
        server: &mut ServerSession,
        around: &mut impl Surroundings,
    ) {
        server.intake = Intake::Unsynced;
        self.remember_unnamed(server);
        let key = around.unnamed_key();
        self.keep_unnamed(key, body, effects, server, around.recent());
        server.unnamed = key;
        if matches!(self.unnamed, Unnamed::OnServer { .. }) {
            server.await_unnamed();
        }
        server.owed.push_light(Kind::ParseUnnamed);
    }

    /// The same, from a text that stands for the client's.
    #[cold]
    fn on_parse_instead(
        &mut self,
        instead: Instead,
        server: &mut ServerSession,
        parse: &Parse<'_>,
        ways: &mut Ways<'_, '_>,
        around: &mut impl Surroundings,
    ) -> Step {
        match instead {
            Instead::Text(text) => {
                let body = [b"\0", text, b"\0", parse.types].concat();
                self.parse_unnamed(&body, Effects::None, server, around);
                frontend::parse(ways.server.insert(), b"", text, parse.types);
                Step::Next
            }
            Instead::Refused(refusal) => {
                server.intake = Intake::Unsynced;
                // PostgreSQL forgets the one before it reads the new one.
                self.unnamed = Unnamed::None;
                server.unnamed = 0;
                token::refuse_parse(b"", refusal, server, ways.server)
            }
        }
    }

    /// The unnamed statement is parsed from the same message once more, as many drivers do for each execution, under
    /// the settings of a new connection as before, and leaves nothing behind: only its number is another.
    fn parse_again_unnamed(
        &mut self,
        server: &mut ServerSession,
        message: &[u8],
        around: &mut impl Surroundings,
    ) -> bool {
        let Unnamed::Kept { key, body, effects: Effects::None, rules, settings: None } =
            &mut self.unnamed
        else {
            return false;
        };
        // What is sent behind something that is not answered yet may be discarded, and is noted in full.
        if *rules != server.rules
            || !server.unsettled.is_nothing()
            || !server.owed.is_empty()
            || !self.settings.seen().environment().is_empty()
            || self.scope.facts().reach() != Reach::Nothing
            || !comes_again(body, message, around.recent())
        {
            return false;
        }
        *key = around.unnamed_key();
        server.unnamed = *key;
        server.owed.push_light(Kind::ParseUnnamed);
        true
    }

    /// Whether the unnamed statement is parsed from the same message once more, and is known to leave nothing behind.
    fn has_just_parsed(&self, message: &[u8], server: &ServerSession) -> bool {
        matches!(
            &self.unnamed,
            Unnamed::Kept { body, effects: Effects::None, rules, .. }
                if body[..] == *message && *rules == server.rules
        ) && self.scope.facts().reach() == Reach::Nothing
    }

    fn keep_unnamed(
        &mut self,
        key: u64,
        body: &[u8],
        effects: Effects,
        server: &ServerSession,
        recent: &RecentParses,
    ) {
        if body.len() > self.limits.unnamed_bytes {
            self.unnamed = Unnamed::OnServer { key, effects };
            return;
        }
        let outlook = self.outlook(server);
        let seen = outlook.seen();
        let settings = (!seen.environment().is_empty()).then(|| Arc::clone(seen));
        let mut kept = match std::mem::take(&mut self.unnamed) {
            Unnamed::Kept { body, .. } => body,
            _ => Arc::default(),
        };
        if let Some(shared) = recent.find(body) {
            kept = Arc::clone(shared);
        } else if let Some(own) = Arc::get_mut(&mut kept) {
            own.clear();
            own.extend_from_slice(body);
        } else {
            kept = Arc::new(body.to_vec());
        }
        self.unnamed = Unnamed::Kept { key, body: kept, effects, rules: server.rules, settings };
    }

    fn on_parse_named(
        &mut self,
        server: &mut ServerSession,
        parse: &Parse<'_>,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
        around: &mut impl Surroundings,
    ) -> Step {
        let name = name::of_protocol(parse.name);
        if server.awaits_name_of_both(name, ways.server) {
            return Step::Wait;
        }
        let intake = std::mem::replace(&mut server.intake, Intake::Unsynced);
        if self.names.contains(name) {
            refuse_duplicate(server, parse, range, ways);
            return Step::Next;
        }
        if self.there.contains(name) || !name::is_text(parse.name, &self.seen) {
            return parse_strange(server, parse, ways);
        }
        let mut effects = self.effects_of(parse.text, server);
        let mut parse = *parse;
        match effects.instead(server, around) {
            Some(Instead::Text(text)) => (parse.text, effects) = (text, Effects::None),
            Some(Instead::Refused(refusal)) => {
                return token::refuse_parse(token::NAME, refusal, server, ways.server);
            }
            None => {}
        }
        let parse = &parse;
        if let Some(refusal) = self.refusal(&effects) {
            return refusal;
        }
        if effects.explains_route() && intake == Intake::Messages {
            server.intake = intake;
            return Self::step_aside(server);
        }
        if let Some(value) = effects.unroutable() {
            return self.refuse_route_parsed(value, true, server, ways);
        }
        if effects.names_statements() && server.awaits_names_of(&effects, ways.server) {
            server.intake = intake;
            return Step::Wait;
        }
        if !self.has_room(parse) {
            self.parse_there(parse, &effects, server, range, ways, around);
            return Step::Next;
        }
        let statement = self.statement_of(parse, effects, server, around);
        if !statement.place().fits(self.names.step_for(name)) {
            return overfull::refuse_message(server, ways, around);
        }
        if server.awaits_name(&statement.name) {
            server.intake = intake;
            return Step::Wait;
        }
        self.lend_to_message(&statement.effects, server, ways.server, around);
        self.names.insert(name.into(), Arc::clone(&statement));
        let named = Box::new(Named { name: name.into(), statement: Arc::clone(&statement) });
        if server.statements.touch(statement.id) {
            if server.owes_client_nothing() {
                backend::parse_complete(ways.client);
                return Step::Next;
            }
            server.begin_naming(name);
            parse_again(named, server, ways);
        } else {
            server.begin_naming(name);
            server.begin_naming(&statement.name);
            frontend::parse(ways.server.insert(), &statement.name, parse.text, parse.types);
            server.owed.push(Owed::Parse(named));
            self.hold(&statement, server, ways.server);
            if statement.told().has_result() {
                let compare = Compare { statement, parsed_as: Some(name.into()) };
                server.compare(compare, ways.server);
            }
        }
        Step::Next
    }

    /// The statement that a message is to prepare, whether others have it already or not.
    fn statement_of(
        &self,
        parse: &Parse<'_>,
        effects: Effects,
        server: &ServerSession,
        around: &mut impl Surroundings,
    ) -> Arc<Statement> {
        // Whether the text is allowed in a failed transaction is the server's to say: such a statement is not shared. Nor is
        // one that names others, which mean for each client what it has prepared, or one that may see what nobody else
        // sees yet.
        let outlook = self.outlook(server);
        let shared = server.status != TxStatus::Failed
            && !outlook.is_unknown()
            && !effects.names_statements()
            && !self.catalog_changed
            && !self.pins.has(PinReason::Unread);
        let environment = self.environment(outlook.seen(), Folds::of(parse.text));
        let parts = (parse.text, parse.types, environment.as_ref());
        if shared {
            let hash = around.hash(parse.text, parse.types, &environment);
            around.with_store(|store| store.intern(hash, parts, || effects))
        } else {
            around.with_store(|store| store.unshared(parts, effects))
        }
    }

    /// Whether the client may have one more named statement that any server can be given.
    pub(crate) fn has_room(&self, parse: &Parse<'_>) -> bool {
        self.has_room_for(0, parse.text.len().saturating_add(parse.types.len()))
    }

    /// The same of one behind so many others, if all of them weigh this much.
    pub(crate) fn has_room_for(&self, others: usize, weight: usize) -> bool {
        let StatementLimits { count, bytes } = self.limits.client_statements;
        self.names.len().saturating_add(others) < count
            && self.names.bytes().saturating_add(weight) <= bytes
    }

    /// Leaves a statement to the server alone, under the client's own name: the client keeps that server.
    fn parse_there(
        &mut self,
        parse: &Parse<'_>,
        effects: &Effects,
        server: &mut ServerSession,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
        around: &mut impl Surroundings,
    ) {
        let name: Box<[u8]> = name::of_protocol(parse.name).into();
        if effects.names_statements() {
            self.lend_to_message(effects, server, ways.server, around);
            self.keep_there(&name, effects.clone(), around);
        }
        let stranger = Stranger::of(parse.name);
        if stranger.is_plain() {
            ways.server.forward(range);
        } else {
            frontend::parse(ways.server.insert(), &stranger.name(), parse.text, parse.types);
        }
        self.there.insert(name.clone());
        server.begin_naming(&name);
        server.owed.push(Owed::ParseThere(name));
        self.pins.add(PinReason::TooManyStatements);
        if !effects.leaves_nothing() {
            // Its executions are not followed.
            self.pins.add(PinReason::HiddenState);
        }
    }
}

/// Whether the message is the one of which `body` is the copy.
#[inline]
fn comes_again(body: &mut Arc<Vec<u8>>, message: &[u8], recent: &mut RecentParses) -> bool {
    match recent.find(message) {
        Some(shared) if Arc::ptr_eq(shared, body) => true,
        Some(shared) if body[..] == *message => {
            *body = Arc::clone(shared);
            true
        }
        None if body[..] == *message => {
            recent.note(body);
            true
        }
        _ => false,
    }
}

/// The name of the statement that a server parses in place of one that it has.
const AGAIN: &[u8] = b"__trunkline_again";

/// The server has the statement, but may have to skip the message, or to refuse it: in a failed transaction it would not
/// parse this text.
fn parse_again(named: Box<Named>, server: &mut ServerSession, ways: &mut Ways<'_, '_>) {
    let to_server = ways.server.insert();
    if server.may_have_failed() {
        frontend::parse(to_server, AGAIN, &named.statement.text, &named.statement.types);
    } else {
        frontend::parse(to_server, AGAIN, b"", b"\0\0");
    }
    frontend::close(to_server, frontend::STATEMENT, AGAIN);
    server.owed.push(Owed::ParseAgain(named));
    server.owed.push(Owed::Ours(Ours::CloseOther));
}

/// Sends a Parse whose name the server refuses.
fn parse_strange(server: &mut ServerSession, parse: &Parse<'_>, ways: &mut Ways<'_, '_>) -> Step {
    let stranger = Stranger::of(parse.name);
    frontend::parse(ways.server.insert(), &stranger.name(), parse.text, parse.types);
    server.owed.push(Owed::ParseOther);
    Step::Next
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
    send_decoy(parse.name, server, ways);
    if stranger.is_plain() {
        ways.server.forward(range);
    } else {
        frontend::parse(ways.server.insert(), &stranger.name(), parse.text, parse.types);
    }
    server.owed.push(Owed::ParseOther);
}

/// Gives the server an empty statement of this name, until after the next Sync.
pub(crate) fn send_decoy(name: &[u8], server: &mut ServerSession, ways: &mut Ways<'_, '_>) {
    let name = Stranger::of(name).name();
    if server.decoys.iter().any(|there| **there == *name) {
        return;
    }
    frontend::parse(ways.server.insert(), &name, b"", b"\0\0");
    server.owed.push(Owed::Ours(Ours::Lent(name.as_ref().into())));
    server.decoys.push(name.into());
}
