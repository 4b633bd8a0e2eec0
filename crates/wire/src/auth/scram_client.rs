//! The client's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 5929, 7677), for logging in to
//! servers with a password or with a key learnt from a client's own login.

use std::fmt;

use subtle::ConstantTimeEq as _;

use super::attributes::{Attributes, Flaw, shown_text};
use super::client_keys::ClientKeys;
use super::keys::{KEY_LEN, MAX_ITERATIONS, ServerKey};
use super::tls_server_end_point::EndPointHash;
use super::verifier::{MAX_SALT, Verifier};
use super::{BOUND_HEADER, RAW_NONCE, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, base64, unbase64};

/// Longest message accepted from a server, in bytes: room for the longest salt and two nonces.
const MAX_SERVER_MESSAGE: usize = 2000;

/// Why a login by SCRAM cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The server offers no mechanism that is known here.
    #[error("none of the server's SASL authentication mechanisms are supported")]
    NoMechanism,
    /// The server offers channel binding although there is no TLS to bind to.
    #[error("server offered SCRAM-SHA-256-PLUS authentication over a non-SSL connection")]
    PlusWithoutTls,
    /// Channel binding is required, and cannot be had.
    #[error(
        "channel binding is required, but server did not offer it or its certificate does not allow it"
    )]
    BindingRequired,
    /// The server's message is not of the form the exchange is at.
    #[error("malformed SCRAM message from server: {0}")]
    Malformed(Flaw),
    /// The server's message is longer than any honest one.
    #[error("SCRAM message from server is too long")]
    TooLong,
    /// The server does not repeat our nonce.
    #[error("invalid SCRAM response (nonce mismatch)")]
    NonceMismatch,
    /// The salt is not base64, or is empty or longer than [`MAX_SALT`].
    #[error("malformed SCRAM message (invalid salt)")]
    Salt,
    /// The count of rounds is not a number, or is 0 or above [`MAX_ITERATIONS`].
    #[error("malformed SCRAM message (invalid iteration count)")]
    Iterations,
    /// The server has another verifier than the keys are for: the password was changed, or the nodes do
    /// not share it.
    #[error(
        "the server's SCRAM salt or iteration count is not the one the client's key was made with"
    )]
    OtherVerifier,
    /// The server says the login failed.
    #[error("error received from server in SCRAM exchange: {0}")]
    Server(String),
    /// The server does not know the password's verifier: it is not the server it pretends to be.
    #[error("incorrect server signature")]
    Signature,
}

impl From<Flaw> for ClientError {
    fn from(flaw: Flaw) -> Self {
        Self::Malformed(flaw)
    }
}

/// Whether logins are bound to the server's certificate; libpq's `channel_binding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BindingPolicy {
    /// Never.
    Disable,
    /// When both sides can.
    #[default]
    Prefer,
    /// Always, or no login.
    Require,
}

/// What the client says about channel binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// It does not do that.
    No,
    /// It would, but the server does not offer it.
    ServerLacksIt,
    /// It is bound to this.
    Bound(EndPointHash),
}

impl Binding {
    fn header(&self) -> &'static [u8] {
        match self {
            Self::No => b"n,,",
            Self::ServerLacksIt => b"y,,",
            Self::Bound(_) => BOUND_HEADER,
        }
    }

    /// The `c` attribute of the last message.
    fn attribute(&self) -> String {
        match self {
            Self::Bound(hash) => base64(&[self.header(), hash.as_bytes()].concat()),
            _ => base64(self.header()),
        }
    }
}

/// A mechanism, and how it is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mechanism {
    /// Its name, for `SASLInitialResponse`.
    pub name: &'static [u8],
    /// What to say about channel binding.
    pub binding: Binding,
}

/// Chooses from the mechanisms a server offers. `tls` says whether the connection is encrypted, and
/// `certificate` is the hash of the server's certificate, when it has one that can be bound to.
///
/// # Errors
/// When none can be used under `policy`.
pub fn choose<'m>(
    offered: impl IntoIterator<Item = &'m [u8]>,
    tls: bool,
    certificate: Option<EndPointHash>,
    policy: BindingPolicy,
) -> Result<Mechanism, ClientError> {
    let (mut plain, mut plus) = (false, false);
    for name in offered {
        plain |= name == SCRAM_SHA_256;
        plus |= name == SCRAM_SHA_256_PLUS;
    }
    if plus && !tls {
        return Err(ClientError::PlusWithoutTls);
    }
    let certificate = certificate.filter(|_| tls && policy != BindingPolicy::Disable);
    match certificate {
        Some(hash) if plus => {
            Ok(Mechanism { name: SCRAM_SHA_256_PLUS, binding: Binding::Bound(hash) })
        }
        _ if policy == BindingPolicy::Require => Err(ClientError::BindingRequired),
        _ if !plain => Err(ClientError::NoMechanism),
        Some(_) => Ok(Mechanism { name: SCRAM_SHA_256, binding: Binding::ServerLacksIt }),
        None => Ok(Mechanism { name: SCRAM_SHA_256, binding: Binding::No }),
    }
}

/// Begins an exchange: the state, and the message for `SASLInitialResponse`. `nonce` is drawn anew for each
/// exchange.
pub fn start(binding: Binding, nonce: &[u8; RAW_NONCE]) -> (ExpectServerFirst, Vec<u8>) {
    start_with(binding, "", &base64(nonce))
}

/// As [`start`] with the nonce as text, and a user name, which PostgreSQL ignores.
pub(super) fn start_with(
    binding: Binding,
    user: &str,
    nonce: &str,
) -> (ExpectServerFirst, Vec<u8>) {
    let bare = format!("n={user},r={nonce}").into_bytes();
    let message = [binding.header(), &bare].concat();
    let state =
        ExpectServerFirst { binding, nonce: nonce.as_bytes().to_vec(), client_first_bare: bare };
    (state, message)
}

/// Waits for the server's challenge.
#[derive(Debug)]
pub struct ExpectServerFirst {
    binding: Binding,
    nonce: Vec<u8>,
    client_first_bare: Vec<u8>,
}

impl ExpectServerFirst {
    /// Takes the challenge from `AuthenticationSASLContinue`.
    ///
    /// # Errors
    /// When the message is not acceptable; the exchange is over.
    pub fn server_first(self, message: &[u8]) -> Result<Challenge, ClientError> {
        let mut attributes = attributes(message)?;
        let nonce = attributes.value_of(b'r')?;
        // The server must have added something of its own.
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(ClientError::NonceMismatch);
        }
        let salt = unbase64(attributes.value_of(b's')?)
            .filter(|salt| (1..=MAX_SALT).contains(&salt.len()))
            .ok_or(ClientError::Salt)?;
        let iterations =
            read_iterations(attributes.value_of(b'i')?).ok_or(ClientError::Iterations)?;
        if !attributes.rest().is_empty() {
            return Err(Flaw::Garbage.into());
        }
        Ok(Challenge {
            salt,
            iterations,
            nonce: nonce.to_vec(),
            binding: self.binding,
            client_first_bare: self.client_first_bare,
            server_first: message.to_vec(),
        })
    }
}

fn read_iterations(text: &[u8]) -> Option<u32> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = std::str::from_utf8(text).ok()?.parse().ok()?;
    (1..=MAX_ITERATIONS).contains(&count).then_some(count)
}

/// What the server wants the password hashed with. Next, keys are needed: either
/// [`SaltedPassword::derive`](super::SaltedPassword::derive) with [`salt`](Self::salt) and
/// [`iterations`](Self::iterations), or keys kept from a login against the same verifier
/// ([`is_from`](Self::is_from)).
pub struct Challenge {
    salt: Vec<u8>,
    iterations: u32,
    /// Our part and the server's.
    nonce: Vec<u8>,
    binding: Binding,
    client_first_bare: Vec<u8>,
    server_first: Vec<u8>,
}

impl Challenge {
    /// The salt, 1 to [`MAX_SALT`] bytes.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// How often to hash, 1 to [`MAX_ITERATIONS`].
    pub const fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Whether the server seems to have this verifier: salt and count are the same.
    pub fn is_from(&self, verifier: &Verifier) -> bool {
        self.iterations == verifier.iterations() && self.salt == verifier.salt()
    }

    /// Proves to know `keys`: the state, and the message for `SASLResponse`.
    pub fn answer(self, keys: &ClientKeys) -> (ExpectServerFinal, Vec<u8>) {
        let channel_binding = self.binding.attribute();
        let without_proof =
            [b"c=", channel_binding.as_bytes(), b",r=".as_slice(), &self.nonce].concat();
        let auth_message = [&*self.client_first_bare, &*self.server_first, &*without_proof];
        let proof = base64(&keys.client_key.proof(&auth_message));
        let message = [&*without_proof, b",p=", proof.as_bytes()].concat();
        let state = ExpectServerFinal {
            server_key: keys.server_key.clone(),
            auth_message: auth_message.join(&b','),
        };
        (state, message)
    }

    /// As [`answer`](Self::answer) with keys kept from a login against `verifier`.
    ///
    /// # Errors
    /// When the server has another verifier: a proof could only be wrong.
    pub fn answer_as(
        self,
        keys: &ClientKeys,
        verifier: &Verifier,
    ) -> Result<(ExpectServerFinal, Vec<u8>), ClientError> {
        if self.is_from(verifier) { Ok(self.answer(keys)) } else { Err(ClientError::OtherVerifier) }
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// Waits for the server's signature.
pub struct ExpectServerFinal {
    server_key: ServerKey,
    auth_message: Vec<u8>,
}

impl ExpectServerFinal {
    /// Takes the message from `AuthenticationSASLFinal` and checks the signature in it. Only after this is
    /// `AuthenticationOk` to be believed.
    ///
    /// # Errors
    /// When the message is not acceptable or the signature is wrong; the server is not to be trusted.
    pub fn server_final(self, message: &[u8]) -> Result<(), ClientError> {
        let mut attributes = attributes(message)?;
        if attributes.next_byte() == b'e' {
            return Err(ClientError::Server(shown_text(attributes.value_of(b'e')?)));
        }
        let signature = attributes.value_of(b'v')?;
        if !attributes.rest().is_empty() {
            return Err(Flaw::Garbage.into());
        }
        let signature = unbase64(signature).and_then(|bytes| <[u8; KEY_LEN]>::try_from(bytes).ok());
        let expected = self.server_key.signature(&[&self.auth_message]);
        match signature {
            Some(signature) if bool::from(signature.ct_eq(&*expected)) => Ok(()),
            _ => Err(ClientError::Signature),
        }
    }
}

impl fmt::Debug for ExpectServerFinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExpectServerFinal(..)")
    }
}

fn attributes(message: &[u8]) -> Result<Attributes<'_>, ClientError> {
    if message.len() > MAX_SERVER_MESSAGE {
        return Err(ClientError::TooLong);
    }
    Ok(Attributes::new(message)?)
}

#[cfg(test)]
mod tests;
