//! What people and tools talk to: the admin console (the databases `trunkline` and `pgbouncer`) and HTTP with
//! health checks and metrics.
//!
//! For: turning what the running pooler tells of itself into tables and metrics, and the words of an operator into
//! calls. [`serve`] runs all of it until it is told to stop.
//!
//! Never here: anything a client's query passes through. Everything is asked for when somebody looks, through
//! [`Pooler`], and nothing is counted here a second time.
//!
//! Start with `pooler.rs` (all that is known of the pooler), then `console/command.rs` (what can be said) and
//! `console/tables.rs` (what is answered), or `http/routes.rs`.

mod averages;
mod console;
mod http;
mod pooler;
mod pools;
mod routes;
mod serve;
mod snapshot;
#[cfg(test)]
mod testing;

pub use crate::{
    console::ShutdownMode,
    http::{HttpError, HttpListener},
    pooler::Pooler,
    serve::{Options, ShutdownHook, serve},
};
