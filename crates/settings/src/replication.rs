//! Where replication connections lead.

use crate::{Database, ServerSecret, Settings};

/// The name that stands for no database: what `pg_basebackup` and `pg_receivewal` ask for, and what a server ignores.
const NO_DATABASE: &str = "replication";

/// Where a replication connection leads, every override resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicationPolicy {
    /// The database's name on the server.
    pub server_database: String,
    /// The role on the server.
    pub server_user: String,
    /// With what to log in to the server.
    pub server_secret: ServerSecret,
    /// Limit of clients of this user; 0 for none.
    pub max_user_clients: usize,
}

impl Settings {
    /// Where a replication connection of this user leads: logical replication asks for a database, which must be there
    /// for clients; physical replication, which is about the whole cluster, for none.
    pub fn replication_for(&self, database: Option<&str>, user: &str) -> Option<ReplicationPolicy> {
        if let Some(database) = database {
            let pool = self.pool_for(database, user)?;
            return Some(ReplicationPolicy {
                server_database: pool.server_database,
                server_user: pool.server_user,
                server_secret: pool.server_secret,
                max_user_clients: pool.max_user_clients,
            });
        }
        let (server_user, server_secret) = self.server_login(&Database::default(), user);
        Some(ReplicationPolicy {
            server_database: NO_DATABASE.to_owned(),
            server_user,
            server_secret,
            max_user_clients: self.user(user).map_or(0, |known| known.max_clients),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Databases, User};

    #[test]
    fn physical_replication_needs_no_database_and_takes_the_role_of_none() {
        let shop = Database {
            dbname: Some("shop_1".into()),
            user: Some("shop".into()),
            ..Database::default()
        };
        let alice = User { server_user: Some("al".into()), max_clients: 3, ..User::default() };
        let settings = Settings {
            databases: Databases([("shop".to_owned(), shop)].into()),
            users: crate::Users([("alice".to_owned(), alice)].into()),
            ..Settings::default()
        };
        let logical = settings.replication_for(Some("shop"), "alice").expect("it is there");
        assert_eq!((&*logical.server_database, &*logical.server_user), ("shop_1", "shop"));
        assert_eq!(settings.replication_for(Some("other"), "alice"), None);
        assert_eq!(settings.replication_for(Some("trunkline"), "alice"), None);
        let physical = settings.replication_for(None, "alice").expect("there always is");
        assert_eq!((&*physical.server_database, &*physical.server_user), ("replication", "al"));
        assert_eq!((logical.max_user_clients, physical.max_user_clients), (3, 3));
    }
}
