//! The listeners of all databases.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use trunkline_session::Channel;

use super::{
    board::{Place, Seat},
    calls::Ticket,
    hub::Hub,
};
use crate::{
    backend::{KeyRing, OpenTarget},
    cluster::NodeId,
    cold::InForce,
    control::control_target,
    engine::{Message, Shared},
    frontend::StartupParams,
    panics::Panics,
};

/// Databases and encodings for which there are listeners at the same time; who wants another one keeps a server.
const HUBS_MAX: usize = 1000;

/// Encodings for which one database is listened to at the same time, each by a connection that counts under no cap; who has
/// another one keeps a server.
const ENCODINGS_MAX: usize = 4;

/// Where the primary is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lead {
    pub(crate) node: Option<NodeId>,
    /// Changes when the node is to be connected to anew.
    pub(crate) epoch: u64,
}

/// What listeners need of the rest.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) in_force: Arc<ArcSwap<InForce>>,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) lead: watch::Receiver<Lead>,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) panics: Panics,
}

/// A listener, for the console and the metrics.
#[derive(Debug, Clone)]
pub struct ListenerReport {
    /// The database on the servers.
    pub database: String,
    /// The `client_encoding` of its clients.
    pub encoding: String,
    /// Whether it has a connection, and for how long, in microseconds.
    pub connected_us: Option<u64>,
    /// Clients that listen.
    pub clients: usize,
    /// Channels that any of them listens to.
    pub channels: usize,
    /// Times its connection was made again after it was lost.
    pub reconnects: u64,
    /// Notifications heard.
    pub heard: u64,
    /// Times a client was told one.
    pub told: u64,
    /// Why it has no connection.
    pub error: Option<Arc<str>>,
}

/// All listeners, and what was counted since the start.
#[derive(Debug, Clone, Default)]
pub struct ListenersReport {
    /// Those there are.
    pub each: Vec<ListenerReport>,
    /// Times a client was told a notification.
    pub told: u64,
    /// Times a lost connection was made again.
    pub reconnects: u64,
}

/// The listeners of all databases.
pub(crate) struct Hubs {
    world: World,
    known: Mutex<BTreeMap<Place, Arc<Hub>>>,
    /// Over all listeners there were.
    told: AtomicU64,
    reconnects: AtomicU64,
    shared: std::sync::Weak<Shared>,
}

impl fmt::Debug for Hubs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hubs").field("known", &self.lock().len()).finish_non_exhaustive()
    }
}

/// A client's place at a listener; given up when dropped.
#[derive(Debug)]
pub(crate) struct Member {
    hub: Arc<Hub>,
    pub(crate) seat: Seat,
}

impl Hubs {
    /// None yet.
    pub(crate) fn new(world: World, shared: &Arc<Shared>) -> Self {
        Self {
            world,
            known: Mutex::default(),
            told: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            shared: Arc::downgrade(shared),
        }
    }

    /// A client is about to listen.
    pub(crate) fn join(self: &Arc<Self>, place: Place, seat: Seat) -> Option<Member> {
        let mut known = self.lock();
        if let Some(hub) = known.get(&place) {
            hub.on_board(|board| board.join(seat));
            return Some(Member { hub: Arc::clone(hub), seat });
        }
        let shared = self.shared.upgrade()?;
        let there = known.keys().filter(|other| other.database == place.database).count();
        if known.len() >= HUBS_MAX || there >= ENCODINGS_MAX {
            return None;
        }
        let hub = Arc::new(Hub::new(place.clone()));
        hub.on_board(|board| board.join(seat));
        known.insert(place, Arc::clone(&hub));
        let (hubs, running) = (Arc::clone(self), Arc::clone(&hub));
        self.world.runtime.spawn(async move {
            // After a panic it begins anew.
            while hubs.world.panics.contain(running.run(&hubs, &shared)).await.is_none() {}
        });
        Some(Member { hub, seat })
    }

    /// Whether the listener ends, because nobody needs it.
    pub(super) fn closes(&self, hub: &Hub) -> bool {
        let mut known = self.lock();
        let deserted = hub.on_board(|board| board.is_deserted());
        if deserted {
            known.remove(&hub.place);
        }
        deserted
    }

    /// A server of this database has perhaps sent something: it waits until that is heard, wherever that is. Says for how
    /// many tickets it waits.
    pub(crate) fn wait(&self, database: &str, ticket: impl Fn() -> Ticket) -> usize {
        let hubs: Vec<Arc<Hub>> = {
            let known = self.lock();
            known.values().filter(|hub| *hub.place.database == *database).map(Arc::clone).collect()
        };
        for hub in &hubs {
            hub.wait(ticket());
        }
        hubs.len()
    }

    /// Where the primary is now.
    pub(super) fn lead(&self) -> Lead {
        *self.world.lead.borrow()
    }

    /// Waits until it is elsewhere than there.
    pub(super) async fn moved(&self, from: Lead) {
        let mut lead = self.world.lead.clone();
        if lead.wait_for(|lead| *lead != from).await.is_err() {
            // The end of the process is near.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until another one is known to be it.
    pub(super) async fn replaced(&self, from: Lead) {
        let mut lead = self.world.lead.clone();
        if lead.wait_for(|lead| *lead != from && lead.node.is_some()).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// How to connect to the database there.
    pub(super) fn target(&self, place: &Place, node: NodeId) -> Option<OpenTarget> {
        let in_force = self.world.in_force.load();
        let entry = in_force.nodes.get(&node)?;
        let settings = &in_force.settings;
        let node = settings.node(&entry.name)?;
        let target = control_target(settings, node, &in_force.server_tls, &self.world.ring);
        let startup = StartupParams {
            client_encoding: Some(Box::from(&*place.encoding)),
            application_name: Some("trunkline listener".into()),
            ..target.startup.clone()
        };
        Some(OpenTarget { database: Arc::clone(&place.database), startup, ..target })
    }

    /// The least and the longest pause before a connection is tried again.
    pub(super) fn backoff(&self) -> (Duration, Duration) {
        let in_force = self.world.in_force.load();
        let pool = &in_force.settings.pool;
        (pool.retry_backoff_min, pool.retry_backoff_max)
    }

    pub(super) fn tell(&self, at: usize, message: Message) {
        if let Some(shared) = self.shared.upgrade() {
            shared.send(at, message);
        }
    }

    pub(super) fn note_reconnect(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_told(&self, count: u64) {
        self.told.fetch_add(count, Ordering::Relaxed);
    }

    /// All listeners.
    pub(crate) fn report(&self, now_us: u64) -> ListenersReport {
        let hubs: Vec<Arc<Hub>> = self.lock().values().map(Arc::clone).collect();
        ListenersReport {
            each: hubs.iter().map(|hub| hub.report(now_us)).collect(),
            told: self.told.load(Ordering::Relaxed),
            reconnects: self.reconnects.load(Ordering::Relaxed),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Place, Arc<Hub>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    fn report(&self, now_us: u64) -> ListenerReport {
        let since = self.since.load(Ordering::Relaxed);
        let ((clients, channels), error) =
            self.on_board(|board| (board.count(), board.failing.clone()));
        ListenerReport {
            database: self.place.database.as_ref().to_owned(),
            encoding: self.place.encoding.as_ref().to_owned(),
            connected_us: (since > 0).then(|| now_us.saturating_sub(since)),
            clients,
            channels,
            reconnects: self.reconnects.load(Ordering::Relaxed),
            heard: self.heard.load(Ordering::Relaxed),
            told: self.told.load(Ordering::Relaxed),
            error,
        }
    }
}

#[cfg(test)]
impl Member {
    /// At a listener that never answers.
    pub(crate) fn unanswered(seat: Seat) -> Self {
        let (database, encoding) = ("shop".into(), "UTF8".into());
        Self { hub: Arc::new(Hub::new(Place { database, encoding })), seat }
    }
}

impl Member {
    /// It wants to be told of these channels, or only to know when all is heard that was sent by now. The answer is a
    /// message to its loop, with the same number.
    pub(crate) fn ask(&self, shared: &Arc<Shared>, number: u32, channels: Vec<Channel>) {
        self.hub.ask(shared, (self.seat, number), channels);
    }

    /// It no longer listens to these.
    pub(crate) fn forget(&self, channels: &[Channel]) {
        self.hub.on_board(|board| board.forget(self.seat.id, channels));
        self.hub.look();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.hub.on_board(|board| board.leave(self.seat.id));
        self.hub.look();
    }
}
