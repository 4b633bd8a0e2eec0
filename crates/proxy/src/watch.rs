//! Watches the nodes and tells the loops where traffic may go.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use trunkline_cluster::{Event, NodeId, Outcome, Policy, State, View};
use trunkline_settings::Settings;

use crate::{
    backend::KeyRing,
    cold::{InForce, NodeEntry},
    control::{ClusterPasswords, ControlPool, control_target, probe},
    engine::{Message, Shared},
    frontend::PasswordSource,
    handle::{Inner, NodeReport},
};

/// Outcomes of probes that may wait for the decision.
const OUTCOMES_WAITING: usize = 256;

/// What the watch works with and tells.
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) in_force: Arc<ArcSwap<InForce>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) nodes: watch::Sender<Arc<Vec<NodeReport>>>,
}

/// The running watch; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    task: JoinHandle<()>,
    reloaded: Arc<Notify>,
    passwords: Arc<ClusterPasswords>,
}

impl Watch {
    /// Starts to ask the nodes, in the runtime this is called in.
    pub(crate) fn start(observer: Observer) -> Self {
        let reloaded = Arc::new(Notify::new());
        let (primary, told) = watch::channel(None);
        let passwords = Arc::new(ClusterPasswords::new(
            Arc::clone(&observer.in_force),
            Arc::clone(&observer.ring),
            told,
        ));
        let task = tokio::spawn(watch_nodes(observer, Arc::clone(&reloaded), primary));
        Self { task, reloaded, passwords }
    }

    /// The settings in force have changed.
    pub(crate) fn reloaded(&self) {
        self.reloaded.notify_one();
    }

    /// Where passwords are found that the settings do not know. Asked even if no `auth_query` is set, so that a
    /// reload may set one.
    pub(crate) fn password_source(&self, _settings: &Settings) -> Option<Arc<dyn PasswordSource>> {
        let source: Arc<dyn PasswordSource> = self.passwords.clone();
        Some(source)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The one owner of the cluster's state.
async fn watch_nodes(
    observer: Observer,
    reloaded: Arc<Notify>,
    primary: watch::Sender<Option<NodeId>>,
) {
    let (sender, mut outcomes) = mpsc::channel(OUTCOMES_WAITING);
    let mut state = State::default();
    let mut probers = Probers { sender, running: BTreeMap::new() };
    let mut view = None;
    loop {
        let in_force = observer.in_force.load_full();
        probers.follow(&in_force, &observer.ring);
        let nodes = in_force.nodes.keys().copied().collect();
        view = state.step(Event::Nodes(nodes), Policy::default()).or(view);
        if let Some(view) = &view {
            publish(&observer, &primary, view);
        }
        loop {
            tokio::select! {
                () = reloaded.notified() => break,
                Some((node, outcome)) = outcomes.recv() => {
                    if let Some(news) = state.step(Event::Probed { node, outcome }, Policy::default()) {
                        publish(&observer, &primary, &news);
                        view = Some(news);
                    }
                }
            }
        }
    }
}

fn publish(observer: &Observer, told: &watch::Sender<Option<NodeId>>, view: &View) {
    let in_force = observer.in_force.load();
    observer.nodes.send_replace(Arc::new(Inner::node_reports(&in_force, view)));
    let primary = view.primary.as_ref().ok().copied();
    let changed = told.send_if_modified(|known| std::mem::replace(known, primary) != primary);
    if changed {
        let name =
            |node: NodeId| in_force.nodes.get(&node).map_or("?", |entry| &*entry.name).to_owned();
        match &view.primary {
            Ok(node) => tracing::info!(node = name(*node), "traffic goes to the primary"),
            Err(why) => tracing::warn!("no node takes traffic: {why}"),
        }
        observer.shared.send_all(|| Message::Primary(primary));
    }
}

/// One task per node that asks it again and again.
#[derive(Debug)]
struct Probers {
    sender: mpsc::Sender<(NodeId, Outcome)>,
    running: BTreeMap<NodeId, (NodeEntry, Arc<InForce>, JoinHandle<()>)>,
}

impl Probers {
    /// Starts, restarts and ends probers so that they fit the settings.
    fn follow(&mut self, in_force: &Arc<InForce>, ring: &Arc<KeyRing>) {
        self.running.retain(|node, (entry, known, task)| {
            let same = in_force.nodes.get(node) == Some(entry)
                && known.settings.cluster == in_force.settings.cluster
                && known.settings.server_tls == in_force.settings.server_tls
                && known.settings.tcp == in_force.settings.tcp;
            if !same {
                task.abort();
            }
            same
        });
        for (node, entry) in &in_force.nodes {
            if self.running.contains_key(node) {
                continue;
            }
            let target = control_target(in_force, entry, ring, &in_force.settings.cluster.database);
            let task = tokio::spawn(ask_again(
                *node,
                ControlPool::new(target),
                Arc::clone(in_force),
                self.sender.clone(),
            ));
            self.running.insert(*node, (entry.clone(), Arc::clone(in_force), task));
        }
    }
}

impl Drop for Probers {
    fn drop(&mut self) {
        self.running.values().for_each(|(_, _, task)| task.abort());
    }
}

async fn ask_again(
    node: NodeId,
    pool: ControlPool,
    in_force: Arc<InForce>,
    outcomes: mpsc::Sender<(NodeId, Outcome)>,
) {
    let cluster = &in_force.settings.cluster;
    let mut beat = interval(cluster.probe_interval);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let outcome = probe(&pool, cluster.probe_timeout).await;
        if outcomes.send((node, outcome)).await.is_err() {
            return;
        }
    }
}
