//! What pools need from time to time: deadlines, attempts to open, idle and aged connections.

use std::sync::Arc;

use super::{
    lease::us,
    message::Message,
    retire::{RETIRING_US, SILENT_US},
    slot::ServerState,
    worker::Worker,
};

/// How long connections that come back are asked whether they must give up their places, after the last reason for it;
/// longer than the time between two looks after the pools.
const PRESSED_US: u64 = 1_000_000;

impl Worker {
    /// Looks after all pools; says whether something waits or is being opened.
    pub(super) fn maintain_pools(&mut self) -> bool {
        let mut busy = false;
        let pools: Vec<usize> = self.pools.iter().map(|(index, _)| index).collect();
        for pool_index in pools {
            self.guard(|worker| worker.maintain_pool(pool_index));
            busy |= self.pools.get(pool_index).is_some_and(|pool| {
                !pool.waiters.is_empty()
                    || !pool.welcoming.is_empty()
                    || pool.attempt.under_way() > 0
            });
        }
        self.serve_stranded();
        busy |= !self.stranded.is_empty();
        self.expire_housekeeping();
        self.expire_doubt();
        if self.servers.iter().any(|(_, server)| server.about.permit.is_surplus()) {
            self.press();
        }
        busy
    }

    /// From now on, for a while, connections that come back may have to give up their places: somebody claims one, or
    /// a limit has been lowered.
    pub(super) fn press(&mut self) {
        self.pressed_until = self.now.saturating_add(PRESSED_US);
    }

    fn maintain_pool(&mut self, pool_index: usize) {
        self.follow_pause(pool_index);
        self.expire_waiters(pool_index);
        self.expire_idle(pool_index);
        self.serve_queue(pool_index);
        self.open_more(pool_index);
        self.ask_for_eviction(pool_index);
        if self.pools.get(pool_index).is_some_and(|pool| !pool.is_wanted()) {
            self.withdraw_claim(pool_index);
        }
        self.forget_pool(pool_index);
    }

    /// A pool of a removed family goes when nothing of it is left here.
    fn forget_pool(&mut self, pool_index: usize) {
        let Some(pool) = self.pools.get(pool_index) else { return };
        let used = pool.clients > 0 || pool.servers > 0 || pool.attempt.under_way() > 0;
        if !pool.family.is_removed()
            || used
            || !pool.beside.is_empty()
            || !pool.beside_whole.is_empty()
        {
            return;
        }
        if self.clients.iter().any(|(_, client)| client.pool == pool_index) {
            return;
        }
        let (lead, id) = (pool.lead, pool.family.id);
        self.departed.keep(&pool.family, &pool.stats, pool.routes.as_deref());
        self.by_family.remove(&id);
        self.pools.remove(pool_index);
        if let Some(lead) = lead.and_then(|lead| self.pools.get_mut(lead)) {
            lead.beside.retain(|(_, beside)| *beside != pool_index);
            lead.beside_whole.retain(|(_, beside)| *beside != pool_index);
        }
    }

    /// A cap is full and others may hold idle connections under it, on other loops.
    fn ask_for_eviction(&mut self, pool_index: usize) {
        let Some(pool) = self.pools.get(pool_index) else { return };
        if let Some(cap) = &pool.attempt.full
            && pool.is_wanted()
            && cap.leaving() < pool.lacking(self.index)
        {
            self.shared.send_others(self.index, || Message::Evict(Arc::clone(cap)));
        }
    }

    fn expire_idle(&mut self, pool_index: usize) {
        let limit = us(self.settings.pool.idle_timeout);
        let Some(pool) = self.pools.get(pool_index) else { return };
        let mut spare = pool.idle_everywhere(self.index).saturating_sub(pool.least());
        for index in pool.idle.clone() {
            let (Some(pool), Some(server)) = (self.pools.get(pool_index), self.servers.get(index))
            else {
                continue;
            };
            let aged = server.about.is_aged(self.now);
            let stale = !pool.wants(server.about.node, server.about.generation, &self.traffic)
                || server.about.permit.is_surplus();
            let idle = limit != 0 && spare > 0 && self.now.saturating_sub(server.since) >= limit;
            if aged || stale || idle {
                spare = spare.saturating_sub(1);
                self.retire(index);
            }
        }
    }

    /// Queries of ours that are not answered in time cost the connection, and a server that does not close a connection
    /// is not waited for.
    fn expire_housekeeping(&mut self) {
        let limit = us(self.settings.pool.server_check_timeout);
        let survey = us(self.settings.pool.connect_timeout);
        let late: Vec<usize> = self
            .servers
            .iter()
            .filter(|(_, server)| {
                let limit = match server.state {
                    ServerState::Housekeeping => limit,
                    ServerState::Surveyed => survey,
                    ServerState::Retiring if server.about.silent => SILENT_US,
                    ServerState::Retiring => RETIRING_US,
                    _ => return false,
                };
                self.now.saturating_sub(server.since) >= limit
            })
            .map(|(index, _)| index)
            .collect();
        for index in late {
            self.guard_server(index, |worker| {
                if !worker.cancel_survey(index) {
                    worker.give_up(index);
                }
            });
        }
    }
}
