//! Which families there are.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use tokio::sync::Notify;
use trunkline_session::SharedFacts;
use trunkline_settings::{PoolPolicy, Settings};

use super::{
    cap::Cap,
    family::{Family, FamilyId, FamilyParts, Membership, PoolCaps},
    names::Names,
    pauses::Pauses,
    place::Place,
};
use crate::{cluster::NodeId, handover::StartupParams, routing::Catalog};

/// How long a family has neither clients nor connections before it is forgotten: every database name that the wildcard
/// lets in makes one.
const FORGET_AFTER_US: u64 = 300_000_000;

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
    /// Those that were applied last. A login goes by these and not by what it has seen before, so that no family is made
    /// of older ones once these hold.
    settings: Arc<Settings>,
    families: Vec<Arc<Family>>,
    next_id: u32,
    /// Logins so far.
    logins: u64,
    pools: BTreeMap<(Arc<str>, Arc<str>), Arc<PoolCaps>>,
    databases: BTreeMap<Arc<str>, Arc<Cap>>,
    users: BTreeMap<Arc<str>, Arc<Cap>>,
    /// By the name of the database on the servers.
    facts: BTreeMap<String, Arc<SharedFacts>>,
    /// The same of what is known for routing.
    catalogs: BTreeMap<String, Arc<Catalog>>,
    /// Rung when one of them is asked for for the first time.
    catalog_bell: Arc<Notify>,
    nodes: BTreeMap<NodeId, Arc<Cap>>,
    node_limits: BTreeMap<NodeId, usize>,
    node_names: BTreeMap<NodeId, Arc<str>>,
    pauses: Pauses,
    /// Who has counters of his own.
    names: Names,
}

impl Registry {
    /// No families yet, for `loops` loops.
    pub(crate) fn new(settings: Arc<Settings>, loops: usize) -> Self {
        let inner = Inner { settings, ..Inner::default() };
        Self { inner: Mutex::new(inner), process: Cap::new(0), loops }
    }

    /// The family for a login, made when new. Beyond `pool.max_startup_variants` the variant that nobody uses and that
    /// was asked for least recently is retired; if all are in use, the client shares the family without startup
    /// parameters of its own, and what it asked for is replayed as settings.
    pub(crate) fn family(
        &self,
        database: &Arc<str>,
        user: &Arc<str>,
        startup: &StartupParams,
    ) -> Result<Membership, Refusal> {
        let mut inner = self.lock();
        let settings = Arc::clone(&inner.settings);
        let policy = settings.pool_for(database, user).ok_or(Refusal::NoDatabase)?;
        inner.logins = inner.logins.wrapping_add(1);
        let key = (database, user);
        inner.let_go(key, &policy);
        let known = inner.known(key, &startup.others);
        let dealing = (self.loops, settings.pool.slots_per_worker);
        let family = match known {
            Some(family) => family,
            None if startup.others.is_empty()
                || inner.has_room(key, settings.pool.max_startup_variants) =>
            {
                inner.found(key, &startup.others, policy.clone(), dealing)
            }
            None => match inner.known(key, &[]) {
                Some(family) => family,
                None => inner.found(key, &[], policy.clone(), dealing),
            },
        };
        if family.is_removed() {
            family.policy.store(Arc::new(policy));
            family.removed.store(false, Ordering::Release);
        }
        family.asked_for.store(inner.logins, Ordering::Relaxed);
        Ok(Membership::of(&family))
    }

    /// The pools of a family on a standby, made when new; those for sessions that are `whole` its own are others.
    pub(crate) fn beside(&self, lead: &Arc<Family>, node: NodeId, whole: bool) -> Arc<Family> {
        let mut inner = self.lock();
        let place = Place::Standby(node);
        let known = inner.families.iter().find(|family| {
            family.place == place
                && family.tells_of_standby == whole
                && !family.is_removed()
                && family.lead().is_some_and(|its| Arc::ptr_eq(its, lead))
        });
        if let Some(known) = known {
            return Arc::clone(known);
        }
        let family = Family::beside(lead, inner.take_id(), node, self.loops);
        let family = Arc::new(if whole { family.telling_of_standby() } else { family });
        inner.families.push(Arc::clone(&family));
        family
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

    /// The caps of a connection from the reserve of its pool; none if there is no reserve.
    pub(crate) fn reserve_caps_of(&self, family: &Family, node: NodeId) -> Option<[Arc<Cap>; 5]> {
        let reserve = family.caps.reserve_on(node)?;
        let [_, database, user, node, process] = self.caps_of(family, node);
        Some([reserve, database, user, node, process])
    }

    /// The catalogs of all databases.
    pub(crate) fn catalogs(&self) -> Vec<Arc<Catalog>> {
        self.lock().catalogs.values().cloned().collect()
    }

    /// What is rung when one of them is asked for for the first time.
    pub(crate) fn catalog_bell(&self) -> Arc<Notify> {
        Arc::clone(&self.lock().catalog_bell)
    }

    /// All families.
    pub(crate) fn families(&self) -> Vec<Arc<Family>> {
        self.lock().families.clone()
    }

    /// Pauses the families of `database` (all databases if none), those made later included, or ends that. Says
    /// whether there are such families.
    pub(crate) fn set_paused(&self, database: Option<&str>, paused: bool) -> bool {
        let mut inner = self.lock();
        inner.pauses.set(database, paused);
        let mut found = database.is_none();
        for family in &inner.families {
            if database.is_none_or(|wanted| *family.database == *wanted) {
                found = true;
                family.paused.store(paused, Ordering::Release);
            }
        }
        found
    }

    /// Whether clients of `database` are given no servers now.
    pub(crate) fn is_paused(&self, database: &str) -> bool {
        self.lock().pauses.holds(database)
    }

    /// The name of a node in the settings.
    pub(crate) fn node_name(&self, node: NodeId) -> Option<Arc<str>> {
        self.lock().node_names.get(&node).cloned()
    }

    /// Takes over the names of nodes. A number never gets another name.
    pub(crate) fn name_nodes(&self, names: impl Iterator<Item = (NodeId, Arc<str>)>) {
        self.lock().node_names.extend(names);
    }

    /// Takes over settings. `nodes` are the numbers of their nodes; `is_removed` says which users they do not know any
    /// more. A family whose clients would find themselves in another database, or as somebody else, is removed as well;
    /// who logs in from now on gets another one.
    pub(crate) fn apply(
        &self,
        settings: &Arc<Settings>,
        nodes: &[(NodeId, usize)],
        is_removed: impl Fn(&str) -> bool,
    ) {
        self.process.set_limit(settings.pool.max_connections);
        let mut inner = self.lock();
        inner.settings = Arc::clone(settings);
        for (node, limit) in nodes {
            inner.node_limits.insert(*node, *limit);
            inner.node_cap(*node).set_limit(*limit);
        }
        inner.families.retain(|family| {
            let policy = settings.pool_for(&family.database, &family.user);
            let Some(policy) = policy.filter(|_| !is_removed(&family.user)) else {
                family.removed.store(true, Ordering::Release);
                return true;
            };
            family.caps.follow(&policy);
            let stays = family.policy.load().is_same_place(&policy);
            if stays {
                family.policy.store(Arc::new(policy));
            } else {
                family.removed.store(true, Ordering::Release);
            }
            stays
        });
    }

    /// Forgets families that have had neither clients nor connections for long, and their caps. The loops let go of
    /// theirs when they next look after their pools.
    pub(crate) fn sweep(&self, now: u64) {
        let mut inner = self.lock();
        inner.families.retain(|family| {
            let forgotten = family.is_forgotten(now, FORGET_AFTER_US);
            if forgotten {
                family.removed.store(true, Ordering::Release);
            }
            !forgotten
        });
        inner.pools.retain(|_, caps| Arc::strong_count(caps) > 1);
        inner.databases.retain(|_, cap| Arc::strong_count(cap) > 1);
        inner.users.retain(|_, cap| Arc::strong_count(cap) > 1);
        inner.catalogs.retain(|_, catalog| Arc::strong_count(catalog) > 1);
        inner.facts.retain(|_, facts| Arc::strong_count(facts) > 1);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn known(
        &self,
        (database, user): (&Arc<str>, &Arc<str>),
        others: &[(Box<str>, Box<str>)],
    ) -> Option<Arc<Family>> {
        let same = |family: &&Arc<Family>| {
            family.place == Place::Primary
                && family.database == *database
                && family.user == *user
                && *family.startup.others == *others
        };
        self.families.iter().find(same).map(Arc::clone)
    }

    /// Lets go of removed families that do not mean what the settings mean by these names now: they cannot come back.
    fn let_go(&mut self, (database, user): (&Arc<str>, &Arc<str>), policy: &PoolPolicy) {
        self.families.retain(|family| {
            let named = family.database == *database && family.user == *user;
            !named || !family.is_removed() || family.policy.load().is_same_place(policy)
        });
    }

    /// Whether one more set of startup parameters may have servers of its own; another one may have to give way.
    fn has_room(&mut self, (database, user): (&Arc<str>, &Arc<str>), most: usize) -> bool {
        let variants = || {
            self.families.iter().enumerate().filter(|(_, family)| {
                family.place == Place::Primary
                    && family.database == *database
                    && family.user == *user
                    && !family.startup.others.is_empty()
            })
        };
        if variants().count() < most {
            return true;
        }
        let idle = variants()
            .filter(|(_, family)| family.is_deserted())
            .min_by_key(|(_, family)| family.asked_for.load(Ordering::Relaxed))
            .map(|(place, _)| place);
        let Some(place) = idle else { return false };
        // Its servers retire when their loop next looks after its pools.
        self.families.swap_remove(place).removed.store(true, Ordering::Release);
        true
    }

    fn found(
        &mut self,
        (database, user): (&Arc<str>, &Arc<str>),
        others: &[(Box<str>, Box<str>)],
        policy: PoolPolicy,
        (loops, slots_per_loop): (usize, usize),
    ) -> Arc<Family> {
        let caps = self.pool_caps(database, user, &policy);
        let facts = self.facts.entry(policy.server_database.clone()).or_default();
        let facts = Arc::clone(facts);
        let catalog = self.catalogs.entry(policy.server_database.clone()).or_insert_with(|| {
            let bell = Arc::clone(&self.catalog_bell);
            Arc::new(Catalog::new(policy.server_database.clone(), Arc::clone(&facts), bell))
        });
        let catalog = Arc::clone(catalog);
        let named = self.names.admit(database, user);
        let id = self.take_id();
        let family = Arc::new(Family::new(FamilyParts {
            id,
            database: Arc::clone(database),
            user: Arc::clone(user),
            named,
            startup: StartupParams { others: others.to_vec(), ..StartupParams::default() },
            policy,
            caps,
            facts,
            catalog,
            loops,
            slots_per_loop,
        }));
        family.paused.store(self.pauses.holds(database), Ordering::Release);
        self.families.push(Arc::clone(&family));
        family
    }

    fn take_id(&mut self) -> FamilyId {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        id
    }

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
            .or_insert_with(|| Arc::new(PoolCaps::new(policy, database_cap, user_cap)));
        // They may be those of a family that has been removed, and not have followed since.
        caps.follow(policy);
        Arc::clone(caps)
    }

    fn node_cap(&mut self, node: NodeId) -> Arc<Cap> {
        let limit = self.node_limits.get(&node).copied().unwrap_or(0);
        Arc::clone(self.nodes.entry(node).or_insert_with(|| Cap::new(limit)))
    }
}

#[cfg(test)]
mod tests {
    use trunkline_settings::{Database, User};

    use super::{super::Permit, *};

    #[test]
    fn a_family_made_during_a_pause_is_paused() {
        let registry = Registry::new(Arc::default(), 1);
        let make = |database: &str, user: &str| {
            let (database, user) = (Arc::from(database), Arc::from(user));
            let family = registry.family(&database, &user, &StartupParams::default());
            family.expect("the wildcard lets every database in")
        };
        let early = make("shop", "alice");
        assert!(registry.set_paused(Some("shop"), true));
        assert!(!registry.set_paused(Some("wiki"), true));
        assert!(early.family().is_paused() && make("shop", "bob").family().is_paused());
        assert!(make("wiki", "bob").family().is_paused() && registry.is_paused("wiki"));
        assert!(!make("blog", "bob").family().is_paused());
        registry.set_paused(None, false);
        assert!(!early.family().is_paused() && !make("shop", "bob").family().is_paused());
    }

    #[test]
    fn a_family_that_nobody_has_used_for_long_is_forgotten_with_its_caps() {
        let registry = Registry::new(Arc::default(), 1);
        let make = |database: &str| {
            let (database, user) = (Arc::from(database), Arc::from("alice"));
            let family = registry.family(&database, &user, &StartupParams::default());
            family.expect("the wildcard lets every database in")
        };
        let (used, left) = (make("shop"), make("wiki"));
        let stale = Arc::clone(left.family());
        drop(left);
        registry.sweep(1);
        registry.sweep(FORGET_AFTER_US);
        assert_eq!(registry.families().len(), 2);
        // Somebody came meanwhile: the time starts again.
        drop(make("wiki"));
        drop(make("blog"));
        let place = Permit::take(&[], &stale.tenants, 1).expect("no caps");
        registry.sweep(FORGET_AFTER_US + 1);
        assert_eq!(registry.families().len(), 3);
        drop(place);
        registry.sweep(FORGET_AFTER_US + 2);
        registry.sweep(2 * FORGET_AFTER_US + 1);
        assert!(!stale.is_removed());
        registry.sweep(2 * FORGET_AFTER_US + 2);
        assert!(stale.is_removed());
        drop(stale);
        registry.sweep(2 * FORGET_AFTER_US + 3);
        assert_eq!(registry.families().len(), 1);
        let inner = registry.lock();
        assert_eq!((inner.pools.len(), inner.databases.len(), inner.users.len()), (1, 1, 1));
        drop((inner, used));
    }

    #[test]
    fn of_too_many_startup_variants_the_one_nobody_uses_gives_way() {
        let mut settings = Settings::default();
        settings.pool.max_startup_variants = 2;
        let registry = Registry::new(Arc::new(settings), 1);
        let (database, user) = (Arc::from("shop"), Arc::from("alice"));
        let make = |memory: &str| {
            let others = vec![("work_mem".into(), memory.into())];
            let startup = StartupParams { others, ..StartupParams::default() };
            let member = registry.family(&database, &user, &startup);
            member.expect("the wildcard lets every database in")
        };
        let (first, second) = (make("1MB"), make("2MB"));
        // Both are in use: the third shares the plain family.
        assert!(make("3MB").family().startup.others.is_empty());
        let id = second.family().id;
        drop(second);
        assert_eq!(make("2MB").family().id, id);
        let third = make("3MB");
        assert!(!third.family().startup.others.is_empty());
        // The second had to give way for it; the first is in use and stays.
        assert!(make("2MB").family().startup.others.is_empty());
        assert_eq!(make("1MB").family().id, first.family().id);
    }

    /// Settings in which `shop` is this database of the servers and alice this role, with pools of this size.
    fn led(database: &str, role: &str, size: usize) -> Arc<Settings> {
        let mut settings = Settings::default();
        let shop = Database { dbname: Some(database.to_owned()), ..Database::default() };
        settings.databases.0.insert("shop".to_owned(), shop);
        let alice = User { server_user: Some(role.to_owned()), ..User::default() };
        settings.users.0.insert("alice".to_owned(), alice);
        settings.pool.size = size;
        Arc::new(settings)
    }

    #[test]
    fn a_family_that_would_mean_another_database_or_role_is_removed_and_another_one_made() {
        let registry = Registry::new(led("shop1", "app", 5), 1);
        let (database, user) = (Arc::from("shop"), Arc::from("alice"));
        let make = || {
            let member = registry.family(&database, &user, &StartupParams::default());
            member.expect("there is such a database")
        };
        let place = |member: &Membership| {
            let policy = member.family().policy.load();
            (policy.server_database.clone(), policy.server_user.clone(), policy.size)
        };
        let pair = |database: &str, role: &str, size| (database.to_owned(), role.to_owned(), size);
        let first = make();
        registry.apply(&led("shop1", "app", 6), &[], |_| false);
        assert!(!first.family().is_removed() && make().family().id == first.family().id);
        assert_eq!(place(&first), pair("shop1", "app", 6));

        registry.apply(&led("shop2", "app", 7), &[], |_| false);
        assert!(first.family().is_removed());
        // Whoever is still in it goes on where it was.
        assert_eq!(place(&first), pair("shop1", "app", 6));
        let second = make();
        assert_ne!(second.family().id, first.family().id);
        assert_eq!(place(&second), pair("shop2", "app", 7));
        // Together they have no more servers than one pool may have.
        assert!(Arc::ptr_eq(&second.family().caps, &first.family().caps));

        registry.apply(&led("shop2", "other", 8), &[], |_| false);
        assert!(second.family().is_removed() && first.family().is_removed());
        assert_eq!(place(&make()), pair("shop2", "other", 8));
    }

    #[test]
    fn a_database_that_comes_back_elsewhere_does_not_revive_who_was_told_to_leave() {
        let registry = Registry::new(led("shop1", "app", 5), 1);
        let (database, user) = (Arc::from("shop"), Arc::from("alice"));
        let make = || registry.family(&database, &user, &StartupParams::default());
        let first = make().expect("there is such a database");
        let mut none = Settings::default();
        none.databases.0.clear();
        registry.apply(&Arc::new(none), &[], |_| false);
        assert_eq!(make().err(), Some(Refusal::NoDatabase));
        registry.apply(&led("shop2", "app", 5), &[], |_| false);
        let second = make().expect("there is such a database again");
        assert!(first.family().is_removed() && !second.family().is_removed());
    }
}
