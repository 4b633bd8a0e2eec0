//! Asking a server what its client has there, after statements whose texts do not tell.

use bytes::BytesMut;
use trunkline_session::{Scope, ServerSession};
use trunkline_settings::{HiddenState, PoolMode};

use super::{
    slot::{ClientState, ServerState},
    worker::{Again, Worker},
};
use crate::pool::Family;

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
        let Some(server) = self.servers.get(index) else { return };
        let Some(pool) = self.pools.get(server.pool) else { return };
        if is_asked(&pool.family) && !pool.family.scope.survey_is_hopeless() {
            self.question(index, ServerSession::survey);
        } else {
            let Some(server) = self.servers.get_mut(index) else { return };
            let new = server.session.skip_survey(&pool.family.scope);
            self.park_begun(index, new);
        }
    }

    /// Parks a new server; its age counts from here, as nobody would be served where making one takes longer than `max_age`.
    /// If sessions begin there as they do on no other one, what waits for a server of that pool was judged without knowing
    /// that.
    fn park_begun(&mut self, index: usize, new: bool) {
        let Some(server) = self.servers.get_mut(index) else { return };
        server.about.count_age_from(self.now);
        let pool = server.pool;
        if new {
            self.send_home(pool);
        }
        self.park(index);
    }

    /// Puts a server a question of ours about what is there. It counts as one that is about to be there for who waits.
    fn question(
        &mut self,
        index: usize,
        put: impl FnOnce(&mut ServerSession, &Scope, &mut BytesMut),
    ) {
        let Some(server) = self.servers.get_mut(index) else { return };
        let Some(pool) = self.pools.get_mut(server.pool) else { return };
        server.state = ServerState::Surveyed;
        server.since = self.now;
        pool.surveyed = pool.surveyed.saturating_add(1);
        self.splice.clear();
        put(&mut server.session, &pool.family.scope, &mut self.splice);
        self.flush_splice(index);
        self.hasten_maintenance();
    }

    /// If the server takes too long to tell of the functions of its database, it is told to leave it: it serves without.
    pub(super) fn cancel_survey(&mut self, index: usize) -> bool {
        let Some(server) = self.servers.get_mut(index) else { return false };
        if server.state != ServerState::Surveyed {
            return false;
        }
        server.state = ServerState::Housekeeping;
        server.since = self.now;
        self.shared.cancel_at_server(&server.about, None, None);
        if let Some(pool) = self.pools.get_mut(server.pool) {
            pool.surveyed = pool.surveyed.saturating_sub(1);
            tracing::warn!(
                database = %pool.family.database,
                "a server takes too long to tell which functions may leave session state behind"
            );
        }
        true
    }

    /// It has told of them, or could not.
    pub(super) fn surveyed(&mut self, index: usize) {
        let Some(server) = self.servers.get_mut(index) else { return };
        let Some(pool) = self.pools.get_mut(server.pool) else { return };
        if server.state == ServerState::Surveyed {
            pool.surveyed = pool.surveyed.saturating_sub(1);
        }
        if !server.session.is_audited() {
            let new = server.session.end_survey(&pool.family.scope);
            self.park_begun(index, new);
            return;
        }
        pool.stats.audits = pool.stats.audits.wrapping_add(1);
        let differences = server.session.end_audit(&pool.family.scope);
        if differences.is_empty() {
            self.park(index);
            return;
        }
        pool.stats.leaks = pool.stats.leaks.wrapping_add(1);
        tracing::error!(
            database = %pool.family.database, user = %pool.family.user, server_pid = server.about.pid,
            "a server connection is not in the state that it should be in: {}", differences.join("; ")
        );
        self.retire(index);
    }

    /// A client has given the server back: it is parked, or looked at before if nothing is to be believed.
    #[inline]
    pub(super) fn hand_in(&mut self, index: usize) {
        if self.times.paranoid {
            self.audit(index);
        } else {
            self.park(index);
        }
    }

    #[cold]
    fn audit(&mut self, index: usize) {
        let Some(server) = self.servers.get(index) else { return };
        let Some(pool) = self.pools.get(server.pool) else { return };
        if is_asked(&pool.family) {
            self.question(index, ServerSession::audit);
        } else {
            self.park(index);
        }
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
        self.listener_pauses(client_index);
        // What the client has sent meanwhile has waited.
        self.again.push_back(Again::Client(client_index));
    }
}

/// Whether the servers of a family are asked what is there.
fn is_asked(family: &Family) -> bool {
    let policy = family.policy.load();
    policy.mode != PoolMode::Session && policy.hidden_state != HiddenState::Trust
}
