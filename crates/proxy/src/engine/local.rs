//! A loop's own part of a pool.

use std::{collections::VecDeque, sync::Arc};

use trunkline_session::ReadBack;
use trunkline_settings::ReadAfterWrite;

use super::{
    attempt::Attempts, functions::Functions, report::PoolStats, routes::Routes, waiting::Waiting,
};
use crate::{
    cluster::{NodeId, Traffic},
    pool::{Cap, Family},
};

/// A loop's own part of a family's pool.
#[derive(Debug)]
pub(super) struct LocalPool {
    pub(super) family: Arc<Family>,
    /// If it leads to a standby: the place of the pool on the primary, whose clients it serves.
    pub(super) lead: Option<usize>,
    /// The pools of the same clients on standbys.
    pub(super) beside: Vec<(NodeId, usize)>,
    /// Those of clients whose sessions are a standby's as a whole.
    pub(super) beside_whole: Vec<(NodeId, usize)>,
    /// How many times a standby has been chosen for one of its clients.
    pub(super) turn: u64,
    /// Parked connections, the last used at the end.
    pub(super) idle: Vec<usize>,
    /// Clients that wait, in order of arrival.
    pub(super) waiters: Waiting,
    /// Clients that wait for what a first server reports.
    pub(super) welcoming: VecDeque<usize>,
    /// Connections that are asked what is there, and are about to be there for those who wait; see [`super::looking`].
    pub(super) surveyed: usize,
    /// Connections of this loop, whatever they are doing.
    pub(super) servers: usize,
    pub(super) clients: usize,
    pub(super) attempt: Attempts,
    /// When this loop first saw that it is paused; 0 while it is not.
    pub(super) paused_since: u64,
    /// Which writes the reads of its clients are certain to find.
    pub(super) level: ReadAfterWrite,
    pub(super) stats: PoolStats,
    pub(super) functions: Functions,
    /// Where what its clients sent went, and why; if it leads to the primary, and anything was decided.
    pub(super) routes: Option<Box<Routes>>,
}

impl LocalPool {
    /// The empty pool of a family.
    pub(super) fn new(family: Arc<Family>) -> Self {
        Self {
            waiters: Waiting::new(Arc::clone(&family.caps)),
            level: family.read_after_write(),
            family,
            lead: None,
            beside: Vec::new(),
            beside_whole: Vec::new(),
            turn: 0,
            idle: Vec::new(),
            welcoming: VecDeque::new(),
            surveyed: 0,
            servers: 0,
            clients: 0,
            attempt: Attempts::default(),
            paused_since: 0,
            stats: PoolStats::default(),
            functions: Functions::default(),
            routes: None,
        }
    }

    /// The pools of the same clients on standbys: of those whose sessions are `whole` a standby's, or of the others.
    pub(super) const fn beside_of(&self, whole: bool) -> &Vec<(NodeId, usize)> {
        if whole { &self.beside_whole } else { &self.beside }
    }

    /// Takes over what the settings say of it.
    pub(super) fn follow_policy(&mut self) {
        self.level = self.family.read_after_write();
    }

    /// How many clients are served or wait here.
    pub(super) fn busy(&self) -> usize {
        self.servers.saturating_sub(self.idle.len()).saturating_add(self.waiters.len())
    }

    /// A server was asked what its client has there.
    pub(super) fn count_read_back(&mut self, told: &ReadBack) {
        let stats = &mut self.stats;
        stats.read_backs = stats.read_backs.wrapping_add(1);
        stats.hidden_found = stats.hidden_found.wrapping_add(u64::from(told.found));
        stats.read_backs_failed = stats.read_backs_failed.wrapping_add(u64::from(told.failed));
        self.functions.count(told);
    }

    /// Takes a client out of the queue.
    pub(super) fn forget(&mut self, client: usize) {
        #[cfg(test)]
        super::fault::point();
        self.waiters.retain(|waiter| waiter.client != client);
        self.welcoming.retain(|other| *other != client);
    }

    /// Whether clients wait for a connection, or at their login for what a first one reports.
    pub(super) fn is_wanted(&self) -> bool {
        !self.waiters.is_empty() || (!self.welcoming.is_empty() && self.servers == 0)
    }

    /// Publishes queue and idle connections to the other loops.
    pub(super) fn publish(&self, own: usize) {
        #[cfg(test)]
        super::fault::point();
        if self.family.is_spread() {
            let oldest = self.waiters.front().map_or(0, |waiter| waiter.since);
            self.family.faces.publish(own, oldest, self.idle_count());
        }
    }

    /// Parked connections, as the other loops are told.
    pub(super) fn idle_count(&self) -> u64 {
        u64::try_from(self.idle.len()).unwrap_or(u64::MAX)
    }

    /// How many more connections those who wait call for, or `min_idle` of the whole pool.
    pub(super) fn lacking(&self, own: usize) -> usize {
        #[cfg(test)]
        super::fault::point();
        let first = usize::from(!self.welcoming.is_empty() && self.servers == 0);
        let coming = self.attempt.under_way().saturating_add(self.surveyed);
        let wanted = self.waiters.len().max(first).saturating_sub(coming);
        let ready = self.idle_everywhere(own).saturating_add(coming);
        wanted.max(self.least().saturating_sub(ready))
    }

    /// Parked connections of the pool at all loops.
    pub(super) fn idle_everywhere(&self, own: usize) -> usize {
        let elsewhere = if self.family.is_spread() {
            self.family.faces.idle_elsewhere(own).map(|(_, idle)| idle).sum()
        } else {
            0
        };
        usize::try_from(elsewhere).unwrap_or(usize::MAX).saturating_add(self.idle.len())
    }

    /// Claims the next place under a cap that is full, if the whole pool has no connection that could serve those who
    /// wait; says whether it does.
    pub(super) fn claim(&mut self, cap: &Arc<Cap>, now: u64) -> bool {
        if !self.is_wanted() || self.family.tenants.held() > 0 {
            return false;
        }
        if self.attempt.claim.as_ref().is_none_or(|claimed| !Arc::ptr_eq(claimed, cap)) {
            self.withdraw_claim();
        }
        let since = self.waiters.front().map_or(now, |waiter| waiter.since);
        cap.claims.claim(self.family.id, since, now);
        self.attempt.claim = Some(Arc::clone(cap));
        true
    }

    /// A place was found, or nobody needs one; says under which cap it was claimed.
    pub(super) fn withdraw_claim(&mut self) -> Option<Arc<Cap>> {
        let cap = self.attempt.claim.take()?;
        cap.claims.withdraw(self.family.id);
        Some(cap)
    }

    /// When the oldest of all who wait came, at whichever loop.
    pub(super) fn oldest_everywhere(&self, own: usize) -> Option<u64> {
        let here = self.waiters.front().map(|waiter| waiter.since);
        let elsewhere = self.family.faces.oldest_elsewhere(own).map(|(_, since)| since);
        here.into_iter().chain(elsewhere).min()
    }

    /// Whether clients wait that no connection of this loop will serve by itself.
    pub(super) fn is_wanting(&self) -> bool {
        !self.waiters.is_empty() || (!self.welcoming.is_empty() && self.servers == 0)
    }

    /// Idle connections that the pool keeps ready over all loops.
    pub(super) fn least(&self) -> usize {
        if self.family.is_removed() { 0 } else { self.family.policy.load().min_idle }
    }

    /// Whether somebody waits for a connection of this pool, here or at another loop.
    #[inline]
    pub(super) fn is_crowded(&self, own: usize) -> bool {
        !self.waiters.is_empty()
            || self.family.is_spread() && self.family.faces.oldest_elsewhere(own).is_some()
    }

    /// How many clients have waited for longer than `patience`.
    pub(super) fn overdue(&self, now: u64, patience: u64) -> usize {
        self.waiters.iter().take_while(|it| now.saturating_sub(it.since) >= patience).count()
    }

    /// The node that its connections lead to; none while there is none.
    pub(super) fn node(&self, traffic: &Traffic) -> Option<NodeId> {
        self.family.place.node(traffic)
    }

    /// Whether connections to `node` of this generation may be parked.
    #[expect(clippy::inline_always, reason = "it is asked at each lease and release")]
    #[inline(always)]
    pub(super) fn wants(&self, node: NodeId, generation: u64, traffic: &Traffic) -> bool {
        self.family.place.leads_to(node, traffic)
            && generation == self.family.generation(node)
            && !self.family.is_removed()
    }
}
