//! Starting, reloading and ending the pooler.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
    time::SystemTime,
};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};
use trunkline_cluster::NodeId;
use trunkline_settings::{Effect, PoolFate, Reload, Settings};

use crate::{
    backend::KeyRing,
    cold::{ColdOpener, InForce, NodeNumbers},
    engine::{Dealer, Engine, Message, Shared},
    frontend::{Frontend, Listeners, Serving},
    handle::{Ending, Handle, Inner, ReloadRequest},
    handoff::Switch,
    handover::ConsoleLogin,
    listening::{Hubs, Lead, World},
    panics::Panics,
    pool::Registry,
    replication::Office,
    seats::{Seat, Seats},
    source::{LoadError, Source},
    tls::{ServerSide, TlsConfigError},
    watch::{Observer, Watch},
};

/// Requests to reload that may wait for the one under way.
const RELOADS_WAITING: usize = 16;

/// Nodes whose probe is asked for; more broken connections than these tell nothing more.
const SUSPECTS_WAITING: usize = 16;

/// Wishes to end that may wait: the first starts an orderly end, the second ends at once.
const ENDINGS_WAITING: usize = 2;

/// The running pooler.
#[derive(Debug)]
pub struct Pooler {
    pub(crate) handle: Handle,
    pub(crate) engine: Engine,
    pub(crate) frontend: Frontend,
    pub(crate) serving: Serving,
    pub(crate) reloads: mpsc::Receiver<ReloadRequest>,
    pub(crate) endings: mpsc::Receiver<Ending>,
    pub(crate) source: Source,
    numbers: Arc<NodeNumbers>,
    watch: Watch,
    on_settings: OnSettings,
}

/// Told the settings that hold after each reload; boxed so that the program can set its log level.
pub struct OnSettings(pub Box<dyn Fn(&Settings) + Send + Sync>);

impl std::fmt::Debug for OnSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnSettings")
    }
}

/// Why the pooler could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// TLS could not be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] TlsConfigError),
    /// A socket could not be bound, or a thread not be started.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Pooler {
    /// Starts with these settings, in the runtime this is called in. Operators who log in to the console come out of
    /// the second part.
    pub fn start(
        source: Source,
        settings: Settings,
        on_settings: OnSettings,
    ) -> Result<(Self, mpsc::UnboundedReceiver<(ConsoleLogin, Seat)>), StartError> {
        let settings = Arc::new(settings);
        let listeners = Listeners::bind(&settings.listen)?;
        let numbers = Arc::new(NodeNumbers::default());
        let in_force = Arc::new(ArcSwap::from_pointee(in_force(&settings, &numbers)?));
        let workers = settings.general.worker_threads(cores());
        let registry = Arc::new(Registry::new(Arc::clone(&settings), workers));
        registry.apply(&settings, &node_limits(&in_force.load()), |_| false);
        registry.name_nodes(node_names(&in_force.load()));
        let ring = Arc::new(KeyRing::new());
        let runtime = tokio::runtime::Handle::current();
        let opener =
            Arc::new(ColdOpener::new(runtime.clone(), Arc::clone(&in_force), Arc::clone(&ring)));
        let panics = opener.panics();
        let (suspect, suspects) = mpsc::channel(SUSPECTS_WAITING);
        let shared = Arc::new(Shared::new(registry, opener, rand::random(), suspect));
        shared.room().set_limit(settings.limits.statements_total);
        let engine = Engine::start(Arc::clone(&shared), &settings, workers)?;
        let (replication, traffic) = Office::open(&in_force, &ring, &shared);
        let (consoles, console_logins) = mpsc::unbounded_channel();
        let switch = Arc::new(Switch {
            shared: Arc::clone(&shared),
            dealer: Dealer::default(),
            consoles,
            seats: Seats::default(),
            replication: Arc::clone(&replication),
        });
        let (node_sender, nodes) = watch::channel(Arc::new(Vec::new()));
        let watch = Watch::start(Observer {
            in_force: Arc::clone(&in_force),
            shared: Arc::clone(&shared),
            ring: Arc::clone(&ring),
            nodes: node_sender,
            lead: listen(&shared, &in_force, &ring, runtime, &panics),
            traffic,
            positions: Arc::clone(shared.positions()),
            replication: Arc::clone(&replication),
            suspects,
        });
        let frontend = Frontend::new(&settings, switch, ring, Some(watch.password_source()))?;
        let (reload, reloads) = mpsc::channel(RELOADS_WAITING);
        let (ending, endings) = mpsc::channel(ENDINGS_WAITING);
        let handle = Handle(Arc::new(Inner {
            shared,
            in_force,
            nodes,
            draining: AtomicBool::new(false),
            closing: watch::Sender::new(false),
            listening: AtomicBool::new(true),
            frontend: frontend.clone(),
            replication,
            panics,
            reload,
            ending,
            started: SystemTime::now(),
        }));
        Ok((
            Self {
                handle,
                engine,
                serving: frontend.serve(listeners),
                frontend,
                reloads,
                endings,
                source,
                numbers,
                watch,
                on_settings,
            },
            console_logins,
        ))
    }

    /// A handle for the rest of the program.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Reads the settings again and takes them over whole; says what changed. A mistake changes nothing.
    pub(crate) async fn reload(&self) -> Result<Vec<String>, String> {
        let source = self.source.clone();
        let loaded = tokio::task::spawn_blocking(move || source.load())
            .await
            .map_err(|error| format!("reading the settings failed: {error}"))?
            .map_err(|error: LoadError| error.to_string())?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let old = self.handle.settings();
        let reload = Reload { old: &old, new: &loaded.settings };
        let changes = reload.changes();
        let running = Arc::new(reload.running());
        let server_tls =
            Arc::new(ServerSide::new(&running.server_tls).map_err(|error| error.to_string())?);
        self.frontend.reload(&running).map_err(|error| error.to_string())?;
        self.take_over(&old, &running, server_tls);
        (self.on_settings.0)(&running);
        let lines: Vec<String> = changes
            .iter()
            .map(|change| {
                let when = match change.effect {
                    Effect::Live => "now",
                    Effect::NewConnections => "for new connections",
                    Effect::Restart => "after a restart only",
                };
                format!("{}: {} -> {} ({when})", change.path, change.old, change.new)
            })
            .collect();
        Ok(lines)
    }

    fn take_over(&self, old: &Settings, running: &Arc<Settings>, server_tls: Arc<ServerSide>) {
        let inner = &self.handle.0;
        let in_force = InForce::new(Arc::clone(running), server_tls, &self.numbers);
        let limits = node_limits(&in_force);
        inner.shared.registry.name_nodes(node_names(&in_force));
        let before = inner.in_force.swap(Arc::new(in_force));
        let reload = Reload { old, new: running };
        for family in inner.shared.registry.families() {
            // A node that is new has no connections; one that has gone is among those before.
            for (id, entry) in &before.nodes {
                if reload.pool(&family.database, &family.user, &entry.name) != PoolFate::Keep {
                    family.renew(*id);
                }
            }
        }
        inner.shared.registry.apply(running, &limits, |user| reload.is_removed(user));
        inner.replication.follow(&reload);
        inner.shared.room().set_limit(running.limits.statements_total);
        inner.shared.send_all(|| Message::Settings(Arc::clone(running)));
        self.watch.reloaded();
    }
}

/// Sets who listens for clients that share servers; says where they are to be told where the primary is.
fn listen(
    shared: &Arc<Shared>,
    in_force: &Arc<ArcSwap<InForce>>,
    ring: &Arc<KeyRing>,
    runtime: tokio::runtime::Handle,
    panics: &Panics,
) -> watch::Sender<Lead> {
    let (sender, lead) = watch::channel(Lead::default());
    let (in_force, ring, panics) = (Arc::clone(in_force), Arc::clone(ring), panics.clone());
    let world = World { in_force, ring, lead, runtime, panics };
    shared.set_listeners(Arc::new(Hubs::new(world, shared)));
    sender
}

fn in_force(settings: &Arc<Settings>, numbers: &NodeNumbers) -> Result<InForce, TlsConfigError> {
    let server_tls = Arc::new(ServerSide::new(&settings.server_tls)?);
    Ok(InForce::new(Arc::clone(settings), server_tls, numbers))
}

fn node_limits(in_force: &InForce) -> Vec<(NodeId, usize)> {
    in_force.nodes.iter().map(|(id, entry)| (*id, entry.max_connections)).collect()
}

fn node_names(in_force: &InForce) -> impl Iterator<Item = (NodeId, Arc<str>)> {
    in_force.nodes.iter().map(|(id, entry)| (*id, Arc::clone(&entry.name)))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
