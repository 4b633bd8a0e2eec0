//! The admin console: a conversation in PostgreSQL's protocol about the pooler itself.

mod block;
mod command;
mod extended;
mod line;
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
