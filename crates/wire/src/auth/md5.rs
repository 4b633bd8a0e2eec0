//! The md5 exchange: old, deprecated by PostgreSQL 18, still in use.
//! (PostgreSQL documentation, "Message Flow: Start-up", `AuthenticationMD5Password`.)

use std::fmt;

use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

const PREFIX: &[u8; 3] = b"md5";

/// Bytes of an md5 hash in hexadecimal.
const HEX: usize = 32;

/// What a server stores of a password: `md5` and the hash of password and user name in hexadecimal. It is
/// as good as the password for logging in to servers that ask for md5, and for nothing else.
#[derive(Clone)]
pub struct Md5Hash {
    hex: Zeroizing<[u8; HEX]>,
}

/// What a client answers to a salt.
pub type Md5Response = Zeroizing<[u8; PREFIX.len() + HEX]>;

impl Md5Hash {
    /// Hashes a password.
    pub fn new(password: &[u8], user: &[u8]) -> Self {
        Self { hex: hex_md5(&[password, user]) }
    }

    /// Reads `md5` and 32 lower-case hexadecimal digits, as stored by PostgreSQL.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let hex: [u8; HEX] = text.strip_prefix(PREFIX)?.try_into().ok()?;
        let hex = Zeroizing::new(hex);
        hex.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).then_some(Self { hex })
    }

    /// The text PostgreSQL stores; a secret.
    pub fn to_text(&self) -> Md5Response {
        with_prefix(&self.hex)
    }

    /// What a client answers when the server asks with `salt`.
    pub fn response(&self, salt: [u8; 4]) -> Md5Response {
        with_prefix(&hex_md5(&[&*self.hex, &salt]))
    }

    /// Whether `response` is the right answer to `salt`.
    pub fn verify(&self, response: &[u8], salt: [u8; 4]) -> bool {
        self.response(salt).ct_eq(response).into()
    }

    /// Whether `password` is the one this was made of, for clients that send it in the clear.
    pub fn verify_password(&self, password: &[u8], user: &[u8]) -> bool {
        *self == Self::new(password, user)
    }
}

impl PartialEq for Md5Hash {
    fn eq(&self, other: &Self) -> bool {
        self.hex.ct_eq(&*other.hex).into()
    }
}

impl Eq for Md5Hash {}

impl fmt::Debug for Md5Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Md5Hash(..)")
    }
}

fn hex_md5(parts: &[&[u8]]) -> Zeroizing<[u8; HEX]> {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    let mut hex = Zeroizing::new([0; HEX]);
    for (pair, byte) in hex.as_chunks_mut::<2>().0.iter_mut().zip(hash.finalize()) {
        *pair = [hex_digit(byte >> 4), hex_digit(byte & 0xf)];
    }
    hex
}

const fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + (value - 10) }
}

fn with_prefix(hex: &[u8; HEX]) -> Md5Response {
    let mut out = Zeroizing::new([0; PREFIX.len() + HEX]);
    for (to, from) in out.iter_mut().zip(PREFIX.iter().chain(hex)) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PostgreSQL 15 stores after `CREATE ROLE m5 PASSWORD 'secret'` with `password_encryption = md5`.
    const STORED: &[u8] = b"md59a96608d07d97a3bb68405788126af00";

    #[test]
    fn hashes_are_those_of_postgres() {
        assert_eq!(*Md5Hash::new(b"secret", b"m5").to_text(), STORED);
    }

    #[test]
    fn responses_are_those_of_another_client() {
        let salt = [0x01, 0xff, 0x00, 0x7f];
        let theirs = postgres_protocol::authentication::md5_hash(b"joe", b"secret", salt);
        let hash = Md5Hash::new(b"secret", b"joe");
        assert_eq!(*hash.response(salt), theirs.as_bytes());
        assert!(hash.verify(theirs.as_bytes(), salt));
        assert!(!hash.verify(theirs.as_bytes(), [0; 4]));
        assert!(!hash.verify(b"", salt));
        assert!(!Md5Hash::new(b"Secret", b"joe").verify(theirs.as_bytes(), salt));
    }

    #[test]
    fn only_the_stored_form_is_read() {
        let hash = Md5Hash::parse(STORED).unwrap();
        assert_eq!(*hash.to_text(), STORED);
        assert_eq!(Md5Hash::parse(&STORED[..34]), None);
        assert_eq!(Md5Hash::parse(b"md59A96608D07D97A3BB68405788126AF00"), None);
        assert_eq!(Md5Hash::parse(&STORED[3..]), None);
    }

    #[test]
    fn the_clear_password_can_be_checked_and_the_hash_is_not_shown() {
        let hash = Md5Hash::new(b"secret", b"joe");
        assert!(hash.verify_password(b"secret", b"joe"));
        assert!(!hash.verify_password(b"secret", b"jim"));
        assert_eq!(format!("{hash:?}"), "Md5Hash(..)");
    }
}
