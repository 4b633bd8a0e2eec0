//! What the rest of the program may ask of the running pooler.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::{oneshot, watch};
use trunkline_settings::Settings;

use crate::{
    cluster::NodeId,
    cold::InForce,
    engine::{
        Message, Shared,
        report::{LoopReport, StatementsReport},
    },
    frontend::Frontend,
    listening::ListenersReport,
    panics::Panics,
    pool::Family,
    replication::{Office, ReplicationReport},
};

/// A handle to the running pooler. Cheap to clone; nothing it does is on the query path.
#[derive(Debug, Clone)]
pub struct Handle(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) in_force: Arc<ArcSwap<InForce>>,
    pub(crate) nodes: watch::Receiver<Arc<Vec<NodeReport>>>,
    pub(crate) draining: AtomicBool,
    /// Whether those who are idle are closed now.
    pub(crate) closing: watch::Sender<bool>,
    pub(crate) listening: AtomicBool,
    pub(crate) frontend: Frontend,
    pub(crate) replication: Arc<Office>,
    /// While servers were opened, and cancel requests sent.
    pub(crate) panics: Panics,
    pub(crate) reload: tokio::sync::mpsc::Sender<ReloadRequest>,
    pub(crate) ending: tokio::sync::mpsc::Sender<Ending>,
    pub(crate) started: std::time::SystemTime,
}

/// Asks for the settings to be read again; the answer is what changed, or why nothing did.
pub(crate) type ReloadRequest = oneshot::Sender<Result<Vec<String>, String>>;

/// How the pooler is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Each client is closed as soon as it is between transactions; like the signal INT.
    InOrder,
    /// At once; like the signal QUIT.
    AtOnce,
}

/// A node, as the probes see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReport {
    /// Its name in the settings.
    pub name: Arc<str>,
    /// Host and port, or socket.
    pub address: String,
    /// `primary`, `standby`, or `unknown` while it does not answer.
    pub role: &'static str,
    /// Whether its last probe was answered.
    pub up: bool,
    /// Whether traffic goes to it: it is the primary, or reads go there.
    pub serving: bool,
    /// Its timeline; 0 while unknown.
    pub timeline: u32,
    /// The cluster's identifier; 0 while unknown.
    pub system_identifier: u64,
    /// How many bytes of log it was behind the primary when it was last asked; none if that is not known, or if it is
    /// the primary.
    pub lag_bytes: Option<u64>,
    /// How long ago the primary was where it was then; nothing if it had replayed all that was known of the primary.
    pub lag: Option<Duration>,
    /// Whether it may be read from besides the primary: `yes`, or why not; none if it is the primary.
    pub fit: Option<&'static str>,
    /// Why it is as it is, in words.
    pub detail: String,
}

/// Whether clients should be sent here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Listening, and a primary is known.
    Ready,
    /// Not listening yet.
    Starting,
    /// No node is known to be the primary.
    NoPrimary,
    /// Shutting down.
    Draining,
}

impl Readiness {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::NoPrimary => "no node is known to be the primary",
            Self::Draining => "shutting down",
        }
    }
}

impl Handle {
    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.0.in_force.load().settings)
    }

    /// What every loop is doing now.
    pub async fn report(&self) -> Vec<LoopReport> {
        let mut answers = Vec::new();
        self.0.shared.loops().iter().for_each(|mailbox| {
            let (sender, receiver) = oneshot::channel();
            mailbox.send(Message::Report(sender));
            answers.push(receiver);
        });
        let mut reports = Vec::new();
        for answer in answers {
            // A loop that has ended answers nothing.
            if let Ok(report) = answer.await {
                reports.push(report);
            }
        }
        reports
    }

    /// The nodes, as the probes see them.
    pub fn nodes(&self) -> Arc<Vec<NodeReport>> {
        Arc::clone(&self.0.nodes.borrow())
    }

    /// The nodes of the settings: the number reports know each by, and its name.
    pub fn node_names(&self) -> Vec<(NodeId, Arc<str>)> {
        let in_force = self.0.in_force.load();
        in_force.nodes.iter().map(|(id, entry)| (*id, Arc::clone(&entry.name))).collect()
    }

    /// Whether clients should be sent here.
    pub fn readiness(&self) -> Readiness {
        if self.0.draining.load(Ordering::Acquire) {
            Readiness::Draining
        } else if !self.0.listening.load(Ordering::Acquire) {
            Readiness::Starting
        } else if !self.nodes().iter().any(|node| node.serving) {
            Readiness::NoPrimary
        } else {
            Readiness::Ready
        }
    }

    /// True once the pooler ends in order and whoever is idle is to go: after `general.drain_delay`.
    pub fn closing(&self) -> watch::Receiver<bool> {
        self.0.closing.subscribe()
    }

    /// Clients connected, and how many may be.
    pub fn client_slots(&self) -> (usize, usize) {
        (self.0.frontend.clients(), self.settings().general.max_clients)
    }

    /// The named prepared statements of all clients.
    pub fn statements(&self) -> StatementsReport {
        let room = self.0.shared.room();
        StatementsReport {
            count: room.statements(),
            bytes: room.bytes(),
            limit: room.limit(),
            refused: room.refused(),
        }
    }

    /// The listeners for clients that share servers.
    pub fn listeners(&self) -> ListenersReport {
        let shared = &self.0.shared;
        shared.listeners().map_or_else(Default::default, |hubs| hubs.report(shared.now_us()))
    }

    /// Replication connections.
    pub fn replication(&self) -> ReplicationReport {
        self.0.replication.report()
    }

    /// Panics caught beside the loops: during logins, while servers were opened, cancel requests sent, and replication
    /// connections served.
    pub fn panics(&self) -> u64 {
        let inner = &self.0;
        let opening = inner.panics.count().wrapping_add(inner.replication.panics());
        inner.frontend.panics().wrapping_add(opening)
    }

    /// When the pooler was started.
    pub fn started_at(&self) -> std::time::SystemTime {
        self.0.started
    }

    /// Stops giving servers to clients of `database` (all databases if none), those that log in later included;
    /// clients that hold one keep it until their transaction ends. Says whether there is such a database among the
    /// pools.
    pub fn pause(&self, database: Option<&str>) -> bool {
        self.set_paused(database, true)
    }

    /// Ends a pause.
    pub fn resume(&self, database: Option<&str>) -> bool {
        self.set_paused(database, false)
    }

    /// Whether clients of this database are given no servers now.
    pub fn is_paused(&self, database: &str) -> bool {
        self.0.shared.registry.is_paused(database)
    }

    /// Starts a new generation of server connections; those open now are closed when they come back.
    pub fn reconnect(&self, database: Option<&str>) -> bool {
        self.each_family(database, Family::renew_all)
    }

    /// Ends the pooler. A second call while it ends in order ends it at once.
    pub fn end(&self, ending: Ending) {
        if self.0.ending.try_send(ending).is_err() {
            // The queue holds as many wishes as there are steps, or the end has come.
            tracing::debug!("asked to end once more");
        }
    }

    /// Reads the settings again. The answer lists what changed, or says why nothing did.
    pub async fn reload(&self) -> Result<Vec<String>, String> {
        let (sender, receiver) = oneshot::channel();
        let gone = || "the pooler is shutting down".to_owned();
        self.0.reload.send(sender).await.map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())?
    }

    fn set_paused(&self, database: Option<&str>, paused: bool) -> bool {
        let found = self.0.shared.registry.set_paused(database, paused);
        self.0.shared.send_all(|| Message::Recheck);
        found
    }

    fn each_family(&self, database: Option<&str>, act: impl Fn(&Family)) -> bool {
        let mut found = database.is_none();
        for family in self.0.shared.registry.families() {
            if database.is_none_or(|wanted| *family.database == *wanted) {
                found = true;
                act(&family);
            }
        }
        self.0.shared.send_all(|| Message::Recheck);
        found
    }
}
