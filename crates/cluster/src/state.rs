//! All that is remembered of a cluster, and what an event makes of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Action, Event, Failure, Health, Moment, NodeId, NodeView, Observation, Policy, Standing,
    Verdict, View,
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
    /// What was published last.
    published: Option<View>,
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
            published: None,
        }
    }

    /// What an event makes of it, and what is to be done.
    #[must_use]
    pub fn step(mut self, now: Moment, event: Event) -> (Self, Vec<Action>) {
        let mut actions = Vec::new();
        match event {
            Event::Observed { node, observation } => {
                if self.observed(node, observation) {
                    actions.push(Action::Recovered(node));
                }
            }
            Event::Failed { node, failure } => self.failed(node, now, failure),
            Event::Nodes(nodes) => self.are(&nodes),
            Event::Policy(policy) => self.policy = policy,
        }
        let view = self.judge();
        if self.published.as_ref() != Some(&view) {
            self.published = Some(view.clone());
            actions.push(Action::Publish(view));
        }
        (self, actions)
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
