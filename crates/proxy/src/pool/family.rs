//! A family: the pools of one database, user and set of startup parameters, on the primary or on one standby.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use trunkline_session::{Scope, SharedFacts, is_asynchronous};
use trunkline_settings::{PoolPolicy, ReadAfterWrite};
use trunkline_wire::Reported;

use super::{
    cap::{Cap, Tenants},
    faces::Faces,
    place::Place,
};
use crate::{cluster::NodeId, handover::StartupParams, routing::Catalog};

/// Number of a family, never used again in this process.
pub(crate) type FamilyId = u32;

/// What all variants of a (database, user) share: the caps of its pools.
#[derive(Debug)]
pub(crate) struct PoolCaps {
    per_node: Mutex<Vec<(NodeId, NodeCaps)>>,
    size: AtomicUsize,
    reserve: AtomicUsize,
    /// Clients that keep a connection of theirs between transactions.
    kept: AtomicUsize,
    /// Clients that wait for a connection, at whichever loop.
    waiting: AtomicUsize,
    /// Over all users of the database.
    pub(crate) database: Arc<Cap>,
    /// Over all databases of the user.
    pub(crate) user: Arc<Cap>,
}

/// The caps of a pool on one node.
#[derive(Debug, Clone)]
struct NodeCaps {
    ordinary: Arc<Cap>,
    /// For connections beyond the pool's size, for those who have waited long.
    reserve: Arc<Cap>,
}

impl PoolCaps {
    /// Caps for a pool of this policy.
    pub(crate) fn new(policy: &PoolPolicy, database: Arc<Cap>, user: Arc<Cap>) -> Self {
        Self {
            per_node: Mutex::new(Vec::new()),
            size: AtomicUsize::new(policy.size),
            reserve: AtomicUsize::new(policy.reserve_size),
            kept: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            database,
            user,
        }
    }

    /// The cap of the pool on `node`.
    pub(crate) fn on(&self, node: NodeId) -> Arc<Cap> {
        self.caps_on(node).ordinary
    }

    /// The cap of the pool's reserve on `node`; none if it has no reserve.
    pub(crate) fn reserve_on(&self, node: NodeId) -> Option<Arc<Cap>> {
        (self.reserve.load(Ordering::Relaxed) > 0).then(|| self.caps_on(node).reserve)
    }

    fn caps_on(&self, node: NodeId) -> NodeCaps {
        let mut known = self.per_node.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, caps)) = known.iter().find(|(other, _)| *other == node) {
            return caps.clone();
        }
        let caps = NodeCaps {
            ordinary: Cap::new(self.size.load(Ordering::Relaxed)),
            // A limit of 0 would mean none; nothing is taken from a reserve of 0.
            reserve: Cap::new(self.reserve.load(Ordering::Relaxed).max(1)),
        };
        known.push((node, caps.clone()));
        caps
    }

    /// Takes over limits: the size of the pool and of its reserve on every node, those of its database and its user.
    pub(crate) fn follow(&self, policy: &PoolPolicy) {
        self.database.set_limit(policy.max_database_connections);
        self.user.set_limit(policy.max_user_connections);
        self.size.store(policy.size, Ordering::Relaxed);
        self.reserve.store(policy.reserve_size, Ordering::Relaxed);
        for (_, caps) in self.per_node.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            caps.ordinary.set_limit(policy.size);
            caps.reserve.set_limit(policy.reserve_size.max(1));
        }
    }

    /// Lets one more client keep a connection between transactions, if fewer than `limit` do.
    pub(crate) fn keep(&self, limit: usize) -> bool {
        add_below(&self.kept, limit)
    }

    /// A client keeps its connection no longer.
    pub(crate) fn keep_no_longer(&self) {
        self.kept.fetch_sub(1, Ordering::AcqRel);
    }

    /// Lets one more client wait for a connection, if fewer than `limit` do.
    pub(crate) fn wait(&self, limit: usize) -> bool {
        add_below(&self.waiting, limit)
    }

    /// So many clients wait no longer.
    pub(crate) fn wait_no_longer(&self, count: usize) {
        self.waiting.fetch_sub(count, Ordering::AcqRel);
    }
}

/// Adds one if there are fewer than `limit`.
fn add_below(count: &AtomicUsize, limit: usize) -> bool {
    count
        .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |count| {
            (count < limit).then(|| count.saturating_add(1))
        })
        .is_ok()
}

/// Where the clients of a family live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// On one loop: the pool is too small to be dealt out.
    One(usize),
    /// On all loops.
    Spread,
}

/// The pools of one database, user and set of startup parameters.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) id: FamilyId,
    /// Where its connections lead.
    pub(crate) place: Place,
    /// That on the primary, if this one is on a standby: the clients are its.
    lead: Option<Arc<Self>>,
    /// Its clients are told that its servers are those of a standby.
    pub(crate) tells_of_standby: bool,
    /// What its sessions have in common.
    pub(crate) scope: Arc<Scope>,
    /// The catalog of its database.
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) database: Arc<str>,
    pub(crate) user: Arc<str>,
    /// Whether its database and user have counters of their own.
    pub(crate) named: bool,
    /// Startup parameters its servers are opened with.
    pub(crate) startup: StartupParams,
    /// They have `synchronous_commit` off from the begin, because of their clients' startup packets.
    pub(crate) asynchronous: bool,
    pub(crate) policy: ArcSwap<PoolPolicy>,
    pub(crate) caps: Arc<PoolCaps>,
    pub(crate) home: Home,
    /// By node: connections of an older generation retire when they come back.
    generations: [AtomicU64; GENERATIONS],
    /// Its connections.
    pub(crate) tenants: Arc<Tenants>,
    pub(crate) paused: AtomicBool,
    /// The database or user was removed from the settings or means another one now, or the set of startup parameters is
    /// no longer kept: its servers retire, and its clients are to be told at their next idle moment.
    pub(crate) removed: AtomicBool,
    /// What a server of this family reported at its login; told to clients at theirs.
    pub(crate) welcome: ArcSwapOption<Reported>,
    /// What the last client with wishes of its own was told at its login, for the next one with the same wishes.
    told: ArcSwapOption<Reported>,
    /// Clients of it, from their login to their end.
    clients: AtomicUsize,
    /// When it was last asked for, as a count of all logins.
    pub(crate) asked_for: AtomicU64,
    /// When it was first seen without clients and connections, in microseconds; 0 while it has some.
    empty_since: AtomicU64,
    /// What the loops tell each other of their parts.
    pub(crate) faces: Faces,
}

/// A client's place in a family; while one is held, the family is not retired for want of use.
#[derive(Debug)]
pub(crate) struct Membership(Arc<Family>);

impl Membership {
    /// One more client of the family.
    pub(crate) fn of(family: &Arc<Family>) -> Self {
        family.clients.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(family))
    }

    /// The family.
    pub(crate) fn family(&self) -> &Arc<Family> {
        &self.0
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What a new family is made of.
#[derive(Debug)]
pub(crate) struct FamilyParts {
    pub(crate) id: FamilyId,
    pub(crate) database: Arc<str>,
    pub(crate) user: Arc<str>,
    pub(crate) named: bool,
    pub(crate) startup: StartupParams,
    pub(crate) policy: PoolPolicy,
    pub(crate) caps: Arc<PoolCaps>,
    /// What is known of the functions of its database.
    pub(crate) facts: Arc<SharedFacts>,
    /// What is known of its catalog, for routing.
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) loops: usize,
    /// `pool.slots_per_worker`.
    pub(crate) slots_per_loop: usize,
}

/// Generations of a family. Nodes whose numbers are so far apart share one: their connections are renewed together.
const GENERATIONS: usize = 16;

impl Family {
    /// Makes a family and decides where it lives.
    pub(crate) fn new(parts: FamilyParts) -> Self {
        let FamilyParts {
            id,
            database,
            user,
            named,
            startup,
            policy,
            caps,
            facts,
            catalog,
            loops,
            slots_per_loop,
        } = parts;
        let spread = loops > 1 && policy.size >= loops.saturating_mul(slots_per_loop);
        let home = usize::try_from(id).unwrap_or(0).checked_rem(loops).unwrap_or(0);
        Self {
            id,
            place: Place::Primary,
            lead: None,
            tells_of_standby: false,
            scope: Arc::new(Scope::new(id, facts).of_variant(!startup.others.is_empty())),
            catalog,
            database,
            user,
            named,
            asynchronous: startup
                .others
                .iter()
                .any(|(name, value)| is_asynchronous(name.as_bytes(), value.as_bytes())),
            startup,
            policy: ArcSwap::from_pointee(policy),
            caps,
            home: if spread { Home::Spread } else { Home::One(home) },
            generations: std::array::from_fn(|_| AtomicU64::new(0)),
            tenants: Tenants::of(id),
            empty_since: AtomicU64::new(0),
            paused: AtomicBool::new(false),
            removed: AtomicBool::new(false),
            welcome: ArcSwapOption::empty(),
            told: ArcSwapOption::empty(),
            clients: AtomicUsize::new(0),
            asked_for: AtomicU64::new(0),
            faces: Faces::new(loops),
        }
    }

    /// The same on a standby: its sessions are those of `lead`, and it has a place under the same caps.
    pub(crate) fn beside(lead: &Arc<Self>, id: FamilyId, node: NodeId, loops: usize) -> Self {
        Self {
            id,
            place: Place::Standby(node),
            scope: Arc::clone(&lead.scope),
            catalog: Arc::clone(&lead.catalog),
            database: Arc::clone(&lead.database),
            user: Arc::clone(&lead.user),
            named: lead.named,
            startup: lead.startup.clone(),
            asynchronous: lead.asynchronous,
            policy: ArcSwap::new(lead.policy.load_full()),
            caps: Arc::clone(&lead.caps),
            home: lead.home,
            generations: std::array::from_fn(|_| AtomicU64::new(0)),
            tenants: Tenants::of(id),
            empty_since: AtomicU64::new(0),
            paused: AtomicBool::new(lead.is_paused()),
            removed: AtomicBool::new(false),
            welcome: ArcSwapOption::empty(),
            told: ArcSwapOption::empty(),
            clients: AtomicUsize::new(0),
            asked_for: AtomicU64::new(0),
            faces: Faces::new(loops),
            lead: Some(Arc::clone(lead)),
            tells_of_standby: false,
        }
    }

    /// The same for clients that are told of the standby as what it is.
    pub(crate) fn telling_of_standby(self) -> Self {
        Self { tells_of_standby: true, ..self }
    }

    /// That on the primary, if this one is on a standby.
    pub(crate) const fn lead(&self) -> Option<&Arc<Self>> {
        self.lead.as_ref()
    }

    /// Which writes the reads of its clients are certain to find.
    pub(crate) fn read_after_write(&self) -> ReadAfterWrite {
        self.policy.load().read_after_write
    }

    /// Whether its clients live on all loops.
    pub(crate) fn is_spread(&self) -> bool {
        self.home == Home::Spread
    }

    /// Whether no server is given to clients now.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Whether its database or user is gone from the settings, or means another one now.
    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
            || self.lead.as_ref().is_some_and(|lead| lead.is_removed())
    }

    /// Whether no client is logged in to it.
    pub(crate) fn is_deserted(&self) -> bool {
        self.clients.load(Ordering::Acquire) == 0
    }

    /// The generation that connections to `node` opened now belong to.
    pub(crate) fn generation(&self, node: NodeId) -> u64 {
        self.generation_of(node).map_or(0, |generation| generation.load(Ordering::Acquire))
    }

    /// Connections to `node` that are open now retire when they come back.
    pub(crate) fn renew(&self, node: NodeId) {
        if let Some(generation) = self.generation_of(node) {
            generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// All connections that are open now retire when they come back.
    pub(crate) fn renew_all(&self) {
        for generation in &self.generations {
            generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn generation_of(&self, node: NodeId) -> Option<&AtomicU64> {
        self.generations.get(usize::from(node.0).checked_rem(GENERATIONS)?)
    }

    /// Whether it has had neither clients nor connections for `long` enough to be forgotten.
    pub(crate) fn is_forgotten(&self, now: u64, long: u64) -> bool {
        if !self.is_deserted() || self.tenants.held() > 0 {
            self.empty_since.store(0, Ordering::Relaxed);
            return false;
        }
        match self.empty_since.load(Ordering::Relaxed) {
            0 => {
                self.empty_since.store(now, Ordering::Relaxed);
                false
            }
            since => now.saturating_sub(since) >= long,
        }
    }

    /// Keeps what the first server of the family reported, for the logins that follow.
    pub(crate) fn learn_welcome(&self, reported: &Arc<Reported>) {
        self.welcome.store(Some(Arc::clone(reported)));
    }

    /// The set itself, or the one known already if it says the same, so that clients and servers share memory and
    /// compare by address.
    pub(crate) fn share_reported(&self, reported: Arc<Reported>) -> Arc<Reported> {
        match self.welcome.load_full() {
            Some(known) if known == reported => known,
            _ => reported,
        }
    }

    /// The set itself, or the one that the client before was told if it says the same: clients of one application share
    /// its memory.
    pub(crate) fn share_told(&self, told: Arc<Reported>) -> Arc<Reported> {
        match self.told.load_full() {
            Some(known) if known == told => known,
            _ => {
                self.told.store(Some(Arc::clone(&told)));
                told
            }
        }
    }
}
