//! The admin console: a conversation in PostgreSQL's protocol about the pooler itself.

mod command;
mod extended;
mod perform;
mod refusal;
mod session;
mod table;
mod tables;
mod words;

pub use command::ShutdownMode;
pub(crate) use perform::Console;
pub(crate) use session::serve_login;
#[cfg(test)]
mod tests;
