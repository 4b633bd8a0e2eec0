//! Connections of our own to the nodes: probes, samples of the log, and the look-up of users. Not many, never for clients'
//! statements, and outside the caps of the pools.

mod auth_query;
mod connection;
mod kept;
mod overseer;
mod place;
mod pool;
mod probe;
mod sampler;
mod target;

pub use auth_query::AuthQuery;
pub use connection::{ControlConnection, ControlError, Most, Row};
pub use overseer::{Overseer, oversee};
pub use pool::{ControlPool, Opener, Pooled};
pub use probe::{ProbeTarget, Probing, probe};
pub use sampler::{Clock, Pace, Sampler, sample};
pub use target::{control_target, lookup_target};
