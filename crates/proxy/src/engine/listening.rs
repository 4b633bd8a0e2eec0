//! Clients that listen while they share servers: what they ask of the listener, and what they are told.

use std::{collections::VecDeque, sync::Arc};

use bytes::{Bytes, BytesMut};
use trunkline_session::Hearing;
use trunkline_wire::{
    SqlState,
    backend::{self, Report, Severity},
};

use super::{
    shared::Shared,
    slot::{Client, ClientState},
    worker::{Again, Worker},
};
use crate::listening::{Audience, Heard, Member, Place, Seat, Ticket};

/// What a notification counts beside its bytes towards `limits.notifications`.
const EACH: usize = 64;

/// What clients are told whose notifications may have been missed.
const MISSED: &str =
    "notifications may have been missed: the connection that listens for this session was lost";

/// A client's part at the listener, and what it is not told yet.
#[derive(Debug)]
pub(crate) struct Listening {
    member: Member,
    kept: VecDeque<Kept>,
    /// What is kept counts so much.
    size: usize,
    /// It is to be told in this turn.
    due: bool,
    asks: Asks,
}

/// What it has asked the listener, by number: an answer may come when what it is for has been given up.
#[derive(Debug, Default)]
struct Asks {
    last: u32,
    /// For which its message waits, or has.
    wish: u32,
    /// Behind which it is told that its server is ready.
    echo: u32,
}

impl Asks {
    fn next(&mut self) -> u32 {
        self.last = self.last.wrapping_add(1);
        self.last
    }
}

/// A message for the client's next idle moment.
#[derive(Debug)]
struct Kept {
    /// If it is a notification: the client may not listen any more when it could be told.
    channel: Option<Arc<[u8]>>,
    frame: Bytes,
}

impl Kept {
    fn size(&self) -> usize {
        self.frame.len().saturating_add(EACH)
    }
}

impl Listening {
    pub(super) fn new(member: Member) -> Self {
        Self { member, kept: VecDeque::new(), size: 0, due: false, asks: Asks::default() }
    }

    fn keep(&mut self, kept: Kept) {
        self.size = self.size.saturating_add(kept.size());
        self.kept.push_back(kept);
    }

    fn take(&mut self) -> Option<Kept> {
        let kept = self.kept.pop_front()?;
        self.size = self.size.saturating_sub(kept.size());
        Some(kept)
    }
}

impl Worker {
    /// The client's message waits for the listener, which is asked. A server that nothing else keeps serves others
    /// meanwhile.
    #[cold]
    pub(super) fn ask_listener(&mut self, index: usize, server_index: usize) {
        self.arm_client(index);
        let Some(client) = self.clients.get_mut(index) else { return };
        let asked = client.session.take_ask();
        if let Some(server) = self.servers.get_mut(server_index)
            && server.session.at_rest()
            && client.session.shares_servers()
            && client.stream.remaining == 0
        {
            server.session.go_on_without_listener();
            self.release(index, server_index);
            if let Some(client) = self.clients.get_mut(index)
                && client.state == ClientState::Idle
            {
                client.state = ClientState::Listening;
            }
        }
        let Some(channels) = asked else { return };
        self.join_listener(index);
        let Some(client) = self.clients.get_mut(index) else { return };
        match &mut client.listening {
            Some(listening) => {
                listening.asks.wish = listening.asks.next();
                listening.member.ask(&self.shared, listening.asks.wish, channels);
            }
            None => self.listener_answers(index, false),
        }
    }

    /// Makes the client known to the listener of its database.
    fn join_listener(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let Some(hubs) = self.shared.listeners().filter(|_| client.listening.is_none()) else {
            return;
        };
        let Some(pool) = self.pools.get(client.pool) else { return };
        let Ok(encoding) = std::str::from_utf8(client.session.encoding()) else { return };
        let place = Place {
            database: pool.family.policy.load().server_database.as_str().into(),
            encoding: encoding.into(),
        };
        let seat = Seat { at: self.index, slot: index, id: self.shared.next_serial() };
        client.listening = hubs.join(place, seat).map(|member| Box::new(Listening::new(member)));
    }

    /// The listener has answered this ask of a client, if that is still there.
    pub(super) fn on_listening(&mut self, seat: Seat, number: u32, granted: bool) {
        if !self.listens_there(seat.slot, seat.id) {
            return;
        }
        self.guard_client(seat.slot, |worker| {
            let client = worker.clients.get(seat.slot);
            let Some(listening) = client.and_then(|client| client.listening.as_ref()) else {
                return;
            };
            let Asks { wish, echo, .. } = listening.asks;
            if number == wish {
                worker.listener_answers(seat.slot, granted);
            } else if number == echo {
                worker.end_unsaid(seat.slot);
            }
        });
    }

    fn listens_there(&self, slot: usize, id: u64) -> bool {
        let client = self.clients.get(slot).filter(|it| it.state != ClientState::Closing);
        let listening = client.and_then(|client| client.listening.as_ref());
        listening.is_some_and(|listening| listening.member.seat.id == id)
    }

    fn listener_answers(&mut self, index: usize, granted: bool) {
        let Some(client) = self.clients.get_mut(index) else { return };
        client.session.listener_answers(granted);
        match client.state {
            ClientState::Listening => client.state = ClientState::Idle,
            ClientState::Leased(server) => {
                if let Some(server) = self.servers.get_mut(server) {
                    server.session.go_on_without_listener();
                }
            }
            _ => {}
        }
        self.again.push_back(Again::Client(index));
    }

    /// The client has sent a notification, listens itself, and has given its server back: it is told that it may go on
    /// behind what it has sent.
    #[cold]
    pub(super) fn await_itself(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        match &mut client.listening {
            Some(listening) if client.state == ClientState::Idle => {
                client.state = ClientState::Unsaid;
                listening.asks.echo = listening.asks.next();
                listening.member.ask(&self.shared, listening.asks.echo, Vec::new());
            }
            _ if client.state == ClientState::Closing => {}
            _ => self.say_ready(index),
        }
    }

    fn say_ready(&mut self, index: usize) {
        self.reply.clear();
        backend::ready_for_query(&mut self.reply, b'I');
        self.send_reply(index);
    }

    /// All that the client has sent itself is heard.
    fn end_unsaid(&mut self, index: usize) {
        if !self.client_is(index, ClientState::Unsaid) {
            return;
        }
        self.give_notifications(index);
        self.say_ready(index);
        if let Some(client) = self.clients.get_mut(index)
            && client.state == ClientState::Unsaid
        {
            client.state = ClientState::Idle;
        }
        self.leave_if_answered(index);
        self.again.push_back(Again::Client(index));
    }

    /// A notification for some clients of the loop.
    pub(super) fn on_heard(&mut self, heard: &Heard) {
        for (id, slot) in heard.to.iter() {
            let busy = self.is_busy_for(*slot);
            let Some(client) = self.clients.get(*slot) else { continue };
            if client.session.hears(&heard.channel, busy) == Hearing::Kept {
                let channel = Some(Arc::clone(&heard.channel));
                let kept = Kept { channel, frame: heard.frame.clone() };
                self.guard_client(*slot, |worker| worker.keep_for(*slot, *id, kept));
            }
        }
    }

    /// Clients learn that notifications may have been missed.
    pub(super) fn on_missed(&mut self, audience: &Audience) {
        let mut frame = BytesMut::new();
        let report = Report::new(Severity::Warning, SqlState::WARNING, MISSED)
            .with_detail("It has been made again, and listens to the same channels.");
        backend::notice_response(&mut frame, &report);
        let frame = frame.freeze();
        for (id, slot) in audience.iter() {
            let kept = Kept { channel: None, frame: frame.clone() };
            self.guard_client(*slot, |worker| worker.keep_for(*slot, *id, kept));
        }
    }

    /// Whether a server is at something for the client.
    fn is_busy_for(&self, index: usize) -> bool {
        let server = self.clients.get(index).and_then(|client| client.state.server());
        server
            .and_then(|server| self.servers.get(server))
            .is_some_and(|server| server.session.is_busy())
    }

    /// Keeps a message for the client's next idle moment. Who has so many that they exceed the limit is closed.
    fn keep_for(&mut self, index: usize, id: u64, kept: Kept) {
        if !self.listens_there(index, id) {
            return;
        }
        let limit = self.settings.limits.notifications;
        let room = |worker: &Self| {
            let client = worker.clients.get(index);
            let listening = client.and_then(|client| client.listening.as_ref());
            listening.map_or(0, |listening| limit.saturating_sub(listening.size))
        };
        if room(self) < kept.size() {
            // Many may have come in this turn, and it reads.
            self.give_notifications(index);
        }
        if room(self) < kept.size() {
            self.refuse_to_keep(index, limit);
            return;
        }
        if let Some(listening) =
            self.clients.get_mut(index).and_then(|client| client.listening.as_mut())
        {
            listening.keep(kept);
        }
        self.notify_soon(index);
    }

    fn refuse_to_keep(&mut self, index: usize, limit: usize) {
        let detail = format!(
            "More than {limit} bytes (limits.notifications) wait for it, because it does not read them or a transaction \
             of its is open."
        );
        let report = Report::fatal(
            SqlState::CONFIGURATION_LIMIT_EXCEEDED,
            "terminating connection because too many notifications wait for this session",
        )
        .with_detail(&detail)
        .with_hint("Connect again; what was sent meanwhile is lost for this session.");
        self.fatal_report(index, &report);
    }

    /// If something is kept for the client, it is looked at in this turn.
    pub(super) fn notify_soon(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        if let Some(listening) = &mut client.listening
            && !listening.due
            && !listening.kept.is_empty()
        {
            listening.due = true;
            self.again.push_back(Again::Notify(index));
        }
    }

    /// Whether the client is between transactions, and nothing is owed to it.
    fn is_idle(&self, client: &Client) -> bool {
        match client.state {
            _ if client.crosses => false,
            ClientState::Idle => !client.skipping,
            ClientState::Waiting
            | ClientState::Listening
            | ClientState::Pausing
            | ClientState::Unsaid => true,
            ClientState::Leased(server) => self
                .servers
                .get(server)
                .is_some_and(|server| server.session.at_rest() && server.stream.remaining == 0),
            ClientState::Welcoming | ClientState::Replaying(_) | ClientState::Closing => false,
        }
    }

    /// Tells the client what is kept for it, if it is idle and reads.
    pub(super) fn give_notifications(&mut self, index: usize) {
        let most = self.settings.limits.client_buffer;
        loop {
            let Some(client) = self.clients.get(index) else { return };
            let can = self.is_idle(client) && client.link.backlog() < most;
            let Some(client) = self.clients.get_mut(index) else { return };
            let Some(listening) = &mut client.listening else { return };
            listening.due = false;
            if !can {
                return;
            }
            self.reply.clear();
            while self.reply.len() < most
                && let Some(kept) = listening.take()
            {
                if kept.channel.is_none_or(|channel| client.session.listens_to(&channel)) {
                    self.reply.extend_from_slice(&kept.frame);
                }
            }
            if self.reply.is_empty() {
                return;
            }
            self.was_told(index);
            self.send_reply(index);
        }
    }

    /// A client that listens, or has, is between transactions.
    #[cold]
    pub(super) fn listener_rests(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let Some(listening) = &client.listening else { return };
        let unneeded = client.session.take_unneeded();
        if !unneeded.is_empty() {
            listening.member.forget(&unneeded);
        }
        self.notify_soon(index);
    }

    /// The client keeps its server. If a transaction goes on, what it would have been told if that had ended now is not
    /// for it.
    pub(super) fn listener_pauses(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let Some(listening) = &mut client.listening else { return };
        let ClientState::Leased(server) = client.state else { return };
        let Some(server) = self.servers.get(server) else { return };
        if server.session.at_rest() {
            self.listener_rests(index);
        } else if !server.session.is_busy() {
            let session = &client.session;
            listening.kept.retain(|kept| {
                kept.channel.as_ref().is_none_or(|channel| session.listens_to(channel))
            });
            listening.size = listening.kept.iter().map(Kept::size).sum();
        }
    }

    /// The client that gives this server back has perhaps sent a notification: what is heard of it is the client's, so
    /// nobody else gets the server before that.
    #[cold]
    pub(super) fn await_listeners(&mut self, index: usize) {
        let Some(hubs) = self.shared.listeners() else { return };
        let Some(server) = self.servers.get_mut(index) else { return };
        let database = &server.about.family.policy.load().server_database;
        let (shared, at, serial) = (&self.shared, self.index, server.about.serial);
        let count = hubs.wait(database, || Ticket::new(Arc::<Shared>::clone(shared), at, serial));
        server.cancels = server.cancels.saturating_add(count);
    }
}
