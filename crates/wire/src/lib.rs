//! trunkline-wire
