//! From a client towards its server.

use bytes::BytesMut;
use trunkline_session::{Long, Outgoing, Parcel, Step, Unleased, Ways, is_expected, unleased};
use trunkline_wire::{
    Frame, Header, SqlState,
    backend::Report,
    frame::{HEADER, peek},
};

use super::{
    link::Received,
    readiness::Token,
    shared::Around,
    slot::{Client, ClientState, Server, Stream},
    worker::{Again, READS_PER_TURN, Worker},
};

/// Longer messages are not held until they are complete, but passed on as they come.
pub(super) const HOLD_MAX: usize = 256 << 10;

/// So much of a message that is too long to be held is there before a server is taken for it.
const HOLD_MIN: usize = 32 << 10;

/// What a client is told whose message is longer than the settings allow.
const TOO_LONG: &str = "message is longer than limits.max_message allows";

/// The longest message of a kind that is always short (`PQ_SMALL_MESSAGE_LIMIT` of `libpq.h`, and its tag).
const SHORT_MAX: usize = 10_001;

/// What the log is told of a client whose message has an impossible length.
const BAD_LENGTH: &str = "invalid message length";

/// Whether a message is longer than PostgreSQL lets one of its kind be.
fn is_too_long_for_its_kind(header: Header) -> bool {
    header.len > SHORT_MAX
        && matches!(header.tag, b'C' | b'D' | b'E' | b'H' | b'S' | b'X' | b'c' | b'f')
}

/// What became of a frame of a client that holds no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alone {
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
}

impl Worker {
    /// The client's socket has something to read.
    pub(super) fn client_readable(&mut self, index: usize) {
        let leaving = self.clients.get(index).and_then(|client| client.leaving.as_ref());
        if leaving.is_some_and(|leaving| !leaving.is_read()) {
            return;
        }
        let Some(mut inflow) = self.inflow.take() else { return };
        for turn in 0..=READS_PER_TURN {
            let Some(client) = self.clients.get_mut(index) else { break };
            client.readable = true;
            if turn == READS_PER_TURN {
                self.again.push_back(Again::Client(index));
                break;
            }
            if self.client_must_wait(index) {
                self.watch_waiting_client(index);
                break;
            }
            let Some(client) = self.clients.get_mut(index) else { break };
            match client.link.receive(&mut inflow) {
                Ok(Received::Bytes { drained }) => {
                    // The end may have been announced together with these bytes: it is not announced again.
                    let drained = drained && !client.hung_up;
                    client.readable = !drained;
                    client.active_at = self.now;
                    self.client_bytes(index, inflow.data());
                    if drained {
                        break;
                    }
                }
                Ok(Received::Blocked) => {
                    client.readable = false;
                    break;
                }
                Ok(Received::Closed) => {
                    self.client_ended(index);
                    break;
                }
                Err(error) => {
                    self.client_gone(index, Some(&error));
                    break;
                }
            }
        }
        self.inflow = Some(inflow);
    }

    /// Whether nothing may be read from the client now: it waits for a server, its server has not taken what it
    /// sent, too many replies are owed, or it is being closed.
    fn client_must_wait(&self, index: usize) -> bool {
        let Some(client) = self.clients.get(index) else { return true };
        match client.state {
            ClientState::Welcoming | ClientState::Waiting | ClientState::Replaying(_) => {
                !client.held.is_empty()
            }
            ClientState::Closing => false,
            ClientState::Idle => client.link.backlog() >= self.settings.limits.client_buffer,
            ClientState::Leased(server) => self.servers.get(server).is_none_or(|server| {
                server.link.backlog() >= self.settings.limits.client_buffer
                    || server.session.is_full()
            }),
        }
    }

    /// A client that must wait is not read, but its departure is still noticed: by the hang-up event of its socket.
    fn watch_waiting_client(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        if matches!(
            client.state,
            ClientState::Waiting | ClientState::Replaying(_) | ClientState::Leased(_)
        ) && client.hung_up
        {
            self.client_hung_up(index);
        }
    }

    /// Sends on what was held while the client waited for the server it has now.
    pub(super) fn client_resume_held(&mut self, index: usize, server_index: usize) {
        self.client_bytes(index, &[]);
        if !self.splice.is_empty() {
            // Nothing was held, or nothing that could go: the replay goes alone.
            self.flush_splice(server_index);
        }
        if self.clients.get(index).is_some_and(|client| client.readable) {
            self.again.push_back(Again::Client(index));
        }
    }

    /// Goes on with a client that had to wait: first what is held, then its socket.
    pub(super) fn client_resume(&mut self, index: usize) {
        self.client_bytes(index, &[]);
        if self.clients.get(index).is_some_and(|client| client.readable) {
            self.client_readable(index);
        }
    }

    /// Takes bytes of the client, after those that are held.
    pub(super) fn client_bytes(&mut self, index: usize, data: &[u8]) {
        let Some(client) = self.clients.get_mut(index) else { return };
        if let Some(pool) = self.pools.get_mut(client.pool) {
            pool.stats.received =
                pool.stats.received.wrapping_add(u64::try_from(data.len()).unwrap_or(0));
        }
        if client.held.is_empty() {
            if data.is_empty() {
                return;
            }
            let taken = self.client_burst(index, data);
            if let (Some(client), Some(rest)) = (self.clients.get_mut(index), data.get(taken..))
                && !rest.is_empty()
            {
                client.held.extend_from_slice(rest);
            }
            return;
        }
        client.held.extend_from_slice(data);
        let mut held = std::mem::take(&mut client.held);
        let taken = self.client_burst(index, &held);
        if let Some(client) = self.clients.get_mut(index)
            && taken < held.len()
        {
            drop(held.split_to(taken));
            client.held = held;
        }
    }

    /// Takes what it can of a burst, and says how many bytes that was.
    fn client_burst(&mut self, index: usize, data: &[u8]) -> usize {
        let mut taken = 0_usize;
        let max_message = self.settings.limits.max_message;
        loop {
            let Some(client) = self.clients.get(index) else { return data.len() };
            let rest = data.get(taken..).unwrap_or_default();
            match client.state {
                ClientState::Closing => return data.len(),
                ClientState::Welcoming | ClientState::Waiting | ClientState::Replaying(_) => {
                    return taken;
                }
                ClientState::Leased(server) => {
                    return taken.saturating_add(self.forward_burst(index, server, rest));
                }
                ClientState::Idle if wants_server(client, rest, max_message) => {
                    self.lease_or_wait(index);
                }
                ClientState::Idle => {
                    let (mut reply, mut used, mut more) =
                        (std::mem::take(&mut self.reply), 0, Alone::Answered);
                    while more == Alone::Answered {
                        let (len, next) = self.judge_alone(
                            index,
                            rest.get(used..).unwrap_or_default(),
                            &mut reply,
                        );
                        used = used.saturating_add(len);
                        more = next;
                    }
                    taken = taken.saturating_add(used);
                    self.reply = reply;
                    if !self.reply.is_empty() {
                        self.send_reply(index);
                    }
                    match more {
                        Alone::Answered | Alone::Incomplete => return taken,
                        Alone::NeedsServer => self.lease_or_wait(index),
                        Alone::Terminate => {
                            self.goodbye(index);
                            return data.len();
                        }
                        Alone::UnknownTag(tag) => {
                            self.refuse_tag(index, tag);
                            return data.len();
                        }
                        Alone::BadLength => {
                            self.refuse_silently(index, BAD_LENGTH);
                            return data.len();
                        }
                        Alone::Refuse(code, message) => {
                            self.fatal(index, code, message);
                            return data.len();
                        }
                    }
                }
            }
        }
    }

    /// Judges the first frame of a client that holds no server, and answers it if no server is needed; says how many
    /// bytes were taken.
    fn judge_alone(&mut self, index: usize, data: &[u8], reply: &mut BytesMut) -> (usize, Alone) {
        let Some(client) = self.clients.get_mut(index) else {
            return (data.len(), Alone::Incomplete);
        };
        if client.stream.remaining > 0 {
            let dropped = client.stream.remaining.min(data.len());
            client.stream.remaining = client.stream.remaining.saturating_sub(dropped);
            let more =
                if client.stream.remaining > 0 { Alone::Incomplete } else { Alone::Answered };
            return (dropped, more);
        }
        let header = match peek(data) {
            Ok(Some(header)) => header,
            Ok(None) => return (0, Alone::Incomplete),
            Err(error) if is_expected(error.tag) => return (0, Alone::BadLength),
            Err(error) => return (0, Alone::UnknownTag(error.tag)),
        };
        if is_too_long_for_its_kind(header) {
            return (0, Alone::BadLength);
        }
        if header.len > self.settings.limits.max_message {
            return (0, Alone::Refuse(SqlState::PROTOCOL_VIOLATION, TOO_LONG));
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
            return (here, Alone::Answered);
        }
        if header.tag == b'S' {
            client.skipping = false;
        }
        match unleased(header, reply) {
            Unleased::NeedsServer => match whole {
                Some(frame)
                    if client.session.answer_alone(
                        frame,
                        reply,
                        &mut self.shared.surroundings(),
                    ) =>
                {
                    (here, Alone::Answered)
                }
                Some(_) => (0, Alone::NeedsServer),
                // A server is not taken for half a message, unless it is too long to be held.
                None if header.len > HOLD_MAX && here >= HOLD_MIN => (0, Alone::NeedsServer),
                None => (0, Alone::Incomplete),
            },
            Unleased::Done => {
                client.stream =
                    Stream { remaining: header.len.saturating_sub(here), forward: false };
                (here, Alone::Answered)
            }
            Unleased::Terminate => (here, Alone::Terminate),
            Unleased::UnknownTag => (0, Alone::UnknownTag(header.tag)),
        }
    }

    /// Writes `self.reply` to the client.
    pub(super) fn send_reply(&mut self, index: usize) {
        let reply = std::mem::take(&mut self.reply);
        self.send_to_client(index, &reply);
        self.reply = reply;
        self.reply.clear();
    }

    /// Sends a burst to the server that serves the client; says how many bytes were taken.
    fn forward_burst(&mut self, index: usize, server_index: usize, data: &[u8]) -> usize {
        let (Some(client), Some(server)) =
            (self.clients.get_mut(index), self.servers.get_mut(server_index))
        else {
            return data.len();
        };
        let mut out = Outgoing::new(data, &mut self.splice);
        let mut ways = Ways { server: &mut out, client: &mut self.reply };
        let mut around = self.shared.surroundings();
        let max_message = self.settings.limits.max_message;
        let (taken, end) = judge_burst(client, server, data, &mut ways, &mut around, max_message);
        if client.query_since == 0 && taken > 0 {
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
        }
        // What stands behind the end is not looked at.
        if end == Burst::Taken { taken } else { data.len() }
    }

    fn refuse_tag(&mut self, index: usize, tag: u8) {
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
        if let super::slot::ServerState::Leased(client) = server.state
            && server.link.backlog() == 0
        {
            self.again.push_back(Again::Client(client));
        }
    }
}

/// Whether what an idle client has sent begins, in the ordinary way, with a whole message that needs a server; any other
/// burst is looked at more closely.
#[inline]
fn wants_server(client: &Client, data: &[u8], max_message: usize) -> bool {
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

/// Judges the frames of a burst of a client that holds `server`; says how many bytes were taken.
fn judge_burst(
    client: &mut Client,
    server: &mut Server,
    data: &[u8],
    ways: &mut Ways<'_, '_>,
    around: &mut Around<'_>,
    max_message: usize,
) -> (usize, Burst) {
    let mut taken = continue_stream(client, server, data, ways);
    let plain = SHORT_MAX.min(max_message);
    while !server.session.is_full() {
        let rest = data.get(taken..).unwrap_or_default();
        let run = client.session.send_run(&mut server.session, rest, taken, plain, ways.server);
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
