//! Users known from the settings or from the user file.

use std::path::PathBuf;

use crate::group::group;
use crate::sections::MOST;
use crate::value::{Field, Kind, Value};
use crate::{PoolMode, Secret};

group! {
    /// One user. Needed only for a password that is not looked up elsewhere, or for what differs from the rest.
    /// Clients of a user whose table, or line in `auth.user_file`, a reload has taken away are closed with SQLSTATE
    /// 57P01 when they are between transactions; not if there is an `auth.auth_query`, which may know him.
    pub struct User in "users" {
        /// The password against which logins are checked: plain, `md5...`, or a `SCRAM-SHA-256$...` verifier.
        pub password: Option<UserPassword> = None => Kind::Secret, NewConnections, "\"...\"";
        /// File with that password; one newline at the end is removed.
        pub password_file: Option<PathBuf> = None => Kind::Path, NewConnections, "\"/run/secrets/alice\"";
        /// Replaces `pool.mode`, and a database's `pool_mode`, for this user.
        pub pool_mode: Option<PoolMode> = None => Kind::Word(PoolMode::WORDS), NewConnections, "\"session\"";
        /// Replaces `pool.size`, and a database's `pool_size`, for this user.
        pub pool_size: Option<usize> = None => Kind::count(1, MOST), Live, "5";
        /// Server connections for this user, over all databases and nodes. 0: no limit of its own.
        pub max_connections: usize = 0 => Kind::count(0, MOST), Live, "40";
        /// Clients that may be logged in at once as this user. 0: no limit of its own.
        pub max_clients: usize = 0 => Kind::count(0, MOST), Live, "200";
        /// Role with which this user works on the servers. Not given: the same name. A database's `user` wins.
        pub server_user: Option<String> = None => Kind::Text, NewConnections, "\"app\"";
        /// Password on the servers; an empty one says that they ask for none.
        pub server_password: Option<Secret> = None => Kind::Secret, NewConnections, "\"...\"";
        /// File with the password on the servers; one newline at the end is removed.
        pub server_password_file: Option<PathBuf> = None => Kind::Path, NewConnections, "\"/run/secrets/app\"";
    }
}

/// A stored password, in one of the forms of PostgreSQL's `pg_authid.rolpassword`, or plain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserPassword {
    /// The password itself.
    Plain(Secret),
    /// `md5` and 32 hexadecimal digits: md5 of password and user name. Holds the whole text.
    Md5(Secret),
    /// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`. Holds the whole text; its form is checked.
    Scram(Secret),
}

impl UserPassword {
    /// Tells the form of a stored password, as PostgreSQL's `get_password_type` does; a text that begins like
    /// a verifier but is none is an error rather than a plain password.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("SCRAM-SHA-256$") {
            scram_parts(rest).ok_or(
                "not a SCRAM verifier: expected `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`",
            )?;
            return Ok(Self::Scram(Secret::new(text)));
        }
        if let Some(digits) = text.strip_prefix("md5")
            && digits.len() == 32
            && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Ok(Self::Md5(Secret::new(text)));
        }
        Ok(Self::Plain(Secret::new(text)))
    }

    /// The whole stored text.
    pub fn secret(&self) -> &Secret {
        let (Self::Plain(secret) | Self::Md5(secret) | Self::Scram(secret)) = self;
        secret
    }
}

/// Checks the part of a verifier behind its name.
fn scram_parts(text: &str) -> Option<()> {
    let (round, keys) = text.split_once('$')?;
    let (iterations, salt) = round.split_once(':')?;
    let (stored, server) = keys.split_once(':')?;
    let iterations: u32 = iterations.parse().ok()?;
    let sound = iterations > 0
        && base64_len(salt)? > 0
        && base64_len(stored)? == SHA256_LEN
        && base64_len(server)? == SHA256_LEN;
    sound.then_some(())
}

/// Length of a SHA-256 digest in bytes.
const SHA256_LEN: usize = 32;

/// The number of bytes that a base64 text (with padding) stands for; `None` if it is not base64.
fn base64_len(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let valid =
        digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/');
    (valid && text.len().is_multiple_of(4) && padding <= 2)
        .then(|| text.len() / 4 * 3 - padding.min(text.len()))
}

impl Field for Option<UserPassword> {
    fn show(&self) -> Value {
        self.as_ref().map_or(Value::Unset, |password| Value::Secret(password.secret().clone()))
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        let Value::Secret(secret) = value else { return Err("expected a string".into()) };
        *self = Some(UserPassword::parse(secret.expose())?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_stored_password_is_told_from_its_text() {
        let verifier = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2E=$\
            nbbvO3kZYM9Ti5bhbVtqi8MSVkaCWzU1/gqgYjM3k9Y=:hV6MhTSWnT0LGyPEtAmPrhQ0dJ4w6Pv3vPhmFO+Z5i8=";
        assert!(matches!(UserPassword::parse(verifier), Ok(UserPassword::Scram(_))));
        let md5 = "md50123456789abcdef0123456789abcdef";
        assert!(matches!(UserPassword::parse(md5), Ok(UserPassword::Md5(_))));
        assert!(matches!(UserPassword::parse("md5rocks"), Ok(UserPassword::Plain(_))));
        assert!(UserPassword::parse("SCRAM-SHA-256$4096:c2Fs").is_err());
        assert!(UserPassword::parse("SCRAM-SHA-256$0:c2Fs$YQ==:YQ==").is_err());
    }
}
