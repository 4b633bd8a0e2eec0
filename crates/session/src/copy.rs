//! COPY FROM STDIN: what the client sends amid its data, and what the server makes of it.
//!
//! While it reads COPY data PostgreSQL ignores Sync and Flush, and takes any other message for a breach of the protocol
//! (`CopyGetData`). When the COPY has failed it reads on as after any error: it answers a Sync. Where in the data it
//! failed cannot be seen from the error, so it is not known which of the Syncs sent by then are answered. The server is
//! asked by a [question](ServerSession::put_question) whose answer cannot be taken for that of a Sync. It is sent when
//! no message of the client is behind the Syncs: the client waits at the end of its data for the outcome of the COPY,
//! and before it knows that the server reads COPY data it sends none.

use std::ops::Range;

use bytes::{BufMut, BytesMut};
use trunkline_wire::{Frame, SqlState, backend, frontend};

use crate::{
    client::ClientSession,
    expect::{Ours, Owed},
    from_client::{Step, Ways, is_expected},
    from_server::{Reply, desync},
    hold::{Forgetting, Why},
    outgoing::Outgoing,
    queue::BehindCopy,
    report::error_code,
    server::{Intake, ServerSession, TxStatus},
};

/// The name of a statement that no server has. To close it is answered, and changes nothing.
pub(crate) const NOBODYS: &[u8] = b"__trunkline_none";

/// What is not known of Syncs amid COPY data.
#[derive(Debug, Default)]
pub(crate) struct AmidCopy {
    /// Some were sent amid the data that the server reads, or may read.
    syncs: bool,
    /// Something that has no place amid COPY data was sent before it was known that the server reads such.
    broken: bool,
    question: Question,
    /// The COPY has failed in the extended protocol, and no Sync has been answered since.
    skips: bool,
    /// An answer to a Sync which may be that to ours: the last that came.
    withheld: Option<TxStatus>,
}

/// Which of the Syncs are answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Question {
    /// There is nothing to be asked.
    #[default]
    None,
    /// It must be asked between two messages of the client.
    Due,
    /// It was asked.
    Asked,
    /// It was asked behind a message that breaks the COPY if the server still reads it.
    Probed,
    /// That message was refused; what comes now is for us.
    Refused,
}

impl ServerSession {
    /// Whether a question must be put to it as soon as the client is between two messages; see
    /// [`Self::put_question`].
    pub fn has_question(&self) -> bool {
        self.amid_copy.question == Question::Due || !self.takeover.is_empty() || self.has_lent()
    }

    /// Writes the question that is due, if one is. The client must be between two messages.
    pub fn put_question(&mut self, out: &mut BytesMut) {
        if self.amid_copy.question == Question::Due {
            self.amid_copy.question = Question::Asked;
            self.hold(Why::CopySyncs);
            write_question(out);
        }
        if self.has_lent() {
            self.take_all_back(out);
        }
        self.put_takeover(out);
    }

    fn owe_answer(&mut self, question: Question) {
        self.owed.push(Owed::Doubtful);
        self.owed.push(Owed::Ours(Ours::Sync));
        self.amid_copy.syncs = false;
        self.amid_copy.question = question;
    }

    /// Whether it is not known which of the client's Syncs are answered.
    pub(crate) fn awaits_copy_syncs(&self) -> bool {
        self.amid_copy.syncs || self.amid_copy.question != Question::None
    }

    /// The server begins to read COPY data.
    pub(crate) fn begin_copy(&mut self) {
        self.copying = true;
        match self.owed.behind_copy() {
            BehindCopy::Ignored(some) => {
                self.amid_copy.syncs = some;
                self.intake = Intake::CopyData;
                // The data must go on, whatever comes behind the COPY in the same text.
                self.release_hold();
                self.forgetting = self.forgetting.min(Forgetting::Unsynced);
            }
            // The COPY breaks when that is read. If it fails before, all Syncs are answered.
            BehindCopy::Other => {
                let ended = self.owed.back().is_some_and(Owed::ends_ready);
                self.intake = if ended { Intake::Messages } else { Intake::Unsynced };
                self.amid_copy.broken = true;
            }
        }
    }

    /// The COPY has come to its end: all Syncs amid its data were ignored.
    pub(crate) fn end_copy(&mut self) {
        if std::mem::take(&mut self.copying) {
            self.owed.forget_copy_end();
            self.amid_copy.syncs = false;
            if self.is_held_for(Why::CopySyncs) {
                self.release_hold();
            }
        }
    }

    /// The COPY has failed. If Syncs are in doubt, a question is due behind them.
    pub(crate) fn fail_copy(&mut self, body: &[u8], extended: bool) -> Reply {
        if !std::mem::take(&mut self.copying) {
            return Reply::Next;
        }
        if self.intake == Intake::CopyData {
            self.intake = Intake::Messages;
        }
        self.amid_copy.skips = extended;
        self.owed.forget_copy_end();
        if self.amid_copy.question != Question::None {
            return Reply::Next;
        }
        if std::mem::take(&mut self.amid_copy.broken) {
            // It has words for that, and then ends.
            self.ending |= error_code(body) == Some(SqlState::PROTOCOL_VIOLATION);
        }
        if !std::mem::take(&mut self.amid_copy.syncs) {
            return Reply::Next;
        }
        if self.ending {
            // It was sent what it will end for.
            self.owed.push(Owed::Doubtful);
            return Reply::Next;
        }
        self.owe_answer(Question::Due);
        Reply::Ask
    }

    /// A `ReadyForQuery` has come that answers one of the Syncs, or ours. Says whether the client is given one.
    fn on_doubtful_ready(&mut self, status: TxStatus, out: &mut Outgoing<'_>) -> bool {
        self.status = status;
        match self.amid_copy.question {
            Question::Refused => false,
            Question::Asked | Question::Probed => {
                let gives = self.give_withheld(out);
                self.amid_copy.withheld = Some(status);
                gives
            }
            Question::None | Question::Due => {
                self.amid_copy.skips = false;
                backend::ready_for_query(out.insert(), status.as_byte());
                true
            }
        }
    }

    /// What came after it shows that it was not the answer to ours.
    fn give_withheld(&mut self, out: &mut Outgoing<'_>) -> bool {
        let Some(status) = self.amid_copy.withheld.take() else { return false };
        self.amid_copy.skips = false;
        backend::ready_for_query(out.insert(), status.as_byte());
        true
    }

    /// The question is answered.
    fn end_question(&mut self) {
        self.intake = if self.amid_copy.skips { Intake::Skipping } else { Intake::Messages };
        self.amid_copy = AmidCopy::default();
        self.release_hold();
    }
}

impl ClientSession {
    /// Takes a message of the client while the server does not read messages in the ordinary way; none if it does not
    /// matter for this one.
    pub(crate) fn on_client_amid(
        server: &mut ServerSession,
        frame: Frame<'_>,
        range: Range<usize>,
        ways: &mut Ways<'_, '_>,
    ) -> Option<Step> {
        if server.intake == Intake::CopyData {
            return on_copying_client(server, frame, range, ways);
        }
        if matches!(frame.tag, b'S' | b'X') {
            return None;
        }
        if server.intake == Intake::Refusing {
            server.refuse(frame.tag, ways.server);
            return Some(Step::Next);
        }
        Some(if is_expected(frame.tag) { Step::Next } else { Step::UnknownTag })
    }

    /// Takes a message of the server in answer to Syncs that are in doubt.
    pub(crate) fn on_doubtful(
        &mut self,
        server: &mut ServerSession,
        tag: u8,
        body: &[u8],
        range: Range<usize>,
        out: &mut Outgoing<'_>,
    ) -> Reply {
        match tag {
            b'Z' => {
                let Some(status) = body.first().copied().and_then(TxStatus::from_byte) else {
                    return desync(server, "a ReadyForQuery with an unknown status");
                };
                self.note_ready(status);
                if server.on_doubtful_ready(status, out) { Reply::Ready } else { Reply::Next }
            }
            b'E' => {
                server.give_withheld(out);
                if server.amid_copy.question == Question::Probed {
                    server.amid_copy.question = Question::Refused;
                } else {
                    server.amid_copy.skips = true;
                    out.forward(range);
                }
                Reply::Next
            }
            b'3' if server.amid_copy.question != Question::None => {
                server.end_question();
                server.owed.forget_front();
                Reply::Next
            }
            _ => desync(server, "an answer came in the place of that to a Sync"),
        }
    }
}

/// The server reads COPY data, or has failed to and not said so yet.
fn on_copying_client(
    server: &mut ServerSession,
    frame: Frame<'_>,
    range: Range<usize>,
    ways: &mut Ways<'_, '_>,
) -> Option<Step> {
    match frame.tag {
        b'd' => ways.server.forward(range),
        b'c' | b'f' => {
            ways.server.forward(range);
            server.send_copy_end(ways.server);
        }
        b'S' | b'H' => {
            // A Flush is answered only if it has a body, by an error.
            server.amid_copy.syncs |= frame.tag == b'S' || !frame.body.is_empty();
            ways.server.forward(range);
        }
        b'X' => return None,
        tag if is_expected(tag) => {
            server.probe_copy(tag, ways.server);
            return Some(Step::Wait);
        }
        _ => return Some(Step::UnknownTag),
    }
    Some(Step::Next)
}

impl ServerSession {
    /// The end of the COPY data is sent. After a COPY of the extended protocol the client's Sync is still due.
    pub(crate) fn send_copy_end(&mut self, out: &mut Outgoing<'_>) {
        let simple = matches!(self.owed.front(), Some(Owed::Query(..)));
        self.intake = if simple { Intake::Messages } else { Intake::Unsynced };
        self.owed.push(Owed::CopyEnd);
        if simple && self.forgets_behind_copy() {
            self.forgetting = Forgetting::Asked;
        }
        if self.amid_copy.syncs {
            frontend::flush(out.insert());
            self.hold(Why::CopySyncs);
        }
    }

    /// Whether what comes behind the COPY in the same text decides what follows.
    fn forgets_behind_copy(&self) -> bool {
        self.unsettled.has_settings()
            || matches!(self.owed.front(), Some(Owed::Query(effects, _)) if effects.forgets_statements())
    }

    /// The client sends a message with this tag, which has no place amid COPY data. If the server still reads such, it
    /// is to break off with the words for that tag; if it does not any more, the message counts. So the server is sent
    /// an empty one with that tag, which never does anything but be refused, and a question behind it; the client's
    /// own waits for what comes of them.
    pub(crate) fn probe_copy(&mut self, tag: u8, out: &mut Outgoing<'_>) {
        let to_server = out.insert();
        to_server.put_u8(tag);
        to_server.put_u32(4);
        write_question(to_server);
        self.owe_answer(Question::Probed);
        self.intake = Intake::Messages;
        self.hold(Why::CopySyncs);
    }
}

/// A Sync, a Close that is answered whatever the state of the transaction, and a Sync.
fn write_question(out: &mut BytesMut) {
    frontend::sync(out);
    frontend::close(out, frontend::STATEMENT, NOBODYS);
    frontend::sync(out);
}

/// A message that belongs to a COPY, while the server is not known to read one.
pub(crate) fn on_early_copy(
    server: &mut ServerSession,
    range: Range<usize>,
    ways: &mut Ways<'_, '_>,
) -> Step {
    if server.holds_copy_message(ways.server) {
        return Step::Wait;
    }
    ways.server.forward(range);
    Step::Next
}
