//! Where a server goes that nobody uses: to who waits here, to another loop, or into the pool.

use trunkline_session::{Purpose, Suits};

use super::{
    local::LocalPool,
    message::Message,
    slot::{ClientState, Moving, Server, ServerState},
    worker::Worker,
};
use crate::pool::Way;

impl Worker {
    /// A server at rest: to the next who waits, into the pool, or away.
    pub(super) fn park(&mut self, index: usize) {
        let Some(server) = self.servers.get_mut(index) else { return };
        if server.cancels > 0 {
            server.state = ServerState::Withheld;
            server.since = self.now;
            return;
        }
        let Some(pool) = self.pools.get_mut(server.pool) else { return };
        let aged = server.about.is_aged(self.now);
        if aged
            || !pool.wants(server.about.node, server.about.generation, &self.traffic)
            || self.now < self.pressed_until
                && must_go(server, pool, (self.index, self.now, self.times.slack))
        {
            self.retire(index);
            return;
        }
        if server.session.listens() {
            // For a client that shares servers, and this one no longer serves it.
            self.housekeep(index, Purpose::Unlisten, b"UNLISTEN *");
            return;
        }
        if server.session.limits_idleness() && (pool.waiters.is_empty() || pool.family.is_paused())
        {
            // It would end itself.
            let text = server.session.lift_idle_limit();
            self.housekeep(index, Purpose::Replay, text);
            return;
        }
        server.state = ServerState::Idle;
        server.since = self.now;
        if pool.family.is_paused() {
            pool.idle.push(index);
            pool.publish(self.index);
            return;
        }
        let oldest = pool.waiters.front().map(|waiter| waiter.since);
        let way = if pool.family.is_spread() && server.is_movable() {
            pool.family.faces.way(self.index, oldest, self.times.slack)
        } else {
            oldest.map_or(Way::Nobody, |_| Way::Own)
        };
        match way {
            Way::Own => {
                let pool_index = server.pool;
                self.serve_next(pool_index, index);
            }
            Way::Other(other) => self.move_to(index, other),
            Way::Nobody if server.about.permit.is_reserve() => self.retire(index),
            Way::Nobody if pool.family.is_spread() => self.rest(index),
            Way::Nobody => pool.idle.push(index),
        }
    }

    /// Parks a server of a pool that is dealt to all loops, for which nobody waits here.
    fn rest(&mut self, index: usize) {
        let Some(server) = self.servers.get_mut(index) else { return };
        let Some(pool) = self.pools.get_mut(server.pool) else { return };
        pool.idle.push(index);
        // A waiter that another loop enqueues at this moment is seen now, or sees the parked connection.
        if let Some(other) = pool.family.faces.rest(self.index, pool.idle_count())
            && server.is_movable()
        {
            pool.idle.pop();
            pool.publish(self.index);
            self.move_to(index, other);
        }
    }

    /// Gives the server to the first in the queue.
    fn serve_next(&mut self, pool_index: usize, server_index: usize) {
        let Some(pool) = self.pools.get(pool_index) else { return };
        let Some(client) = pool.waiters.front().map(|waiter| waiter.client) else { return };
        if pool.family.scope.has_placeholders() && self.suits(client, server_index) == Suits::Not {
            self.retire(server_index);
            self.open_more(pool_index);
            return;
        }
        let Some(pool) = self.pools.get_mut(pool_index) else { return };
        let Some(waiter) = pool.waiters.pop_front() else { return };
        pool.stats.wait_us = pool.stats.wait_us.wrapping_add(self.now.saturating_sub(waiter.since));
        pool.publish(self.index);
        self.grant(waiter.client, server_index);
        // The burst that waited goes now, with the replay of its settings before it.
        if self.client_is(waiter.client, ClientState::Leased(server_index)) {
            // Guarded by itself: who gave the server back has nothing to do with it.
            self.guard_client(waiter.client, |worker| {
                worker.client_resume_held(waiter.client, server_index);
            });
        }
    }

    /// Serves the queue of a pool from its parked connections, after a pause or a change of settings.
    pub(super) fn serve_queue(&mut self, pool_index: usize) {
        loop {
            let ready = self
                .pools
                .get(pool_index)
                .is_some_and(|p| !p.waiters.is_empty() && !p.family.is_paused());
            if !ready {
                return;
            }
            let Some(server) = self.take_idle(pool_index) else {
                if !self.ask_around(pool_index) {
                    self.open_more(pool_index);
                }
                return;
            };
            self.park(server);
        }
    }

    /// Sends a server at rest to another loop.
    fn move_to(&mut self, index: usize, other: usize) {
        let Some(mut server) = self.servers.try_remove(index) else { return };
        if let Some(pool) = self.pools.get_mut(server.pool) {
            pool.servers = pool.servers.saturating_sub(1);
        }
        server.link.deregister(self.readiness.registry());
        self.shared.send(
            other,
            Message::Moved(Moving {
                link: server.link,
                session: server.session,
                about: server.about,
            }),
        );
    }

    /// Loop `by` has a waiter and no idle connection.
    pub(super) fn wished(&mut self, pool_index: usize, by: usize) {
        let Some(pool) = self.pools.get_mut(pool_index) else { return };
        if by == self.index {
            // Nobody had one.
            self.open_more(pool_index);
            return;
        }
        if pool.family.is_paused() {
            // When it goes on, loops with waiters ask again.
            return;
        }
        let family = pool.family.id;
        if let Some(index) = self.take_idle(pool_index) {
            // To whoever has waited longest, which need not be the one who asks.
            self.park(index);
            return;
        }
        let Some(pool) = self.pools.get_mut(pool_index) else { return };
        match pool.family.faces.pass_on(self.index, by) {
            Some(other) => self.shared.send(other, Message::Wanted { family, by }),
            None => self.shared.send(by, Message::Wanted { family, by }),
        }
    }

    /// Asks other loops for the idle connections that could serve those who wait here.
    fn ask_around(&mut self, pool_index: usize) -> bool {
        let Some(pool) = self.pools.get(pool_index).filter(|pool| pool.family.is_spread()) else {
            return false;
        };
        let mut wanted = u64::try_from(pool.waiters.len()).unwrap_or(u64::MAX);
        let mut asked = false;
        for (other, idle) in pool.family.faces.idle_elsewhere(self.index) {
            for _ in 0..idle.min(wanted) {
                let family = pool.family.id;
                self.shared.send(other, Message::Wanted { family, by: self.index });
                asked = true;
            }
            wanted = wanted.saturating_sub(idle);
        }
        asked
    }
}

/// Whether a server gives up its place while there is pressure on caps, seen by loop `own` at `now`: there are too many, or
/// the place is claimed by one who has waited for longer than all who wait for this server, and more than `slack`.
#[cold]
fn must_go(server: &Server, pool: &LocalPool, (own, now, slack): (usize, u64, u64)) -> bool {
    let permit = &server.about.permit;
    permit.is_surplus()
        || permit.claimed_since(now).is_some_and(|since| {
            pool.oldest_everywhere(own).is_none_or(|oldest| since.saturating_add(slack) < oldest)
        })
}
