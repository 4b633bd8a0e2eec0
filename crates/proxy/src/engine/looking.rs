//! Asking a server what its client has there, after statements whose texts do not tell.

use trunkline_settings::{HiddenState, PoolMode};

use super::{
    slot::{ClientState, ServerState},
    worker::{Again, Worker},
};

impl Worker {
    /// The server is at rest, and its client cannot give it back: if that may be because of what the server has not been
    /// asked for yet, it is asked. Says whether it is.
    #[cold]
    pub(super) fn begin_read_back(&mut self, client_index: usize, index: usize) -> bool {
        let (Some(client), Some(server)) =
            (self.clients.get_mut(client_index), self.servers.get_mut(index))
        else {
            return false;
        };
        // What the client is amid of goes to this server first.
        if !client.session.wants_read_back(&server.session) || client.stream.remaining > 0 {
            return false;
        }
        self.splice.clear();
        client.session.read_back(&mut server.session, &mut self.splice);
        self.flush_splice(index);
        true
    }

    /// A new server: it is asked of the functions of its database, unless nobody wants to know, and parked when it has
    /// answered.
    pub(super) fn survey(&mut self, index: usize) {
        let Some(server) = self.servers.get_mut(index) else { return };
        let Some(pool) = self.pools.get(server.pool) else { return };
        let policy = pool.family.policy.load();
        if policy.mode == PoolMode::Session || policy.hidden_state == HiddenState::Trust {
            self.park(index);
            return;
        }
        server.state = ServerState::Housekeeping;
        server.since = self.now;
        self.splice.clear();
        server.session.survey(&pool.family.scope, &mut self.splice);
        self.flush_splice(index);
        self.hasten_maintenance();
    }

    /// It has told of them, or could not.
    pub(super) fn surveyed(&mut self, index: usize) {
        let Some(server) = self.servers.get_mut(index) else { return };
        let Some(pool) = self.pools.get(server.pool) else { return };
        server.session.end_survey(&pool.family.scope);
        self.park(index);
    }

    /// The server has told, or could not.
    pub(super) fn end_read_back(&mut self, client_index: usize, index: usize) {
        let (Some(client), Some(server)) =
            (self.clients.get_mut(client_index), self.servers.get_mut(index))
        else {
            return;
        };
        let told = server.session.take_read_back();
        if let (Some(told), Some(pool)) = (told, self.pools.get_mut(client.pool)) {
            pool.count_read_back(&told);
        }
        if client.state != ClientState::Leased(index) || server.session.is_ending() {
            return;
        }
        if client.session.may_release(&server.session) && client.stream.remaining == 0 {
            self.release(client_index, index);
            return;
        }
        if server.session.at_rest() {
            self.keep(client_index);
            self.rest_client(client_index);
        }
        // What the client has sent meanwhile has waited.
        self.again.push_back(Again::Client(client_index));
    }
}
