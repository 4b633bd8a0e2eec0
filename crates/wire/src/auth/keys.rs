//! The keys of SCRAM (RFC 5802, section 3) and how they follow from each other.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::password::normalize;

/// Bytes of every key: what SHA-256 yields.
pub(super) const KEY_LEN: usize = 32;

/// Most rounds a password is hashed for the sake of a peer that asks for it. PostgreSQL's default is 4096
/// and few raise it above a million; this many take seconds of one core, and a hostile server could ask for
/// two thousand million.
pub const MAX_ITERATIONS: u32 = 5_000_000;

/// A count of rounds that is 0 or above [`MAX_ITERATIONS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("iteration count {0} is not between 1 and {MAX_ITERATIONS}")]
pub struct IterationsError(pub u32);

/// Declares a key that is wiped when dropped, compared in constant time, and not shown.
macro_rules! secret_key {
    ($(#[$doc:meta])+ $name:ident) => {
        $(#[$doc])+
        #[derive(Clone)]
        pub struct $name(Zeroizing<[u8; KEY_LEN]>);

        impl $name {
            /// The key from its bytes.
            pub const fn new(bytes: Zeroizing<[u8; KEY_LEN]>) -> Self {
                Self(bytes)
            }

            /// The key's bytes; a secret.
            pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
                &self.0
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.ct_eq(&*other.0).into()
            }
        }

        impl Eq for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

secret_key! {
    /// The password, salted and hashed many times. Everything else follows from it.
    SaltedPassword
}

secret_key! {
    /// What a client proves to have. Who has it can log in as long as the verifier stays the same.
    ClientKey
}

secret_key! {
    /// Hash of the [`ClientKey`]: enough to check a proof, not enough to make one.
    StoredKey
}

secret_key! {
    /// What a server proves to have.
    ServerKey
}

impl SaltedPassword {
    /// Hashes `password` with `salt`. Takes about as long as `iterations` times two hashes: run it where it
    /// may take long. The password is prepared as PostgreSQL does; see [`normalize`].
    ///
    /// # Errors
    /// When `iterations` is 0 or above [`MAX_ITERATIONS`].
    pub fn derive(password: &[u8], salt: &[u8], iterations: u32) -> Result<Self, IterationsError> {
        if !(1..=MAX_ITERATIONS).contains(&iterations) {
            return Err(IterationsError(iterations));
        }
        let mut key = Zeroizing::new([0; KEY_LEN]);
        pbkdf2::pbkdf2_hmac::<Sha256>(&normalize(password), salt, iterations, &mut *key);
        Ok(Self(key))
    }

    /// The key a client proves to have.
    pub fn client_key(&self) -> ClientKey {
        ClientKey(hmac(&self.0, &[b"Client Key"]))
    }

    /// The key a server proves to have.
    pub fn server_key(&self) -> ServerKey {
        ServerKey(hmac(&self.0, &[b"Server Key"]))
    }
}

impl ClientKey {
    /// What a server stores of it.
    pub fn stored_key(&self) -> StoredKey {
        StoredKey(Zeroizing::new(Sha256::digest(*self.0).into()))
    }

    /// The proof that this key was known when `auth_message` was made.
    pub(super) fn proof(&self, auth_message: &[&[u8]]) -> [u8; KEY_LEN] {
        xor(&self.0, &self.stored_key().signature(auth_message))
    }
}

impl StoredKey {
    /// The client key hidden in `proof`; whether it is the right one is for [`ClientKey::stored_key`] to say.
    pub(super) fn recover(&self, auth_message: &[&[u8]], proof: &[u8; KEY_LEN]) -> ClientKey {
        ClientKey(Zeroizing::new(xor(proof, &self.signature(auth_message))))
    }

    fn signature(&self, auth_message: &[&[u8]]) -> Zeroizing<[u8; KEY_LEN]> {
        hmac(&self.0, auth_message)
    }
}

impl ServerKey {
    /// The proof that this key was known when `auth_message` was made.
    pub(super) fn signature(&self, auth_message: &[&[u8]]) -> Zeroizing<[u8; KEY_LEN]> {
        hmac(&self.0, auth_message)
    }
}

/// HMAC of parts joined by commas, which is how SCRAM makes one message of three.
fn hmac(key: &[u8; KEY_LEN], parts: &[&[u8]]) -> Zeroizing<[u8; KEY_LEN]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    let mut parts = parts.iter();
    if let Some(first) = parts.next() {
        mac.update(first);
    }
    for part in parts {
        mac.update(b",");
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

fn xor(left: &[u8; KEY_LEN], right: &[u8; KEY_LEN]) -> [u8; KEY_LEN] {
    let mut out = *left;
    for (byte, other) in out.iter_mut().zip(right) {
        *byte ^= other;
    }
    out
}
