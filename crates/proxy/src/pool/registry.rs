//! Which families there are.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use trunkline_settings::{PoolPolicy, Settings};

use super::{
    cap::Cap,
    family::{Family, FamilyParts, PoolCaps},
};
use crate::{cluster::NodeId, handover::StartupParams};

/// Why there is no pool for a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No database of this name is configured.
    NoDatabase,
}

/// All families, and the caps they share.
#[derive(Debug)]
pub(crate) struct Registry {
    inner: Mutex<Inner>,
    process: Arc<Cap>,
    loops: usize,
}

#[derive(Debug, Default)]
struct Inner {
    families: Vec<Arc<Family>>,
    next_id: u32,
    pools: BTreeMap<(Arc<str>, Arc<str>), Arc<PoolCaps>>,
    databases: BTreeMap<Arc<str>, Arc<Cap>>,
    users: BTreeMap<Arc<str>, Arc<Cap>>,
    nodes: BTreeMap<NodeId, Arc<Cap>>,
    node_limits: BTreeMap<NodeId, usize>,
}

impl Registry {
    /// No families yet, for `loops` loops.
    pub(crate) fn new(loops: usize) -> Self {
        Self { inner: Mutex::new(Inner::default()), process: Cap::new(0), loops }
    }

    /// The family for a login, made when new. When a (database, user) has too many variants, the clients of the new
    /// one share the family without startup parameters of its own; what they asked for is replayed as settings.
    pub(crate) fn family(
        &self,
        settings: &Settings,
        database: &Arc<str>,
        user: &Arc<str>,
        startup: &StartupParams,
    ) -> Result<Arc<Family>, Refusal> {
        let mut inner = self.lock();
        let same = |family: &&Arc<Family>| family.database == *database && family.user == *user;
        let found = inner
            .families
            .iter()
            .filter(same)
            .find(|family| family.startup.others == startup.others);
        if let Some(family) = found {
            if !family.is_removed() {
                return Ok(Arc::clone(family));
            }
            let known = Arc::clone(family);
            let policy = settings.pool_for(database, user).ok_or(Refusal::NoDatabase)?;
            known.policy.store(Arc::new(policy));
            known.removed.store(false, Ordering::Release);
            return Ok(known);
        }
        let policy = settings.pool_for(database, user).ok_or(Refusal::NoDatabase)?;
        let caps = inner.pool_caps(database, user, &policy);
        let id = inner.next_id;
        inner.next_id = inner.next_id.wrapping_add(1);
        let family = Arc::new(Family::new(FamilyParts {
            id,
            database: Arc::clone(database),
            user: Arc::clone(user),
            startup: StartupParams { others: startup.others.clone(), ..StartupParams::default() },
            policy,
            caps,
            loops: self.loops,
        }));
        inner.families.push(Arc::clone(&family));
        Ok(family)
    }

    /// The caps of a connection: pool, database, user, node, process.
    pub(crate) fn caps_of(&self, family: &Family, node: NodeId) -> [Arc<Cap>; 5] {
        let node_cap = self.lock().node_cap(node);
        [
            family.caps.on(node),
            Arc::clone(&family.caps.database),
            Arc::clone(&family.caps.user),
            node_cap,
            Arc::clone(&self.process),
        ]
    }

    /// All families.
    pub(crate) fn families(&self) -> Vec<Arc<Family>> {
        self.lock().families.clone()
    }

    /// Takes over limits from the settings. `nodes` are the numbers of the settings' nodes.
    pub(crate) fn apply(&self, settings: &Settings, nodes: &[(NodeId, usize)]) {
        self.process.set_limit(settings.pool.max_connections);
        let mut inner = self.lock();
        for (node, limit) in nodes {
            inner.node_limits.insert(*node, *limit);
            inner.node_cap(*node).set_limit(*limit);
        }
        for family in &inner.families {
            match settings.pool_for(&family.database, &family.user) {
                Some(policy) => {
                    family.caps.resize(policy.size);
                    family.caps.database.set_limit(policy.max_database_connections);
                    family.caps.user.set_limit(policy.max_user_connections);
                    family.policy.store(Arc::new(policy));
                }
                None => family.removed.store(true, Ordering::Release),
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn pool_caps(
        &mut self,
        database: &Arc<str>,
        user: &Arc<str>,
        policy: &PoolPolicy,
    ) -> Arc<PoolCaps> {
        let database_cap = self
            .databases
            .entry(Arc::clone(database))
            .or_insert_with(|| Cap::new(policy.max_database_connections));
        let user_cap = self
            .users
            .entry(Arc::clone(user))
            .or_insert_with(|| Cap::new(policy.max_user_connections));
        let (database_cap, user_cap) = (Arc::clone(database_cap), Arc::clone(user_cap));
        let key = (Arc::clone(database), Arc::clone(user));
        let caps = self
            .pools
            .entry(key)
            .or_insert_with(|| Arc::new(PoolCaps::new(policy.size, database_cap, user_cap)));
        Arc::clone(caps)
    }

    fn node_cap(&mut self, node: NodeId) -> Arc<Cap> {
        let limit = self.node_limits.get(&node).copied().unwrap_or(0);
        Arc::clone(self.nodes.entry(node).or_insert_with(|| Cap::new(limit)))
    }
}
