//! Servers on their way out. A connection counts under the caps until its server has closed it: PostgreSQL closes it when
//! the backend ends, so that there are never more backends than the caps allow.

use bytes::BytesMut;

use super::{
    message::Message,
    slot::{Server, ServerState, Stream},
    worker::{Again, Worker},
};
use crate::pool::{Loops, Permit};

/// How long a server that was told to go has to close the connection; then it is closed from this side, and counts no
/// more.
pub(super) const RETIRING_US: u64 = 10_000_000;

/// The same for a server that has not answered in time: nothing is to be expected of it any more. One that was only slow
/// has ended by then, so that there are not more backends than the caps allow.
pub(super) const SILENT_US: u64 = 1_000_000;

impl Worker {
    /// Says goodbye to a server that nobody uses. What it still sends is dropped.
    pub(super) fn retire(&mut self, index: usize) {
        let Some(server) = self.servers.get_mut(index) else { return };
        let state = std::mem::replace(&mut server.state, ServerState::Retiring);
        if state == ServerState::Retiring {
            return;
        }
        if !server.session.is_ending() && !server.session.is_busy() {
            self.splice.clear();
            trunkline_wire::frontend::terminate(&mut self.splice);
            // A goodbye that does not fit the socket is not worth waiting for.
            drop(server.link.send(&self.splice));
            self.splice.clear();
        }
        server.link.finish();
        server.about.permit.leave();
        server.since = self.now;
        server.held = BytesMut::new();
        server.stream = Stream::default();
        let pool_index = server.pool;
        // What is unread, or the end, may have been announced already.
        self.again.push_back(Again::Server(index));
        if let Some(pool) = self.pools.get_mut(pool_index) {
            pool.servers = pool.servers.saturating_sub(1);
            pool.stats.closed = pool.stats.closed.wrapping_add(1);
            if state == ServerState::Surveyed {
                pool.surveyed = pool.surveyed.saturating_sub(1);
            }
            if state == ServerState::Idle {
                pool.idle.retain(|other| *other != index);
                pool.publish(self.index);
            }
        }
        self.hasten_maintenance();
    }

    /// The server has closed its side: the place of the connection is free.
    pub(super) fn bury(&mut self, index: usize) {
        let retiring = |server: &Server| server.state == ServerState::Retiring;
        if !self.servers.get(index).is_some_and(retiring) {
            return;
        }
        let Some(server) = self.servers.try_remove(index) else { return };
        let Server { mut link, about, .. } = server;
        link.deregister(self.readiness.registry());
        drop(link);
        self.give_back(about.permit);
    }

    /// A connection has gone: whoever has looked for its place, here or at another loop, looks again.
    pub(super) fn give_back(&mut self, permit: Permit) {
        let seekers = permit.give_back();
        self.tell_seekers(seekers);
        self.seek_places();
    }

    /// There may be places under caps that loops have found full.
    pub(super) fn tell_seekers(&self, seekers: Loops) {
        for index in seekers.iter().filter(|index| *index != self.index) {
            self.shared.send(index, Message::Places);
        }
    }

    /// Opens connections for those who wait, if there are places now.
    pub(super) fn seek_places(&mut self) {
        let waiting: Vec<usize> = self
            .pools
            .iter()
            .filter(|(_, pool)| pool.is_wanted())
            .map(|(index, _)| index)
            .collect();
        for pool in waiting {
            self.open_more(pool);
        }
    }
}
