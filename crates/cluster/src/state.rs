//! The decision.

use std::collections::BTreeMap;

use crate::{
    event::{Answer, Event, NodeId, Outcome},
    node::{Health, Known},
    view::{NoPrimary, NodeView, Role, View},
};

/// How patient the decision is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Probes in a row that must fail before a node is down; at least 1.
    pub down_after: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { down_after: 2 }
    }
}

/// All that is known of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    nodes: BTreeMap<NodeId, Known>,
    /// The cluster's system identifier: that of the first node that answered.
    identity: Option<u64>,
    /// The newest timeline any node of the cluster has shown. Never goes back.
    newest: u32,
}

impl State {
    /// Takes an event, and says the view when it has changed.
    pub fn step(&mut self, event: Event, policy: Policy) -> Option<View> {
        let before = self.view();
        match event {
            Event::Nodes(nodes) => {
                self.nodes.retain(|node, _| nodes.contains(node));
                for node in nodes {
                    self.nodes.entry(node).or_default();
                }
            }
            Event::Probed { node, outcome } => {
                // A node that was removed while its probe was under way is nobody's any more.
                let known = self.nodes.get_mut(&node)?;
                if let Outcome::Answered(answer) = &outcome {
                    let identity = *self.identity.get_or_insert(answer.system_identifier);
                    if identity == answer.system_identifier {
                        self.newest = self.newest.max(answer.timeline);
                    }
                }
                known.probed(outcome, policy.down_after.max(1));
            }
        }
        let after = self.view();
        (after != before).then_some(after)
    }

    /// Where traffic may go now.
    pub fn view(&self) -> View {
        let primary = self.primary();
        let nodes = self
            .nodes
            .iter()
            .map(|(id, known)| {
                let view = NodeView {
                    role: self.role(*id, known, primary.as_ref().ok().copied()),
                    health: known.health,
                    timeline: known.current().map(|answer| answer.timeline),
                    system_identifier: known.current().map(|answer| answer.system_identifier),
                    failure: known.failure.clone(),
                };
                (*id, view)
            })
            .collect();
        View { primary, nodes }
    }

    fn primary(&self) -> Result<NodeId, NoPrimary> {
        if self.nodes.values().any(|known| known.health == Health::Unknown) {
            return Err(NoPrimary::NotAskedYet);
        }
        let members: Vec<(NodeId, Answer)> = self
            .nodes
            .iter()
            .filter_map(|(id, known)| known.current().map(|answer| (*id, answer)))
            .filter(|(_, answer)| self.is_member(answer))
            .collect();
        if members.is_empty() {
            return Err(NoPrimary::NoneAnswers);
        }
        let claimants: Vec<_> = members.iter().filter(|(_, answer)| !answer.in_recovery).collect();
        if claimants.is_empty() {
            return Err(NoPrimary::AllInRecovery);
        }
        // A node behind the newest timeline is a former primary, even if no other claims to be one.
        let newest: Vec<NodeId> = claimants
            .iter()
            .filter(|(_, answer)| answer.timeline == self.newest)
            .map(|(id, _)| *id)
            .collect();
        match newest.as_slice() {
            [] => Err(NoPrimary::OnlyOldTimelines { newest: self.newest }),
            [one] => Ok(*one),
            several => Err(NoPrimary::Ambiguous(several.to_vec())),
        }
    }

    fn role(&self, id: NodeId, known: &Known, primary: Option<NodeId>) -> Role {
        match known.current() {
            None => Role::Unknown,
            Some(answer) if !self.is_member(&answer) => Role::Stranger,
            Some(answer) if answer.in_recovery => Role::Standby,
            Some(_) if primary == Some(id) => Role::Primary,
            Some(_) => Role::Claimant,
        }
    }

    fn is_member(&self, answer: &Answer) -> bool {
        self.identity.is_none_or(|identity| identity == answer.system_identifier)
    }
}

#[cfg(test)]
mod tests;
