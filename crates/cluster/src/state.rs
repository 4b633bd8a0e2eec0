//! All that is remembered of a cluster, and what an event makes of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::lag::Lags;
use crate::{
    Action, Event, Failure, Health, Moment, NodeId, NodeView, Observation, Policy, Position,
    Readers, Role, Standing, Verdict, View,
};

/// Clusters whose timelines are remembered while it is not known which one is ours. There is one, or somebody
/// has mixed up two.
const MAX_SYSTEMS: usize = 16;

/// What is known of a cluster. Owned by one task; everyone else sees the [`View`]s it publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    policy: Policy,
    nodes: BTreeMap<NodeId, Node>,
    /// Learnt from the first primary that was accepted; nodes of another cluster are never used after that.
    system: Option<u64>,
    /// For each cluster seen, the newest timeline any node of it has ever shown; at most [`MAX_SYSTEMS`]. A
    /// primary that comes back with an older one has been left behind, also if nobody else can be seen.
    newest: BTreeMap<u64, u32>,
    lags: Lags,
    /// What was published last.
    published: Option<View>,
    readers: Option<Readers>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    health: Health,
    last: Option<Observation>,
}

impl State {
    /// Nothing seen yet of these nodes.
    pub fn new(policy: Policy, nodes: impl IntoIterator<Item = NodeId>) -> Self {
        let unseen = Node { health: Health::Unknown, last: None };
        Self {
            policy,
            nodes: nodes.into_iter().map(|id| (id, unseen)).collect(),
            system: None,
            newest: BTreeMap::new(),
            lags: Lags::default(),
            published: None,
            readers: None,
        }
    }

    /// What an event makes of it, and what is to be done.
    #[must_use]
    pub fn step(mut self, now: Moment, event: Event) -> (Self, Vec<Action>) {
        let mut actions = Vec::new();
        let mut seen = None;
        match event {
            Event::Observed { node, observation, position } => {
                if self.observed(node, observation) {
                    actions.push(Action::Recovered(node));
                }
                seen = Some((node, observation.role, position));
            }
            Event::Moved(node) => self.lags.forget(node),
            Event::Failed { node, failure } => self.failed(node, now, failure),
            Event::Nodes(nodes) => self.are(&nodes),
            Event::Policy(policy) => self.policy = policy,
        }
        let view = self.judge();
        self.follow(&view, now, seen);
        let readers = Readers::of(&view, &self.lags, now, &self.policy.lag);
        if self.published.as_ref() != Some(&view) {
            self.published = Some(view.clone());
            actions.push(Action::Publish(view));
        }
        if self.readers.as_ref() != Some(&readers) {
            self.readers = Some(readers.clone());
            actions.push(Action::Readers(readers));
        }
        (self, actions)
    }

    /// Notes how far the node is that was seen just now, in the eyes of this view.
    fn follow(&mut self, view: &View, now: Moment, seen: Option<(NodeId, Role, Position)>) {
        if let Some(primary) = view.primary() {
            let last = view.node(primary).and_then(|node| node.last);
            self.lags.led_by(primary, last.and_then(|last| last.timeline));
        }
        match seen {
            Some((node, Role::Primary, position)) if view.primary() == Some(node) => {
                if let Some(lsn) = position.reached {
                    self.lags.written(now, lsn);
                }
            }
            Some((node, Role::Standby, Position { reached: Some(lsn), .. })) => {
                let when = (now, view.primary().is_some());
                self.lags.replayed(node, lsn, when, &self.policy.lag);
            }
            Some((node, _, _)) => self.lags.unknown(node),
            None => {}
        }
    }

    /// Notes what a probe has seen; says whether the one before had failed.
    fn observed(&mut self, id: NodeId, observation: Observation) -> bool {
        let Some(node) = self.nodes.get_mut(&id) else { return false };
        let had_failed = matches!(node.health, Health::Suspect(_) | Health::Down(_));
        *node = Node { health: Health::Up, last: Some(observation) };
        let known = self.newest.contains_key(&observation.system);
        if known || self.newest.len() < MAX_SYSTEMS {
            let newest = self.newest.entry(observation.system).or_default();
            *newest = observation.timeline.unwrap_or(0).max(*newest);
        }
        had_failed
    }

    fn failed(&mut self, id: NodeId, now: Moment, failure: Failure) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.health = node.health.failed(now, failure, &self.policy);
        }
    }

    fn are(&mut self, nodes: &BTreeSet<NodeId>) {
        self.nodes.retain(|id, _| nodes.contains(id));
        self.lags.retain(|id| nodes.contains(&id));
        for id in nodes {
            self.nodes.entry(*id).or_insert(Node { health: Health::Unknown, last: None });
        }
    }

    /// Comes to the verdict. The first primary that is accepted says which cluster is ours.
    fn judge(&mut self) -> View {
        let systems_differ = self.system.is_none() && self.systems().len() > 1;
        let verdict = self.patient(Verdict::on(&self.standings(), systems_differ));
        if let Some(primary) = verdict.primary() {
            let last = self.nodes.get(&primary).and_then(|node| node.last);
            self.system = self.system.or_else(|| last.map(|last| last.system));
        }
        // Anew, because a cluster that is known now makes strangers of others.
        let nodes = self.standings().into_iter().filter_map(|(id, standing)| {
            let Node { health, last } = *self.nodes.get(&id)?;
            Some(NodeView { id, health, last, standing })
        });
        View { verdict, system: self.system, nodes: nodes.collect() }
    }

    /// A primary other than the one of before is accepted when every node has been asked once.
    fn patient(&self, verdict: Verdict) -> Verdict {
        let before = self.published.as_ref().and_then(View::primary);
        if verdict.primary().is_none() || verdict.primary() == before {
            return verdict;
        }
        let unknown = self.nodes.iter().filter(|(_, node)| node.health == Health::Unknown);
        let unknown: Vec<NodeId> = unknown.map(|(id, _)| *id).collect();
        if unknown.is_empty() { verdict } else { Verdict::Incomplete(unknown) }
    }

    /// The clusters that believable nodes belong to.
    fn systems(&self) -> BTreeSet<u64> {
        let believed = self.nodes.values().filter(|node| node.health.is_believed());
        believed.filter_map(|node| Some(node.last?.system)).collect()
    }

    fn standings(&self) -> Vec<(NodeId, Standing)> {
        let standing = |node: &Node| {
            let newest = node.last.and_then(|last| self.newest.get(&last.system)).copied();
            Standing::of(node.health, node.last, self.system, newest.unwrap_or(u32::MAX))
        };
        self.nodes.iter().map(|(id, node)| (*id, standing(node))).collect()
    }
}

#[cfg(test)]
mod tests;
