//! How clients prove who they are.

use std::path::PathBuf;
use std::time::Duration;

use crate::choice::choice;
use crate::group::group;
use crate::hba::{Connection, Decision, Method, rejected};
use crate::value::Kind;

choice! {
    /// How a client proves who it is, in the words of `pg_hba.conf`.
    pub enum AuthMethod {
        /// It need not.
        Trust = "trust",
        /// It is turned away.
        Reject = "reject",
        /// By its password, in clear.
        Password = "password",
        /// By an md5 answer; a user with a SCRAM verifier is asked for SCRAM instead, as PostgreSQL does.
        Md5 = "md5",
        /// By SCRAM-SHA-256.
        ScramSha256 = "scram-sha-256",
        /// By a TLS client certificate.
        Cert = "cert",
    }
}

impl AuthMethod {
    /// Whether the method compares with a stored password.
    pub fn needs_password(self) -> bool {
        matches!(self, Self::Password | Self::Md5 | Self::ScramSha256)
    }

    /// The decision if this method holds for every connection.
    pub(crate) fn for_all(self, connection: &Connection<'_>) -> Decision {
        if self == Self::Reject {
            Decision::Refuse(rejected(connection))
        } else {
            Decision::Ask(Method::plain(self))
        }
    }
}

group! {
    /// How clients prove who they are.
    pub struct Auth in "auth" {
        /// The method for every client when there is no `hba_file`.
        pub method: AuthMethod = AuthMethod::ScramSha256 => Kind::Word(AuthMethod::WORDS), NewConnections, "\"md5\"";
        /// File in the format of `pg_hba.conf`: who may connect from where, and with which method.
        pub hba_file: Option<PathBuf> = None => Kind::Path, NewConnections, "\"pg_hba.conf\"";
        /// File in the format of `pg_ident.conf`: which certificate may log in as which user.
        pub ident_file: Option<PathBuf> = None => Kind::Path, NewConnections, "\"pg_ident.conf\"";
        /// File in the format of PgBouncer's `userlist.txt`: users and their passwords. A user who also has a
        /// password in `[users]` keeps that one.
        pub user_file: Option<PathBuf> = None => Kind::Path, NewConnections, "\"userlist.txt\"";
        /// Query that finds the password of a user who is in neither: `$1` is the user's name, the answer is
        /// one row of name and password; no row, or no password, says that the user may not log in. Empty: such
        /// users are unknown.
        pub auth_query: String = String::new()
            => Kind::Text, NewConnections, "\"SELECT usename, CASE WHEN valuntil < now() THEN NULL ELSE passwd END FROM pg_catalog.pg_shadow WHERE usename = $1\"";
        /// Database in which `auth_query` runs. Not given: that of the control connections, `cluster.database`.
        pub auth_database: Option<String> = None => Kind::Text, NewConnections, "\"postgres\"";
        /// How long a password found by `auth_query` is remembered. 0s: not at all.
        pub auth_query_cache: Duration = Duration::from_secs(30) => Kind::span(), Live, "\"5m\"";
        /// How long it is remembered that `auth_query` found nothing. 0s: not at all.
        pub auth_query_negative_cache: Duration = Duration::from_secs(5) => Kind::span(), Live, "\"1s\"";
        /// What `auth_query` has found, or not found, longer ago than this is looked up again when the user logs in, so
        /// that a changed password counts at once. The login waits for it, but not for long: a cluster that is slow, or
        /// away, is no hindrance as long as the answer is remembered. All logins of a user in this time share one
        /// query. 0s: at every login.
        pub auth_query_refresh: Duration = Duration::from_secs(1) => Kind::span(), Live, "\"5s\"";
        /// File with a secret of at least 16 characters, from which the salts come that are shown to users who do
        /// not exist, so that they stay as they are like those of others. It should be the same for every Trunkline
        /// before a cluster. Not given: the number of the machine, `/etc/machine-id`; without that one they change
        /// with every start.
        pub salt_file: Option<PathBuf> = None => Kind::Path, Restart, "\"salt.key\"";
        /// Whether a server that asks for a password in clear gets it over a connection without TLS.
        pub allow_cleartext_to_server: bool = false => Kind::Switch, NewConnections, "true";
    }
}
