//! The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 5929, 7677), as strict as
//! PostgreSQL's (`src/backend/libpq/auth-scram.c`).
//!
//! Each state is a type that is named by what it waits for and is used up by it.

use std::fmt;

use zeroize::Zeroizing;

use super::attributes::{Attributes, Flaw, ScramError, is_printable, shown_text};
use super::keys::{ClientKey, KEY_LEN};
use super::tls_server_end_point::EndPointHash;
use super::verifier::Verifier;
use super::{BOUND_HEADER, RAW_NONCE, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, base64, unbase64};

/// Longest message accepted from a client, in bytes, as PostgreSQL's `PG_MAX_SASL_MESSAGE_LENGTH`: honest
/// ones are a quarter of it.
pub const MAX_SCRAM_MESSAGE: usize = 1024;

/// The mechanisms to offer: with channel binding first, when there is something to bind to.
pub fn offered(binding: Option<&EndPointHash>) -> &'static [&'static [u8]] {
    match binding {
        Some(_) => &[SCRAM_SHA_256_PLUS, SCRAM_SHA_256],
        None => &[SCRAM_SHA_256],
    }
}

/// Waits for the client's first message.
#[derive(Debug)]
pub struct ExpectClientFirst {
    verifier: Verifier,
    /// What the connection is bound to, if the mechanisms with it were offered.
    binding: Option<EndPointHash>,
    /// Whether the client chose to bind.
    plus: bool,
}

/// What the client said about channel binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flag {
    No,
    ThinksServerLacksIt,
    Bound,
}

impl ExpectClientFirst {
    /// Begins an exchange for a client that chose `mechanism` from those [`offered`] for the same `binding`.
    /// A `SASLInitialResponse` without data is answered with an empty `AuthenticationSASLContinue`; the
    /// first message is then in the next `SASLResponse`.
    ///
    /// # Errors
    /// When the mechanism was not offered.
    pub fn new(
        verifier: Verifier,
        binding: Option<EndPointHash>,
        mechanism: &[u8],
    ) -> Result<Self, ScramError> {
        let plus = mechanism == SCRAM_SHA_256_PLUS;
        if (plus && binding.is_some()) || mechanism == SCRAM_SHA_256 {
            Ok(Self { verifier, binding, plus })
        } else {
            Err(ScramError::Mechanism)
        }
    }

    /// Takes the first message, and gives the challenge to send. `nonce` is drawn anew for each exchange.
    ///
    /// # Errors
    /// When the message is not acceptable; the exchange is over.
    pub fn client_first(
        self,
        message: &[u8],
        nonce: &[u8; RAW_NONCE],
    ) -> Result<(ExpectClientFinal, Vec<u8>), ScramError> {
        self.client_first_with(message, &base64(nonce))
    }

    /// As [`Self::client_first`] with the nonce as text.
    pub(super) fn client_first_with(
        self,
        message: &[u8],
        nonce: &str,
    ) -> Result<(ExpectClientFinal, Vec<u8>), ScramError> {
        let mut attributes = attributes(message)?;
        let flag = self.read_header(&mut attributes)?;
        let bare = attributes.rest();
        if attributes.next_byte() == b'm' {
            return Err(ScramError::Extension);
        }
        // The name is the one in the startup packet; what stands here is ignored.
        attributes.value_of(b'n')?;
        let client_nonce = attributes.value_of(b'r')?;
        if !is_printable(client_nonce) {
            return Err(ScramError::NonceNotPrintable);
        }
        while !attributes.rest().is_empty() {
            attributes.any()?;
        }
        let nonce = [client_nonce, nonce.as_bytes()].concat();
        let salt = base64(self.verifier.salt());
        let tail = format!(",s={salt},i={}", self.verifier.iterations());
        let server_first = [b"r=".as_slice(), &nonce, tail.as_bytes()].concat();
        let next = ExpectClientFinal {
            channel_binding: self.expected_attribute(flag),
            bound: flag == Flag::Bound,
            verifier: self.verifier,
            client_first_bare: bare.to_vec(),
            server_first: server_first.clone(),
            nonce,
        };
        Ok((next, server_first))
    }

    /// Reads the channel binding flag and the place of the authorization identity, which must be empty.
    fn read_header(&self, attributes: &mut Attributes<'_>) -> Result<Flag, ScramError> {
        let flag = match attributes.next_byte() {
            letter @ (b'n' | b'y') => {
                if self.plus {
                    return Err(Flaw::PlusWithoutBinding.into());
                }
                if letter == b'y' && self.binding.is_some() {
                    return Err(ScramError::Downgrade);
                }
                attributes.skip();
                if attributes.next_byte() != b',' {
                    return Err(Flaw::NoComma(attributes.next_byte()).into());
                }
                attributes.skip();
                if letter == b'n' { Flag::No } else { Flag::ThinksServerLacksIt }
            }
            b'p' => {
                if !self.plus {
                    return Err(Flaw::BindingWithoutPlus.into());
                }
                let kind = attributes.value_of(b'p')?;
                if kind != b"tls-server-end-point" {
                    return Err(ScramError::BindingType(shown_text(kind)));
                }
                Flag::Bound
            }
            other => return Err(Flaw::BindingFlag(other).into()),
        };
        match attributes.next_byte() {
            b'a' => Err(ScramError::AuthorizationIdentity),
            b',' => {
                attributes.skip();
                Ok(flag)
            }
            other => Err(Flaw::Header(other).into()),
        }
    }

    /// The `c` attribute the last message must have: the header again, and what the connection is bound to.
    fn expected_attribute(&self, flag: Flag) -> String {
        match (flag, &self.binding) {
            (Flag::Bound, Some(hash)) => base64(&[BOUND_HEADER, hash.as_bytes()].concat()),
            (Flag::ThinksServerLacksIt, _) => base64(b"y,,"),
            // `Bound` without a hash cannot be: `new` lets nobody choose it.
            (Flag::No | Flag::Bound, _) => base64(b"n,,"),
        }
    }
}

/// Waits for the client's proof.
pub struct ExpectClientFinal {
    verifier: Verifier,
    client_first_bare: Vec<u8>,
    server_first: Vec<u8>,
    /// The client's part and ours.
    nonce: Vec<u8>,
    channel_binding: String,
    bound: bool,
}

impl ExpectClientFinal {
    /// Takes the last message and checks the proof in it.
    ///
    /// # Errors
    /// When the message is not acceptable or the proof is wrong; the exchange is over.
    pub fn client_final(self, message: &[u8]) -> Result<Authenticated, ScramError> {
        let mut attributes = attributes(message)?;
        if attributes.value_of(b'c')? != self.channel_binding.as_bytes() {
            let error =
                if self.bound { ScramError::BindingMismatch } else { ScramError::BindingAttribute };
            return Err(error);
        }
        let nonce = attributes.value_of(b'r')?;
        let (without_proof, proof) = read_proof(message, &mut attributes)?;
        if nonce != self.nonce {
            return Err(ScramError::NonceMismatch);
        }
        let auth_message = [&*self.client_first_bare, &*self.server_first, without_proof];
        let client_key = self.verifier.stored_key().recover(&auth_message, &proof);
        // Made before the verdict, so that a wrong proof takes no less time than a right one.
        let signature = self.verifier.server_key().signature(&auth_message);
        if !self.verifier.accepts(&client_key) {
            return Err(ScramError::WrongProof);
        }
        let server_final = format!("v={}", base64(&*signature)).into_bytes();
        Ok(Authenticated { client_key, server_final })
    }
}

impl fmt::Debug for ExpectClientFinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpectClientFinal").field("bound", &self.bound).finish_non_exhaustive()
    }
}

/// A client has shown that it knows the password.
#[derive(Debug)]
pub struct Authenticated {
    /// The key it has shown to know; with it one can log in to every server that has the same verifier.
    pub client_key: ClientKey,
    /// The last message, to be sent in `AuthenticationSASLFinal`.
    pub server_final: Vec<u8>,
}

fn attributes(message: &[u8]) -> Result<Attributes<'_>, ScramError> {
    if message.len() > MAX_SCRAM_MESSAGE {
        return Err(ScramError::TooLong);
    }
    Ok(Attributes::new(message)?)
}

/// Passes over extensions up to the proof, which must be last. Gives the message up to the comma before the
/// proof, and the proof.
fn read_proof<'m>(
    message: &'m [u8],
    attributes: &mut Attributes<'m>,
) -> Result<(&'m [u8], Zeroizing<[u8; KEY_LEN]>), Flaw> {
    loop {
        let left = attributes.rest().len();
        let (letter, value) = attributes.any()?;
        if letter != b'p' {
            continue;
        }
        let proof = unbase64(value).and_then(|proof| <[u8; KEY_LEN]>::try_from(proof).ok());
        let proof = Zeroizing::new(proof.ok_or(Flaw::Proof)?);
        if !attributes.rest().is_empty() {
            return Err(Flaw::Garbage);
        }
        let end = message.len().saturating_sub(left + 1);
        return Ok((message.get(..end).unwrap_or_default(), proof));
    }
}

#[cfg(test)]
mod tests;
