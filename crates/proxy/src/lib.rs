//! The shell of Trunkline: sockets, TLS, logins, pools, worker loops, probes, settings that change.
//!
//! For: performing what the pure crates decide. The data path (`engine`) runs on its own threads over readiness
//! polls; everything that may block or takes long runs on tokio beside it.
//!
//! Never here: a protocol, routing or failover decision, or SQL parsed by hand. Those live in `trunkline-wire`,
//! `trunkline-sql`, `trunkline-session` and `trunkline-cluster`.
//!
//! Start with `engine.rs` (the loops), then `frontend.rs` (how a client gets there) and `backend.rs` (how a server
//! does).

pub mod backend;
mod backoff;
pub(crate) mod cluster;
mod cold;
pub mod control;
pub mod engine;
pub mod frontend;
mod handle;
mod handoff;
pub mod handover;
mod life;
mod listening;
pub mod net;
mod numbers;
mod panics;
#[cfg(feature = "planted")]
mod planted;
pub(crate) mod pool;
mod pooler;
pub mod positions;
mod replication;
mod routing;
pub mod seats;
mod source;
pub mod tls;
mod watch;

pub use crate::{
    cluster::NodeId,
    handle::{Ending, Handle, NodeReport, Readiness},
    life::{Ended, Signals},
    listening::{ListenerReport, ListenersReport},
    pooler::{OnSettings, Pooler, StartError},
    replication::{ReplicationConnection, ReplicationReport},
    routing::{Advice, Adviser, AdviserError},
    source::{DiskFiles, LoadError, Source},
};
