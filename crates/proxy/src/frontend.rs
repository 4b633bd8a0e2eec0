//! From an accepted socket to a client that has proved who it is.
//!
//! [`Listeners`] holds the sockets, [`Frontend`] what logins share. One task per connection goes through
//! `handshake` (TLS, cancel requests, the startup packet) and `auth` (rules and password exchanges), and
//! hands the connection over. Nothing here lives longer than a login.

mod answers;
mod auth;
mod config;
mod entrance;
mod exchange;
mod handshake;
mod listen;
mod login;
mod params;
mod refusal;
mod replication;
mod salts;
mod slots;
mod users;

pub use answers::{LookupError, LookupFuture, PasswordSource};
pub use config::LoginConfig;
pub use entrance::{Frontend, Serving};
pub use listen::{Listener, Listeners};
pub use params::{OptionsError, StartupParams};
pub use replication::Replication;
pub use slots::{ClientSlot, Slots, SlotsFull};
