//! Passwords as people type them.

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Longest password accepted, in bytes, as PostgreSQL's `PG_MAX_AUTH_TOKEN_LENGTH`.
pub const MAX_PASSWORD: usize = 65_535;

/// Prepares a password for SCRAM as PostgreSQL does (`src/common/saslprep.c`): by `SASLprep` (RFC 4013)
/// where the password can be prepared, else as it is. It cannot when it is not UTF-8, holds a prohibited
/// character, or nothing would be left of it.
pub fn normalize(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let prepared =
        std::str::from_utf8(password).ok().and_then(|text| stringprep::saslprep(text).ok());
    let chosen = match &prepared {
        Some(text) if !text.is_empty() => text.as_bytes(),
        _ => password,
    };
    let out = Zeroizing::new(chosen.to_vec());
    if let Some(std::borrow::Cow::Owned(text)) = prepared {
        drop(Zeroizing::new(text));
    }
    out
}

/// Whether two passwords are the same, in a time that depends on their lengths only. An empty password is
/// never right: PostgreSQL does not accept one either.
pub fn same_password(given: &[u8], right: &[u8]) -> bool {
    !right.is_empty() && bool::from(given.ct_eq(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_prepared_where_possible_and_taken_as_they_are_elsewhere() {
        for (password, prepared) in [
            (&b"secret"[..], &b"secret"[..]),
            (b"I\xc2\xadX", b"IX"),
            ("\u{2168}".as_bytes(), b"IX"),
            ("\u{aa}".as_bytes(), b"a"),
            ("a\u{a0}b".as_bytes(), b"a b"),
            (b"bell\x07", b"bell\x07"),
            ("\u{627}1".as_bytes(), "\u{627}1".as_bytes()),
            (b"\xff\xfe", b"\xff\xfe"),
            ("\u{ad}".as_bytes(), "\u{ad}".as_bytes()),
            (b"", b""),
        ] {
            assert_eq!(*normalize(password), prepared, "{password:?}");
        }
    }

    #[test]
    fn an_empty_password_is_never_right() {
        assert!(same_password(b"pw", b"pw"));
        assert!(!same_password(b"pw", b"pW"));
        assert!(!same_password(b"pw", b"pww"));
        assert!(!same_password(b"", b""));
    }
}
