//! What happens to a cluster.

use std::collections::BTreeSet;

use crate::{Failure, NodeId, Observation, Policy, Position};

/// Something that was found out, or was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A probe was answered.
    Observed {
        /// By this node.
        node: NodeId,
        /// With these words.
        observation: Observation,
        /// And was so far.
        position: Position,
    },
    /// A probe failed.
    Failed {
        /// To this node.
        node: NodeId,
        /// For this reason.
        failure: Failure,
    },
    /// The node's name has come to mean another machine: how far the one before was says nothing about it.
    Moved(NodeId),
    /// The settings name these nodes now. What is known of those that stay is kept.
    Nodes(BTreeSet<NodeId>),
    /// The settings ask for this policy now.
    Policy(Policy),
}
