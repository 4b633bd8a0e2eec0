//! trunkline-cluster
