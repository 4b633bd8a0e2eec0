//! Watches the nodes and tells the loops where traffic may go.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
};
use trunkline_cluster::{
    Event, Health, LagPolicy, NodeId, NodeView, Policy, Reader, Readers, Standing, State, Traffic,
    Unfit, View,
};
use trunkline_settings::{AsynchronousCommits, RoutingMode};

use crate::{
    backend::KeyRing,
    cold::{InForce, NodeEntry},
    control::{
        AuthQuery, Clock, ControlPool, Overseer, Pace, ProbeTarget, Probing, Sampler,
        control_target, lookup_target, oversee, probe, sample,
    },
    engine::{Message, Shared},
    frontend::PasswordSource,
    handle::NodeReport,
    listening::Lead,
    positions::Positions,
    replication::Office,
    routing::{Library, Study},
};

/// What the watch works with and tells.
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) in_force: Arc<ArcSwap<InForce>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) nodes: watch::Sender<Arc<Vec<NodeReport>>>,
    /// For those who listen on the primary.
    pub(crate) lead: watch::Sender<Lead>,
    /// Where traffic goes, for those who are on no loop.
    pub(crate) traffic: watch::Sender<Traffic>,
    /// How far the logs of the nodes are.
    pub(crate) positions: Arc<Positions>,
    pub(crate) replication: Arc<Office>,
    /// Nodes of which a connection has broken, or to which none could be made.
    pub(crate) suspects: mpsc::Receiver<NodeId>,
}

/// The running watch; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    task: JoinHandle<()>,
    /// Reads the catalogs of the databases that statements are routed for.
    library: JoinHandle<()>,
    /// Judges long texts for the loops.
    study: JoinHandle<()>,
    /// Tells loops when a standby has said how far it is.
    standbys: JoinHandle<()>,
    reloaded: Arc<Notify>,
    passwords: Arc<AuthQuery>,
}

impl Watch {
    /// Starts to ask the nodes, in the runtime this is called in.
    pub(crate) fn start(observer: Observer) -> Self {
        let reloaded = Arc::new(Notify::new());
        let in_force = observer.in_force.load_full();
        let (query, pools) = look_ups(&in_force, &observer.ring);
        let passwords =
            Arc::new(AuthQuery::new(query, pools, in_force.settings.pool.connect_timeout));
        let library = Library {
            registry: Arc::clone(&observer.shared.registry),
            in_force: Arc::clone(&observer.in_force),
            ring: Arc::clone(&observer.ring),
            traffic: observer.traffic.subscribe(),
            positions: Arc::clone(&observer.positions),
        };
        let library = tokio::spawn(library.run());
        let study = tokio::spawn(Study::run(Arc::clone(&observer.shared)));
        let shared = Arc::clone(&observer.shared);
        let standbys = tokio::spawn(tell_of_standbys(shared, Arc::clone(&observer.positions)));
        let task = tokio::spawn(follow(observer, Arc::clone(&reloaded), Arc::clone(&passwords)));
        Self { task, library, study, standbys, reloaded, passwords }
    }

    /// The settings in force have changed.
    pub(crate) fn reloaded(&self) {
        self.reloaded.notify_one();
    }

    /// Where passwords are found that the settings do not know. There even if no `auth_query` is set, so that a
    /// reload may set one.
    pub(crate) fn password_source(&self) -> Arc<dyn PasswordSource> {
        Arc::<AuthQuery>::clone(&self.passwords)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
        self.library.abort();
        self.study.abort();
        self.standbys.abort();
    }
}

/// Tells the loops whenever a standby has said how far it is, if one of them waits for that.
async fn tell_of_standbys(shared: Arc<Shared>, positions: Arc<Positions>) {
    loop {
        positions.caught_up().await;
        shared.send_all(|| Message::CaughtUp);
    }
}

/// Keeps probes, look-ups and loops in step with the settings and with what is seen.
async fn follow(mut observer: Observer, reloaded: Arc<Notify>, passwords: Arc<AuthQuery>) {
    let mut in_force = observer.in_force.load_full();
    let mut overseer = oversee(State::new(policy(&in_force), in_force.nodes.keys().copied()));
    // They are asked for as long as these are held.
    let mut probing = start_probes(&in_force, &observer.ring, &overseer.events);
    let mut sampler = None;
    start_sampler(&mut sampler, &in_force, &observer, &[]);
    let mut traffic = Traffic::default();
    loop {
        tokio::select! {
            () = reloaded.notified() => {
                let before = std::mem::replace(&mut in_force, observer.in_force.load_full());
                let (query, pools) = look_ups(&in_force, &observer.ring);
                passwords.reload(query, pools, in_force.settings.pool.connect_timeout);
                if tell(&overseer, vec![Event::Policy(policy(&in_force))]).await.is_err() {
                    return;
                }
                if !same_targets(&before, &in_force) {
                    let nodes = in_force.nodes.keys().copied().collect();
                    let moved = moved(&before, &in_force);
                    let mut news: Vec<Event> = moved.iter().copied().map(Event::Moved).collect();
                    news.push(Event::Nodes(nodes));
                    if tell(&overseer, news).await.is_err() {
                        return;
                    }
                    probing = start_probes(&in_force, &observer.ring, &overseer.events);
                    start_sampler(&mut sampler, &in_force, &observer, &moved);
                    observer.lead.send_modify(|lead| lead.epoch = lead.epoch.wrapping_add(1));
                }
            }
            Some(node) = probing.moved() => {
                move_on(&observer.shared, node);
                start_sampler(&mut sampler, &in_force, &observer, &[node]);
                if tell(&overseer, vec![Event::Moved(node)]).await.is_err() {
                    return;
                }
                observer.lead.send_if_modified(|lead| {
                    let moves = lead.node == Some(node);
                    lead.epoch = lead.epoch.wrapping_add(u64::from(moves));
                    moves
                });
                observer.replication.move_on(node);
                let (query, pools) = look_ups(&in_force, &observer.ring);
                passwords.reload(query, pools, in_force.settings.pool.connect_timeout);
            }
            Some(node) = observer.suspects.recv() => probing.at_once(node),
            Some(node) = overseer.recovered.recv() => {
                observer.shared.send_all(|| Message::Recovered(node));
            }
            seen = overseer.view.changed() => {
                if seen.is_err() {
                    return;
                }
                let view = overseer.view.borrow_and_update().clone();
                if let Some(view) = view {
                    let fit = overseer.readers.borrow().fit().collect();
                    publish(&observer, &in_force, (&view, fit), &mut traffic);
                    passwords.prefer(traffic.primary);
                }
                report(&observer, &in_force, &overseer);
            }
            seen = overseer.readers.changed() => {
                if seen.is_err() {
                    return;
                }
                follow_readers(&observer, &mut overseer, &mut traffic);
                report(&observer, &in_force, &overseer);
            }
        }
    }
}

/// The error is that nobody hears it.
async fn tell(overseer: &Overseer, news: Vec<Event>) -> Result<(), mpsc::error::SendError<Event>> {
    for event in news {
        overseer.events.send(event).await?;
    }
    Ok(())
}

/// The nodes that are at another address now, or gone.
fn moved(before: &InForce, now: &InForce) -> Vec<NodeId> {
    let is_there = |id: &NodeId, entry: &NodeEntry| {
        now.nodes.get(id).is_some_and(|other| other.address == entry.address)
    };
    before.nodes.iter().filter(|(id, entry)| !is_there(id, entry)).map(|(id, _)| *id).collect()
}

/// The name of a node means another machine now, by which it is judged: connections to the one before are used no more.
pub(crate) fn move_on(shared: &Shared, node: NodeId) {
    for family in shared.registry.families() {
        family.renew(node);
    }
    shared.send_all(|| Message::Recheck);
}

/// Tells the loops which standbys may be read from, if these are others than before.
fn follow_readers(observer: &Observer, overseer: &mut Overseer, known: &mut Traffic) {
    let fit: Vec<NodeId> = overseer.readers.borrow_and_update().fit().collect();
    if fit != known.fit {
        known.fit = fit;
        observer.shared.send_all(|| Message::Traffic(known.clone()));
    }
}

/// Tells people how the nodes are.
fn report(observer: &Observer, in_force: &InForce, overseer: &Overseer) {
    if let Some(view) = overseer.view.borrow().as_deref() {
        let reports = reports(in_force, view, &overseer.readers.borrow());
        let nodes = reports.iter().map(|(_, report)| report.clone()).collect();
        observer.nodes.send_replace(Arc::new(nodes));
        observer.shared.set_standings(reports);
    }
}

fn publish(
    observer: &Observer,
    in_force: &InForce,
    (view, fit): (&View, Vec<NodeId>),
    known: &mut Traffic,
) {
    for node in view.nodes.iter().filter(|node| node.health != Health::Up) {
        observer.positions.forget(node.id);
    }
    let traffic = Traffic { fit, ..view.traffic() };
    let before = std::mem::replace(known, traffic);
    if *known == before {
        return;
    }
    // Before any loop goes to the new one: what is done there is not in the old one's log.
    observer.positions.led_by(known.primary);
    if known.primary != before.primary {
        if let Some(entry) = known.primary.and_then(|node| in_force.nodes.get(&node)) {
            tracing::info!(node = %entry.name, address = %entry.address, "traffic goes to the primary");
        } else {
            tracing::warn!("no node takes traffic: {}", view.verdict);
        }
    }
    observer.traffic.send_replace(known.clone());
    observer.shared.send_all(|| Message::Traffic(known.clone()));
    observer.lead.send_if_modified(|lead| {
        let before = std::mem::replace(&mut lead.node, known.primary);
        lead.node != before
    });
}

/// How the settings want the nodes judged.
fn policy(in_force: &InForce) -> Policy {
    let cluster = &in_force.settings.cluster;
    let routing = &in_force.settings.routing;
    let lag = LagPolicy {
        max_bytes: u64::try_from(routing.max_lag_bytes).unwrap_or(u64::MAX),
        max_time: routing.max_lag_time,
        stale_reads_max: routing.stale_reads_max,
    };
    Policy { down_failures: cluster.down_failures, down_after: cluster.down_after, lag }
}

/// Whether the same nodes are probed, and their logs sampled, in the same way.
fn same_targets(before: &InForce, now: &InForce) -> bool {
    before.nodes == now.nodes
        && before.settings.cluster == now.settings.cluster
        && before.settings.routing.sample_interval == now.settings.routing.sample_interval
        && before.settings.server_tls == now.settings.server_tls
        && before.settings.tcp == now.settings.tcp
        && before.settings.auth.allow_cleartext_to_server
            == now.settings.auth.allow_cleartext_to_server
}

fn start_probes(in_force: &InForce, ring: &Arc<KeyRing>, events: &mpsc::Sender<Event>) -> Probing {
    let cluster = &in_force.settings.cluster;
    probe(targets(in_force, ring), cluster.probe_interval, cluster.probe_timeout, events)
}

/// Puts a sampler for these settings in the place of the one before. It asks nothing, and opens no connection, before a
/// session wants to know how far the log is. A node that is alone has no standby that could be read from. What was known of
/// the nodes that have `moved` counts no more.
fn start_sampler(
    running: &mut Option<Sampler>,
    in_force: &InForce,
    observer: &Observer,
    moved: &[NodeId],
) {
    // It has ended before that, so that it says nothing of them behind it.
    *running = None;
    for node in moved {
        observer.positions.moved(*node);
    }
    if in_force.nodes.len() < 2 {
        return;
    }
    let shared = Arc::clone(&observer.shared);
    let clock: Clock = Arc::new(move || shared.now_us());
    let limit = in_force.settings.cluster.probe_timeout;
    let routing = &in_force.settings.routing;
    let asynchronous = routing.asynchronous_commits == AsynchronousCommits::Assumed;
    let pace = Pace { interval: routing.sample_interval, limit, asynchronous };
    *running = Some(sample(targets(in_force, &observer.ring), pace, &observer.positions, &clock));
}

/// The nodes, and how our own connections to them are opened.
fn targets(in_force: &InForce, ring: &Arc<KeyRing>) -> Vec<ProbeTarget> {
    let target = |(id, entry): (&NodeId, &NodeEntry)| {
        let node = in_force.settings.node(&entry.name)?;
        let target = control_target(&in_force.settings, node, &in_force.server_tls, ring);
        Some(ProbeTarget { node: *id, target })
    };
    in_force.nodes.iter().filter_map(target).collect()
}

fn look_ups(in_force: &InForce, ring: &Arc<KeyRing>) -> (String, Vec<(NodeId, ControlPool)>) {
    let query = in_force.settings.auth.auth_query.clone();
    let pools = in_force
        .nodes
        .iter()
        .filter_map(|(id, entry)| {
            let node = in_force.settings.node(&entry.name)?;
            let target = lookup_target(&in_force.settings, node, &in_force.server_tls, ring);
            Some((*id, ControlPool::new(target)))
        })
        .collect();
    (query, pools)
}

/// What a view of the cluster looks like to people.
fn reports(in_force: &InForce, view: &View, readers: &Readers) -> Vec<(NodeId, NodeReport)> {
    let reads = in_force.settings.routing.mode == RoutingMode::On;
    let report = |id: &NodeId, node: Option<&NodeView>, reader: Option<&Reader>| {
        let entry = in_force.nodes.get(id)?;
        let is_fit = reader.is_some_and(|reader| reader.unfit.is_none());
        let last = node.filter(|node| node.health.is_believed()).and_then(|node| node.last);
        let report = NodeReport {
            name: Arc::clone(&entry.name),
            address: entry.address.to_string(),
            role: match node.map(|node| node.standing) {
                Some(Standing::Claimant | Standing::OldTimeline { .. }) => "primary",
                Some(Standing::Standby) => "standby",
                _ => "unknown",
            },
            up: node.is_some_and(|node| node.health.is_believed()),
            serving: view.primary() == Some(*id) || reads && is_fit,
            timeline: last.and_then(|last| last.timeline).unwrap_or(0),
            system_identifier: last.map_or(0, |last| last.system),
            lag_bytes: reader.and_then(|reader| reader.lag).map(|lag| lag.bytes),
            lag: reader.and_then(|reader| reader.lag).map(|lag| lag.time),
            fit: reader.map(|reader| reader.unfit.map_or("yes", Unfit::as_str)),
            detail: node.map_or_else(String::new, |node| node.standing.to_string()),
        };
        Some((*id, report))
    };
    in_force.nodes.keys().filter_map(|id| report(id, view.node(*id), readers.node(*id))).collect()
}
