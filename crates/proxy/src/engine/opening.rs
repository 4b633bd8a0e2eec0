//! How server connections are opened, and what becomes of those who wait when none can be.

use std::sync::Arc;

use super::{
    attempt::{Failure, Round},
    lease::us,
    local::LocalPool,
    message::{Message, Opened},
    worker::Worker,
};
use crate::{
    cluster::NodeId,
    handover::OpenError,
    pool::{Cap, Permit},
};

/// Clients are told the failure of the last attempt, without another one, when attempts are at least this far apart.
const ANSWER_FROM_US: u64 = 1_000_000;

/// Connections of one pool that one loop opens at a time.
const OPENING_MAX: usize = 16;

impl Worker {
    /// Opens as many connections as those who wait call for and the caps allow.
    pub(super) fn open_more(&mut self, pool_index: usize) {
        let traffic = &self.traffic;
        let Some(node) = self.pools.get(pool_index).and_then(|pool| pool.node(traffic)) else {
            return;
        };
        let mut news = false;
        loop {
            let Some(pool) = self.pools.get_mut(pool_index) else { return };
            if pool.lacking(self.index) == 0
                || pool.attempt.under_way() >= OPENING_MAX
                || self.now < pool.attempt.not_before
                || pool.family.is_paused()
            {
                return;
            }
            let caps = self.shared.caps_of(&pool.family, node);
            match Permit::take(&caps, &pool.family.tenants, self.now) {
                Ok(permit) => {
                    pool.attempt.full = None;
                    pool.attempt.reserve_full = None;
                    self.begin_opening(pool_index, node, permit);
                    self.withdraw_claim(pool_index);
                }
                Err(cap) if cap.seekers.add(self.index) => news = true,
                Err(cap) => {
                    pool.attempt.full = Some(Arc::clone(&cap));
                    let (claims, wanted) = (pool.claim(&cap, self.now), pool.is_wanted());
                    if claims {
                        // Connections that come back are to be given up, at whichever loop.
                        self.press();
                    }
                    if claims && news {
                        self.shared.send_others(self.index, || Message::Evict(Arc::clone(&cap)));
                    }
                    if !wanted
                        || !(self.make_room(pool_index, &cap, news && !claims)
                            || self.open_reserve(pool_index, node))
                    {
                        return;
                    }
                    news = false;
                }
            }
        }
    }

    /// A place was found, or nobody needs one: those whom the claim has kept away look again.
    pub(super) fn withdraw_claim(&mut self, pool_index: usize) {
        if let Some(cap) = self.pools.get_mut(pool_index).and_then(LocalPool::withdraw_claim) {
            self.tell_seekers(cap.seekers.take());
        }
    }

    /// Somebody's idle connection may hold the place under a cap: one of this loop is closed, else the others are asked
    /// to close one, at once if it is `news` that the cap is full. Says whether there may be a place now.
    fn make_room(&mut self, pool_index: usize, cap: &Arc<Cap>, news: bool) -> bool {
        let Some(pool) = self.pools.get(pool_index) else { return false };
        // Those on their way out make room for as many.
        if cap.leaving() >= pool.lacking(self.index) {
            return false;
        }
        if self.evict(cap, pool_index) {
            return true;
        }
        if news {
            self.shared.send_others(self.index, || Message::Evict(Arc::clone(cap)));
        }
        false
    }

    /// Opens a connection beyond the size of the pool, if there are clients who have waited for `reserve_after` and
    /// for whom none is being opened yet.
    fn open_reserve(&mut self, pool_index: usize, node: NodeId) -> bool {
        let patience = us(self.settings.pool.reserve_after);
        let Some(pool) = self.pools.get_mut(pool_index) else { return false };
        if pool.overdue(self.now, patience) <= pool.attempt.under_way() {
            return false;
        }
        let Some(caps) = self.shared.reserve_caps_of(&pool.family, node) else { return false };
        let permit = match Permit::take_reserve(&caps, &pool.family.tenants, self.now) {
            Ok(permit) => permit,
            Err(cap) => {
                pool.attempt.reserve_full = Some(cap);
                return false;
            }
        };
        pool.attempt.reserve_full = None;
        self.begin_opening(pool_index, node, permit);
        true
    }

    fn begin_opening(&mut self, pool_index: usize, node: NodeId, permit: Permit) {
        let Some(pool) = self.pools.get_mut(pool_index) else { return };
        let (shared, family, own) = (&self.shared, &pool.family, self.index);
        pool.attempt.begin(|number| shared.open(family, node, permit, (own, number)));
    }

    /// Closes an idle connection of another pool that counts against `cap`, the longest idle first.
    pub(super) fn evict(&mut self, cap: &Arc<Cap>, but: usize) -> bool {
        let found = self
            .pools
            .iter()
            .filter(|(index, pool)| *index != but && !pool.is_wanting())
            .filter_map(|(_, pool)| pool.idle.first().copied())
            .filter(|index| {
                self.servers.get(*index).is_some_and(|server| server.about.permit.is_under(cap))
            })
            .min_by_key(|index| self.servers.get(*index).map_or(u64::MAX, |server| server.since));
        let Some(index) = found else { return false };
        self.retire(index);
        true
    }

    /// A connection that was asked for is there, or not. One to a node that the pool does not lead to any more is dropped.
    pub(super) fn opened(&mut self, opened: Opened) {
        let Opened { family, node, number, generation, permit, result } = opened;
        let Some(pool_index) = self.by_family.get(&family).copied() else { return };
        let Some(pool) = self.pools.get_mut(pool_index) else { return };
        let round = pool.attempt.ended(number);
        match result {
            Ok(new) if pool.node(&self.traffic) == Some(node) => {
                pool.attempt.succeeded();
                let about = self.about(pool_index, node, generation, permit, &new);
                self.settle_server(pool_index, new, about);
            }
            Ok(new) => {
                drop(new);
                self.give_back(permit);
            }
            Err(error) => {
                if matches!(error, OpenError::Away(_)) {
                    self.shared.suspect(node);
                }
                if let Some(round) = round {
                    self.open_failed(pool_index, round, &error);
                }
                self.give_back(permit);
            }
        }
        self.open_more(pool_index);
    }

    fn open_failed(&mut self, pool_index: usize, round: Round, error: &OpenError) {
        let (least, most) =
            (us(self.settings.pool.retry_backoff_min), us(self.settings.pool.retry_backoff_max));
        let Some(pool) = self.pools.get_mut(pool_index) else { return };
        if !pool.attempt.failed(round, self.now, (least, most)) {
            return;
        }
        // The second half is for those who wait now: the next login may bring what is lacking.
        let (body, lacking) = match error {
            OpenError::Final(report) => (Some(report.body.clone()), None),
            OpenError::NoCredential(lacking) => {
                (None, Some(lacking.report(&pool.family.user).body))
            }
            OpenError::NodeFull(_) | OpenError::Away(_) | OpenError::Broken => (None, None),
        };
        let told = error.to_string();
        let news = pool.attempt.failure.as_ref().is_none_or(|failure| *failure.message != *told);
        pool.attempt.failure = Some(Failure {
            message: told.into(),
            body: body.clone(),
            lacks_credential: lacking.is_some(),
        });
        if news {
            tracing::warn!(
                database = %pool.family.database, user = %pool.family.user,
                "no server connection could be opened: {error}"
            );
        }
        if let Some(body) = body.or(lacking) {
            self.fail_waiting(pool_index, &body);
        }
        // The primary, or another standby, may serve them now.
        self.send_home(pool_index);
        self.hasten_maintenance();
    }

    /// Whether the last attempt has failed in a way that waiting does not help, and it is too early for another one;
    /// then the client is told.
    pub(super) fn told_failure(&mut self, client_index: usize, pool_index: usize) -> bool {
        let Some(pool) = self.pools.get(pool_index) else { return false };
        let Some(Failure { body: Some(body), .. }) = &pool.attempt.failure else { return false };
        if pool.lead.is_some() || pool.servers > 0 || self.now >= pool.attempt.not_before {
            return false;
        }
        // The next attempt is near: what was wrong (a database that did not exist) may have been mended meanwhile.
        if pool.attempt.backoff_us < ANSWER_FROM_US {
            return false;
        }
        let body = body.clone();
        self.fatal_body(client_index, &body);
        true
    }

    /// Those who wait are told at once: waiting will not help.
    fn fail_waiting(&mut self, pool_index: usize, body: &[u8]) {
        let Some(pool) = self.pools.get(pool_index) else { return };
        if pool.lead.is_some() || pool.servers > 0 {
            // Others of this pool work; their connections will serve the queue.
            return;
        }
        let next = |pool: &mut LocalPool| {
            pool.waiters.pop_front().map(|it| it.client).or_else(|| pool.welcoming.pop_front())
        };
        while let Some(index) = self.pools.get_mut(pool_index).and_then(next) {
            self.guard_client(index, |worker| worker.fatal_body(index, body));
        }
        if let Some(pool) = self.pools.get(pool_index) {
            pool.publish(self.index);
        }
    }
}
