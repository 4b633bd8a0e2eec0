//! trunkline-sql
