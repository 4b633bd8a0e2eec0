//! Hand-made reports, and a pooler that tells them.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use trunkline_proxy::{
    ListenerReport, ListenersReport, NodeId, NodeReport, Readiness, ReplicationConnection,
    ReplicationReport,
    engine::report::{
        ClientReport, FunctionStats, LoopReport, PoolReport, PoolStats, Routes, ServerReport,
        StatementsReport,
    },
    handover::Replication,
    net::Peer,
};
use trunkline_settings::{Node, Settings};

use crate::pooler::Pooler;

/// An idle pool.
pub(crate) fn pool_report(family: u32, database: &str, user: &str) -> PoolReport {
    PoolReport {
        functions: vec![("set_tenant".to_owned(), FunctionStats { read_backs: 3, found: 1 })],
        family,
        database: database.into(),
        user: user.into(),
        named: true,
        clients_active: 0,
        clients_waiting: 0,
        clients_idle: 0,
        servers_active: 0,
        servers_idle: 0,
        servers_busy: 0,
        servers_opening: 0,
        pinned: 0,
        oldest_wait_us: 0,
        paused: false,
        last_error: None,
        stats: PoolStats::default(),
        routes: None,
    }
}

/// A server on node 0 that serves nobody.
pub(crate) fn server_report(
    serial: u64,
    database: &str,
    user: &str,
    state: &'static str,
) -> ServerReport {
    ServerReport {
        serial,
        family: 1,
        database: database.into(),
        user: user.into(),
        node: NodeId(0),
        state,
        pid: 4000 + i32::try_from(serial).unwrap(),
        age_us: 90_000_000,
        since_us: 1_000_000,
        client_pid: None,
        statements: 3,
        tls: true,
    }
}

/// A client from the documentation's network that is idle.
pub(crate) fn client_report(pid: i32, database: &str, user: &str) -> ClientReport {
    ClientReport {
        pid,
        family: 1,
        database: database.into(),
        user: user.into(),
        state: "idle",
        peer: Peer::Tcp("192.0.2.7:50001".parse().unwrap()),
        connected_us: 60_000_000,
        silent_us: 2_000_000,
        wait_us: 0,
        kept_us: None,
        pinned_by: None,
        pins: Vec::new(),
        server_pid: None,
        statements: 1,
        tls: false,
        application_name: "psql".to_owned(),
    }
}

/// One loop for each list of pools.
pub(crate) fn loops<const N: usize>(pools: [Vec<PoolReport>; N]) -> Vec<LoopReport> {
    let numbered = pools.into_iter().enumerate();
    numbered.map(|(index, pools)| LoopReport { index, pools, ..LoopReport::default() }).collect()
}

/// A pooler that tells what it was told to tell, and remembers what was asked of it.
#[derive(Debug, Clone)]
pub(crate) struct Puppet(pub(crate) Arc<Mutex<Strings>>);

/// What the puppet tells and remembers.
#[derive(Debug)]
pub(crate) struct Strings {
    pub(crate) loops: Vec<LoopReport>,
    /// The loops do not answer.
    pub(crate) stuck: bool,
    pub(crate) settings: Settings,
    pub(crate) readiness: Readiness,
    pub(crate) nodes: Vec<NodeReport>,
    pub(crate) paused: BTreeSet<String>,
    /// Panics beside the loops.
    pub(crate) panics: u64,
    pub(crate) asked: Vec<String>,
    pub(crate) reload: Result<Vec<String>, String>,
}

impl Puppet {
    /// One node that serves, one pool with a client that holds a server, one that waits and a pinned one.
    pub(crate) fn new() -> Self {
        let mut pool = pool_report(1, "shop", "alice");
        pool.clients_active = 1;
        pool.clients_waiting = 1;
        pool.clients_idle = 2;
        pool.servers_active = 1;
        pool.servers_idle = 1;
        pool.oldest_wait_us = 2_500_000;
        pool.stats.queries = 42;
        pool.stats.transactions = 21;
        pool.stats.query_us = 84_000_000;
        let mut routes = Routes::default();
        let (first, _) = routes.on.decided().next().unwrap();
        routes.on.decide(first);
        pool.routes = Some(Box::new(routes));
        let mut active = client_report(101, "shop", "alice");
        active.state = "active";
        active.server_pid = Some(4001);
        active.pins = vec![trunkline_session::PinReason::AdvisoryLock];
        let mut server = server_report(1, "shop", "alice", "active");
        server.client_pid = Some(101);
        let mut loops = loops([vec![pool], vec![pool_report(2, "wiki", "bob")]]);
        loops[0].clients = vec![active, client_report(102, "shop", "alice")];
        loops[0].servers = vec![server, server_report(2, "shop", "alice", "idle")];
        let node = NodeReport {
            name: "pg1".into(),
            address: "10.0.0.11:5432".to_owned(),
            role: "primary",
            up: true,
            serving: true,
            timeline: 3,
            system_identifier: 7_300_000_000_000_000_001,
            lag_bytes: None,
            lag: None,
            fit: None,
            detail: "answers".to_owned(),
        };
        Self(Arc::new(Mutex::new(Strings {
            loops,
            stuck: false,
            settings: settings(),
            readiness: Readiness::Ready,
            nodes: vec![node],
            paused: BTreeSet::new(),
            panics: 0,
            asked: Vec::new(),
            reload: Ok(vec!["pool.size: 20 -> 30 (live)".to_owned()]),
        })))
    }

    /// Pulls strings.
    pub(crate) fn with<T>(&self, pull: impl FnOnce(&mut Strings) -> T) -> T {
        pull(&mut self.0.lock().unwrap())
    }

    fn ask(&self, what: &str, database: Option<&str>) {
        let asked = format!("{what} {}", database.unwrap_or("*"));
        self.with(|strings| strings.asked.push(asked));
    }
}

/// One node, and the wildcard database.
pub(crate) fn settings() -> Settings {
    let node = Node {
        name: "pg1".to_owned(),
        host: trunkline_settings::Host::Address([10, 0, 0, 11].into()),
        ..Node::default()
    };
    Settings { nodes: vec![node], ..Settings::default() }
}

impl Pooler for Puppet {
    async fn report(&self) -> Vec<LoopReport> {
        if self.with(|strings| strings.stuck) {
            std::future::pending::<()>().await;
        }
        self.with(|strings| strings.loops.clone())
    }

    fn nodes(&self) -> Arc<Vec<NodeReport>> {
        Arc::new(self.with(|strings| strings.nodes.clone()))
    }

    fn node_names(&self) -> Vec<(NodeId, Arc<str>)> {
        vec![(NodeId(0), "pg1".into())]
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::new(self.with(|strings| strings.settings.clone()))
    }

    fn readiness(&self) -> Readiness {
        self.with(|strings| strings.readiness)
    }

    fn client_slots(&self) -> (usize, usize) {
        (4, 100)
    }

    fn statements(&self) -> StatementsReport {
        StatementsReport { count: 3, bytes: 2048, limit: 1 << 20, refused: 5 }
    }

    fn listeners(&self) -> ListenersReport {
        let listener = ListenerReport {
            database: "shop".to_owned(),
            encoding: "UTF8".to_owned(),
            connected_us: Some(7_000_000),
            clients: 2,
            channels: 3,
            reconnects: 1,
            heard: 40,
            told: 80,
            error: None,
        };
        ListenersReport { each: vec![listener], told: 90, reconnects: 4 }
    }

    fn replication(&self) -> ReplicationReport {
        let connection = ReplicationConnection {
            pid: 901,
            user: "walter".into(),
            database: None,
            kind: Replication::Physical,
            state: "streaming",
            peer: Peer::Unix { uid: 1, gid: 1, pid: Some(77) },
            tls: false,
            application_name: "pg_receivewal".into(),
            connected_us: 3_000_000,
            server: Some((NodeId(0), 4009)),
            received: 100,
            sent: 1 << 33,
        };
        ReplicationReport {
            connections: vec![connection],
            limit: 10,
            opened: 2,
            refused: 1,
            received: 150,
            sent: 1 << 34,
        }
    }

    fn panics(&self) -> u64 {
        self.with(|strings| strings.panics)
    }

    fn started_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_795_225_780)
    }

    fn is_paused(&self, database: &str) -> bool {
        self.with(|strings| strings.paused.contains(database))
    }

    fn pause(&self, database: Option<&str>) {
        self.ask("pause", database);
        let names = database.map_or_else(|| vec!["shop", "wiki"], |name| vec![name]);
        self.with(|strings| strings.paused.extend(names.into_iter().map(str::to_owned)));
    }

    fn resume(&self, database: Option<&str>) {
        self.ask("resume", database);
        self.with(|strings| strings.paused.retain(|name| database.is_some_and(|db| db != name)));
    }

    fn reconnect(&self, database: Option<&str>) {
        self.ask("reconnect", database);
    }

    async fn reload(&self) -> Result<Vec<String>, String> {
        self.ask("reload", None);
        self.with(|strings| strings.reload.clone())
    }
}
