//! Replication connections: each has a connection to the primary of its own, and bytes go both ways as they are.
//!
//! [`Office`] knows them all; a task serves each (`visit`): it opens the server connection (`opening`), then carries bytes
//! (`pump`) until one side closes or the connection is ended. Nothing here is on the way of a query.

mod frames;
mod office;
mod opening;
mod pump;
mod report;
mod seat;
mod visit;

pub(crate) use office::Office;
pub use report::{ReplicationConnection, ReplicationReport};
