//! The decision: to which node traffic goes, or why to none.

use std::fmt;

use crate::{Health, NodeId, Observation, Role};

/// Where traffic goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// To this node: the only one out of recovery on the newest timeline.
    Primary(NodeId),
    /// Nowhere: several nodes take writes on the same timeline, and nothing tells which is right.
    Ambiguous(Vec<NodeId>),
    /// Nowhere: before any primary was accepted, nodes of different clusters are seen.
    SystemsDiffer(Vec<NodeId>),
    /// Nowhere yet: these nodes have not been asked, and one of them may be on a newer timeline than the only node that
    /// is known to take writes.
    Incomplete(Vec<NodeId>),
    /// Nowhere: no node is a primary that may be used. Each node's [`Standing`] says why it is not.
    NoPrimary,
}

/// What a node is in the eyes of the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It has not been seen yet.
    Unseen,
    /// It is down; what it last said counts no more.
    Down,
    /// It belongs to another cluster.
    OtherSystem,
    /// It takes writes on a timeline that others have left: an old primary that must not be written to.
    OldTimeline {
        /// The one it is on.
        its: u32,
        /// The newest one seen.
        newest: u32,
    },
    /// It takes writes on the newest timeline.
    Claimant,
    /// It is in recovery.
    Standby,
}

impl Verdict {
    /// The node traffic goes to.
    pub const fn primary(&self) -> Option<NodeId> {
        match self {
            Self::Primary(node) => Some(*node),
            Self::Ambiguous(_) | Self::SystemsDiffer(_) | Self::Incomplete(_) | Self::NoPrimary => {
                None
            }
        }
    }

    /// The verdict on nodes of these standings, of one cluster or of several.
    pub(crate) fn on(standings: &[(NodeId, Standing)], systems_differ: bool) -> Self {
        if systems_differ {
            let seen = |(_, standing): &&(NodeId, Standing)| {
                !matches!(standing, Standing::Unseen | Standing::Down)
            };
            return Self::SystemsDiffer(standings.iter().filter(seen).map(|(id, _)| *id).collect());
        }
        let claims = standings.iter().filter(|(_, standing)| *standing == Standing::Claimant);
        let claimants: Vec<NodeId> = claims.map(|(id, _)| *id).collect();
        match *claimants {
            [] => Self::NoPrimary,
            [only] => Self::Primary(only),
            _ => Self::Ambiguous(claimants),
        }
    }
}

impl Standing {
    /// What a node is, given which cluster is ours (`None` while that is not known) and the newest timeline
    /// of its own.
    pub(crate) fn of(
        health: Health,
        last: Option<Observation>,
        system: Option<u64>,
        newest: u32,
    ) -> Self {
        let Some(last) = last else {
            return if matches!(health, Health::Down(_)) { Self::Down } else { Self::Unseen };
        };
        if !health.is_believed() {
            return Self::Down;
        }
        if system.is_some_and(|system| system != last.system) {
            return Self::OtherSystem;
        }
        match (last.role, last.timeline.unwrap_or(0)) {
            (Role::Standby, _) => Self::Standby,
            (Role::Primary, its) if its < newest => Self::OldTimeline { its, newest },
            (Role::Primary, _) => Self::Claimant,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unseen => f.write_str("not seen yet"),
            Self::Down => f.write_str("down"),
            Self::OtherSystem => f.write_str("belongs to another cluster"),
            Self::OldTimeline { its, newest } => {
                write!(f, "takes writes on timeline {its}, which was left for {newest}")
            }
            Self::Claimant => f.write_str("takes writes"),
            Self::Standby => f.write_str("standby"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Primary(node) => write!(f, "{node} is the primary"),
            Self::Ambiguous(nodes) => {
                write!(f, "{} nodes take writes on the same timeline", nodes.len())
            }
            Self::SystemsDiffer(_) => f.write_str("the nodes belong to different clusters"),
            Self::Incomplete(nodes) => {
                write!(f, "{} nodes have not been asked yet", nodes.len())
            }
            Self::NoPrimary => f.write_str("no node is a primary that may be used"),
        }
    }
}
