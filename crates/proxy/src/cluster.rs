//! Numbers of nodes.

/// A node's number: its place in the order in which nodes became known to this process. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u16);
