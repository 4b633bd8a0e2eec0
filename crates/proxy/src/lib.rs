//! trunkline-proxy
