//! Servers whose clients have gone amid something: what they are at is cancelled, and they are brought back to rest. That
//! has to be quick, or the connection is closed.

use super::{
    slot::ServerState,
    worker::{Again, Worker},
};

impl Worker {
    /// The client of this server has gone, and not all that it asked for is answered.
    pub(super) fn set_adrift(&mut self, index: usize) {
        let Some(server) = self.servers.get_mut(index) else { return };
        let works = server.session.will_answer();
        server.session.give_up_client(rand::random());
        server.state = ServerState::Housekeeping;
        server.since = self.now;
        server.cancel_due = None;
        if works {
            server.cancels = server.cancels.saturating_add(1);
            self.shared.cancel_at_server(&server.about, Some(self.index), None);
        }
        // It may have more to say than the client has read.
        self.again.push_back(Again::Server(index));
        self.salvage(index);
        self.hasten_maintenance();
    }

    /// Brings the server to rest if nothing that is sent to it can be cancelled.
    pub(super) fn salvage(&mut self, index: usize) {
        let Some(server) = self.servers.get_mut(index) else { return };
        if server.cancels > 0 {
            return;
        }
        self.splice.clear();
        server.session.salvage(&mut self.splice);
        self.flush_splice(index);
    }
}
