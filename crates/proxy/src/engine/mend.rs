//! What a panic leaves behind.
//!
//! It may end a change half-way: a server that is in no list, a client whose server knows nothing of it. So the books of
//! the loop are gone through after each: who they do not agree about was in the middle of something, and goes; what is
//! counted is counted again, and published. Whoever calls work that is guarded by itself leaves the books in order.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    link::Inflow,
    slot::{ClientState, Server, ServerState},
    worker::{Again, Worker},
};

/// Why those go who were served during a panic.
const WHY: &str = "internal error while serving the client";

impl Worker {
    /// Makes the loop's buffers whole again.
    #[cold]
    pub(super) fn after_panic(&mut self) {
        self.panics = self.panics.wrapping_add(1);
        self.inflow = Some(Box::new(Inflow::new()));
        self.splice.clear();
        self.reply.clear();
    }

    /// Closes a client, and its server with it. If what it has left behind makes even that panic, it is cut off.
    #[cold]
    pub(super) fn expel_client(&mut self, index: usize) {
        if !self.succeeds(|worker| worker.drop_client(index, WHY)) {
            self.keep_no_longer(index);
            drop(self.clients.try_remove(index));
        }
    }

    /// Closes a server; who it serves is told. If what it has left behind makes even that panic, it is cut off.
    #[cold]
    pub(super) fn expel_server(&mut self, index: usize) {
        if !self.succeeds(|worker| worker.drop_server(index, WHY)) {
            drop(self.servers.try_remove(index));
        }
    }

    fn succeeds(&mut self, work: impl FnOnce(&mut Self)) -> bool {
        let done = catch_unwind(AssertUnwindSafe(|| work(self))).is_ok();
        if !done {
            self.after_panic();
        }
        done
    }

    /// Puts the loop's books in order.
    #[cold]
    pub(super) fn mend(&mut self) {
        for index in self.stray_servers() {
            if !self.succeeds(|worker| worker.retire(index)) {
                drop(self.servers.try_remove(index));
            }
        }
        for index in self.stray_clients() {
            self.expel_client(index);
        }
        self.strike_out();
        self.count_again();
        self.hasten_maintenance();
    }

    /// Takes out of the pools' lists who is not, or not any more, what the list says.
    fn strike_out(&mut self) {
        let (clients, servers) = (&self.clients, &self.servers);
        for (place, pool) in &mut self.pools {
            let is = |index: usize, state| {
                clients
                    .get(index)
                    .is_some_and(|client| client.state == state && client.pool == place)
            };
            pool.waiters.retain(|waiter| is(waiter.client, ClientState::Waiting));
            pool.welcoming.retain(|index| is(*index, ClientState::Welcoming));
            pool.idle.retain(|index| {
                servers
                    .get(*index)
                    .is_some_and(|server| server.state == ServerState::Idle && server.pool == place)
            });
        }
    }

    /// Servers that nobody knows of: their client is not theirs, or they are parked nowhere.
    fn stray_servers(&mut self) -> Vec<usize> {
        let parked: BTreeSet<usize> =
            self.pools.iter().flat_map(|(_, pool)| pool.idle.iter().copied()).collect();
        let mut stray = Vec::new();
        for (index, server) in &mut self.servers {
            let known = match server.state {
                ServerState::Leased(client) => self
                    .clients
                    .get(client)
                    .is_some_and(|client| client.state.server() == Some(index)),
                ServerState::Idle => parked.contains(&index),
                ServerState::Withheld => server.cancels > 0,
                ServerState::Surveyed | ServerState::Housekeeping => true,
                ServerState::Retiring => {
                    // The goodbye may not have come to its end.
                    server.about.permit.leave();
                    self.again.push_back(Again::Server(index));
                    true
                }
            };
            if !known {
                stray.push(index);
            }
        }
        stray
    }

    /// Clients that nobody knows of: their server is not theirs, or they wait in no queue.
    fn stray_clients(&mut self) -> Vec<usize> {
        let refused = self.again.iter().filter_map(|again| match again {
            Again::Refuse(index) => Some(*index),
            _ => None,
        });
        let queued = self.pools.iter().flat_map(|(_, pool)| {
            pool.waiters.iter().map(|waiter| waiter.client).chain(pool.welcoming.iter().copied())
        });
        let waiting: BTreeSet<usize> = refused.chain(queued).collect();
        let mut stray = Vec::new();
        for (index, client) in &self.clients {
            let known = match client.state {
                ClientState::Leased(server) | ClientState::Replaying(server) => self
                    .servers
                    .get(server)
                    .is_some_and(|server| server.state == ServerState::Leased(index)),
                ClientState::Waiting | ClientState::Welcoming => waiting.contains(&index),
                // The listener answers in any case.
                ClientState::Idle
                | ClientState::Listening
                | ClientState::Pausing
                | ClientState::Unsaid
                | ClientState::Closing => true,
            };
            if !known {
                stray.push(index);
            }
        }
        stray
    }

    /// Counts the clients and servers of each pool, and publishes what it has.
    fn count_again(&mut self) {
        let homes = self.clients.iter().map(|(_, client)| self.home_of(client.pool));
        let homes: Vec<usize> = homes.collect();
        for (place, pool) in &mut self.pools {
            pool.clients = homes.iter().filter(|home| **home == place).count();
            pool.servers = self
                .servers
                .iter()
                .filter(|(_, it)| it.pool == place && it.state != ServerState::Retiring)
                .count();
            let surveyed = |it: &Server| it.pool == place && it.state == ServerState::Surveyed;
            pool.surveyed = self.servers.iter().filter(|(_, it)| surveyed(it)).count();
            pool.publish(self.index);
        }
        self.count_all_held();
    }
}
