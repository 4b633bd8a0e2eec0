//! trunkline-testkit
