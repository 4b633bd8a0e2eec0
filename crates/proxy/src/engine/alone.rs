//! What a client sends while it holds no server: what can be answered without one is, and the rest waits for one.

use bytes::BytesMut;
use trunkline_session::{Unleased, is_expected, unleased};
use trunkline_wire::{
    Frame, SqlState,
    frame::{HEADER, peek},
};

use super::{
    slot::{Client, Stream},
    to_server::{BAD_LENGTH, HOLD_MAX, TOO_LONG, is_too_long_for_its_kind},
    worker::Worker,
};

/// So much of a message that is too long to be held is there before a server is taken for it.
const HOLD_MIN: usize = 32 << 10;

/// What became of a burst of a client that holds no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    /// So many bytes were taken; behind them is no whole message.
    Paused(usize),
    /// So many bytes were taken; for what follows a server is needed.
    NeedsServer(usize),
    /// The client goes; nothing more of it counts.
    Gone,
}

/// What became of a frame of a client that holds no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It was answered, or needs no answer.
    Answered,
    /// More bytes are needed.
    Incomplete,
    /// A server is needed.
    NeedsServer,
    /// The client says goodbye.
    Terminate,
    /// No client sends messages with this tag.
    UnknownTag(u8),
    /// No message has this length.
    BadLength,
    /// The client has sent more than it may.
    Refuse(SqlState, &'static str),
}

impl Worker {
    /// Takes what needs no server at the start of a burst.
    pub(super) fn burst_alone(&mut self, index: usize, data: &[u8]) -> Alone {
        let (mut reply, mut used) = (std::mem::take(&mut self.reply), 0_usize);
        let mut verdict = Verdict::Answered;
        while verdict == Verdict::Answered {
            let rest = data.get(used..).unwrap_or_default();
            let (len, next) = self.judge_alone(index, rest, &mut reply);
            used = used.saturating_add(len);
            verdict = next;
        }
        self.reply = reply;
        if !self.reply.is_empty() {
            self.send_reply(index);
        }
        match verdict {
            Verdict::Answered | Verdict::Incomplete => return Alone::Paused(used),
            Verdict::NeedsServer => return Alone::NeedsServer(used),
            Verdict::Terminate => self.goodbye(index),
            Verdict::UnknownTag(tag) => self.refuse_tag(index, tag),
            Verdict::BadLength => self.refuse_silently(index, BAD_LENGTH),
            Verdict::Refuse(code, message) => self.fatal(index, code, message),
        }
        Alone::Gone
    }

    /// Judges the first frame of a client that holds no server, and answers it if no server is needed; says how many
    /// bytes were taken.
    fn judge_alone(&mut self, index: usize, data: &[u8], reply: &mut BytesMut) -> (usize, Verdict) {
        let Some(client) = self.clients.get_mut(index) else {
            return (data.len(), Verdict::Incomplete);
        };
        if client.stream.remaining > 0 {
            let dropped = client.stream.remaining.min(data.len());
            client.stream.remaining = client.stream.remaining.saturating_sub(dropped);
            let more =
                if client.stream.remaining > 0 { Verdict::Incomplete } else { Verdict::Answered };
            return (dropped, more);
        }
        let header = match peek(data) {
            Ok(Some(header)) => header,
            Ok(None) => return (0, Verdict::Incomplete),
            Err(error) if is_expected(error.tag) => return (0, Verdict::BadLength),
            Err(error) => return (0, Verdict::UnknownTag(error.tag)),
        };
        if is_too_long_for_its_kind(header) {
            return (0, Verdict::BadLength);
        }
        if header.len > self.settings.limits.max_message {
            return (0, Verdict::Refuse(SqlState::PROTOCOL_VIOLATION, TOO_LONG));
        }
        let here = header.len.min(data.len());
        let whole = data.get(..header.len).map(|bytes| Frame {
            tag: header.tag,
            body: bytes.get(HEADER..).unwrap_or_default(),
            bytes,
        });
        if client.skipping && !matches!(header.tag, b'S' | b'X') && is_expected(header.tag) {
            // After an error of ours in the extended protocol, up to the Sync.
            client.stream = Stream { remaining: header.len.saturating_sub(here), forward: false };
            return (here, Verdict::Answered);
        }
        if header.tag == b'S' {
            client.skipping = false;
        }
        match unleased(header, client.status_alone(), reply) {
            Unleased::NeedsServer => match whole {
                Some(frame)
                    if !client.crosses
                        && client.session.answer_alone(
                            frame,
                            reply,
                            &mut self.shared.surroundings(&mut self.own),
                        ) =>
                {
                    (here, Verdict::Answered)
                }
                Some(_) => (0, Verdict::NeedsServer),
                // A server is not taken for half a message, unless it is too long to be held.
                None if header.len > HOLD_MAX && here >= HOLD_MIN => (0, Verdict::NeedsServer),
                None => (0, Verdict::Incomplete),
            },
            Unleased::Done => {
                client.stream =
                    Stream { remaining: header.len.saturating_sub(here), forward: false };
                (here, Verdict::Answered)
            }
            Unleased::Terminate => (here, Verdict::Terminate),
            Unleased::UnknownTag => (0, Verdict::UnknownTag(header.tag)),
        }
    }
}

/// Whether what an idle client has sent begins, in the ordinary way, with a whole message that needs a server; any other
/// burst is looked at more closely.
#[inline]
pub(super) fn wants_server(client: &Client, data: &[u8], max_message: usize) -> bool {
    let Ok(Some(header)) = peek(data) else { return false };
    let needs = match header.tag {
        b'Q' | b'B' => true,
        // Of the unnamed statement.
        b'P' => data.get(HEADER) == Some(&0),
        _ => false,
    };
    needs
        && header.len <= data.len()
        && header.len <= max_message
        && client.stream.remaining == 0
        && !client.skipping
}
