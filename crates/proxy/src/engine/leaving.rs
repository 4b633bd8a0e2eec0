//! Clients that have ended their side: what they asked for before is answered first, as by PostgreSQL.

use bytes::BytesMut;
use trunkline_wire::{
    backend::{self, Report},
    frame::HEADER,
};

use super::{
    readiness::Token,
    rest::Rest,
    slot::ClientState,
    worker::{Again, Worker},
};

/// How long a client whose socket has ended keeps its server, or its place in the queue, without a sign of life of the
/// server. It cannot be told from one that has died.
pub(super) const LINGER_US: u64 = 5_000_000;

/// A client that will send nothing more that counts.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(super) how: Departure,
    /// What it is told when all is answered.
    words: BytesMut,
    /// The header of its last message, for a server that turns out to read COPY data.
    last: Option<[u8; HEADER]>,
    /// When it last showed a sign of life, in microseconds.
    pub(super) since: u64,
}

/// How a client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Departure {
    /// It has said goodbye, or broken the protocol: what follows is not looked at, and its statements run to their
    /// end whether it is still there or not.
    Final,
    /// The same, and it hears nothing any more, because its socket is broken.
    Deaf,
    /// It has broken the protocol, and its server is to say so and to end.
    Refused,
    /// Its socket says that it will send nothing more, but not all that it has sent has been read.
    HungUp,
    /// All that it has sent has been read.
    Ended,
}

impl Leaving {
    /// Whether it is read from.
    pub(super) fn is_read(&self) -> bool {
        matches!(self.how, Departure::HungUp | Departure::Ended)
    }

    /// Whether its time is limited.
    pub(super) fn is_limited(&self) -> bool {
        self.how != Departure::Final
    }
}

impl Worker {
    /// The client has said goodbye.
    pub(super) fn goodbye(&mut self, index: usize) {
        if self.is_answered(index) {
            self.leave_answered(index);
        } else {
            self.leave_finally(index, BytesMut::new());
        }
    }

    /// The server has been sent something that it will refuse, and will end.
    pub(super) fn await_refusal(&mut self, index: usize) {
        self.set_leaving(index, Departure::Refused, BytesMut::new());
    }

    /// The client has broken the protocol: it is told so when what it asked for before is answered.
    pub(super) fn refuse(&mut self, index: usize, report: &Report<'_>) {
        if self.is_answered(index) {
            self.fatal_report(index, report);
            return;
        }
        self.note_fatal(index, report);
        let mut words = BytesMut::new();
        backend::error_response(&mut words, report);
        self.leave_finally(index, words);
    }

    /// The client has sent a message whose end cannot be found. PostgreSQL closes without a word.
    pub(super) fn refuse_silently(&mut self, index: usize, why: &str) {
        if self.is_answered(index) {
            self.hang_up(index, why);
            return;
        }
        self.log_silence(index, why);
        self.leave_finally(index, BytesMut::new());
    }

    /// A client that leaves has sent this last. If its server turns out to read COPY data, that has words of its own for
    /// it.
    pub(super) fn note_last(&mut self, index: usize, message: &[u8]) {
        if let Some(client) = self.clients.get_mut(index)
            && let Some(leaving) = &mut client.leaving
            && leaving.how == Departure::Final
        {
            leaving.last = message.first_chunk().copied();
        }
    }

    /// The server of a client that leaves reads COPY data, and is sent the last message in place of such. Says whether
    /// that is so.
    fn break_copy(&mut self, index: usize) -> bool {
        let Some(client) = self.clients.get_mut(index) else { return false };
        let (ClientState::Leased(server_index), Some(leaving)) =
            (client.state, &mut client.leaving)
        else {
            return false;
        };
        let Some(server) = self.servers.get_mut(server_index) else { return false };
        if !server.session.reads_copy() {
            return false;
        }
        let Some(header) = leaving.last.take() else { return false };
        server.session.break_copy();
        self.splice.clear();
        self.splice.extend_from_slice(&header);
        self.flush_splice(server_index);
        self.await_refusal(index);
        true
    }

    fn leave_finally(&mut self, index: usize, words: BytesMut) {
        self.set_leaving(index, Departure::Final, words);
        self.flush_server(index);
    }

    /// The client has closed its sending half, or altogether, and all that it sent has been read.
    pub(super) fn client_ended(&mut self, index: usize) {
        self.client_bytes(index, &[]);
        let answered = self.is_answered(index);
        let Some(client) = self.clients.get(index) else { return };
        match client.state {
            // It reads its last words, if it still can.
            ClientState::Closing if client.link.backlog() > 0 => {}
            ClientState::Idle | ClientState::Closing => self.leave_answered(index),
            ClientState::Leased(_) if answered => self.leave_answered(index),
            ClientState::Welcoming if client.held.is_empty() => self.client_gone(index, None),
            _ => {
                self.set_leaving(index, Departure::Ended, BytesMut::new());
                self.flush_server(index);
            }
        }
    }

    /// The client has hung up while it must wait, so that not all it sent can be read yet.
    pub(super) fn client_hung_up(&mut self, index: usize) {
        if self.clients.get(index).is_some_and(|client| client.leaving.is_none()) {
            self.set_leaving(index, Departure::HungUp, BytesMut::new());
        }
    }

    fn set_leaving(&mut self, index: usize, how: Departure, words: BytesMut) {
        let Some(client) = self.clients.get_mut(index) else { return };
        if client.leaving.as_ref().is_some_and(|leaving| leaving.how == how) {
            return;
        }
        let leaving = Leaving { how, words, last: None, since: self.now };
        if !leaving.is_read() {
            client.held = Rest::default();
            client.readable = false;
        }
        client.leaving = Some(Box::new(leaving));
        self.count_held(index);
        self.arm_client(index);
    }

    /// Asks the client's server for the replies that it would hold back until a Sync.
    pub(super) fn flush_server(&mut self, index: usize) {
        let Some(ClientState::Leased(index)) = self.clients.get(index).map(|client| client.state)
        else {
            return;
        };
        let Some(server) = self.servers.get_mut(index) else { return };
        self.splice.clear();
        server.session.flush(&mut self.splice);
        let sent = server.link.send(&self.splice).and_then(|()| {
            server.link.update_interest(self.readiness.registry(), Token::Server(index))
        });
        self.splice.clear();
        if let Err(error) = sent {
            // The read that follows tells the client.
            tracing::debug!(%error, "writing to a server failed");
        }
    }

    /// Whether nothing is owed to the client that would come by itself.
    fn is_answered(&self, index: usize) -> bool {
        let Some(client) = self.clients.get(index) else { return true };
        match client.state {
            // Half a message has gone to the server, which waits for the rest.
            ClientState::Leased(_) if client.stream.is_torn() => true,
            ClientState::Leased(server) => {
                self.servers.get(server).is_none_or(|server| !server.session.will_answer())
            }
            ClientState::Idle | ClientState::Closing => true,
            ClientState::Welcoming
            | ClientState::Waiting
            | ClientState::Listening
            | ClientState::Pausing
            | ClientState::Unsaid
            | ClientState::Replaying(_) => false,
        }
    }

    /// A server has said something to a client that leaves, or has taken what it asked for: it goes if that was all.
    pub(super) fn leave_if_answered(&mut self, index: usize) {
        let answered = self.is_answered(index);
        let Some(client) = self.clients.get_mut(index) else { return };
        let waits = matches!(client.state, ClientState::Idle | ClientState::Leased(_))
            && !client.held.is_empty();
        let Some(leaving) = &mut client.leaving else { return };
        leaving.since = self.now;
        if !answered || leaving.how == Departure::HungUp || self.break_copy(index) {
            return;
        }
        if waits {
            // What is held is looked at in the next turn, and then the end of the socket once more.
            self.again.push_back(Again::Client(index));
        } else {
            self.leave_answered(index);
        }
    }

    /// The client goes, when it has taken what is written for it.
    fn leave_answered(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let words = client.leaving.take().map_or_else(BytesMut::new, |leaving| leaving.words);
        if words.is_empty() && client.link.backlog() == 0 {
            self.client_gone(index, None);
        } else {
            self.part_with(index, &words);
        }
    }

    /// The client's socket broke while it leaves: what it has ordered finally is carried out all the same. Says
    /// whether that is so.
    pub(super) fn goes_deaf(&mut self, index: usize) -> bool {
        if self.is_answered(index) {
            return false;
        }
        let Some(client) = self.clients.get_mut(index) else { return false };
        let Some(leaving) = &mut client.leaving else { return false };
        match leaving.how {
            Departure::Final => {
                leaving.how = Departure::Deaf;
                leaving.since = self.now;
                client.link.mute();
                self.count_held(index);
                self.arm_client(index);
                true
            }
            Departure::Deaf => true,
            Departure::Refused | Departure::HungUp | Departure::Ended => false,
        }
    }
}
