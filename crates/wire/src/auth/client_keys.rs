//! What a client needs to log in by SCRAM and to know the server for the right one.

use std::fmt;

use super::keys::{ClientKey, SaltedPassword, ServerKey};
use super::verifier::Verifier;

/// The keys of one user, good for every server that stores the same verifier.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientKeys {
    pub(super) client_key: ClientKey,
    pub(super) server_key: ServerKey,
}

impl ClientKeys {
    /// From a password that has been derived with the salt and count of the server's challenge.
    pub fn from_salted(salted: &SaltedPassword) -> Self {
        Self { client_key: salted.client_key(), server_key: salted.server_key() }
    }

    /// From a client key learnt at a login and the verifier that login was checked against. `None` when the
    /// key is not the verifier's (any more).
    pub fn from_login(client_key: ClientKey, verifier: &Verifier) -> Option<Self> {
        let fits = verifier.accepts(&client_key);
        fits.then(|| Self { client_key, server_key: verifier.server_key().clone() })
    }
}

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKeys(..)")
    }
}
