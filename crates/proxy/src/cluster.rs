//! Numbers of nodes, as the cluster decides on them.

pub use trunkline_cluster::NodeId;
