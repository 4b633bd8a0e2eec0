//! Which of the parked servers suits a client, with a view to placeholders: those that others have left there, and its own.

use trunkline_session::Suits;

use super::worker::Worker;

impl Worker {
    /// Whether the client may be served by the server.
    pub(super) fn suits(&self, client_index: usize, server_index: usize) -> Suits {
        match (self.clients.get(client_index), self.servers.get(server_index)) {
            (Some(client), Some(server)) => client.session.suits(&server.session),
            _ => Suits::Well,
        }
    }

    /// The server that the client gets instead of this one, which was parked, in a pool that has something to choose by:
    /// mostly itself. None if it would see there what it must not: then the server is closed for a new one.
    pub(super) fn suited(
        &mut self,
        (client_index, pool_index): (usize, usize),
        server_index: usize,
    ) -> Option<usize> {
        match self.suits(client_index, server_index) {
            Suits::Well => Some(server_index),
            suits => self.better_suited((client_index, pool_index), server_index, suits),
        }
    }

    #[cold]
    fn better_suited(
        &mut self,
        (client_index, pool_index): (usize, usize),
        ill: usize,
        suits: Suits,
    ) -> Option<usize> {
        let pool = self.pools.get(pool_index)?;
        // The one that was used last; one that would have to be asked first is not waited for.
        let place = pool.idle.iter().rposition(|&index| {
            self.suits(client_index, index) == Suits::Well
                && self.servers.get(index).is_some_and(|server| {
                    pool.wants(server.about.node, server.about.generation, &self.traffic)
                        && self.now.saturating_sub(server.since) < self.times.server_check
                })
        });
        match place {
            Some(place) => {
                let pool = self.pools.get_mut(pool_index)?;
                let better = pool.idle.remove(place);
                pool.idle.push(ill);
                pool.publish(self.index);
                Some(better)
            }
            None if suits == Suits::Ill => Some(ill),
            None => {
                self.retire(ill);
                None
            }
        }
    }
}
