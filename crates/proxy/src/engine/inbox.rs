//! What a loop does with what reaches it from outside.

use std::sync::Arc;

use subtle::ConstantTimeEq;
use trunkline_session::Purpose;
use trunkline_settings::Settings;
use trunkline_wire::{SqlState, backend::Report};

use super::{
    floors::Floors,
    message::Message,
    slot::{Client, ClientState, ServerState},
    worker::{Times, Worker},
};
use crate::handover::CancelTicket;

impl Worker {
    /// Takes all messages that are there.
    pub(super) fn on_inbox(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            self.guard(|worker| worker.take_message(message));
        }
    }

    fn take_message(&mut self, message: Message) {
        match message {
            Message::Client(arrival) => self.arrive(*arrival),
            Message::Opened(opened) => self.opened(*opened),
            Message::Moved(moving) => self.moved_in(moving),
            Message::Wanted { family, by } => {
                if let Some(pool) = self.by_family.get(&family).copied() {
                    self.wished(pool, by);
                }
            }
            Message::Doubt(family) => {
                if let Some(pool) = self.by_family.get(&family).copied() {
                    self.doubt(pool);
                }
            }
            // Whoever asked may have got a place since.
            Message::Evict(cap) if cap.seekers.any() => {
                self.press();
                self.evict(&cap, usize::MAX);
            }
            Message::Evict(_) => (),
            Message::Places => self.seek_places(),
            Message::Cancel { slot, pid, key, ticket } => self.cancel(slot, pid, &key, ticket),
            Message::CancelDone { serial, certain } => self.cancel_done(serial, certain),
            Message::Listening { seat, number, granted } => {
                self.on_listening(seat, number, granted);
            }
            Message::Heard(heard) => self.on_heard(&heard),
            Message::Missed(audience) => self.on_missed(&audience),
            Message::CaughtUp => self.on_caught_up(),
            Message::Traffic(traffic) => self.on_traffic(&traffic),
            Message::Recovered(node) => self.on_recovered(node),
            Message::Settings(settings) => self.on_settings(settings),
            Message::Studied(studied) => self.router.take(*studied),
            Message::Recheck => self.recheck(),
            Message::Report(answer) => drop(answer.send(self.report())),
            Message::Drain => self.drain(),
            Message::Stop => self.stopping = true,
        }
    }

    /// Somebody has sent a cancel request that names this slot.
    fn cancel(&mut self, slot: usize, pid: i32, key: &[u8], ticket: CancelTicket) {
        let Some(client) = self.clients.get(slot) else { return };
        let right = client.key.pid == pid && key_matches(client, key);
        if !right {
            tracing::debug!(pid, "a cancel request with a wrong key");
            return;
        }
        self.guard_client(slot, |worker| worker.cancel_statement(slot, Some(ticket)));
    }

    /// Cancels what the client is waiting for, be it a statement or a server.
    pub(super) fn cancel_statement(&mut self, slot: usize, ticket: Option<CancelTicket>) {
        let Some(client) = self.clients.get(slot) else { return };
        match client.state {
            ClientState::Leased(server_index) | ClientState::Replaying(server_index) => {
                let Some(server) = self.servers.get_mut(server_index) else { return };
                // Of what stands before the statement only settings that are awaited may fail: the others are relied
                // on by what has been sent behind them.
                let awaited = matches!(client.state, ClientState::Replaying(_));
                let prepares = server.session.preparing();
                if ticket.is_some()
                    && prepares.is_some_and(|what| {
                        !(awaited && matches!(what, Purpose::Replay | Purpose::Begin))
                    })
                {
                    server.cancel_due = ticket;
                    return;
                }
                // A cancel for a statement that has ended would hit the next one.
                if server.session.is_busy() {
                    server.cancels = server.cancels.saturating_add(1);
                    self.shared.cancel_at_server(&server.about, Some(self.index), ticket);
                }
            }
            ClientState::Waiting | ClientState::Listening | ClientState::Pausing => {
                self.unstrand(slot);
                let Some(client) = self.clients.get(slot) else { return };
                if let Some(pool) = self.pools.get_mut(client.pool) {
                    pool.forget(slot);
                    pool.publish(self.index);
                }
                self.refuse_statement(
                    slot,
                    &Report::error(
                        SqlState::QUERY_CANCELED,
                        "canceling statement due to user request",
                    ),
                );
            }
            _ => {}
        }
    }

    /// Something of ours that stands before the client's statement is answered.
    pub(super) fn statement_comes_next(&mut self, client: usize, server: usize) {
        let due = self.servers.get_mut(server).and_then(|server| server.cancel_due.take());
        if due.is_some() {
            self.cancel_statement(client, due);
        }
    }

    /// A cancel request has ended: if that is `certain`, the server has closed its socket, and nothing can be cancelled
    /// by it any more. Otherwise the server is given to nobody else.
    fn cancel_done(&mut self, serial: u64, certain: bool) {
        let Some(index) = self
            .servers
            .iter()
            .find(|(_, server)| server.about.serial == serial)
            .map(|(index, _)| index)
        else {
            return;
        };
        let Some(server) = self.servers.get_mut(index) else { return };
        server.cancels = server.cancels.saturating_sub(1);
        if !certain {
            server.about.expires_at = self.now;
        }
        if server.cancels > 0 {
            return;
        }
        match server.state {
            ServerState::Withheld => self.guard_server(index, |worker| worker.park(index)),
            ServerState::Housekeeping if server.session.is_adrift() => {
                self.guard_server(index, |worker| worker.salvage(index));
            }
            _ => {}
        }
    }

    fn on_settings(&mut self, settings: Arc<Settings>) {
        self.times = Times::of(&settings);
        self.router.follow(&settings, rand::random(), (self.shared.study(), self.index));
        self.floors = Floors::of(&settings, (self.shared.positions().want(), self.now));
        let mode = std::mem::replace(&mut self.settings, settings).routing.mode;
        self.pools.iter_mut().for_each(|(_, pool)| pool.follow_policy());
        self.follow_standbys();
        if mode != self.settings.routing.mode {
            self.leave_shadow();
        }
        self.share_anew();
        self.press();
        let clients: Vec<usize> = self.clients.iter().map(|(index, _)| index).collect();
        for index in clients {
            self.guard_client(index, |worker| {
                // A timeout may have become shorter than the one that is armed.
                if let Some(client) = worker.clients.get_mut(index) {
                    client.armed = 0;
                }
                worker.arm_client_that_has_a_limit(index);
            });
        }
        self.recheck();
    }

    /// Parked connections that are not wanted any more retire, clients of removed families are told, paused queues
    /// are served when they go on.
    pub(super) fn recheck(&mut self) {
        let clients: Vec<usize> = self.clients.iter().map(|(index, _)| index).collect();
        for index in clients {
            self.guard_client(index, |worker| worker.rest_client(index));
        }
        self.maintain_pools();
    }

    fn drain(&mut self) {
        self.draining = true;
        self.recheck();
    }
}

/// Compares in constant time; protocol 3.0 gave the client only the first 4 bytes.
fn key_matches(client: &Client, key: &[u8]) -> bool {
    let whole = bool::from(client.key.secret.as_slice().ct_eq(key));
    let short = client
        .key
        .secret
        .first_chunk::<4>()
        .is_some_and(|first| bool::from(first.as_slice().ct_eq(key)));
    if client.rare.protocol >= trunkline_wire::startup::ProtocolVersion::V3_2 {
        whole
    } else {
        short
    }
}
