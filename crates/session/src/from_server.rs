//! What a frame of the server means for the client it serves.

use std::{ops::Range, sync::Arc};

use crate::{
    client::ClientSession,
    expect::{Bound, Ours, Owed, Purpose},
    outgoing::Outgoing,
    queue::Kind,
    readback::Told,
    report::{WHOLE_MAX, copy_of, is_fatal, is_stale, say_why, write_error},
    restore, sequence,
    server::{Intake, ServerSession, TxStatus},
    shape,
    statement::Statement,
};

/// What the shell does after a frame of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Goes on.
    Next,
    /// The server is at a `ReadyForQuery` that this client was given: ask whether it may be released.
    Ready,
    /// The same, and the client is to be told of this `ReadyForQuery` when the listener has heard what was sent by now.
    ReadyUnsaid,
    /// The same, and the server must be put a [question](ServerSession::put_question) as soon as the client is between
    /// two messages.
    ReadyToAsk,
    /// Something of ours that stands before the client's statement, other than a replay, is answered.
    Prepared,
    /// The replay has succeeded: if it was awaited, the client's frames may follow.
    Replayed,
    /// The replay has failed: nothing of the client's may be sent to this server.
    ReplayFailed,
    /// The server has said what the session has there, or could not: ask whether it may be released.
    ReadBack,
    /// Goes on; the server must be put a [question](ServerSession::put_question) as soon as the client is between two
    /// messages.
    Ask,
    /// The server has broken the protocol, or we have lost count of its replies: it must be closed.
    Desync(&'static str),
}

/// Bytes of a server frame that must be at hand before it is judged, when the whole frame is longer. Severity and
/// SQLSTATE of an `ErrorResponse` come first and fit.
pub const JUDGE_PREFIX: usize = 64;

/// Whether a frame with this tag and length may be judged by its first [`JUDGE_PREFIX`] bytes and streamed on. All
/// others are short and are judged whole.
#[inline]
pub const fn may_stream(tag: u8, len: usize) -> bool {
    matches!(tag, b'D' | b'd' | b'V' | b'N')
        || (matches!(tag, b'E' | b't' | b'T') && len > WHOLE_MAX)
}

impl ClientSession {
    /// Takes a frame of the server that serves this client. `body` may be the first part of it when
    /// [`may_stream`]; `range` is where the bytes at hand lie in the burst. Says whether the frame goes to the client
    /// by forwarding the range or not; a streamed rest follows its head.
    pub fn on_server(
        &mut self,
        server: &mut ServerSession,
        tag: u8,
        body: &[u8],
        range: Range<usize>,
        out: &mut Outgoing<'_>,
    ) -> Reply {
        if server.is_asked() {
            match server.on_told(tag, body) {
                Told::More => return Reply::Next,
                Told::All => return self.end_read_back(server),
                Told::Nothing => {}
            }
        }
        match tag {
            b'D' | b'd' | b'V' | b'H' | b'c' | b'N' => pass(server, range, out),
            b't' => {
                server.note_parameters(body);
                pass(server, range, out)
            }
            b'T' | b'n' => {
                if let Some(Owed::DescribeStatement | Owed::DescribePortal) = server.owed.front() {
                    server.owed.pop();
                    out.forward(range);
                    settle(server);
                    return Reply::Next;
                }
                match server.owed.front() {
                    Some(Owed::Describe(_)) => {
                        server.note_result(body);
                        out.forward(range);
                        Reply::Next
                    }
                    Some(Owed::Ours(Ours::TakeOver(_))) => self.take_over(server),
                    Some(Owed::Ours(Ours::Compare(_))) => self.end_comparison(server, body),
                    _ => pass(server, range, out),
                }
            }
            b'C' => self.on_complete(server, body, range, out),
            b'Z' => self.on_ready(server, body, range, out),
            b'1' | b'2' | b'3' => self.on_extended(server, tag, range, out),
            b'I' | b's' => Self::on_no_effect(server, range, out),
            b'E' => self.on_error(server, body, range, out),
            b'S' => self.on_parameter_status(server, body, range, out),
            b'A' => {
                if self.hears_from_server(body) {
                    out.forward(range);
                }
                Reply::Next
            }
            b'G' | b'W' => {
                server.begin_copy();
                pass(server, range, out)
            }
            _ => desync(server, "the server sent a message that has no place here"),
        }
    }

    fn on_complete(
        &mut self,
        server: &mut ServerSession,
        body: &[u8],
        range: Range<usize>,
        out: &mut Outgoing<'_>,
    ) -> Reply {
        if server.copying {
            server.end_copy();
        }
        match server.owed.front() {
            Some(Owed::Query(..)) => {
                if let Some((effects, place)) = server.owed.complete_in_query() {
                    if restore::is_inserted(&effects, place) {
                        return Reply::Next;
                    }
                    self.apply(server, &effects, place, command_tag(body));
                }
                out.forward(range);
                Reply::Next
            }
            Some(Owed::Execute(_)) => {
                if let Some(Owed::Execute(effects)) = server.owed.pop()
                    && !effects.is_none()
                {
                    self.apply(server, &effects, 0, command_tag(body));
                }
                // A COPY in the extended protocol ends with the portal; the Sync is still to come.
                out.forward(range);
                settle(server);
                Reply::Next
            }
            Some(Owed::Ours(Ours::Query(_))) => {
                server.replaying.1 = server.replaying.1.saturating_add(1);
                Reply::Next
            }
            Some(Owed::Ours(Ours::Execute)) => {
                if command_tag(body) == sequence::DISCARD {
                    server.sequences.discarded();
                }
                server.owed.pop();
                settle(server);
                Reply::Next
            }
            _ => desync(server, "a statement completed that was not asked for"),
        }
    }

    fn on_no_effect(
        server: &mut ServerSession,
        range: Range<usize>,
        out: &mut Outgoing<'_>,
    ) -> Reply {
        match server.owed.front() {
            Some(Owed::Query(..)) => {}
            Some(Owed::Execute(_)) => {
                server.owed.pop();
            }
            Some(Owed::Ours(Ours::Query(_))) => return Reply::Next,
            _ => return desync(server, "an empty or suspended result that was not asked for"),
        }
        out.forward(range);
        settle(server);
        Reply::Next
    }

    fn on_extended(
        &mut self,
        server: &mut ServerSession,
        tag: u8,
        range: Range<usize>,
        out: &mut Outgoing<'_>,
    ) -> Reply {
        match (tag, server.owed.front()) {
            (b'2', Some(Owed::Bind(_)))
            | (b'3', Some(Owed::Close | Owed::CloseUnnamed))
            | (b'1', Some(Owed::ParseOther)) => {
                server.owed.pop();
            }
            (b'3', Some(Owed::CloseThere(_))) => {
                server.end_naming_in_front();
                self.unpin_from_there();
            }
            (b'3', Some(Owed::Closed(_)))
            | (
                b'1',
                Some(
                    Owed::Parse(_)
                    | Owed::ParseAgain(_)
                    | Owed::ParseThere(_)
                    | Owed::ParseTaking(_),
                ),
            ) => {
                server.end_naming_in_front();
            }
            (b'1', Some(Owed::ParseUnnamed)) => {
                server.owed.pop();
                // Unless another is under way, it is the one this client has.
                if let Some(key) = self.unnamed.key() {
                    server.unnamed_parsed(key);
                }
            }
            (_, Some(Owed::Doubtful)) => return self.on_doubtful(server, tag, b"", range, out),
            _ => return self.on_extended_of_ours(server, tag),
        }
        out.forward(range);
        settle(server);
        Reply::Next
    }

    /// A completion that is not for the client.
    fn on_extended_of_ours(&mut self, server: &mut ServerSession, tag: u8) -> Reply {
        match (tag, server.owed.front()) {
            (b'1', Some(Owed::Ours(Ours::Decoy | Ours::Lent(_))))
            | (b'2', Some(Owed::Ours(Ours::Bind)))
            | (b'3', Some(Owed::Ours(Ours::CloseUnnamed | Ours::CloseOther))) => {
                server.owed.pop();
            }
            (b'1', Some(Owed::Ours(Ours::Parse(_)))) | (b'3', Some(Owed::Ours(Ours::Close(_)))) => {
                server.end_naming_in_front();
            }
            (b'3', Some(Owed::Ours(Ours::CloseTaken(_)))) => {
                server.end_naming_in_front();
                self.unpin_from_there();
            }
            (b'1', Some(Owed::Ours(Ours::ParseUnnamed(key)))) => {
                let key = *key;
                server.owed.pop();
                server.unnamed_parsed(key);
            }
            _ => return desync(server, "a completion came in the wrong place"),
        }
        settle(server);
        Reply::Next
    }

    fn on_parameter_status(
        &mut self,
        server: &mut ServerSession,
        body: &[u8],
        range: Range<usize>,
        out: &mut Outgoing<'_>,
    ) -> Reply {
        server.on_parameter(body);
        if !server.owed.front().is_some_and(Owed::is_ours) {
            out.forward(range);
            self.seen = Arc::clone(&server.reported);
        }
        Reply::Next
    }

    fn on_error(
        &mut self,
        server: &mut ServerSession,
        body: &[u8],
        range: Range<usize>,
        out: &mut Outgoing<'_>,
    ) -> Reply {
        if is_fatal(body) {
            server.ending = true;
            out.forward(range);
            return Reply::Next;
        }
        let retold = self.retold(server.owed.front(), body);
        let retold = if server.timed_out { say_why(retold, body) } else { retold };
        let told = retold.as_deref().unwrap_or(body);
        let retold = restore::with_own_place(server.owed.front(), told).or(retold);
        let reply;
        match server.owed.front() {
            None => {
                out.forward(range);
                return Reply::Next;
            }
            Some(Owed::Ours(Ours::Query(_) | Ours::Sync)) => {
                server.ours_failed = true;
                server.ours_error = copy_of(retold.as_deref().unwrap_or(body));
                return Reply::Next;
            }
            Some(Owed::Ours(Ours::TakeOver(_) | Ours::CloseTaken(_))) => {
                self.fail_takeover(server, body);
                return Reply::Next;
            }
            Some(Owed::Doubtful) => {
                self.errored = true;
                return self.on_doubtful(server, b'E', body, range, out);
            }
            Some(Owed::Query(effects, _)) => {
                let stale = self.stale_executed(effects, body);
                reply = server.fail_copy(body, false);
                if let Some(stale) = stale {
                    self.prepare_anew(&stale);
                }
            }
            Some(Owed::Function | Owed::Sync) => reply = server.fail_copy(body, false),
            Some(entry) => {
                let stale = stale_statement(entry, body);
                reply = server.fail_copy(body, true);
                self.discard(server);
                if let Some(stale) = stale {
                    self.prepare_anew(&stale);
                }
            }
        }
        self.errored = true;
        match retold {
            Some(body) => write_error(out.insert(), &body),
            None => out.forward(range),
        }
        reply
    }

    fn on_ready(
        &mut self,
        server: &mut ServerSession,
        body: &[u8],
        range: Range<usize>,
        out: &mut Outgoing<'_>,
    ) -> Reply {
        let Some(status) = body.first().copied().and_then(TxStatus::from_byte) else {
            return desync(server, "a ReadyForQuery with an unknown status");
        };
        let query = match server.owed.front_kind() {
            Some(kind @ (Kind::Query | Kind::Sync | Kind::Function)) => {
                server.owed.forget_front();
                kind == Kind::Query
            }
            _ if matches!(server.owed.front(), Some(Owed::Doubtful)) => {
                return self.on_doubtful(server, b'Z', body, range, out);
            }
            _ => match server.owed.pop().filter(Owed::ends_ready) {
                Some(Owed::Query(..)) => true,
                Some(Owed::Ours(ours)) => return self.on_ours_ready(server, &ours, status, out),
                _ => return desync(server, "a ReadyForQuery that was not owed"),
            },
        };
        server.became_ready(status);
        if query && server.intake == Intake::CopyData {
            server.intake = Intake::Messages;
        }
        self.note_ready(status);
        if status == TxStatus::Idle && !self.portals.is_empty() && server.owed.is_ours() {
            self.portals.clear();
        }
        if self.awaits_itself(server) {
            self.count_catalog_change(server);
            settle(server);
            return Reply::ReadyUnsaid;
        }
        out.forward(range);
        settle(server);
        let has_more = self.made.is_some() | self.catalog_changed | server.lent_stays;
        if has_more && (self.begin_takeover_behind(server) | server.has_lent()) {
            return Reply::ReadyToAsk;
        }
        Reply::Ready
    }

    /// The server has ended a transaction, or goes on in one.
    #[inline]
    pub(crate) fn note_ready(&mut self, status: TxStatus) {
        if status == TxStatus::Idle {
            if self.errored {
                self.settings.rollback();
                self.end_channels(false);
                self.errored = false;
            } else {
                self.settings.commit();
                self.end_channels(true);
            }
        }
        self.settle_channels();
    }

    /// The server is ready after something of ours.
    fn on_ours_ready(
        &mut self,
        server: &mut ServerSession,
        ours: &Ours,
        status: TxStatus,
        out: &mut Outgoing<'_>,
    ) -> Reply {
        server.became_ready(status);
        let reply = if matches!(ours, Ours::Query(Purpose::Replay)) {
            if server.ours_failed || status != TxStatus::Idle {
                return Reply::ReplayFailed;
            }
            self.tell_parameters(server, out.insert());
            if server.begins_again() { Reply::Next } else { Reply::Replayed }
        } else if let Ours::Query(purpose @ (Purpose::Begin | Purpose::Fail)) = ours {
            if !server.is_begun_again(*purpose) {
                return Reply::ReplayFailed;
            }
            if server.begins_again() { Reply::Next } else { Reply::Replayed }
        } else if matches!(ours, Ours::Query(Purpose::Sequences)) {
            if !server.ours_failed {
                server.sequences.discarded();
            }
            Reply::Prepared
        } else if matches!(ours, Ours::SyncAhead) {
            // The client's message goes on before the server goes to anybody else.
            Reply::Next
        } else if (self.made.is_some() | self.catalog_changed | server.lent_stays)
            && (self.begin_takeover(server) | server.has_lent())
        {
            Reply::ReadyToAsk
        } else {
            Reply::Ready
        };
        settle(server);
        reply
    }
}

#[inline]
pub(crate) fn settle(server: &mut ServerSession) {
    while server.owed.front_kind().is_some_and(Kind::is_unanswered) {
        server.owed.forget_front();
    }
}

#[inline]
fn pass(server: &ServerSession, range: Range<usize>, out: &mut Outgoing<'_>) -> Reply {
    if !server.owed.front().is_some_and(Owed::is_ours) {
        out.forward(range);
    }
    Reply::Next
}

pub(crate) fn desync(server: &mut ServerSession, what: &'static str) -> Reply {
    server.ending = true;
    Reply::Desync(what)
}

fn command_tag(body: &[u8]) -> &[u8] {
    body.strip_suffix(b"\0").unwrap_or(body)
}

/// The statement that a server refuses to bind because its result is another since it was prepared.
fn stale_statement(entry: &Owed, body: &[u8]) -> Option<Arc<Statement>> {
    match entry {
        Owed::Bind(Some(Bound { statement, .. })) if is_stale(body) => Some(Arc::clone(statement)),
        Owed::Stale(statement) if shape::is_refusal(body) => Some(Arc::clone(statement)),
        _ => None,
    }
}
