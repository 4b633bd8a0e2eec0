//! Fixtures for Trunkline's tests: the world around the program, real where a real one can be had.
//!
//! - [`cluster`]: a PostgreSQL primary with streaming standbys in one call, with verbs for
//!   disaster (kill, freeze, cut, pause replay, promote).
//! - [`trunkline`]: the program itself as a process, with its configuration, log and usage.
//! - [`peer`]: a scripted server and a raw client, for what real ones will not do on command.
//! - [`link`]: a network between two sockets that fails on command.
//! - [`bench`]: what the benchmarks and the gate measure with.
//! - [`certs`]: an authority, and certificates for servers and clients.
//! - [`wait`]: waiting for a condition instead of for time.
//!
//! What never enters: anything that is shipped. Nothing here is used by the program itself, and no
//! protocol decision of Trunkline is reused here, so that a mistake in its codec cannot hide
//! behind the same mistake in the test.
//!
//! Three rules hold everywhere. Everything listens on loopback only. Whatever a fixture started is
//! ended and removed when the fixture is dropped, and also when the test process dies without
//! dropping anything (see [`guard`]). No outcome is decided by a sleep: each wait names its
//! condition and has a deadline, and its error tells what was seen last.
//!
//! Start reading at [`cluster::Cluster`].

pub mod bench;
pub mod certs;
pub mod cluster;
pub mod guard;
pub mod link;
pub mod peer;
pub mod ports;
pub mod process;
pub mod talk;
pub mod trunkline;
pub mod wait;

pub use anyhow::{Error, Result};
pub use cluster::{Cluster, ClusterOptions, Node, StopMode};
pub use trunkline::{Trunkline, TrunklineOptions};
pub use wait::wait_for;
