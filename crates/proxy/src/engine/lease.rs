//! Giving servers to clients, and taking them back.

use trunkline_route::Wish;
use trunkline_session::{LeaseStart, PoolMode, Purpose};
use trunkline_wire::{
    SqlState,
    backend::{self, Report},
    frame::peek,
};

use super::{
    crossing,
    local::LocalPool,
    message::Message,
    readiness::Token,
    slot::{ANY, ClientState, ServerState},
    waiting::Waiter,
    worker::{Again, Worker},
};
use crate::pool::Way;

impl Worker {
    /// Gives the client a parked server, or puts it into the queue.
    pub(super) fn lease_or_wait(&mut self, client_index: usize) {
        let Some(pool_index) = self.clients.get(client_index).map(|client| client.pool) else {
            return;
        };
        let Some(pool) = self.pools.get(pool_index) else { return };
        // One that is only looked at would be there otherwise, and be taken first.
        let soon = self.times.paranoid && pool.surveyed > 0;
        let free = pool.waiters.is_empty() && !pool.family.is_paused() && !soon;
        let promised = free && !pool.idle.is_empty() && self.is_due_elsewhere(pool);
        let chooses = pool.family.scope.has_placeholders();
        if free
            && !promised
            && let Some(server) = self.take_idle(pool_index)
            && let Some(server) =
                if chooses { self.suited((client_index, pool_index), server) } else { Some(server) }
        {
            self.grant(client_index, server);
            return;
        }
        self.enqueue(client_index, pool_index);
        if promised {
            // To the other loop's client, and to this one if it has been served meanwhile.
            self.again.push_back(Again::Queue(pool_index));
        }
    }

    /// Whether a client of another loop has waited for so long that a parked connection is its, before that of a client
    /// that comes now.
    fn is_due_elsewhere(&self, pool: &LocalPool) -> bool {
        pool.family.is_spread()
            && pool.family.faces.way(self.index, Some(self.now), self.times.slack) != Way::Own
    }

    /// The parked server that was used last, if it may be used without asking it first.
    pub(super) fn take_idle(&mut self, pool_index: usize) -> Option<usize> {
        loop {
            let pool = self.pools.get_mut(pool_index)?;
            let index = pool.idle.pop()?;
            pool.publish(self.index);
            let server = self.servers.get_mut(index)?;
            let silent = self.now.saturating_sub(server.since);
            if !pool.wants(server.about.node, server.about.generation, &self.traffic) {
                self.retire(index);
            } else if silent < self.times.server_check {
                return Some(index);
            } else {
                self.housekeep(index, Purpose::Check, b"");
            }
        }
    }

    /// Puts the client at the end of the queue.
    fn enqueue(&mut self, client_index: usize, pool_index: usize) {
        if self.told_failure(client_index, pool_index) {
            return;
        }
        let most = self.settings.pool.max_waiting;
        let Some(pool) = self.pools.get_mut(pool_index) else { return };
        let waiter = Waiter { client: client_index, since: self.now };
        if !pool.waiters.push(waiter, most) {
            // Its statement is still in the buffer of the loop; it is refused when the client holds it itself.
            if let Some(client) = self.clients.get_mut(client_index) {
                client.state = ClientState::Waiting;
            }
            self.again.push_back(Again::Refuse(client_index));
            return;
        }
        let Some(client) = self.clients.get_mut(client_index) else { return };
        client.state = ClientState::Waiting;
        client.since = self.now;
        let oldest = pool.waiters.front().map_or(0, |waiter| waiter.since);
        let holder = pool
            .family
            .is_spread()
            .then(|| pool.family.faces.wait(self.index, oldest, pool.idle_count()))
            .flatten();
        match holder {
            Some(other) => {
                let family = pool.family.id;
                self.shared.send(other, Message::Wanted { family, by: self.index });
            }
            None => self.open_more(pool_index),
        }
        self.hasten_maintenance();
    }

    /// Refuses the statement of a client that found the queue full.
    pub(super) fn refuse_waiting(&mut self, client_index: usize) {
        let Some(client) = self.clients.get(client_index) else { return };
        let (state, pool) = (client.state, self.pools.get(client.pool));
        let Some(pool) = pool.filter(|_| state == ClientState::Waiting) else { return };
        let text = format!(
            "too many clients wait for a server connection of pool \"{}\"/\"{}\"",
            pool.family.database, pool.family.user
        );
        let most = self.settings.pool.max_waiting;
        let hint = format!("{most} clients wait already, as many as pool.max_waiting allows.");
        self.refuse_statement(
            client_index,
            &Report::error(SqlState::TOO_MANY_CONNECTIONS, &text).with_hint(&hint),
        );
    }

    /// Lets the server serve the client.
    pub(super) fn grant(&mut self, client_index: usize, server_index: usize) {
        let (Some(client), Some(server)) =
            (self.clients.get_mut(client_index), self.servers.get_mut(server_index))
        else {
            return;
        };
        self.splice.clear();
        self.reply.clear();
        let start = client.session.begin_lease(
            &mut server.session,
            &mut self.splice,
            &mut self.reply,
            &mut self.shared.surroundings(&mut self.own),
        );
        let start = if client.crosses {
            crossing::begin_again(client, server, &mut self.splice)
        } else {
            start
        };
        client.state = match start {
            LeaseStart::Ready => ClientState::Leased(server_index),
            LeaseStart::Await => ClientState::Replaying(server_index),
        };
        server.state = ServerState::Leased(client_index);
        server.about.backend.lend(client.key.pid, server.since, self.now);
        server.since = self.now;
        if let Some(pool) = self.pools.get_mut(client.pool) {
            pool.stats.leases = pool.stats.leases.wrapping_add(1);
        }
        if !self.reply.is_empty() {
            self.send_reply(client_index);
        }
        if start == LeaseStart::Await {
            self.flush_splice(server_index);
        }
        // Otherwise what is in the splice goes before the client's bytes, in the same write.
    }

    /// Writes `self.splice` to the server.
    pub(super) fn flush_splice(&mut self, server_index: usize) {
        let splice = std::mem::take(&mut self.splice);
        if let Some(server) = self.servers.get_mut(server_index) {
            let sent = server.link.send(&splice).and_then(|()| {
                server.link.update_interest(self.readiness.registry(), Token::Server(server_index))
            });
            if sent.is_err() {
                // The read that follows tells why.
                self.again.push_back(Again::Server(server_index));
            }
        }
        self.splice = splice;
        self.splice.clear();
    }

    /// The client's transaction is over: the server goes to whoever is next.
    pub(super) fn release(&mut self, client_index: usize, server_index: usize) {
        self.give_up_lease(client_index, server_index);
        self.hand_in(server_index);
    }

    /// The client's side of that.
    #[inline]
    pub(super) fn give_up_lease(&mut self, client_index: usize, server_index: usize) {
        let (Some(client), Some(server)) =
            (self.clients.get_mut(client_index), self.servers.get_mut(server_index))
        else {
            return;
        };
        client.session.end_lease(&mut server.session);
        client.state = ClientState::Idle;
        client.since = self.now;
        let limited = client.session.limits_idleness();
        let (kept, pool) = (client.kept, self.pools.get(client.pool));
        let removed = pool.is_some_and(|pool| pool.family.is_removed());
        let routed = client.horizon != ANY
            || self.router.is_on() && (self.router.judges() || client.rare.role == Wish::Standby);
        let lead = if routed { pool.and_then(|pool| pool.lead) } else { None };
        let listens = client.listening.is_some();
        let notifies = server.about.backend.is_marked();
        let goes_on = client.readable || !client.held.is_empty();
        let leaves = client.leaving.is_some();
        if routed {
            self.release_routed(client_index, lead);
        }
        if goes_on {
            self.again.push_back(Again::Client(client_index));
        } else if !self.times.untimed || leaves {
            self.arm_client(client_index);
        }
        if limited | kept | listens | notifies {
            self.release_more(client_index, server_index, (limited, kept, listens, notifies));
        }
        if self.draining || removed {
            self.rest_client(client_index);
        }
    }

    /// What few clients call for when they give their server back.
    #[cold]
    fn release_more(
        &mut self,
        client_index: usize,
        server_index: usize,
        (limited, kept, listens, notifies): (bool, bool, bool, bool),
    ) {
        if limited {
            self.arm_client_that_has_a_limit(client_index);
        }
        if kept {
            self.keep_no_longer(client_index);
        }
        if listens {
            self.listener_rests(client_index);
        }
        if notifies {
            self.await_listeners(server_index);
        }
    }

    /// Asks a server something of ours; it is parked when it has answered.
    pub(super) fn housekeep(&mut self, index: usize, purpose: Purpose, text: &[u8]) {
        let Some(server) = self.servers.get_mut(index) else { return };
        server.state = ServerState::Housekeeping;
        server.since = self.now;
        self.splice.clear();
        server.session.ask(purpose, text, &mut self.splice);
        self.flush_splice(index);
        self.hasten_maintenance();
    }

    /// The client has left, or was thrown out, while this server served it.
    pub(super) fn abandon(
        &mut self,
        server_index: usize,
        mode: PoolMode,
        pinned: bool,
        mid_message: bool,
    ) {
        let Some(server) = self.servers.get_mut(server_index) else { return };
        if server.state == ServerState::Retiring {
            return;
        }
        let clean = server.session.at_rest() && !pinned && mode != PoolMode::Session;
        // What a whole session leaves behind is between its operator and `pool.reset_query`.
        let indelible = server.session.is_indelible() && mode != PoolMode::Session;
        if mid_message || server.session.is_ending() || indelible {
            self.cancel_and_retire(server_index);
        } else if clean {
            self.hand_in(server_index);
        } else if server.session.at_rest() {
            let text = self.settings.pool.reset_query.clone();
            if text.trim().is_empty() {
                self.park(server_index);
            } else {
                self.housekeep(server_index, Purpose::Reset, text.as_bytes());
            }
        } else if server.session.needs_only_rollback() && !pinned && mode != PoolMode::Session {
            self.housekeep(server_index, Purpose::Rollback, b"ROLLBACK");
        } else if server.session.may_be_salvaged() && mode != PoolMode::Session {
            self.set_adrift(server_index);
        } else {
            self.cancel_and_retire(server_index);
        }
    }

    /// Stops what the server is doing for nobody, and closes the connection.
    pub(super) fn cancel_and_retire(&mut self, index: usize) {
        if let Some(server) = self.servers.get(index)
            && server.session.is_busy()
            && !server.session.is_ending()
        {
            self.shared.cancel_at_server(&server.about, None, None);
        }
        self.retire(index);
    }

    /// Answers the statement the client is waiting with by an error of ours, as PostgreSQL would: the session goes
    /// on, and in the extended protocol everything up to the Sync is skipped.
    pub(super) fn refuse_statement(&mut self, client_index: usize, report: &Report<'_>) {
        self.reply.clear();
        backend::error_response(&mut self.reply, report);
        self.end_refused(client_index);
    }

    /// The client is told the error that is in `self.reply`, which is the answer to its statement.
    pub(super) fn end_refused(&mut self, client_index: usize) {
        self.go_home(client_index);
        let Some(client) = self.clients.get_mut(client_index) else { return };
        let first = peek(&client.held).ok().flatten();
        client.state = ClientState::Idle;
        if client.crosses {
            client.rare.routed().crossing.has_failed = true;
        }
        let status = client.status_alone().as_byte();
        match first {
            Some(header) if matches!(header.tag, b'Q' | b'F') => {
                backend::ready_for_query(&mut self.reply, status);
                let here = header.len.min(client.held.len());
                client.held.take_front(here);
                client.stream.remaining = header.len.saturating_sub(here);
                client.stream.forward = false;
            }
            _ => client.skipping = true,
        }
        self.count_held(client_index);
        self.count_error(client_index);
        self.send_reply(client_index);
        self.again.push_back(Again::Client(client_index));
    }
}

/// A duration in the engine's microseconds.
pub(super) fn us(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
