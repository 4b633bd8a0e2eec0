//! What is known of a user's password: the forms `pg_authid.rolpassword` and a user list may have.

use std::fmt;

use zeroize::Zeroizing;

use super::keys::IterationsError;
use super::md5::Md5Hash;
use super::password::same_password;
use super::verifier::Verifier;

/// A password or what was made of it.
#[derive(Clone)]
pub enum StoredPassword {
    /// The password itself.
    Plain(Zeroizing<Vec<u8>>),
    /// `md5…`
    Md5(Md5Hash),
    /// `SCRAM-SHA-256$…`
    Scram(Verifier),
}

impl StoredPassword {
    /// Takes a text for what PostgreSQL would take it (`get_password_type` in `src/backend/libpq/crypt.c`):
    /// an md5 hash or a verifier if it has their form, else a password.
    pub fn parse(text: &[u8]) -> Self {
        if let Some(hash) = Md5Hash::parse(text) {
            Self::Md5(hash)
        } else if let Ok(verifier) = Verifier::parse(text) {
            Self::Scram(verifier)
        } else {
            Self::Plain(Zeroizing::new(text.to_vec()))
        }
    }

    /// Whether a password sent in the clear is right. Takes as long as
    /// [`SaltedPassword::derive`](super::SaltedPassword::derive) when a verifier is stored.
    ///
    /// # Errors
    /// When the verifier's count of rounds is too high to be computed here.
    pub fn verify_clear(&self, password: &[u8], user: &[u8]) -> Result<bool, IterationsError> {
        match self {
            Self::Plain(right) => Ok(same_password(password, right)),
            Self::Md5(hash) => Ok(hash.verify_password(password, user)),
            Self::Scram(verifier) => verifier.verify_password(password),
        }
    }

    /// The hash to check or answer an md5 request with; `None` when only a verifier is stored.
    pub fn md5(&self, user: &[u8]) -> Option<Md5Hash> {
        match self {
            Self::Plain(password) => Some(Md5Hash::new(password, user)),
            Self::Md5(hash) => Some(hash.clone()),
            Self::Scram(_) => None,
        }
    }
}

impl PartialEq for StoredPassword {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain(left), Self::Plain(right)) => {
                subtle::ConstantTimeEq::ct_eq(left.as_slice(), right.as_slice()).into()
            }
            (Self::Md5(left), Self::Md5(right)) => left == right,
            (Self::Scram(left), Self::Scram(right)) => left == right,
            _ => false,
        }
    }
}

impl Eq for StoredPassword {}

impl fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain(..)",
            Self::Md5(_) => "Md5(..)",
            Self::Scram(_) => "Scram(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_for_what_its_form_says() {
        let verifier = Verifier::derive(b"pw", b"saltsaltsaltsalt", 2).unwrap().to_text();
        let md5 = Md5Hash::new(b"pw", b"joe").to_text();
        let forms = [verifier.as_bytes(), &*md5, b"pw"].map(StoredPassword::parse);
        assert!(matches!(
            forms,
            [StoredPassword::Scram(_), StoredPassword::Md5(_), StoredPassword::Plain(_)]
        ));
        for form in &forms {
            assert_eq!(form.verify_clear(b"pw", b"joe"), Ok(true), "{form:?}");
            assert_eq!(form.verify_clear(b"wrong", b"joe"), Ok(false), "{form:?}");
            assert_eq!(form.verify_clear(b"", b"joe"), Ok(false), "{form:?}");
        }
        let [scram, md5, plain] = forms;
        assert_eq!(md5.md5(b"joe"), plain.md5(b"joe"));
        assert_eq!(scram.md5(b"joe"), None);
    }

    #[test]
    fn a_broken_verifier_is_a_password_like_any_other() {
        let stored = StoredPassword::parse(b"SCRAM-SHA-256$4096:nonsense");
        assert_eq!(
            stored,
            StoredPassword::Plain(Zeroizing::new(b"SCRAM-SHA-256$4096:nonsense".to_vec()))
        );
        assert!(!format!("{stored:?}").contains("nonsense"));
    }
}
