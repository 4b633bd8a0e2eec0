//! Opening connections to servers: finding the address, TLS, logging in, and asking a server to cancel.

mod cancel;
mod connect;
mod dial;
mod keyring;
mod login;
mod names;
mod verdict;

pub use cancel::{CancelTarget, cancel};
pub use connect::{OpenTarget, open};
pub(crate) use dial::addresses;
pub use dial::{Endpoint, NodeAddress};
pub use keyring::{KeyRing, Learnt};
pub use names::{Names, NamesFuture};
