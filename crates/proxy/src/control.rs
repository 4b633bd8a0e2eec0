//! Control connections: our own sessions on the nodes, for probes and look-ups, outside the pools of clients.

mod connection;
mod keeper;
mod passwords;
mod probe;

pub(crate) use keeper::{ControlPool, control_target};
pub(crate) use passwords::ClusterPasswords;
pub(crate) use probe::probe;
