//! Everything about the pooler at one moment: what tables and metrics are made of.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::timeout;
use trunkline_proxy::{
    ListenersReport, NodeId, NodeReport, Readiness, ReplicationReport,
    engine::report::{ClientReport, LoopReport, PoolStats, Routes, ServerReport, StatementsReport},
};
use trunkline_settings::{Settings, WILDCARD};

use crate::{
    averages::Marks,
    pooler::Pooler,
    pools::{self, Pool, PoolKey},
    routes,
};

/// How long the worker loops may take to tell what they are doing. A turn of a loop takes milliseconds; one that takes
/// longer than this is stuck, and whoever looks should hear that instead of waiting.
pub(crate) const REPORT_DEADLINE: Duration = Duration::from_secs(5);

/// What is held for clients that send slowly, wait or do not read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Held {
    /// Bytes of memory.
    pub(crate) now: usize,
    /// How many there may be.
    pub(crate) limit: usize,
    /// Clients and statements refused because there were more.
    pub(crate) refused: u64,
}

/// The worker loops did not answer within [`REPORT_DEADLINE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the worker loops did not answer within {REPORT_DEADLINE:?}")]
pub(crate) struct Unanswered;

/// What the loops tell, asked for with a deadline.
pub(crate) async fn report(pooler: &impl Pooler) -> Result<Vec<LoopReport>, Unanswered> {
    timeout(REPORT_DEADLINE, pooler.report()).await.map_err(|_| Unanswered)
}

/// The pooler at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) loops: Vec<LoopReport>,
    /// The loops' pools, added up.
    pub(crate) pools: BTreeMap<PoolKey, Pool>,
    /// What has been counted since the start, by the names it is told under.
    pub(crate) counters: BTreeMap<PoolKey, PoolStats>,
    /// Where statements went since the start, by the same names.
    pub(crate) routes: BTreeMap<PoolKey, Routes>,
    pub(crate) nodes: Arc<Vec<NodeReport>>,
    pub(crate) node_names: BTreeMap<NodeId, Arc<str>>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) readiness: Readiness,
    /// Databases of the settings or in use that are paused.
    pub(crate) paused: BTreeSet<Arc<str>>,
    pub(crate) clients_taken: usize,
    pub(crate) clients_limit: usize,
    pub(crate) statements: StatementsReport,
    pub(crate) listeners: ListenersReport,
    pub(crate) replication: ReplicationReport,
    /// Panics caught beside the loops.
    pub(crate) panics_beside: u64,
    pub(crate) started: SystemTime,
    pub(crate) now: SystemTime,
    /// Counters of some time ago.
    pub(crate) marks: Arc<Marks>,
    /// The moment on the clock of the marks.
    pub(crate) now_us: u64,
}

impl Snapshot {
    /// Asks the pooler.
    pub(crate) async fn take(
        pooler: &impl Pooler,
        marks: Arc<Marks>,
        now_us: u64,
    ) -> Result<Self, Unanswered> {
        let loops = report(pooler).await?;
        let (pools, counters) = (pools::merge(&loops), pools::counters(&loops));
        let routes = routes::merge(&loops);
        let settings = pooler.settings();
        let (clients_taken, clients_limit) = pooler.client_slots();
        let mut snapshot = Self {
            loops,
            pools,
            counters,
            routes,
            nodes: pooler.nodes(),
            node_names: pooler.node_names().into_iter().collect(),
            settings,
            readiness: pooler.readiness(),
            paused: BTreeSet::new(),
            clients_taken,
            clients_limit,
            statements: pooler.statements(),
            listeners: pooler.listeners(),
            replication: pooler.replication(),
            panics_beside: pooler.panics(),
            started: pooler.started_at(),
            now: SystemTime::now(),
            marks,
            now_us,
        };
        snapshot.paused =
            snapshot.databases().into_iter().filter(|name| pooler.is_paused(name)).collect();
        Ok(snapshot)
    }

    /// Every database with a table in the settings, and every other one that has a pool.
    pub(crate) fn databases(&self) -> BTreeSet<Arc<str>> {
        let configured = self.settings.databases.0.keys().filter(|name| *name != WILDCARD);
        let used = self.pools.keys().map(|(database, _)| Arc::clone(database));
        configured.map(|name| Arc::from(name.as_str())).chain(used).collect()
    }

    /// Every user of the settings, and every other one that has a pool.
    pub(crate) fn users(&self) -> BTreeSet<Arc<str>> {
        let configured = self.settings.users.0.keys().map(|name| Arc::from(name.as_str()));
        configured.chain(self.pools.keys().map(|(_, user)| Arc::clone(user))).collect()
    }

    /// What is held for clients, over all loops.
    pub(crate) fn held(&self) -> Held {
        self.loops.iter().fold(Held::default(), |sum, report| Held {
            now: sum.now.saturating_add(report.held),
            limit: sum.limit.saturating_add(report.held_share),
            refused: sum.refused.wrapping_add(report.held_refused),
        })
    }

    /// Panics caught since the start.
    pub(crate) fn panics(&self) -> u64 {
        let loops = self.loops.iter().map(|report| report.panics);
        loops.fold(self.panics_beside, u64::wrapping_add)
    }

    /// The clients of all loops.
    pub(crate) fn clients(&self) -> impl Iterator<Item = &ClientReport> {
        self.loops.iter().flat_map(|report| &report.clients)
    }

    /// The server connections of all loops.
    pub(crate) fn servers(&self) -> impl Iterator<Item = &ServerReport> {
        self.loops.iter().flat_map(|report| &report.servers)
    }

    /// The name of a node; one that was removed from the settings has none.
    pub(crate) fn node_name(&self, node: NodeId) -> Option<&str> {
        self.node_names.get(&node).map(|name| &**name)
    }
}
