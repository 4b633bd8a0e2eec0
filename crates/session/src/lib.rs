//! trunkline-session
