//! A model of everything around the session: servers, clients, and the shell between them.

pub(crate) mod postgres;
pub(crate) mod shell;
pub(crate) mod sql;
