//! The checked settings: every value complete, every default applied, and the look-ups that resolve overrides.

use std::collections::BTreeMap;

use crate::Secret;
use crate::hba::{Connection, Decision, Method, Rules, Transport};
use crate::ident::Maps;
use crate::sections::{
    Auth, ClientTls, Cluster, Console, Database, General, HiddenState, Http, Limits, Listen, Log,
    Node, Placeholders, PoolDefaults, PoolMode, ReadAfterWrite, RouteRule, Routing, ServerTls, Tcp,
    Timeouts, User, UserPassword,
};

/// Everything the program is told from outside. Once made it is only replaced as a whole.
///
/// `Default` has no node and is not accepted from a file; it is there for tests and as the start of a hand-made one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Where clients connect.
    pub listen: Listen,
    /// The process as a whole.
    pub general: General,
    /// The servers, in the order of the file; at least one, with unique names and addresses.
    pub nodes: Vec<Node>,
    /// The connections that watch the servers.
    pub cluster: Cluster,
    /// What clients may name as their database.
    pub databases: Databases,
    /// Users known from the settings and the user file.
    pub users: Users,
    /// Pools, as far as database and user say nothing else.
    pub pool: PoolDefaults,
    /// Which standbys may be read from.
    pub routing: Routing,
    /// Where the statements of some clients go: the first that matches holds. With unique names.
    pub routes: Vec<RouteRule>,
    /// How long clients may take.
    pub timeouts: Timeouts,
    /// How much one client may use.
    pub limits: Limits,
    /// TCP sockets.
    pub tcp: Tcp,
    /// TLS towards clients.
    pub client_tls: ClientTls,
    /// TLS towards servers.
    pub server_tls: ServerTls,
    /// How clients prove who they are.
    pub auth: Auth,
    /// The admin console.
    pub console: Console,
    /// HTTP endpoints.
    pub http: Http,
    /// The log.
    pub log: Log,
    /// What the files in [`Auth`] say about who may log in.
    pub access: Access,
}

/// The content of the files that are about logins, but for the user list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Access {
    /// The rules; `None` if there is no HBA file, and [`Auth::method`] holds for everyone.
    pub rules: Option<Rules>,
    /// The maps between names in certificates and users.
    pub ident: Maps,
    /// The secret of `auth.salt_file`.
    pub salt: Option<Secret>,
}

/// Databases by the name that clients give; `*` stands for all others.
#[derive(Clone, Debug, PartialEq)]
pub struct Databases(pub BTreeMap<String, Database>);

/// The name that stands for every database without a table of its own.
pub const WILDCARD: &str = "*";

impl Default for Databases {
    fn default() -> Self {
        Self(BTreeMap::from([(WILDCARD.to_owned(), Database::default())]))
    }
}

/// Users by name, from `[users]` and the user file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Users(pub BTreeMap<String, User>);

/// Database names that lead to the admin console instead of a server.
pub const CONSOLE_DATABASES: &[&str] = &["trunkline", "pgbouncer"];

/// How the pool of one (database, user) is run, every override resolved. Limits of 0 mean "none".
#[derive(Clone, Debug, PartialEq)]
pub struct PoolPolicy {
    /// The name the client gave; together with `user` the pool's key.
    pub database: String,
    /// The client's user.
    pub user: String,
    /// The database's name on the servers.
    pub server_database: String,
    /// The role on the servers.
    pub server_user: String,
    /// With what to log in to the servers.
    pub server_secret: ServerSecret,
    /// How long a client keeps a server connection.
    pub mode: PoolMode,
    /// What becomes of session state that no statement shows.
    pub hidden_state: HiddenState,
    /// Who is served by a connection on which others have set placeholders.
    pub placeholders: Placeholders,
    /// Which writes reads are certain to find.
    pub read_after_write: ReadAfterWrite,
    /// Server connections, for each node.
    pub size: usize,
    /// Idle server connections to keep ready; at most `size`.
    pub min_idle: usize,
    /// Server connections beyond `size` for those who have waited long.
    pub reserve_size: usize,
    /// Server connections that may be pinned at once; at least 1 less than `size` unless `size` is 1.
    pub max_pinned: usize,
    /// Limit of server connections for this database name over all users and nodes; 0 for none.
    pub max_database_connections: usize,
    /// Limit of server connections for this user over all databases and nodes; 0 for none.
    pub max_user_connections: usize,
    /// Limit of clients of this user; 0 for none.
    pub max_user_clients: usize,
}

/// With what a server connection logs in, as far as the settings know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerSecret {
    /// This password. An empty one says that the server asks for none.
    Plain(Secret),
    /// The stored md5 form of the password, which serves for servers that ask for md5.
    Md5(Secret),
    /// Nothing here; the last login of this user leaves its SCRAM `ClientKey` or its password.
    Learnt,
    /// Nothing here, and no login of a client will bring it: only a server that asks for nothing, or for our
    /// certificate, lets us in.
    Nothing,
}

impl PoolPolicy {
    /// Whether a client finds the same database and role behind both.
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.server_database == other.server_database && self.server_user == other.server_user
    }
}

impl Settings {
    /// How the pool of this database and user is run; `None` if there is no such database for clients, or if it
    /// is the admin console's.
    pub fn pool_for(&self, database: &str, user: &str) -> Option<PoolPolicy> {
        if self.is_console(database) {
            return None;
        }
        let table = self.databases.find(database)?;
        let known = self.user(user);
        let (server_user, server_secret) = self.server_login(table, user);
        let size =
            known.and_then(|known| known.pool_size).or(table.pool_size).unwrap_or(self.pool.size);
        let max_pinned = match self.pool.max_pinned {
            0 => size.saturating_sub(1).max(1),
            most => most.min(size),
        };
        Some(PoolPolicy {
            database: database.to_owned(),
            user: user.to_owned(),
            server_database: table.dbname.clone().unwrap_or_else(|| database.to_owned()),
            server_user,
            server_secret,
            mode: known
                .and_then(|known| known.pool_mode)
                .or(table.pool_mode)
                .unwrap_or(self.pool.mode),
            hidden_state: table.hidden_state.unwrap_or(self.pool.hidden_state),
            placeholders: table.placeholders.unwrap_or(self.pool.placeholders),
            read_after_write: table.read_after_write.unwrap_or(self.routing.read_after_write),
            size,
            min_idle: table.min_idle.unwrap_or(self.pool.min_idle).min(size),
            reserve_size: table.reserve_size.unwrap_or(self.pool.reserve_size),
            max_pinned,
            max_database_connections: table.max_connections,
            max_user_connections: known.map_or(0, |known| known.max_connections),
            max_user_clients: known.map_or(0, |known| known.max_clients),
        })
    }

    /// Whether a connection may try to log in, and how. TLS and certificates that `[client_tls]` demands of TCP
    /// clients are part of the answer.
    pub fn decide(&self, connection: &Connection<'_>) -> Decision {
        let mode = self.client_tls.mode;
        let remote = matches!(connection.transport, Transport::Tcp { .. });
        if remote && mode.demands_tls() && !connection.tls {
            return Decision::Refuse("SSL connection is required".to_owned());
        }
        let decision = match &self.access.rules {
            Some(rules) => rules.decide(connection),
            None => self.auth.method.for_all(connection),
        };
        let Decision::Ask(mut method) = decision else { return decision };
        if remote {
            method.certificate = method.certificate.max(mode.certificate_demand());
        }
        Decision::Ask(method)
    }

    /// Every way in which a client may be asked who it is.
    pub(crate) fn methods(&self) -> impl Iterator<Item = Method> {
        let all = self.access.rules.is_none().then(|| Method::plain(self.auth.method));
        let rules = self.access.rules.iter().flat_map(|rules| &rules.rules);
        rules.map(|rule| rule.method.clone()).chain(all)
    }

    /// What is known of a user; `None` leaves `auth_query`.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.0.get(name)
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// Whether the user may give every command of the console.
    pub fn is_admin(&self, user: &str) -> bool {
        self.console.admin_users.iter().any(|admin| admin == user)
    }

    /// Whether the user may look at the console; every admin may.
    pub fn is_stats_user(&self, user: &str) -> bool {
        self.is_admin(user) || self.console.stats_users.iter().any(|viewer| viewer == user)
    }

    /// Whether this database name leads to the admin console.
    pub fn is_console(&self, database: &str) -> bool {
        CONSOLE_DATABASES.contains(&database)
    }

    /// The database in which `auth_query` runs.
    pub fn auth_database(&self) -> &str {
        self.auth.auth_database.as_deref().unwrap_or(&self.cluster.database)
    }

    /// Role and secret on the servers: the database's, else the user's own server login, else the client's.
    pub(crate) fn server_login(&self, table: &Database, user: &str) -> (String, ServerSecret) {
        if let Some(role) = &table.user {
            let secret = match &table.password {
                Some(password) => ServerSecret::Plain(password.clone()),
                None => self.secret_of_role(role, role == user),
            };
            return (role.clone(), secret);
        }
        let known = self.user(user);
        let role = known.and_then(|known| known.server_user.as_deref()).unwrap_or(user);
        let secret = match known.and_then(|known| known.server_password.as_ref()) {
            Some(password) => ServerSecret::Plain(password.clone()),
            None => self.secret_of_role(role, role == user),
        };
        (role.to_owned(), secret)
    }

    /// What `[users]` and the user file know for logging in as this role; `own` if clients log in under that name.
    fn secret_of_role(&self, role: &str, own: bool) -> ServerSecret {
        let known = self.user(role);
        let server_password = known
            .filter(|known| known.server_user.as_deref().is_none_or(|name| name == role))
            .and_then(|known| known.server_password.as_ref());
        if let Some(password) = server_password {
            return ServerSecret::Plain(password.clone());
        }
        match known.and_then(|known| known.password.as_ref()) {
            Some(UserPassword::Plain(password)) => ServerSecret::Plain(password.clone()),
            Some(UserPassword::Md5(hash)) => ServerSecret::Md5(hash.clone()),
            Some(UserPassword::Scram(_)) | None if own => ServerSecret::Learnt,
            Some(UserPassword::Scram(_)) | None => ServerSecret::Nothing,
        }
    }
}

impl Databases {
    /// The table for a database name: its own, else the wildcard's.
    pub fn find(&self, name: &str) -> Option<&Database> {
        self.0.get(name).or_else(|| self.0.get(WILDCARD))
    }
}

#[cfg(test)]
mod tests;
