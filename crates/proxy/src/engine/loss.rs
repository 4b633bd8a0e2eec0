//! Servers that are lost, and what the clients they served are told.

use trunkline_wire::{SqlState, backend::Report};

use super::{
    slot::{ClientState, ServerState},
    worker::Worker,
};

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
        server.session.end();
        self.shared.suspect(server.about.node);
        let pool_index = server.pool;
        if let ServerState::Leased(client) = state {
            self.retire(index);
            if torn {
                self.hang_up(client, why);
            } else {
                self.server_lost(client, index, said, why);
            }
        } else {
            tracing::debug!(pid = server.about.pid, "a server connection ended: {why}");
            self.retire(index);
        }
        self.serve_queue(pool_index);
    }

    fn server_lost(&mut self, client_index: usize, server_index: usize, said: bool, why: &str) {
        let Some(client) = self.clients.get_mut(client_index) else { return };
        if !matches!(client.state, ClientState::Leased(s) | ClientState::Replaying(s) if s == server_index)
        {
            return;
        }
        client.state = ClientState::Idle;
        client.session.lose_server();
        if said {
            // The server's own last words have been passed on.
            self.part_silently(client_index);
            return;
        }
        let report = Report::fatal(SqlState::CONNECTION_FAILURE, why).with_hint(
            "The outcome of a statement that was running is not known. Connect again and check it.",
        );
        self.fatal_report(client_index, &report);
    }
}
