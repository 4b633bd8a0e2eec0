//! Opening connections to servers: finding the address, TLS, logging in, and asking a server to cancel.

mod cancel;
mod connect;
mod dial;
mod keyring;
mod login;
mod verdict;

pub use cancel::{CancelTarget, cancel};
pub use connect::{OpenTarget, open};
pub use dial::{Endpoint, NodeAddress};
pub use keyring::{KeyRing, Learnt};
