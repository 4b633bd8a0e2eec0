//! Pools, databases and users.

use crate::userlist::MAX_USER_BYTES;
use crate::{CONSOLE_DATABASES, Database, PoolDefaults, ServerSecret, WILDCARD};

use super::Checker;

impl Checker<'_> {
    pub(super) fn pools(&mut self) {
        self.sizes();
        self.pool_times();
        self.database_names();
        self.database_sizes();
        self.database_logins();
        self.users();
    }

    fn sizes(&mut self) {
        let pool = &self.settings.pool;
        if pool.min_idle > pool.size {
            let message =
                format!("`min_idle` is {} but `size` is only {}", pool.min_idle, pool.size);
            self.error(
                &["pool.min_idle", "pool.size"],
                message,
                "lower `min_idle` or raise `size`",
            );
        }
        if pool.max_pinned > pool.size {
            let message =
                format!("`max_pinned` is {} but `size` is only {}", pool.max_pinned, pool.size);
            self.error(
                &["pool.max_pinned", "pool.size"],
                message,
                "lower `max_pinned`; 0 is all but one",
            );
        }
        if pool.max_connections > 0 && pool.size > pool.max_connections {
            let message = format!(
                "`size` is {} but all pools together may have {}",
                pool.size, pool.max_connections
            );
            self.warning(
                &["pool.size", "pool.max_connections"],
                message,
                "no pool can ever be that large",
            );
        }
    }

    fn pool_times(&mut self) {
        let pool = &self.settings.pool;
        let reserve = pool.reserve_size > 0
            || self.settings.databases.0.values().any(|table| table.reserve_size > Some(0));
        if reserve && pool.reserve_after.is_zero() {
            let message = "there is a reserve, but `reserve_after` is 0s";
            let help = "say how long a client waits before the reserve is used; for none, raise `size` instead";
            self.error(&["pool.reserve_after", "pool.reserve_size"], message, help);
        }
        if reserve && !pool.wait_timeout.is_zero() && pool.reserve_after >= pool.wait_timeout {
            let message =
                "clients give up (`wait_timeout`) before the reserve is used (`reserve_after`)";
            self.error(
                &["pool.reserve_after", "pool.wait_timeout"],
                message,
                "make `reserve_after` the shorter one",
            );
        }
        if !reserve && pool.reserve_after != PoolDefaults::default().reserve_after {
            let message = "`reserve_after` has no effect: every `reserve_size` is 0";
            self.warning(&["pool.reserve_after"], message, "give a `reserve_size`");
        }
        if pool.retry_backoff_min > pool.retry_backoff_max {
            let message = "`retry_backoff_min` is longer than `retry_backoff_max`";
            self.error(&["pool.retry_backoff_min", "pool.retry_backoff_max"], message, "");
        }
    }

    fn database_names(&mut self) {
        if self.settings.databases.0.is_empty() && !self.report.failed() {
            let help = "add [databases.\"*\"] to let clients use every database";
            self.error(&["databases"], "[databases] holds no database", help);
        }
        for (name, table) in &self.settings.databases.0 {
            let path = format!("databases.{name}");
            if CONSOLE_DATABASES.contains(&name.as_str()) {
                let message = format!("`{name}` is the name of the admin console");
                self.error(
                    &[&path],
                    message,
                    "give the database another name here, and its own with `dbname`",
                );
            }
            if name != WILDCARD && name.contains('*') {
                let message = format!("`{name}`: patterns are not supported");
                self.error(
                    &[&path],
                    message,
                    "`*` alone stands for every database without a table of its own",
                );
            }
            self.name("a database", &path, name);
            if let Some(dbname) = &table.dbname {
                self.name("a database", &format!("{path}.dbname"), dbname);
            }
            if table.dbname.as_deref() == Some(WILDCARD) {
                let message = "`dbname` is one name on the servers, not `*`";
                self.error(
                    &[&format!("{path}.dbname")],
                    message,
                    "leave it out to keep the name that the client gave",
                );
            }
        }
    }

    /// A name as PostgreSQL takes it.
    fn name(&mut self, what: &str, path: &str, name: &str) {
        if name.is_empty() {
            self.error(&[path], format!("the name of {what} is empty"), "");
        }
        if name.len() > MAX_USER_BYTES {
            let message = format!("the name of {what} is longer than {MAX_USER_BYTES} bytes");
            self.error(&[path], message, "PostgreSQL cuts longer names");
        }
        if name.contains(char::is_control) {
            self.error(&[path], format!("the name of {what} contains a control character"), "");
        }
    }

    fn database_sizes(&mut self) {
        for (name, table) in &self.settings.databases.0 {
            let pool = &self.settings.pool;
            let size = table.pool_size.unwrap_or(pool.size);
            let min_idle = table.min_idle.unwrap_or(pool.min_idle);
            let own = table.min_idle.is_some() || table.pool_size.is_some();
            let (idle_path, size_path) =
                (format!("databases.{name}.min_idle"), format!("databases.{name}.pool_size"));
            if own && min_idle > size {
                let message = format!(
                    "`min_idle` is {min_idle} but the pools of this database have only {size} connections"
                );
                self.error(
                    &[&idle_path, &size_path, "pool.size", "pool.min_idle"],
                    message,
                    "lower `min_idle`",
                );
            }
            if table.max_connections > 0 && size > table.max_connections {
                let path = format!("databases.{name}.max_connections");
                let message = format!(
                    "one pool of this database may have {size} connections, all of them together {}",
                    table.max_connections
                );
                self.warning(
                    &[&path, &size_path, "pool.size"],
                    message,
                    "no pool of it can ever be that large",
                );
            }
            if min_idle > 0 && !self.has_credential(table) {
                let message = match &table.user {
                    Some(user) => format!("`min_idle` cannot be kept: there is no password for the server role `{user}`"),
                    None => "`min_idle` cannot be kept: there is no password for the servers, and no client's login brings one".to_owned(),
                };
                let help = "give `user` and `password` (or `password_file`), which is empty for servers that ask for none";
                self.error(&[&idle_path, "pool.min_idle"], message, help);
            }
        }
    }

    /// Whether server connections of this database can be opened without a client waiting for them.
    fn has_credential(&self, table: &Database) -> bool {
        if self.settings.server_tls.certificate.is_some() {
            return true;
        }
        if self.rules_unread() {
            return true;
        }
        let learns = self.settings.methods().any(|method| method.auth.needs_password());
        let users: Vec<&str> = match &table.user {
            Some(user) => vec![user],
            None if learns => return true,
            None => self.settings.users.0.keys().map(String::as_str).collect(),
        };
        users.iter().any(|user| {
            let (_, secret) = self.settings.server_login(table, user);
            match secret {
                ServerSecret::Plain(_) | ServerSecret::Md5(_) => true,
                // The role's own clients bring it, if they come.
                ServerSecret::Learnt => learns && table.user.is_none(),
                ServerSecret::Nothing => false,
            }
        })
    }

    fn database_logins(&mut self) {
        for (name, table) in &self.settings.databases.0 {
            let password = format!("databases.{name}.password");
            let file = format!("databases.{name}.password_file");
            if table.user.is_none() && (table.password.is_some() || table.password_file.is_some()) {
                let message =
                    "a password without `user`: clients work on the servers under their own names";
                self.error(&[&password, &file], message, "give `user`, or remove the password");
            }
            if let Some(user) = &table.user {
                self.name("a role", &format!("databases.{name}.user"), user);
            }
        }
    }

    fn users(&mut self) {
        for (name, user) in &self.settings.users.0 {
            let path = format!("users.{name}");
            if name == WILDCARD {
                let message = "there is no wildcard for users";
                self.error(
                    &[&path],
                    message,
                    "what holds for all is in [pool]; `auth_query` finds users elsewhere",
                );
            }
            self.name("a user", &path, name);
            if let Some(role) = &user.server_user {
                self.name("a role", &format!("{path}.server_user"), role);
            }
        }
    }
}
