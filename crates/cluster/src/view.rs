//! What the data plane and people see.

use std::{collections::BTreeMap, fmt};

use crate::{event::NodeId, node::Health};

/// Where traffic may go, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The node that takes writes, or why there is none.
    pub primary: Result<NodeId, NoPrimary>,
    /// Every node.
    pub nodes: BTreeMap<NodeId, NodeView>,
}

/// Why no node takes writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoPrimary {
    /// Not every node has been asked once.
    NotAskedYet,
    /// No node answers.
    NoneAnswers,
    /// Every node that answers is in recovery.
    AllInRecovery,
    /// The nodes out of recovery are on older timelines than the cluster has reached: they are former primaries.
    OnlyOldTimelines {
        /// The newest timeline seen.
        newest: u32,
    },
    /// Several nodes are out of recovery on the same timeline.
    Ambiguous(Vec<NodeId>),
}

/// A node as it counts now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    /// What it is.
    pub role: Role,
    /// Whether it answers.
    pub health: Health,
    /// Its timeline; none while unknown.
    pub timeline: Option<u32>,
    /// Its system identifier; none while unknown.
    pub system_identifier: Option<u64>,
    /// Why its last probe failed; empty when it did not.
    pub failure: String,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It takes writes.
    Primary,
    /// In recovery.
    Standby,
    /// Out of recovery, but not the node that traffic goes to.
    Claimant,
    /// It belongs to another cluster: its system identifier is not that of the others.
    Stranger,
    /// It does not answer.
    Unknown,
}

impl Role {
    /// In one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::Claimant => "claimant",
            Self::Stranger => "stranger",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for NoPrimary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAskedYet => f.write_str("not every node has been asked yet"),
            Self::NoneAnswers => f.write_str("no node answers"),
            Self::AllInRecovery => f.write_str("every node that answers is in recovery"),
            Self::OnlyOldTimelines { newest } => {
                write!(
                    f,
                    "the nodes out of recovery are behind timeline {newest}, which the cluster has reached"
                )
            }
            Self::Ambiguous(nodes) => {
                write!(f, "{} nodes are out of recovery on the same timeline", nodes.len())
            }
        }
    }
}
