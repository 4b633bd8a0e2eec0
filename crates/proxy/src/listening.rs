//! Listening for clients that share servers.
//!
//! For each database in which such clients listen there is one connection to the primary (a [`hub::Hub`] with its task),
//! and one more for each further `client_encoding` of theirs, since the server converts what it tells. Loops say what
//! their clients want ([`hubs::Hubs::join`]) and are told what was heard by messages; a board, which is locked for a
//! moment only by `LISTEN`, `UNLISTEN` and what is heard, says who listens to what. Whether a notification is for a
//! client, and when it is told, the loop and the session decide.

mod backends;
mod board;
mod calls;
mod hub;
mod hubs;
mod talk;

pub(crate) use backends::{Backend, Backends};
pub(crate) use board::{Audience, Place, Seat};
pub(crate) use calls::Ticket;
pub(crate) use hub::Heard;
pub(crate) use hubs::{Hubs, Lead, Member, World};
pub use hubs::{ListenerReport, ListenersReport};
