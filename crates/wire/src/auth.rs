//! Password exchanges, as machines without I/O: SCRAM-SHA-256 with and without channel binding, md5 and
//! cleartext, the server's side and the client's.
//!
//! A proxy is both. Towards its clients it plays the server with nothing but the [`Verifier`] a PostgreSQL
//! server stores; a login that succeeds reveals the [`ClientKey`], and with that key it plays the client
//! towards servers that store the same verifier. No password is needed anywhere on the way.
//!
//! Nonces and salts are arguments, drawn by the caller. Nothing here takes long, except to derive keys from
//! a password ([`SaltedPassword::derive`]): that is a call of its own, so that it can run on another thread.
//! Secrets are wiped from memory when dropped, compared in constant time, and never shown by `Debug`.

mod attributes;
mod client_keys;
mod keys;
mod md5;
mod password;
mod scram_client;
mod scram_server;
mod stored;
mod tls_server_end_point;
mod verifier;

pub use attributes::{Flaw, ScramError};
pub use client_keys::ClientKeys;
pub use keys::{ClientKey, IterationsError, MAX_ITERATIONS, SaltedPassword, ServerKey, StoredKey};
pub use md5::{Md5Hash, Md5Response};
pub use password::{MAX_PASSWORD, normalize, same_password};
pub use scram_client::{
    Binding, BindingPolicy, Challenge, ClientError, ExpectServerFinal, ExpectServerFirst,
    Mechanism, choose, start,
};
pub use scram_server::{
    Authenticated, ExpectClientFinal, ExpectClientFirst, MAX_SCRAM_MESSAGE, offered,
};
pub use stored::StoredPassword;
pub use tls_server_end_point::{CertificateError, EndPointHash};
pub use verifier::{DEFAULT_ITERATIONS, MAX_SALT, Verifier, VerifierError};

/// Name of the mechanism without channel binding.
pub const SCRAM_SHA_256: &[u8] = b"SCRAM-SHA-256";

/// Name of the mechanism with channel binding.
pub const SCRAM_SHA_256_PLUS: &[u8] = b"SCRAM-SHA-256-PLUS";

/// Random bytes a nonce is made from, as many as PostgreSQL takes (`SCRAM_RAW_NONCE_LEN`).
pub const RAW_NONCE: usize = 18;

/// The header of an exchange bound to the server's certificate.
const BOUND_HEADER: &[u8] = b"p=tls-server-end-point,,";

/// Bytes as base64 text, with padding.
fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Bytes from base64 text, with padding.
fn unbase64(text: &[u8]) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}
