//! What a server stores to check a SCRAM proof: `pg_authid.rolpassword`.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

use super::keys::{ClientKey, IterationsError, KEY_LEN, SaltedPassword, ServerKey, StoredKey};
use super::{base64, unbase64};

/// Rounds PostgreSQL hashes a password when nothing else is set (`scram_iterations`).
pub const DEFAULT_ITERATIONS: u32 = 4096;

/// Longest salt accepted, in bytes. PostgreSQL makes 16. The salt goes into a message that older clients
/// refuse above 2000 bytes.
pub const MAX_SALT: usize = 512;

/// Bytes of salt PostgreSQL makes; those for users that do not exist must not differ.
const MOCK_SALT: usize = 16;

const PREFIX: &[u8] = b"SCRAM-SHA-256$";

/// A text that is not a SCRAM verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SCRAM-SHA-256 verifier")]
pub struct VerifierError;

/// Salt, count of rounds, and the two keys.
#[derive(Clone)]
pub struct Verifier {
    iterations: u32,
    /// 1 to [`MAX_SALT`] bytes.
    salt: Vec<u8>,
    stored_key: StoredKey,
    server_key: ServerKey,
    /// No proof is right: the user does not exist or cannot log in this way.
    mock: bool,
}

impl Verifier {
    /// Reads `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`, as stored by PostgreSQL.
    ///
    /// # Errors
    /// When the text is not of that form, or its salt is longer than [`MAX_SALT`].
    pub fn parse(text: &[u8]) -> Result<Self, VerifierError> {
        let fields = text.strip_prefix(PREFIX).ok_or(VerifierError)?;
        let (head, keys) = split(fields, b'$').ok_or(VerifierError)?;
        let (iterations, salt) = split(head, b':').ok_or(VerifierError)?;
        let (stored_key, server_key) = split(keys, b':').ok_or(VerifierError)?;
        let salt = unbase64(salt).filter(|salt| (1..=MAX_SALT).contains(&salt.len()));
        Ok(Self {
            iterations: count(iterations).ok_or(VerifierError)?,
            salt: salt.ok_or(VerifierError)?,
            stored_key: StoredKey::new(key(stored_key).ok_or(VerifierError)?),
            server_key: ServerKey::new(key(server_key).ok_or(VerifierError)?),
            mock: false,
        })
    }

    /// Makes the verifier of a password. Takes as long as [`SaltedPassword::derive`]. A salt longer than
    /// [`MAX_SALT`] is cut.
    ///
    /// # Errors
    /// As [`SaltedPassword::derive`].
    pub fn derive(password: &[u8], salt: &[u8], iterations: u32) -> Result<Self, IterationsError> {
        let salt = salt.get(..MAX_SALT).unwrap_or(salt);
        let salted = SaltedPassword::derive(password, salt, iterations)?;
        Ok(Self {
            iterations,
            salt: salt.to_vec(),
            stored_key: salted.client_key().stored_key(),
            server_key: salted.server_key(),
            mock: false,
        })
    }

    /// A verifier for a user that does not exist. Its exchange looks and costs like any other and fails at
    /// the proof. The salt stays the same for a name as long as `server_secret` does, so that asking twice
    /// tells nothing; `iterations` should be what real users have, mostly [`DEFAULT_ITERATIONS`].
    pub fn mock(server_secret: &[u8], user: &[u8], iterations: u32) -> Self {
        let digest = Sha256::new().chain_update(user).chain_update(server_secret).finalize();
        Self {
            iterations,
            salt: digest.iter().copied().take(MOCK_SALT).collect(),
            stored_key: StoredKey::new(Zeroizing::new([0; KEY_LEN])),
            server_key: ServerKey::new(Zeroizing::new([0; KEY_LEN])),
            mock: true,
        }
    }

    /// How often the password was hashed.
    pub const fn iterations(&self) -> u32 {
        self.iterations
    }

    /// The salt; not a secret.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// Whether a proof made with `key` is right.
    pub fn accepts(&self, key: &ClientKey) -> bool {
        let right = key.stored_key().as_bytes().ct_eq(self.stored_key.as_bytes());
        (right & !Choice::from(u8::from(self.mock))).into()
    }

    /// Whether `password` is the one this verifier was made of, for clients that send it in the clear.
    /// Takes as long as [`SaltedPassword::derive`].
    ///
    /// # Errors
    /// As [`SaltedPassword::derive`].
    pub fn verify_password(&self, password: &[u8]) -> Result<bool, IterationsError> {
        let salted = SaltedPassword::derive(password, &self.salt, self.iterations)?;
        Ok(self.accepts(&salted.client_key()))
    }

    /// The text PostgreSQL stores; a secret.
    pub fn to_text(&self) -> Zeroizing<String> {
        let stored_key = Zeroizing::new(base64(self.stored_key.as_bytes()));
        let server_key = Zeroizing::new(base64(self.server_key.as_bytes()));
        let salt = base64(&self.salt);
        Zeroizing::new(format!(
            "SCRAM-SHA-256${}:{salt}${}:{}",
            self.iterations, *stored_key, *server_key
        ))
    }

    pub(super) const fn stored_key(&self) -> &StoredKey {
        &self.stored_key
    }

    pub(super) const fn server_key(&self) -> &ServerKey {
        &self.server_key
    }
}

impl PartialEq for Verifier {
    fn eq(&self, other: &Self) -> bool {
        self.iterations == other.iterations
            && self.salt == other.salt
            && self.mock == other.mock
            && self.stored_key == other.stored_key
            && self.server_key == other.server_key
    }
}

impl Eq for Verifier {}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let position = text.iter().position(|byte| *byte == at)?;
    let (head, tail) = text.split_at_checked(position)?;
    Some((head, tail.get(1..)?))
}

/// Digits only, 1 to `i32::MAX` as PostgreSQL's setting has it.
fn count(text: &[u8]) -> Option<u32> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count: i32 = std::str::from_utf8(text).ok()?.parse().ok()?;
    u32::try_from(count).ok().filter(|count| *count > 0)
}

fn key(text: &[u8]) -> Option<Zeroizing<[u8; KEY_LEN]>> {
    let bytes = Zeroizing::new(unbase64(text)?);
    let key: [u8; KEY_LEN] = bytes.as_slice().try_into().ok()?;
    Some(Zeroizing::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_fits_a_mock_not_even_one_that_hashes_to_its_stored_key() {
        let salted = SaltedPassword::derive(b"pencil", b"salt", 1).unwrap();
        let real = Verifier::derive(b"pencil", b"salt", 1).unwrap();
        assert!(real.accepts(&salted.client_key()));
        let doomed = Verifier { mock: true, ..real };
        assert!(!doomed.accepts(&salted.client_key()));
    }
}
