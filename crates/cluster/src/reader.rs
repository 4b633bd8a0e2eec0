//! Which nodes may be read from besides the primary, and why the others may not.

use std::fmt;

use crate::lag::Lags;
use crate::{Lag, LagPolicy, Lsn, Moment, NodeId, NodeView, Standing, View};

/// The nodes besides the primary, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readers(pub Vec<Reader>);

/// A node that is not the primary, with a view to reading from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// The node.
    pub node: NodeId,
    /// How far it has replayed, by its own last word.
    pub replayed: Option<Lsn>,
    /// How far behind it was then.
    pub lag: Option<Lag>,
    /// Why it may not be read from; none if it may.
    pub unfit: Option<Unfit>,
}

/// Why a node may not be read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unfit {
    /// It does not answer.
    Down,
    /// It is no standby of this cluster, as far as is known.
    NotAStandby,
    /// It is not on the timeline of the primary: it may never have what was written there.
    OtherTimeline,
    /// It is not known how far behind it is.
    UnknownLag,
    /// It is too many bytes behind, or was and has not come back well below the limit.
    LagsByBytes,
    /// It is too long behind, or was and has not come back well below the limit.
    LagsByTime,
    /// No primary has been known for too long.
    Stale,
}

impl Readers {
    /// The nodes that may be read from.
    pub fn fit(&self) -> impl Iterator<Item = NodeId> {
        self.0.iter().filter(|reader| reader.unfit.is_none()).map(|reader| reader.node)
    }

    /// What is known of this node; nothing if it is the primary.
    pub fn node(&self, node: NodeId) -> Option<&Reader> {
        self.0.iter().find(|reader| reader.node == node)
    }

    /// As the nodes stand in this view, with these lags.
    pub(crate) fn of(view: &View, lags: &Lags, now: Moment, policy: &LagPolicy) -> Self {
        let primary = view.primary();
        let others = view.nodes.iter().filter(|node| Some(node.id) != primary);
        let reader = |node: &NodeView| {
            let (replayed, lag) = lags.of(node.id);
            let unfit = by_standing(node)
                .or_else(|| by_timeline(node, lags))
                .or_else(|| lags.objection(node.id, now, primary.is_some(), policy));
            Reader { node: node.id, replayed, lag, unfit }
        };
        Self(others.map(reader).collect())
    }
}

/// One lost probe is no reason: who loses a connection tells, and the next probe does.
fn by_standing(node: &NodeView) -> Option<Unfit> {
    match node.standing {
        Standing::Standby => None,
        Standing::Down => Some(Unfit::Down),
        Standing::Unseen
        | Standing::OtherSystem
        | Standing::OldTimeline { .. }
        | Standing::Claimant => Some(Unfit::NotAStandby),
    }
}

/// A standby that has not followed the primary to its timeline may have gone on where the primary has branched off.
fn by_timeline(node: &NodeView, lags: &Lags) -> Option<Unfit> {
    let its = node.last.and_then(|last| last.timeline);
    let differs = lags.timeline().is_some_and(|primarys| its != Some(primarys));
    differs.then_some(Unfit::OtherTimeline)
}

impl Unfit {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::NotAStandby => "no standby of this cluster",
            Self::OtherTimeline => "other timeline",
            Self::UnknownLag => "unknown lag",
            Self::LagsByBytes => "lags by bytes",
            Self::LagsByTime => "lags by time",
            Self::Stale => "stale",
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
