//! A model of everything around the session: servers, clients, and the shell between them.

mod client;
pub(crate) mod postgres;
mod server;
pub(crate) mod shell;
pub(crate) mod sql;
