//! The PostgreSQL frontend/backend protocol, versions 3.0 and 3.2, as a proxy in the middle sees it:
//! every message of both sides is parsed *and* written here, and the password exchanges are played.
//!
//! What never enters: sockets, clocks, dice, what a statement means, policy, log lines. Bytes, nonces and
//! secrets are arguments; an answer is a borrowed view or bytes appended to a [`bytes::BytesMut`].
//!
//! Where to start: [`frame`] finds whole messages in a read buffer; [`startup`] reads what a client
//! sends before its first framed message; [`frontend`] and [`backend`] hold one view and one writer per
//! message. Views borrow from the read buffer and allocate nothing. [`auth`] holds the password exchanges
//! of both sides as machines; each takes a message and answers with the next one. [`fuzz`] states what must hold for
//! any bytes whatever.
//!
//! Parsing is as strict as PostgreSQL's own, with the same error texts (`src/backend/libpq/pqformat.c`).

pub mod auth;
pub mod backend;
pub mod frame;
pub mod frontend;
pub mod fuzz;
pub mod params;
pub mod sqlstate;
pub mod startup;

mod quiet;
mod read;
mod write;

#[cfg(test)]
mod testing;

pub use frame::{Frame, FrameError, Frames, Header};
pub use params::Reported;
pub use read::Malformed;
pub use sqlstate::SqlState;
