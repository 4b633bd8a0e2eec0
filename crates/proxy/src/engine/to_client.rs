//! From a server towards the client it serves.

use trunkline_session::{
    Alone, ClientSession, JUDGE_PREFIX, Outgoing, Parcel, Purpose, Reply, ServerSession, may_stream,
};
use trunkline_wire::frame::{HEADER, Header, peek};

use super::{
    last_words::{Unheard, last_words},
    link::Received,
    loss::ENDED,
    slot::{Client, ClientState, SHADOW, Server, ServerState, Stream},
    tally::count_answer,
    trial::{Shown, shown},
    worker::{Again, READS_PER_TURN, Worker},
};

/// The longest message of a server that is held until it is complete: none of these is long (see
/// [`may_stream`]).
const WHOLE_MAX: usize = 1 << 20;

/// What came of a burst of a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Outcome {
    taken: usize,
    ready: Ready,
    /// What is to be done beside passing it on.
    also: Option<Also>,
    /// The client was perhaps not read, because of the replies that were owed, and now it may be.
    unblocked: bool,
    /// The client goes when all is answered.
    leaves: bool,
    /// What comes next is not for the client.
    unheard: Option<Unheard>,
    desync: Option<&'static str>,
}

impl Outcome {
    /// Takes note of what a message calls for. Says whether the next one may be looked at.
    #[inline]
    fn note(&mut self, reply: &Reply, session: &ServerSession) -> bool {
        match reply {
            Reply::Next => {}
            Reply::Ready => self.ready = Ready::Yes,
            Reply::ReadyUnsaid => {
                self.ready = Ready::Unsaid;
                if session.has_question() {
                    self.also = Some(Also::Ask);
                }
            }
            Reply::Prepared => self.also = Some(Also::Prepared),
            Reply::Replayed => self.also = Some(Also::Replayed),
            Reply::Ask => self.also = Some(Also::Ask),
            Reply::ReadBack => self.also = Some(Also::ReadBack),
            Reply::ReadyToAsk => {
                self.ready = Ready::Yes;
                self.also = Some(Also::Ask);
            }
            Reply::ReplayFailed => self.also = Some(Also::ReplayFailed),
            Reply::Desync(what) => self.desync = Some(what),
        }
        !matches!(reply, Reply::ReplayFailed | Reply::Desync(_))
    }
}

/// Whether the server has answered everything it was asked so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Ready {
    #[default]
    No,
    Yes,
    /// The client is not told that yet.
    Unsaid,
}

/// What is to be done because of what a server has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Also {
    /// Something of ours before the client's statement is answered.
    Prepared,
    /// So is the replay of settings, which may have been awaited.
    Replayed,
    /// It has failed.
    ReplayFailed,
    /// The server is to be put a question.
    Ask,
    /// The server has said what its client has there.
    ReadBack,
}

impl Worker {
    /// The server's socket has something to read.
    pub(super) fn server_readable(&mut self, index: usize) {
        let Some(mut inflow) = self.inflow.take() else { return };
        for turn in 0..=READS_PER_TURN {
            let Some(server) = self.servers.get_mut(index) else { break };
            server.readable = true;
            if turn == READS_PER_TURN {
                self.again.push_back(Again::Server(index));
                break;
            }
            if let ServerState::Leased(client) = server.state
                && self
                    .clients
                    .get(client)
                    .is_some_and(|c| c.link.backlog() >= self.settings.limits.client_buffer)
            {
                // The client reads slowly: the server has to wait, until the client's socket takes bytes again.
                break;
            }
            match server.link.receive(&mut inflow) {
                Ok(Received::Bytes { drained }) => {
                    // The end may have been announced together with these bytes: it is not announced again.
                    let drained = drained && !server.hung_up;
                    server.readable = !drained;
                    self.server_bytes(index, inflow.data());
                    if drained {
                        break;
                    }
                }
                Ok(Received::Blocked) => {
                    server.readable = false;
                    break;
                }
                Ok(Received::Closed) => {
                    self.drop_server(index, "the server closed the connection unexpectedly");
                    self.bury(index);
                    break;
                }
                Err(error) => {
                    let reason = format!("the connection to the server broke: {error}");
                    self.drop_server(index, &reason);
                    self.bury(index);
                    break;
                }
            }
        }
        self.inflow = Some(inflow);
    }

    fn server_bytes(&mut self, index: usize, data: &[u8]) {
        let Some(server) = self.servers.get_mut(index) else { return };
        if server.held.is_empty() {
            let taken = self.server_burst(index, data);
            if taken < data.len()
                && let (Some(server), Some(rest)) = (self.servers.get_mut(index), data.get(taken..))
            {
                server.held.extend_from_slice(rest);
            }
            return;
        }
        server.held.extend_from_slice(data);
        let mut held = std::mem::take(&mut server.held);
        let taken = self.server_burst(index, &held);
        if let Some(server) = self.servers.get_mut(index)
            && taken < held.len()
        {
            drop(held.split_to(taken));
            server.held = held;
        }
    }

    /// Does what a server's answer calls for beside being passed on. Most call for nothing.
    #[cold]
    fn follow_up(&mut self, what: Also, client: usize, index: usize) {
        match what {
            Also::ReplayFailed => self.replay_failed(client, index),
            Also::Ask => self.put_question(client, index),
            Also::ReadBack => self.end_read_back(client, index),
            Also::Replayed if self.client_is(client, ClientState::Replaying(index)) => {
                if let Some(slot) = self.clients.get_mut(client) {
                    slot.state = ClientState::Leased(index);
                    if slot.crosses {
                        self.has_crossed(client);
                    }
                }
                self.again.push_back(Again::Client(client));
            }
            Also::Prepared | Also::Replayed => self.statement_comes_next(client, index),
        }
    }

    /// Takes what it can of a burst, and says how many bytes that was.
    pub(super) fn server_burst(&mut self, index: usize, data: &[u8]) -> usize {
        let Some(server) = self.servers.get(index) else { return data.len() };
        let ServerState::Leased(client) = server.state else {
            return self.alone_burst(index, data);
        };
        let outcome = self.relay(client, index, data);
        if let Some(what) = outcome.desync {
            self.drop_server_that(false, index, what);
            return data.len();
        }
        if let Some(unheard) = outcome.unheard {
            let rest = data.get(outcome.taken..).unwrap_or_default();
            return outcome.taken.saturating_add(self.heed(unheard, (client, index), rest));
        }
        if let Some(also) = outcome.also {
            self.follow_up(also, client, index);
        }
        if outcome.ready != Ready::No && outcome.taken == data.len() {
            self.after_ready(client, index);
        } else if outcome.ready != Ready::No {
            self.mark_amid(index, true);
            self.after_ready(client, index);
            self.mark_amid(index, false);
        } else {
            if outcome.unblocked {
                self.again.push_back(Again::Client(client));
            }
            self.answered_in_part(client);
        }
        if outcome.ready == Ready::Unsaid {
            self.await_itself(client);
        }
        if outcome.leaves {
            self.leave_if_answered(client);
        }
        outcome.taken
    }

    /// Puts the server the question that its session has, unless the client is amid a message: then that is completed
    /// first.
    fn put_question(&mut self, client_index: usize, index: usize) {
        let (Some(client), Some(server)) =
            (self.clients.get(client_index), self.servers.get_mut(index))
        else {
            return;
        };
        if client.state == ClientState::Leased(index) && !client.stream.is_torn() {
            self.splice.clear();
            server.session.put_question(&mut self.splice);
            self.flush_splice(index);
        }
    }

    fn mark_amid(&mut self, index: usize, amid: bool) {
        if let Some(server) = self.servers.get_mut(index) {
            server.amid = amid;
        }
    }

    /// Passes a burst on to the client.
    fn relay(&mut self, client_index: usize, index: usize, data: &[u8]) -> Outcome {
        if self.floors.follows_all {
            self.acknowledge(client_index);
        }
        let (Some(client), Some(server)) =
            (self.clients.get_mut(client_index), self.servers.get_mut(index))
        else {
            let desync = Some("the client has gone");
            return Outcome { taken: data.len(), desync, ..Outcome::default() };
        };
        let (crowded, copied) = (server.session.is_full(), server.session.reads_copy());
        let mut out = Outgoing::new(data, &mut self.splice);
        let mut outcome = judge_burst(client, server, data, &mut out);
        // A client that may send no more statements ahead may send the data of a COPY.
        outcome.unblocked =
            crowded && !server.session.is_full() || !copied && server.session.reads_copy();
        outcome.leaves = client.leaving.is_some();
        let (len, sent) = match out.finish() {
            Parcel::Nothing => (0, Ok(())),
            Parcel::Direct(bytes) => (bytes.len(), client.link.send(bytes)),
            Parcel::Spliced => (self.splice.len(), client.link.send(&self.splice)),
        };
        let settled = sent.is_ok() && client.link.is_settled();
        if let Some(pool) = self.pools.get_mut(client.pool) {
            pool.stats.sent = pool.stats.sent.wrapping_add(u64::try_from(len).unwrap_or(0));
        }
        self.splice.clear();
        if !settled {
            self.written_in_part(client_index, sent);
        }
        outcome
    }

    /// The server has answered everything it was asked so far.
    fn after_ready(&mut self, client_index: usize, index: usize) {
        let (Some(client), Some(server)) =
            (self.clients.get_mut(client_index), self.servers.get(index))
        else {
            return;
        };
        if client.state != ClientState::Leased(index) {
            return;
        }
        let Some(pool) = self.pools.get_mut(client.pool) else { return };
        count_answer(client, server, pool, self.now, &self.times);
        if server.session.is_ending() {
            return;
        }
        if client.session.may_release(&server.session) && client.stream.remaining == 0 {
            self.release(client_index, index);
            return;
        }
        if server.session.at_rest() && !self.begin_read_back(client_index, index) {
            self.keep(client_index);
            self.rest_client(client_index);
        }
        self.listener_pauses(client_index);
        let Some(client) = self.clients.get(client_index) else { return };
        // Replies have come: a pipeline that had to stop may go on.
        if client.readable || !client.held.is_empty() {
            self.again.push_back(Again::Client(client_index));
        } else {
            self.arm_client(client_index);
        }
    }

    /// A burst while no client holds the server.
    fn alone_burst(&mut self, index: usize, data: &[u8]) -> usize {
        let mut taken = 0_usize;
        loop {
            let Some(server) = self.servers.get_mut(index) else { return data.len() };
            if server.state == ServerState::Retiring {
                return data.len();
            }
            let rest = data.get(taken..).unwrap_or_default();
            if server.stream.remaining > 0 {
                let dropped = server.stream.remaining.min(rest.len());
                server.stream.remaining = server.stream.remaining.saturating_sub(dropped);
                taken = taken.saturating_add(dropped);
                if server.stream.remaining > 0 {
                    return taken;
                }
                continue;
            }
            let Ok(Some(header)) = peek(rest) else { return taken };
            let here = header.len.min(rest.len());
            if here < header.len
                && (!(may_stream(header.tag, header.len)
                    && here >= HEADER.saturating_add(JUDGE_PREFIX))
                    || server.session.is_asked())
            {
                return taken;
            }
            let body = rest.get(HEADER..here).unwrap_or_default();
            server.stream.remaining = header.len.saturating_sub(here);
            taken = taken.saturating_add(here);
            match server.session.on_alone(header.tag, body) {
                Alone::Nothing => {}
                Alone::Answered(purpose) => self.answered(index, purpose),
                Alone::Surveyed => self.surveyed(index),
                Alone::Ended => {
                    self.drop_server(index, ENDED);
                    return data.len();
                }
            }
        }
    }

    fn answered(&mut self, index: usize, purpose: Purpose) {
        match purpose {
            Purpose::Rollback | Purpose::Reset => self.hand_in(index),
            Purpose::Check | Purpose::Replay | Purpose::Sequences | Purpose::Unlisten => {
                self.park(index);
            }
            // Only asked for a client, with which the server goes.
            Purpose::Begin | Purpose::Fail => self.retire(index),
        }
    }

    /// The client's socket takes bytes again.
    pub(super) fn client_writable(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        if client.link.backlog() == 0 {
            return;
        }
        let before = client.link.backlog();
        let flushed = client.link.flush();
        if client.link.backlog() < before {
            // It reads.
            client.rare.entry.unread_since = self.now;
        }
        self.written_in_part(index, flushed);
        let Some(client) = self.clients.get(index) else { return };
        if client.link.backlog() > 0 {
            return;
        }
        match client.state {
            ClientState::Closing => self.remove_client(index),
            ClientState::Leased(server) | ClientState::Replaying(server) => {
                self.again.push_back(Again::Server(server));
            }
            _ => self.again.push_back(Again::Client(index)),
        }
        self.notify_soon(index);
    }
}

/// Whether it is not known yet if what the client has sent to a standby is answered there, or it is refused.
fn is_still_tried(
    client: &mut Client,
    server: &Server,
    answer: &[u8],
    outcome: &mut Outcome,
) -> bool {
    if server.session.answers_us() {
        return false;
    }
    let Some(routed) = client.rare.tried() else { return false };
    match shown(answer) {
        Shown::Nothing if !server.session.is_full() => {}
        // Or the rest of the group waits for what is held.
        Shown::Nothing | Shown::Answer => routed.settle(),
        Shown::Refusal(refusal) => outcome.unheard = Some(Unheard::Refusal(refusal)),
    }
    routed.trial.is_some()
}

/// Whether a message may be judged of which no more is here. Else there is an error in it, or more is to come.
#[cold]
fn may_be_judged(
    header: &Header,
    here: usize,
    session: &ServerSession,
    outcome: &mut Outcome,
) -> bool {
    let streams = may_stream(header.tag, header.len);
    if streams && here >= HEADER.saturating_add(JUDGE_PREFIX) && !session.is_asked() {
        return true;
    }
    if header.len > WHOLE_MAX && !streams {
        outcome.desync = Some("the server sent a message that is too long for its kind");
    }
    false
}

/// Judges the frames of a burst of a server that serves `client`.
fn judge_burst(
    client: &mut Client,
    server: &mut Server,
    data: &[u8],
    out: &mut Outgoing<'_>,
) -> Outcome {
    let mut outcome = Outcome::default();
    if server.stream.remaining > 0 {
        outcome.taken = server.stream.remaining.min(data.len());
        server.stream.remaining = server.stream.remaining.saturating_sub(outcome.taken);
        if server.stream.forward {
            out.forward(0..outcome.taken);
        }
    }
    while outcome.taken < data.len() {
        let rest = data.get(outcome.taken..).unwrap_or_default();
        if client.horizon < SHADOW && is_still_tried(client, server, rest, &mut outcome) {
            return outcome;
        }
        let run = ClientSession::pass_run(&mut server.session, rest, outcome.taken, out);
        outcome.taken = outcome.taken.saturating_add(run);
        let rest = rest.get(run..).unwrap_or_default();
        let header = match peek(rest) {
            Ok(Some(header)) => header,
            Ok(None) => return outcome,
            Err(_) => {
                outcome.desync = Some("the server sent a message of impossible length");
                return outcome;
            }
        };
        if matches!(header.tag, b'E' | b'N') && outcome.ready != Ready::Unsaid {
            outcome.unheard = last_words(client, server, rest);
            if outcome.unheard.is_some() {
                return outcome;
            }
        }
        let here = header.len.min(rest.len());
        if here < header.len && !may_be_judged(&header, here, &server.session, &mut outcome) {
            return outcome;
        }
        let body = rest.get(HEADER..here).unwrap_or_default();
        let range = outcome.taken..outcome.taken.saturating_add(here);
        let end = range.end;
        let reply = client.session.on_server(&mut server.session, header.tag, body, range, out);
        let remaining = header.len.saturating_sub(here);
        server.stream = Stream { remaining, forward: out.ends_at(end) };
        outcome.taken = end;
        if !outcome.note(&reply, &server.session) {
            return outcome;
        }
    }
    outcome
}
