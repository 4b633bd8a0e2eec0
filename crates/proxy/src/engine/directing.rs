//! Where what a client sends goes: to the primary, or to a standby that is fit for it.

use super::{slot::ANY, to_server::HOLD_MAX, worker::Worker};
use crate::cluster::NodeId;

/// What of a burst goes to the server that serves the client.
pub(super) struct Share<'a> {
    /// Its bytes, from the beginning of the burst.
    pub(super) data: &'a [u8],
    /// A standby has it, which may refuse it.
    pub(super) is_tried: bool,
    /// Nothing is under way there.
    begins: bool,
}

impl<'a> Share<'a> {
    /// All of it, to a server that carries it out whatever it is.
    pub(super) const fn all(data: &'a [u8]) -> Self {
        Self { data, is_tried: false, begins: false }
    }
}

impl Worker {
    /// Decides where the burst goes of a client that holds no server and is about to get one.
    pub(super) fn direct(&mut self, index: usize, data: &[u8]) {
        if self.traffic.fit.is_empty() {
            return;
        }
        let Some(client) = self.clients.get_mut(index) else { return };
        let stays = std::mem::take(&mut client.rare.routed().stays_home);
        if stays || !client.session.may_read_elsewhere() {
            return;
        }
        let home = client.pool;
        let Some(pool) = self.pools.get(home) else { return };
        let judge = self.router.judge(&pool.family, &client.session);
        let Some(mut judge) = judge else { return };
        let horizon = client.session.horizon(data, |text| judge.why_not(text.text).is_none());
        if horizon.bytes == 0 {
            return;
        }
        let Some(beside) = self.reader_for(index, home) else { return };
        let Some(client) = self.clients.get_mut(index) else { return };
        client.pool = beside;
        client.horizon = horizon.bytes;
    }

    /// The pool on the standby that serves the client's next reads; none if it must read from the primary.
    fn reader_for(&mut self, index: usize, home: usize) -> Option<usize> {
        let before = self.clients.get_mut(index)?.rare.routed().floor.reader();
        let node = match before.filter(|node| self.traffic.fit.contains(node)) {
            Some(node) => node,
            None => self.least_busy(home)?,
        };
        let floor = &mut self.clients.get_mut(index)?.rare.routed().floor;
        if before.is_some_and(|before| before != node) {
            // What it has seen there is not known; it is no more than what the primary has by now.
            floor.raise(self.shared.positions().want());
        }
        floor.reads_from(node);
        if self.shared.positions().read(|picture| floor.is_reached(picture, node)).is_err() {
            // The standby is asked again how far it is.
            let _asked = self.shared.positions().want();
            return None;
        }
        let beside = self.beside(home, node)?;
        let pool = self.pools.get(beside)?;
        // While no connection can be made there, nobody waits for one.
        let away = pool.servers == 0 && self.now < pool.attempt.not_before;
        (!away).then_some(beside)
    }

    /// Of the standbys that are fit the one that is least busy for clients of this pool.
    fn least_busy(&self, home: usize) -> Option<NodeId> {
        let pool = self.pools.get(home)?;
        let busy = |node: &NodeId| {
            let beside = pool.beside.iter().find(|(other, _)| other == node);
            beside.and_then(|(_, index)| self.pools.get(*index)).map_or(0, |pool| {
                pool.servers.saturating_sub(pool.idle.len()).saturating_add(pool.waiters.len())
            })
        };
        // Those that are as busy take turns.
        let turn = usize::try_from(pool.stats.leases).unwrap_or(0);
        let count = self.traffic.fit.len();
        let order =
            (0..count).map(|place| place.wrapping_add(turn).checked_rem(count).unwrap_or(0));
        order.filter_map(|place| self.traffic.fit.get(place)).min_by_key(|node| busy(node)).copied()
    }

    /// What may go of a burst to the standby that serves the client.
    pub(super) fn share_of_standby<'a>(
        &mut self,
        index: usize,
        server_index: usize,
        data: &'a [u8],
    ) -> Share<'a> {
        let (Some(client), Some(server)) =
            (self.clients.get_mut(index), self.servers.get_mut(server_index))
        else {
            return Share::all(data);
        };
        let begun = client.stream.remaining.min(data.len());
        let may = if client.horizon > 0 || begun > 0 {
            client.horizon.max(begun).min(data.len())
        } else {
            let end = &mut client.rare.routed().block_end;
            server.session.horizon_in_block(data, HOLD_MAX, end)
        };
        let begins = client.horizon > 0 && !server.session.is_busy();
        Share { data: data.get(..may).unwrap_or_default(), is_tried: true, begins }
    }

    /// Takes note of what has gone of a share to the standby.
    pub(super) fn sent_to_standby(&mut self, index: usize, share: &Share<'_>, taken: usize) {
        if let Some(client) = self.clients.get_mut(index)
            && client.horizon != ANY
        {
            client.horizon = client.horizon.saturating_sub(taken);
            Self::try_at_standby(client, share.data.get(..taken).unwrap_or_default(), share.begins);
        }
    }
}
