//! Host-based authentication in the format of `pg_hba.conf` (PostgreSQL documentation, chapter "Client Authentication"):
//! the first rule that matches a connection says how the client proves who it is.
//!
//! Differences from PostgreSQL are refused when the file is read, each with what to write instead: methods that are
//! not spoken here, host names as addresses, and membership in roles (`+group`, `samerole`).

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::AuthMethod;
use crate::choice::choice;
use crate::pattern::Pattern;

pub use self::address::{AddressMatch, Interface};
pub use self::parse::parse;
pub(crate) use self::parse::parse_into;

mod address;
pub(crate) mod parse;

/// SQLSTATE of a refused connection: `invalid_authorization_specification`.
pub const REFUSED_SQLSTATE: &str = "28000";

/// The rules of a file, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Each line that is a rule.
    pub rules: Vec<Rule>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The file it stands in.
    pub file: PathBuf,
    /// Its line there, from 1.
    pub line: usize,
    /// Which kinds of connection it is for.
    pub transport: RuleTransport,
    /// For which databases; any of them.
    pub databases: Vec<DatabaseMatch>,
    /// For which users; any of them.
    pub users: Vec<UserMatch>,
    /// From which addresses; not looked at for local connections.
    pub address: AddressMatch,
    /// What it asks of the client.
    pub method: Method,
}

choice! {
    /// Which kinds of connection a rule is for.
    pub enum RuleTransport {
        /// Unix sockets.
        Local = "local",
        /// TCP, with or without TLS.
        Host = "host",
        /// TCP with TLS.
        HostSsl = "hostssl",
        /// TCP without TLS.
        HostNoSsl = "hostnossl",
        /// TCP with GSSAPI encryption: never matches, it is not spoken here.
        HostGssEnc = "hostgssenc",
        /// TCP without GSSAPI encryption: as `host`.
        HostNoGssEnc = "hostnogssenc",
    }
}

/// Which databases a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseMatch {
    /// Every database; not physical replication.
    All,
    /// The database with the user's name.
    SameUser,
    /// Physical replication.
    Replication,
    /// The database of this name.
    Name(String),
    /// Databases whose name matches.
    Regex(Pattern),
}

/// Which users a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserMatch {
    /// Everyone.
    All,
    /// The user of this name.
    Name(String),
    /// Users whose name matches.
    Regex(Pattern),
}

impl UserMatch {
    pub(crate) fn matches(&self, user: &str) -> bool {
        match self {
            Self::All => true,
            Self::Name(name) => name == user,
            Self::Regex(pattern) => pattern.matches(user),
        }
    }
}

/// How a client has to prove who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// The exchange with the client.
    pub auth: AuthMethod,
    /// What is asked of its certificate on top. For [`AuthMethod::Cert`] always [`CertificateDemand::Full`].
    pub certificate: CertificateDemand,
    /// Which part of the certificate names the user.
    pub client_name: ClientName,
    /// The ident map between the certificate's name and the user's; without one they must be equal.
    pub map: Option<String>,
}

impl Method {
    /// A method without options.
    pub fn plain(auth: AuthMethod) -> Self {
        let certificate = if auth == AuthMethod::Cert {
            CertificateDemand::Full
        } else {
            CertificateDemand::Nothing
        };
        Self { auth, certificate, client_name: ClientName::CommonName, map: None }
    }
}

/// What is asked of a client's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CertificateDemand {
    /// Nothing.
    Nothing,
    /// That it comes from a known authority (`clientcert=verify-ca`).
    Authority,
    /// That it also names the user (`clientcert=verify-full`).
    Full,
}

/// Which part of a certificate names the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientName {
    /// The common name of the subject.
    CommonName,
    /// The whole distinguished name of the subject, in the form of RFC 2253.
    DistinguishedName,
}

/// A connection that asks to be let in.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    /// How it came.
    pub transport: Transport<'a>,
    /// Whether it is encrypted.
    pub tls: bool,
    /// The database it asks for.
    pub database: &'a str,
    /// The user it claims to be.
    pub user: &'a str,
    /// Whether it asks for physical replication (`replication=true`); logical replication asks for a database.
    pub replication: bool,
}

/// How a connection came.
#[derive(Clone, Copy, Debug)]
pub enum Transport<'a> {
    /// Through the Unix socket.
    Local,
    /// Through TCP.
    Tcp {
        /// The client's address.
        address: IpAddr,
        /// The addresses of this machine, for `samehost` and `samenet`; asked for only if
        /// [`Rules::needs_interfaces`], else it may be empty.
        interfaces: &'a [Interface],
    },
}

/// Whether a connection may try to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may, in this way. Never [`AuthMethod::Reject`].
    Ask(Method),
    /// It may not; the text is what PostgreSQL says, with [`REFUSED_SQLSTATE`].
    Refuse(String),
}

impl Rules {
    /// What the first matching rule says; without one the connection is refused.
    pub fn decide(&self, connection: &Connection<'_>) -> Decision {
        match self.find(connection) {
            Some(rule) if rule.method.auth == AuthMethod::Reject => {
                Decision::Refuse(rejected(connection))
            }
            Some(rule) => Decision::Ask(rule.method.clone()),
            None => Decision::Refuse(no_entry(connection)),
        }
    }

    /// The first rule that matches.
    pub fn find(&self, connection: &Connection<'_>) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.matches(connection))
    }

    /// Whether a rule looks at the addresses of this machine.
    pub fn needs_interfaces(&self) -> bool {
        let own =
            |rule: &Rule| matches!(rule.address, AddressMatch::SameHost | AddressMatch::SameNet);
        self.rules.iter().any(own)
    }
}

impl Rule {
    fn matches(&self, connection: &Connection<'_>) -> bool {
        let near = match (self.transport, connection.transport) {
            (RuleTransport::Local, Transport::Local) => true,
            (RuleTransport::Local | RuleTransport::HostGssEnc, Transport::Tcp { .. })
            | (_, Transport::Local) => false,
            (RuleTransport::HostSsl, _) if !connection.tls => false,
            (RuleTransport::HostNoSsl, _) if connection.tls => false,
            (_, Transport::Tcp { address, interfaces }) => {
                self.address.matches(address, interfaces)
            }
        };
        near && self.databases.iter().any(|database| database.matches(connection))
            && self.users.iter().any(|user| user.matches(connection.user))
    }
}

impl DatabaseMatch {
    fn matches(&self, connection: &Connection<'_>) -> bool {
        if connection.replication {
            return *self == Self::Replication;
        }
        match self {
            Self::All => true,
            Self::SameUser => connection.database == connection.user,
            Self::Replication => false,
            Self::Name(name) => name == connection.database,
            Self::Regex(pattern) => pattern.matches(connection.database),
        }
    }
}

/// PostgreSQL's text when no line matches (`ClientAuthentication` in auth.c).
fn no_entry(connection: &Connection<'_>) -> String {
    let (host, user, database) = (Shown(connection), connection.user, connection.database);
    let encryption = encryption(connection);
    if connection.replication {
        format!(
            "no pg_hba.conf entry for replication connection from host \"{host}\", user \"{user}\", {encryption}"
        )
    } else {
        format!(
            "no pg_hba.conf entry for host \"{host}\", user \"{user}\", database \"{database}\", {encryption}"
        )
    }
}

/// PostgreSQL's text when the line that matches says `reject`.
pub(crate) fn rejected(connection: &Connection<'_>) -> String {
    let (host, user, database) = (Shown(connection), connection.user, connection.database);
    let encryption = encryption(connection);
    if connection.replication {
        format!(
            "pg_hba.conf rejects replication connection for host \"{host}\", user \"{user}\", {encryption}"
        )
    } else {
        format!(
            "pg_hba.conf rejects connection for host \"{host}\", user \"{user}\", database \"{database}\", {encryption}"
        )
    }
}

fn encryption(connection: &Connection<'_>) -> &'static str {
    if connection.tls { "SSL encryption" } else { "no encryption" }
}

/// The host as messages name it.
struct Shown<'a>(&'a Connection<'a>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.transport {
            Transport::Local => f.write_str("[local]"),
            Transport::Tcp { address, .. } => write!(f, "{}", address.to_canonical()),
        }
    }
}

#[cfg(test)]
mod tests;
