//! The pools of a family's clients on standbys, beside the one on the primary.
//!
//! A client belongs to its pool on the primary. While it waits for a server of a standby, or is served by one, its `pool` is
//! the pool there.

use super::{
    local::LocalPool,
    slot::{ANY, ClientState},
    worker::{Again, Worker},
};
use crate::cluster::NodeId;

impl Worker {
    /// The pool on the primary of the clients that this one serves.
    pub(super) fn home_of(&self, pool_index: usize) -> usize {
        self.pools.get(pool_index).and_then(|pool| pool.lead).unwrap_or(pool_index)
    }

    /// The pool on `node` for the clients of the pool on the primary, made when new; for those whose sessions are `whole` a
    /// standby's it is another one, as they are told that it is one.
    pub(super) fn beside(&mut self, home: usize, node: NodeId, whole: bool) -> Option<usize> {
        let pool = self.pools.get(home)?;
        if let Some((_, known)) = pool.beside_of(whole).iter().find(|(other, _)| *other == node)
            && self.pools.get(*known).is_some_and(|pool| !pool.family.is_removed())
        {
            return Some(*known);
        }
        let family = self.shared.registry.beside(&pool.family, node, whole);
        Some(self.pool_of(&family))
    }

    /// The client is served by no standby any more, and waits for none.
    #[inline]
    pub(super) fn go_home(&mut self, client_index: usize) {
        if let Some(client) = self.clients.get_mut(client_index)
            && let Some(lead) = self.pools.get(client.pool).and_then(|pool| pool.lead)
        {
            client.horizon = ANY;
            client.pool = lead;
        }
    }

    /// Those who wait for a server of a standby do so no longer: where what they have sent goes is decided anew.
    pub(super) fn send_home(&mut self, pool_index: usize) {
        if self.pools.get(pool_index).is_none_or(|pool| pool.lead.is_none()) {
            return;
        }
        while let Some(waiter) =
            self.pools.get_mut(pool_index).and_then(|pool| pool.waiters.pop_front())
        {
            if let Some(client) = self.clients.get_mut(waiter.client)
                && client.state == ClientState::Waiting
            {
                client.state = ClientState::Idle;
            }
            self.go_home(waiter.client);
            self.again.push_back(Again::Client(waiter.client));
        }
        let next = |pool: &mut LocalPool| pool.welcoming.pop_front();
        while let Some(index) = self.pools.get_mut(pool_index).and_then(next) {
            self.go_home(index);
            self.guard_client(index, |worker| worker.greet(index));
        }
        if let Some(pool) = self.pools.get(pool_index) {
            pool.publish(self.index);
        }
    }
}
