//! trunkline-settings
