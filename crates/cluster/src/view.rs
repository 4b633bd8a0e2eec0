//! What the data path and the operator get to see.

use crate::{Health, NodeId, Observation, Standing, Verdict};

/// The cluster as it is believed to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Where traffic goes, and why.
    pub verdict: Verdict,
    /// The cluster's identifier, once a primary has been accepted.
    pub system: Option<u64>,
    /// Every node of the settings, by number.
    pub nodes: Vec<NodeView>,
}

/// One node as it is believed to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeView {
    /// The node.
    pub id: NodeId,
    /// Whether it answers.
    pub health: Health,
    /// What it last said about itself; kept while it does not answer.
    pub last: Option<Observation>,
    /// What it is in the eyes of the verdict.
    pub standing: Standing,
}

impl View {
    /// The node that takes the traffic.
    pub const fn primary(&self) -> Option<NodeId> {
        self.verdict.primary()
    }

    /// What is known of a node.
    pub fn node(&self, id: NodeId) -> Option<&NodeView> {
        self.nodes.iter().find(|node| node.id == id)
    }
}
