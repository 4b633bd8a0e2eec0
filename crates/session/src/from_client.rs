//! What a frame of the client means for the server that serves it.

use std::ops::Range;

use bytes::BytesMut;
use trunkline_sql::Scan;
use trunkline_wire::{
    Frame, SqlState,
    frontend::{self, Query},
};

use crate::{
    client::{ClientSession, PoolMode, Surroundings, Unnamed},
    copy::on_early_copy,
    effect::Effects,
    execute::Renaming,
    expect::Owed,
    facts::Reach,
    hidden::hides,
    hold::Forgetting,
    lend::take_back,
    look::HiddenState,
    outgoing::Outgoing,
    queue::Kind,
    restore::{Restoring, send_as_messages},
    server::{Intake, ServerSession, TxStatus},
};

/// What the shell does after a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Goes on with the next frame.
    Next,
    /// The frame was not taken: it waits until the server is no longer [full](ServerSession::is_full).
    Wait,
    /// The same, and the listener may have to be [asked](ClientSession::take_ask).
    Listen,
    /// The frame was not taken: it begins what the shell answers; see [`ClientSession::aside`].
    Aside,
    /// Goes on like [`Step::Next`]; the client may send a notification by this frame.
    Notify,
    /// The client says goodbye.
    Terminate,
    /// The client has asked for what is not allowed here: it is told and closed.
    Refuse(SqlState, &'static str),
    /// No client sends messages with this tag: it is told and closed.
    UnknownTag,
}

/// The places a frame's messages go to.
#[derive(Debug)]
pub struct Ways<'a, 'b> {
    /// Towards the server.
    pub server: &'a mut Outgoing<'b>,
    /// Towards the client, for replies made here.
    pub client: &'a mut BytesMut,
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
        if server.intake > Intake::Unsynced
            && let Some(step) = Self::on_client_amid(server, frame, range.clone(), ways)
        {
            return step;
        }
        match frame.tag {
            b'Q' => self.on_query(server, frame, range, ways, around),
            b'P' => self.on_parse(server, frame, range, ways, around),
            b'B' => self.on_bind(server, frame, range, ways, around),
            b'D' => self.on_describe(server, frame, range, ways, around),
            b'E' => self.on_execute(server, frame, range, ways, around),
            b'C' => self.on_close(server, frame, range, ways),
            b'S' => Self::on_sync(server, range, ways),
            b'H' => on_flush(server, frame, range, ways),
            b'd' | b'c' | b'f' => on_early_copy(server, range, ways),
            b'F' => {
                self.note_function_call(frame.body);
                server.owed.push(Owed::Function);
                server.intake = Intake::Messages;
                ways.server.forward(range);
                Step::Next
            }
            b'X' => Step::Terminate,
            _ => Step::UnknownTag,
        }
    }

    fn on_query(
        &mut self,
        server: &mut ServerSession,
        frame: Frame<'_>,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
        around: &mut impl Surroundings,
    ) -> Step {
        // A malformed body is for the server to refuse.
        let text = Query::parse(frame.body).map_or(b"".as_slice(), |query| query.text);
        let (effects, restoring) = self.effects_of_query(text, server);
        if effects.is_none() && restoring.is_none() {
            self.remember_unnamed(server);
            server.owed.push_light(Kind::Query);
            self.begin_query(server);
            ways.server.forward(range);
            return Step::Next;
        }
        self.send_query(text, (effects, restoring), server, range, ways, around)
    }

    /// A query that leaves something behind, or goes to the server otherwise than it is.
    fn send_query(
        &mut self,
        text: &[u8],
        (mut effects, mut restoring): (Effects, Option<Restoring>),
        server: &mut ServerSession,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
        around: &mut impl Surroundings,
    ) -> Step {
        if Self::is_aside(&effects, server) {
            return Self::step_aside(server);
        }
        if let Some(instead) = effects.instead(server, around) {
            (effects, restoring) = instead.into_query();
        }
        if server.awaits_names_of(&effects, ways.server) {
            return Step::Wait;
        }
        if let Some(value) = effects.unroutable() {
            return self.refuse_route(value, server, ways);
        }
        effects = self.with_meanings(effects);
        if let Some(refusal) = self.refusal(&effects) {
            return refusal;
        }
        if self.query_waits(&effects, &mut restoring, server, ways.server) {
            return Step::Wait;
        }
        if self.awaits_listener(&effects, server) {
            return Step::Listen;
        }
        let step = self.step_of(&effects, server);
        self.expect_made(&effects, server, around);
        let mut lent = Vec::new();
        if effects.names_statements() {
            let renaming = match &restoring {
                None => self.rename(text, &effects, server, ways.server, around),
                Some(_) => Renaming::No,
            };
            match renaming {
                Renaming::Wait => return Step::Wait,
                Renaming::Done(text, marked) => {
                    (restoring, effects) = (Some(Restoring::Text(text)), marked);
                }
                Renaming::No => {
                    match self.lend_to_query(text, &effects, server, ways.server, around) {
                        Some(names) => lent = names,
                        None => return Step::Wait,
                    }
                }
            }
        }
        self.remember_unnamed(server);
        self.note_text(text, &effects, server);
        self.note_looks(&effects);
        self.await_outcome(&effects, server, Forgetting::Asked);
        if let Some(Restoring::Messages(replay)) = &restoring {
            send_as_messages(text, effects, replay, server, ways.server);
        } else {
            server.owed.push(Owed::Query(effects, 0));
        }
        self.begin_query(server);
        match &restoring {
            None => ways.server.forward(range),
            Some(Restoring::Text(text)) => frontend::query(ways.server.insert(), text),
            Some(Restoring::Messages(_) | Restoring::Undecided) => {}
        }
        take_back(&lent, server, ways.server);
        step
    }

    /// A query is under way.
    #[inline]
    pub(crate) fn begin_query(&mut self, server: &mut ServerSession) {
        // It also ends the implicit transaction that extended messages without a Sync have begun.
        server.intake = Intake::Messages;
        // A simple query destroys the unnamed statement and portal (manual, protocol flow, extended query).
        server.unnamed = 0;
        if !matches!(self.unnamed, Unnamed::None) {
            self.unnamed = Unnamed::None;
        }
        server.forget_doubtful();
    }

    /// Whether a query must wait; if not, it is known by now how it goes to the server.
    fn query_waits(
        &self,
        effects: &Effects,
        restoring: &mut Option<Restoring>,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
    ) -> bool {
        if self.before_query(effects, server, out) {
            return true;
        }
        if !matches!(restoring, Some(Restoring::Messages(_) | Restoring::Undecided)) {
            return false;
        }
        if server.awaits_all(out) {
            return true;
        }
        if server.status != TxStatus::Idle {
            *restoring = None;
        }
        false
    }

    #[inline]
    pub(crate) fn effects_of(&self, text: &[u8], server: &ServerSession) -> Effects {
        let reach = self.scope.facts().reach();
        match trunkline_sql::ordinary(text, server.rules) {
            Some(keyword) if !reach.includes(keyword) => Effects::None,
            Some(_) => self.unseen(),
            None => self.effects_of_other(reach, text, server),
        }
    }

    /// What executing a statement leaves behind, of which this was known when it was parsed: triggers and views may have been
    /// made since.
    #[inline]
    pub(crate) fn effects_by_now<'a>(
        &'a self,
        known: Effects,
        text: impl FnOnce() -> &'a [u8],
        server: &ServerSession,
    ) -> Effects {
        if !known.is_none() || self.scope.facts().reach() == Reach::Nothing {
            return known;
        }
        self.effects_of(text(), server)
    }

    /// What an ordinary statement leaves behind that may call functions that it does not name.
    #[cold]
    fn unseen(&self) -> Effects {
        match self.limits.hidden_state {
            HiddenState::ReadBack => Effects::unseen(),
            HiddenState::Trust => Effects::None,
        }
    }

    /// The same of a text that is not quite ordinary.
    #[inline(never)]
    fn effects_of_other(&self, reach: Reach, text: &[u8], server: &ServerSession) -> Effects {
        if let Some(effects) = Effects::of_places(text) {
            return effects;
        }
        let scan = trunkline_sql::scan_other(text, server.rules);
        let effects = self.effects_of_scan(&scan, reach, text);
        self.with_bodies(effects, &scan, text, server)
    }

    /// The same of what a `PREPARE` prepares. That cannot be another `PREPARE`, which is why this is no recursion: one text
    /// can hold thousands of them, one in the other.
    pub(crate) fn effects_of_body(&self, body: &[u8], server: &ServerSession) -> Effects {
        let reach = self.scope.facts().reach();
        match trunkline_sql::ordinary(body, server.rules) {
            Some(keyword) if !reach.includes(keyword) => Effects::None,
            Some(_) => self.unseen(),
            None => {
                self.effects_of_scan(&trunkline_sql::scan_other(body, server.rules), reach, body)
            }
        }
    }

    /// What the text leaves behind of which this is the scan.
    fn effects_of_scan(&self, scan: &Scan, reach: Reach, text: &[u8]) -> Effects {
        let effects = match reach {
            Reach::Nothing => Effects::of(scan),
            reach => Effects::reaching(scan, reach),
        };
        match &effects {
            Effects::Many(changes) if hides(changes) => self.uncovered(changes, Some(text)),
            _ => effects,
        }
    }

    pub(crate) fn refusal(&self, effects: &Effects) -> Option<Step> {
        (self.mode == PoolMode::Statement && effects.begins_block()).then_some(Step::Refuse(
            SqlState::FEATURE_NOT_SUPPORTED,
            "transaction blocks are not allowed in statement pooling mode; set pool_mode to transaction for this database or user",
        ))
    }

    fn on_sync(server: &mut ServerSession, range: Range<usize>, ways: &mut Ways<'_, '_>) -> Step {
        ways.server.forward(range);
        server.sent_sync(ways.server);
        Step::Next
    }
}

impl ServerSession {
    /// It was sent a Sync of the client's, or in the client's place.
    pub(crate) fn sent_sync(&mut self, out: &mut Outgoing<'_>) {
        self.intake = Intake::Messages;
        self.owed.push_light(Kind::Sync);
        self.forget_doubtful();
        if self.forgetting != Forgetting::No {
            self.sync_forgetting();
        }
        if !self.decoys.is_empty() {
            self.take_back_behind_sync(out);
        }
    }
}

/// A Flush has no reply, but one with a body is refused, as are all messages behind it up to the Sync.
fn on_flush(
    server: &mut ServerSession,
    frame: Frame<'_>,
    range: Range<usize>,
    ways: &mut Ways<'_, '_>,
) -> Step {
    if !frame.body.is_empty() {
        server.intake = Intake::Unsynced;
        server.owed.push(Owed::Refusal);
    }
    ways.server.forward(range);
    Step::Next
}

/// Whether a client that has logged in may send messages with this tag.
pub fn is_expected(tag: u8) -> bool {
    frontend::is_known(tag) && tag != frontend::tag::PASSWORD
}
