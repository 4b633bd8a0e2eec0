//! The standbys that a loop chooses among, as traffic and settings have them, and the choice itself.

use trunkline_route::{Balance, Because, Candidate, Dice, Lost, Plain, choose};
use trunkline_settings::{self as named, Node, ReadAfterWrite, Settings};

use super::{local::LocalPool, worker::Worker};
use crate::{
    cluster::{NodeId, Traffic},
    pool::Registry,
    routing::{Below, SeenBy},
};

/// The standbys that a loop chooses among.
#[derive(Debug, Default)]
pub(super) struct Standbys {
    /// All of the cluster, as they are for any session.
    all: Vec<Candidate<NodeId>>,
    /// Room for the same as they are for one session.
    room: Vec<Candidate<NodeId>>,
    /// Some of them may be read from.
    usable: bool,
    /// The primary, if it serves a share of the reads.
    primary: Option<Candidate<NodeId>>,
}

impl Standbys {
    /// As they stand now.
    pub(super) fn of(traffic: &Traffic, settings: &Settings, registry: &Registry) -> Self {
        let zone = settings.routing.zone.as_ref();
        let entry = |node: NodeId| settings.node(&registry.node_name(node)?);
        let is_elsewhere = |known: Option<&Node>| {
            zone.is_some() && known.is_none_or(|node| node.zone.as_ref() != zone)
        };
        let candidate = |node: &NodeId| {
            let known = entry(*node);
            let obstacle = if traffic.fit.contains(node) {
                known.is_some_and(|node| node.warm).then_some(Lost::Warm)
            } else {
                Some(Lost::Unfit)
            };
            Candidate {
                node: *node,
                obstacle,
                weight: known.map_or(1, |node| node.weight),
                elsewhere: is_elsewhere(known),
                busy: 0,
            }
        };
        let all: Vec<_> = traffic.standbys.iter().map(candidate).collect();
        let usable = all.iter().any(|it| it.obstacle.is_none());
        let weight = settings.routing.primary_weight;
        let primary = traffic.primary.filter(|_| weight > 0).map(|node| Candidate {
            node,
            obstacle: None,
            weight,
            elsewhere: is_elsewhere(entry(node)),
            busy: 0,
        });
        Self { room: Vec::with_capacity(all.len().saturating_add(1)), all, usable, primary }
    }

    /// Whether some of them may be read from.
    pub(super) const fn are_usable(&self) -> bool {
        self.usable
    }
}

impl Worker {
    /// Traffic or settings have changed.
    pub(super) fn follow_standbys(&mut self) {
        self.standbys = Standbys::of(&self.traffic, &self.settings, &self.shared.registry);
    }

    /// The standby that serves the client's next reads, or why it must read from the primary. `home` is its pool there, and
    /// whether its session is a standby's as a whole.
    pub(super) fn choose_standby(
        &mut self,
        index: usize,
        home: (usize, bool),
    ) -> Result<NodeId, Because> {
        let mut candidates = std::mem::take(&mut self.standbys.room);
        let chosen = self.choose_among(index, home, &mut candidates);
        self.standbys.room = candidates;
        if let Err(Plain::OwnWrites | Plain::FloorNotReached) = chosen {
            // The standbys are asked again how far they are.
            let _asked = self.shared.positions().want();
        }
        chosen.map_err(Because::Plain)
    }

    fn choose_among(
        &mut self,
        index: usize,
        home: (usize, bool),
        candidates: &mut Vec<Candidate<NodeId>>,
    ) -> Result<NodeId, Plain> {
        // Before anything is compared: what is found out is never that of a later picture.
        let by = self.seen_by(home.0);
        if let Some(node) = by.and_then(|by| self.rests_at(index, home, by)) {
            return Ok(node);
        }
        self.raise_floor(index, home.0);
        if let Some(node) = self.stays_at(index, home, by) {
            return Ok(node);
        }
        self.weigh(index, home, candidates);
        let client = self.clients.get_mut(index).ok_or(Plain::Session)?;
        let pool = self.pools.get_mut(home.0).ok_or(Plain::Session)?;
        let floor = &mut client.rare.routed().floor;
        let stays = floor.reader();
        let balance = balance_of(&self.settings);
        let dice = match balance {
            // Where it goes instead does not matter yet.
            _ if stays.is_some() => Dice::default(),
            Balance::RoundRobin => {
                pool.turn = pool.turn.wrapping_add(1);
                Dice { turn: pool.turn, ..Dice::default() }
            }
            Balance::LeastBusy | Balance::Random => {
                Dice { first: rand::random(), second: rand::random(), ..Dice::default() }
            }
        };
        let node = choose(candidates, stays, balance, dice)?;
        if stays.is_some_and(|before| before != node) {
            // What it has seen there is not known; it is no more than what the primary has by now.
            floor.raise(self.shared.positions().want());
            return Err(Plain::OwnWrites);
        }
        floor.reads_from(node, self.now);
        if !home.1 && self.standbys.primary.is_some_and(|primary| primary.node == node) {
            client.rare.routed().shared = Some(node);
            return Err(Plain::PrimaryShare);
        }
        Ok(node)
    }

    /// The standby that the client has read from, if it would be chosen whatever is to be said of the others.
    fn stays_at(
        &mut self,
        index: usize,
        home: (usize, bool),
        by: Option<SeenBy>,
    ) -> Option<NodeId> {
        let routed = self.clients.get(index)?.rare.routed.as_deref()?;
        let node = routed.floor.reader().filter(|node| self.may_stay(home, *node))?;
        let floor = &mut self.clients.get_mut(index)?.rare.routed().floor;
        floor.is_reached(self.view.load(), node).ok()?;
        floor.reads_from(node, self.now);
        if let Some(by) = by {
            floor.is_seen_by(by);
        }
        Some(node)
    }

    /// The same, if nothing of all by which that was found has changed since it was found last.
    fn rests_at(&mut self, index: usize, home: (usize, bool), by: SeenBy) -> Option<NodeId> {
        let node = self.clients.get(index)?.rare.routed.as_deref()?.floor.rests_at(by)?;
        if !self.may_stay(home, node) {
            return None;
        }
        self.clients.get_mut(index)?.rare.routed().floor.reads_from(node, self.now);
        Some(node)
    }

    /// By what it is seen now that a session finds what it must; none if that is another matter for each read.
    fn seen_by(&mut self, home: usize) -> Option<SeenBy> {
        let pool = self.pools.get(home)?;
        if pool.level == ReadAfterWrite::Cluster {
            return None;
        }
        let known = self.glance.latest(&pool.family.catalog);
        Some(SeenBy {
            picture: self.view.load().version(),
            generation: known.map_or(0, |known| known.snapshot.generation()),
            since_us: self.floors.since_us,
        })
    }

    /// Whether a client that has read from a standby goes on there, whatever is to be said of the others.
    fn may_stay(&self, (home, whole): (usize, bool), node: NodeId) -> bool {
        let standby = self.standbys.all.iter().find(|it| it.node == node);
        let Some(pool) = self.pools.get(home) else { return false };
        standby.is_some_and(|it| it.obstacle.is_none() && it.is_of_first_rank())
            && !self.pool_beside(pool, whole, node).is_some_and(|there| self.is_away(there))
    }

    /// The pool of a standby that belongs to a pool of the primary, if there is one yet.
    fn pool_beside(&self, home: &LocalPool, whole: bool, node: NodeId) -> Option<&LocalPool> {
        let (_, index) = home.beside_of(whole).iter().find(|(there, _)| *there == node)?;
        self.pools.get(*index)
    }

    /// While no connection can be made there, nobody waits for one.
    fn is_away(&self, there: &LocalPool) -> bool {
        there.servers == 0 && self.now < there.attempt.not_before
    }

    /// The standbys as they are for this client.
    pub(super) fn weigh(
        &mut self,
        index: usize,
        (home, whole): (usize, bool),
        candidates: &mut Vec<Candidate<NodeId>>,
    ) {
        candidates.clear();
        candidates.extend_from_slice(&self.standbys.all);
        let (Some(client), Some(pool)) = (self.clients.get_mut(index), self.pools.get(home)) else {
            return;
        };
        let floor = &mut client.rare.routed().floor;
        let picture = self.view.load();
        for it in candidates.iter_mut().filter(|it| it.obstacle.is_none()) {
            it.obstacle = floor.is_reached(picture, it.node).err().map(|below| match below {
                Below::Unknown => Lost::Unplaced,
                Below::NotReached => Lost::NotReached,
            });
        }
        for it in candidates.iter_mut() {
            if let Some(there) = self.pool_beside(pool, whole, it.node) {
                it.busy = there.busy();
                it.obstacle =
                    it.obstacle.or_else(|| self.is_away(there).then_some(Lost::Unreachable));
            }
        }
        if !whole && let Some(mut primary) = self.standbys.primary {
            primary.busy = pool.busy();
            candidates.push(primary);
        }
    }
}

/// How a standby is chosen.
pub(super) const fn balance_of(settings: &Settings) -> Balance {
    match settings.routing.balance {
        named::Balance::LeastBusy => Balance::LeastBusy,
        named::Balance::RoundRobin => Balance::RoundRobin,
        named::Balance::Random => Balance::Random,
    }
}
