//! Which node a pool leads to.

use crate::cluster::{NodeId, Traffic};

/// Which node the connections of a family lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The primary, whichever node that is.
    Primary,
    /// This node, as long as it is a standby.
    Standby(NodeId),
}

impl Place {
    /// The node that new connections lead to; none while there is no such node.
    pub(crate) fn node(self, traffic: &Traffic) -> Option<NodeId> {
        match self {
            Self::Primary => traffic.primary,
            Self::Standby(node) => traffic.standbys.contains(&node).then_some(node),
        }
    }

    /// Whether new connections lead to `node`.
    #[inline]
    pub(crate) fn leads_to(self, node: NodeId, traffic: &Traffic) -> bool {
        match self {
            Self::Primary => traffic.primary == Some(node),
            Self::Standby(_) => self.node(traffic) == Some(node),
        }
    }

    /// Whether what was begun on a connection to `node` may go on.
    pub(crate) fn may_go_on(self, node: NodeId, traffic: &Traffic) -> bool {
        // What was read from a standby that is promoted goes on there.
        traffic.may_go_on(node) || matches!(self, Self::Standby(_)) && self.node(traffic).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_is_used_as_long_as_it_is_one_and_what_runs_there_may_end_when_it_is_promoted() {
        let (one, two) = (NodeId(1), NodeId(2));
        let before = Traffic { primary: Some(one), standbys: vec![two], ..Traffic::default() };
        assert_eq!(Place::Primary.node(&before), Some(one));
        assert_eq!(Place::Standby(two).node(&before), Some(two));
        for node in [one, two] {
            assert_eq!(Place::Primary.leads_to(node, &before), node == one);
            assert_eq!(Place::Standby(two).leads_to(node, &before), node == two);
        }
        assert!(Place::Standby(two).may_go_on(two, &before));
        assert!(!Place::Primary.may_go_on(two, &before));
        let promoted = Traffic { primary: Some(two), ..Traffic::default() };
        assert_eq!(Place::Standby(two).node(&promoted), None);
        assert!(Place::Standby(two).may_go_on(two, &promoted));
        let gone = Traffic { primary: Some(one), ..Traffic::default() };
        assert!(!Place::Standby(two).may_go_on(two, &gone));
    }
}
