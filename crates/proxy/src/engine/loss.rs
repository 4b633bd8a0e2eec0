//! Servers that are lost, and what the clients they served are told.

use trunkline_session::Purpose;
use trunkline_wire::backend::Report;

use super::{
    message::Message,
    slot::{ClientState, ServerState},
    traffic::loss,
    worker::Worker,
};

/// Why a server is lost that says so.
pub(super) const ENDED: &str = "the server ended the connection";

impl Worker {
    /// The connection to a server is lost, or of no use any more; who it serves is told.
    pub(super) fn drop_server(&mut self, index: usize, why: &str) {
        let said = self.servers.get(index).is_some_and(|server| server.session.is_ending());
        self.drop_server_that(said, index, why);
    }

    /// The same; `said` tells whether the server's own last words have been passed on.
    pub(super) fn drop_server_that(&mut self, said: bool, index: usize, why: &str) {
        let Some(server) = self.servers.get_mut(index) else { return };
        let torn = server.stream.is_torn();
        let state = server.state;
        if state == ServerState::Retiring {
            self.bury(index);
            return;
        }
        let report = loss(&server.session, why);
        server.session.end();
        self.shared.suspect(server.about.node);
        let pool_index = server.pool;
        if let ServerState::Leased(client) = state {
            self.retire(index);
            if said && !torn && !self.is_tried(client) {
                self.server_has_said(client, index);
            } else {
                self.server_lost(client, index, torn, &report);
            }
        } else {
            tracing::debug!(pid = server.about.pid, "a server connection ended: {why}");
            self.retire(index);
        }
        self.serve_queue(pool_index);
    }

    /// A server has not answered, or not closed the connection, in time.
    pub(super) fn give_up(&mut self, index: usize) {
        let Some(server) = self.servers.get_mut(index) else { return };
        if server.state == ServerState::Housekeeping {
            server.about.silent = true;
            let pool_index = server.pool;
            self.doubt(pool_index);
            if let Some(pool) = self.pools.get(pool_index)
                && pool.family.is_spread()
            {
                let family = pool.family.id;
                self.shared.send_others(self.index, || Message::Doubt(family));
            }
        }
        let why = "a query of the pooler was not answered within pool.server_check_timeout";
        self.drop_server(index, why);
    }

    /// A parked server of the pool did not answer: what has cut it off may have cut off the others. They are asked
    /// before they are used, however short a time ago they were.
    pub(super) fn doubt(&mut self, pool_index: usize) {
        let Some(pool) = self.pools.get_mut(pool_index) else { return };
        let idle = std::mem::take(&mut pool.idle);
        pool.publish(self.index);
        for index in idle {
            self.housekeep(index, Purpose::Check, b"");
        }
    }

    /// The client's server is lost: it is told, unless it has a part of a message.
    pub(super) fn server_lost(
        &mut self,
        client_index: usize,
        server_index: usize,
        torn: bool,
        report: &Report<'_>,
    ) {
        if self.is_carried_out_elsewhere(client_index, server_index)
            || !self.lose_server(client_index, server_index)
        {
            return;
        }
        if torn {
            self.count_error(client_index);
            self.hang_up(client_index, report.message);
        } else {
            self.fatal_report(client_index, report);
        }
    }

    /// The server's own last words have been passed on.
    fn server_has_said(&mut self, client_index: usize, server_index: usize) {
        if self.lose_server(client_index, server_index) {
            self.part_silently(client_index);
        }
    }

    /// Takes a server that is lost away from its client; false if it is not this client's.
    fn lose_server(&mut self, client_index: usize, server_index: usize) -> bool {
        let Some(client) = self.clients.get_mut(client_index) else { return false };
        if !matches!(client.state, ClientState::Leased(s) | ClientState::Replaying(s) if s == server_index)
        {
            return false;
        }
        client.state = ClientState::Idle;
        client.session.lose_server();
        true
    }
}
