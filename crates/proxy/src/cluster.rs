//! Nodes, and where traffic goes, as the cluster decides on them.

pub use trunkline_cluster::NodeId;
pub(crate) use trunkline_cluster::Traffic;
