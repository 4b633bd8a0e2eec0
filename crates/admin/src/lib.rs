//! trunkline-admin
