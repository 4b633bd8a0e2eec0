//! What reaches the decision.

/// A node's number: its place in the order in which nodes became known to this process. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u16);

/// Something that was learnt of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The nodes there are from now on. Those known already keep what is known of them.
    Nodes(Vec<NodeId>),
    /// A probe of a node has ended.
    Probed {
        /// The node.
        node: NodeId,
        /// What came of it.
        outcome: Outcome,
    },
}

/// What came of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The node answered.
    Answered(Answer),
    /// It did not, within the deadline; the reason is for people.
    Failed(String),
}

/// What a node says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// `pg_is_in_recovery()`.
    pub in_recovery: bool,
    /// `system_identifier` of `pg_control_system()`: the same on all nodes of one cluster.
    pub system_identifier: u64,
    /// The timeline it writes (primary) or receives (standby).
    pub timeline: u32,
}
