//! From a client towards the server that serves it.

use trunkline_session::{Long, OWED_MAX, Outgoing, Parcel, Step, Ways, is_expected};
use trunkline_wire::{
    Frame, Header, SqlState,
    backend::Report,
    frame::{HEADER, peek},
};

use super::{
    readiness::Token,
    shared::Around,
    slot::{Client, Server, ServerState, Stream},
    worker::{Again, Worker},
};

/// Longer messages are not held until they are complete, but passed on as they come.
pub(super) const HOLD_MAX: usize = 256 << 10;

/// What a client is told whose message is longer than the settings allow.
pub(super) const TOO_LONG: &str = "message is longer than limits.max_message allows";

/// Replies that may be owed to a client while others wait for a server.
const OWED_IN_CROWD: usize = 128;

/// The longest message of a kind that is always short (`PQ_SMALL_MESSAGE_LIMIT` of `libpq.h`, and its tag).
const SHORT_MAX: usize = 10_001;

/// What the log is told of a client whose message has an impossible length.
pub(super) const BAD_LENGTH: &str = "invalid message length";

/// Whether a message is longer than PostgreSQL lets one of its kind be.
pub(super) fn is_too_long_for_its_kind(header: Header) -> bool {
    header.len > SHORT_MAX
        && matches!(header.tag, b'C' | b'D' | b'E' | b'H' | b'S' | b'X' | b'c' | b'f')
}

/// How a burst of a client ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Burst {
    /// All complete frames were taken.
    Taken,
    /// The client goes.
    Terminate,
    /// No client sends messages with this tag.
    UnknownTag(u8),
    /// No message has this length.
    BadLength,
    /// The client has asked for what it may not.
    Refuse(SqlState, &'static str),
    /// The server was sent something that it will refuse and end.
    LeftToServer,
    /// A frame waits for the listener.
    Listen,
    /// A frame is answered here.
    Aside,
}

impl Worker {
    /// Sends a burst to the server that serves the client; says how many bytes were taken.
    pub(super) fn forward_burst(
        &mut self,
        index: usize,
        server_index: usize,
        data: &[u8],
    ) -> usize {
        let (Some(client), Some(server)) =
            (self.clients.get_mut(index), self.servers.get_mut(server_index))
        else {
            return data.len();
        };
        let mut out = Outgoing::new(data, &mut self.splice);
        let mut ways = Ways { server: &mut out, client: &mut self.reply };
        let mut around = self.shared.surroundings(&mut self.own);
        let crowd = self.pools.get(client.pool).is_some_and(|pool| pool.is_crowded(self.index));
        let patience = self.now.saturating_sub(self.times.slack);
        let most = if crowd { owed_in_crowd(client, server, patience) } else { OWED_MAX };
        let limits = (self.settings.limits.max_message, most);
        let (taken, end) = judge_burst(client, server, data, &mut ways, &mut around, limits);
        if client.query_since == 0 && (taken > 0 || server.session.is_kept_waiting()) {
            client.query_since = self.now;
            if client.transaction_since == 0 {
                client.transaction_since = self.now;
            }
        }
        let sent = match out.finish() {
            Parcel::Nothing => Ok(()),
            Parcel::Direct(bytes) => server.link.send(bytes),
            Parcel::Spliced => server.link.send(&self.splice),
        }
        .and_then(|()| {
            server.link.update_interest(self.readiness.registry(), Token::Server(server_index))
        });
        self.splice.clear();
        #[cfg(test)]
        if let Some(fault) = self.fault {
            assert!(!data.windows(fault.len()).any(|text| text == fault.as_bytes()), "a fault");
        }
        if !self.reply.is_empty() {
            self.send_reply(index);
        }
        if let Err(error) = sent {
            // What the server said before it closed is still to be read; the read tells the client.
            tracing::debug!(%error, "writing to a server failed");
            self.again.push_back(Again::Server(server_index));
        }
        match end {
            Burst::Taken => self.arm_client(index),
            Burst::Terminate => self.goodbye(index),
            Burst::UnknownTag(tag) => self.refuse_tag(index, tag),
            Burst::BadLength => self.refuse_silently(index, BAD_LENGTH),
            Burst::Refuse(code, message) => self.refuse(index, &Report::fatal(code, message)),
            Burst::LeftToServer => self.await_refusal(index),
            Burst::Listen => self.ask_listener(index, server_index),
            Burst::Aside => {
                let rest = data.get(taken..).unwrap_or_default();
                return taken.saturating_add(self.explain_at_server(index, server_index, rest));
            }
        }
        if matches!(end, Burst::Taken | Burst::Listen) {
            return taken;
        }
        self.note_last(index, data.get(taken..).unwrap_or_default());
        // What stands behind the end is not looked at.
        data.len()
    }

    /// How many replies may be owed to a client; see [`owed_in_crowd`].
    pub(super) fn owed_at_most(&self, client: &Client, server: &Server) -> usize {
        match self.pools.get(client.pool) {
            Some(pool) if pool.is_crowded(self.index) => {
                owed_in_crowd(client, server, self.now.saturating_sub(self.times.slack))
            }
            _ => OWED_MAX,
        }
    }

    pub(super) fn refuse_tag(&mut self, index: usize, tag: u8) {
        let message = format!("invalid frontend message type {tag}");
        self.refuse(index, &Report::fatal(SqlState::PROTOCOL_VIOLATION, &message));
    }

    /// The server's socket takes bytes again.
    pub(super) fn server_writable(&mut self, index: usize) {
        let Some(server) = self.servers.get_mut(index) else { return };
        if server.link.backlog() == 0 {
            return;
        }
        let flushed = server.link.flush().and_then(|()| {
            server.link.update_interest(self.readiness.registry(), Token::Server(index))
        });
        if flushed.is_err() {
            self.drop_server(index, "the connection to the server broke");
            return;
        }
        if let ServerState::Leased(client) = server.state
            && server.link.backlog() == 0
        {
            self.again.push_back(Again::Client(client));
        }
    }
}

/// How many replies may be owed to a client while others wait for a server. One that sends statement after statement
/// without a pause would keep its server for ever, as there would always be a reply owed; so it sends less ahead, and if
/// its lease began before `patience`, nothing more until all is answered: then the server goes to who waits, unless a
/// transaction is open. What of ours is answered wakes nobody, so nobody may wait for that here.
#[cold]
fn owed_in_crowd(client: &Client, server: &Server, patience: u64) -> usize {
    if !client.session.shares_servers() {
        OWED_MAX
    } else if server.since < patience && server.session.owes_client() {
        0
    } else {
        OWED_IN_CROWD
    }
}

/// Judges the frames of a burst of a client that holds `server`, until so many replies are owed; says how many bytes
/// were taken.
fn judge_burst(
    client: &mut Client,
    server: &mut Server,
    data: &[u8],
    ways: &mut Ways<'_, '_>,
    around: &mut Around<'_>,
    (max_message, owed_at_most): (usize, usize),
) -> (usize, Burst) {
    let mut taken = continue_stream(client, server, data, ways);
    let plain = SHORT_MAX.min(max_message);
    while taken < data.len() && !server.session.is_full_at(owed_at_most) {
        let rest = data.get(taken..).unwrap_or_default();
        let run = client.session.send_run(
            &mut server.session,
            rest,
            taken,
            (plain, owed_at_most),
            ways.server,
        );
        taken = taken.saturating_add(run);
        let rest = rest.get(run..).unwrap_or_default();
        let header = match peek(rest) {
            Ok(Some(header)) => header,
            Ok(None) => break,
            Err(error) => return (taken, broken(error.tag, server, taken, ways)),
        };
        if is_too_long_for_its_kind(header) {
            return (taken, broken(header.tag, server, taken, ways));
        }
        if header.len > max_message {
            return (taken, Burst::Refuse(SqlState::PROTOCOL_VIOLATION, TOO_LONG));
        }
        let Some(bytes) = rest.get(..header.len) else {
            let (used, end) = judge_part(client, server, header, (rest, taken), ways, around);
            return (taken.saturating_add(used), end);
        };
        let frame = Frame { tag: header.tag, body: bytes.get(HEADER..).unwrap_or_default(), bytes };
        match client.session.on_client(&mut server.session, frame, taken, ways, around) {
            Step::Next => taken = taken.saturating_add(header.len),
            Step::Notify => {
                server.about.backend.mark();
                taken = taken.saturating_add(header.len);
            }
            Step::Wait => return (taken, Burst::Taken),
            Step::Listen => return (taken, Burst::Listen),
            Step::Aside => return (taken, Burst::Aside),
            Step::Terminate if server.session.reads_copy() => {
                return (taken, broken(header.tag, server, taken, ways));
            }
            Step::Terminate => return (taken, Burst::Terminate),
            Step::Refuse(code, message) => return (taken, Burst::Refuse(code, message)),
            Step::UnknownTag => return (taken, broken(header.tag, server, taken, ways)),
        }
    }
    (taken, Burst::Taken)
}

/// Judges a message, found at `at` in the burst, whose tag or length no client may send now. While the server reads
/// COPY data it has words of its own for that, so it gets the header as it is.
fn broken(tag: u8, server: &mut Server, at: usize, ways: &mut Ways<'_, '_>) -> Burst {
    if server.session.reads_copy() {
        ways.server.forward(at..at.saturating_add(HEADER));
        server.session.break_copy();
        Burst::LeftToServer
    } else if is_expected(tag) {
        Burst::BadLength
    } else {
        Burst::UnknownTag(tag)
    }
}

/// Passes on what a burst holds of a message whose beginning went before.
fn continue_stream(
    client: &mut Client,
    server: &mut Server,
    data: &[u8],
    ways: &mut Ways<'_, '_>,
) -> usize {
    if client.stream.remaining == 0 {
        return 0;
    }
    let taken = client.stream.remaining.min(data.len());
    client.stream.remaining = client.stream.remaining.saturating_sub(taken);
    if client.stream.forward {
        ways.server.forward(0..taken);
        client.session.on_client_more(data.get(..taken).unwrap_or_default());
    }
    if client.stream.remaining == 0 {
        client.session.on_client_long_end(&mut server.session);
        if server.session.has_question() {
            server.session.put_question(ways.server.insert());
        }
    }
    taken
}

/// Judges a message of which only the beginning is there, at a place in the burst: it is waited for, or streams.
fn judge_part(
    client: &mut Client,
    server: &mut Server,
    header: Header,
    (head, at): (&[u8], usize),
    ways: &mut Ways<'_, '_>,
    around: &mut Around<'_>,
) -> (usize, Burst) {
    if !is_expected(header.tag) {
        return (0, broken(header.tag, server, at, ways));
    }
    if !client.session.streams(&server.session, header.tag) && header.len <= HOLD_MAX {
        return (0, Burst::Taken);
    }
    let shape = (header.tag, header.len);
    match client.session.on_client_long(&mut server.session, shape, head, at, ways, around) {
        Long::Wait => (0, Burst::Taken),
        Long::Stream { used, forward } => {
            client.stream = Stream { remaining: header.len.saturating_sub(used), forward };
            (used, Burst::Taken)
        }
        Long::Refuse(code, message) => (0, Burst::Refuse(code, message)),
    }
}
