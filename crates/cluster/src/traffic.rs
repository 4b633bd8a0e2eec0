//! Where traffic goes, and where what was begun may go on.

use crate::{NodeId, NodeView, Role, Standing, View};

/// What the data path needs of a view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// The node that takes new transactions.
    pub primary: Option<NodeId>,
    /// While there is none: the nodes that may still be it. Transactions that are open there may end.
    pub doubtful: Vec<NodeId>,
    /// The standbys of the cluster that answer.
    pub standbys: Vec<NodeId>,
    /// Those of them that new reads may go to; see [`crate::Readers`]. A view does not say.
    pub fit: Vec<NodeId>,
}

impl Traffic {
    /// Whether what was begun on the node may go on. Otherwise it is certain that the node is not the primary.
    pub fn may_go_on(&self, node: NodeId) -> bool {
        self.primary == Some(node) || self.doubtful.contains(&node)
    }
}

impl View {
    /// Where traffic goes.
    pub fn traffic(&self) -> Traffic {
        let primary = self.primary();
        let doubtful = self.nodes.iter().filter(|node| primary.is_none() && self.may_be_it(node));
        Traffic {
            primary,
            doubtful: doubtful.map(|node| node.id).collect(),
            standbys: self.standbys().collect(),
            fit: Vec::new(),
        }
    }

    /// The nodes in recovery of the cluster that is ours; none while that is not known.
    fn standbys(&self) -> impl Iterator<Item = NodeId> {
        let ours = self.system.is_some();
        self.nodes
            .iter()
            .filter(move |node| ours && node.standing == Standing::Standby)
            .map(|node| node.id)
    }

    /// Whether nothing speaks against the node, which is not known to be the primary.
    fn may_be_it(&self, node: &NodeView) -> bool {
        match node.standing {
            Standing::Claimant => true,
            Standing::Unseen
            | Standing::OtherSystem
            | Standing::OldTimeline { .. }
            | Standing::Standby => false,
            // It was one when it was last seen, and nobody has shown a newer timeline since.
            Standing::Down => node.last.is_some_and(|last| {
                let ours = self.nodes.iter().filter_map(|node| node.last);
                let newest = ours.filter(|other| other.system == last.system);
                last.role == Role::Primary
                    && self.system.is_none_or(|system| system == last.system)
                    && newest.map(|other| other.timeline).max() == Some(last.timeline)
            }),
        }
    }
}
