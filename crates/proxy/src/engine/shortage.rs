//! Why there is no place for a server connection, in words: which limit is reached, and the setting that raises it.

use std::sync::Arc;

use trunkline_settings::Settings;

use super::{local::LocalPool, worker::Worker};
use crate::{
    cluster::NodeId,
    pool::{Cap, Family},
};

impl Worker {
    /// Which cap has kept the pool from opening a connection, and which its reserve.
    pub(super) fn shortage(&self, pool: &LocalPool, node: NodeId) -> String {
        let ordinary = self.shared.caps_of(&pool.family, node);
        let name = |cap: &Arc<Cap>| {
            let place = ordinary.iter().position(|known| Arc::ptr_eq(known, cap))?;
            Some(self.words_of(place, cap.limit(), &pool.family, node))
        };
        let policy = pool.family.policy.load();
        let first = pool.attempt.full.as_ref().and_then(name).unwrap_or_else(|| {
            let setting = size_setting(&self.settings, &pool.family);
            format!("all {} server connections of the pool are in use ({setting})", policy.size)
        });
        match &pool.attempt.reserve_full {
            None => first,
            Some(cap) => {
                let second = name(cap).unwrap_or_else(|| {
                    let (size, setting) =
                        (policy.reserve_size, reserve_setting(&self.settings, &pool.family));
                    format!("all {size} of its reserve are in use ({setting})")
                });
                format!("{first}; and {second}")
            }
        }
    }

    /// The cap at this place of [`Registry::caps_of`](crate::pool::Registry::caps_of).
    fn words_of(&self, place: usize, limit: usize, family: &Family, node: NodeId) -> String {
        let (settings, database, user) = (&self.settings, &family.database, &family.user);
        let (whose, setting) = match place {
            0 => ("of the pool".to_owned(), size_setting(settings, family)),
            1 => (
                format!("of database \"{database}\""),
                format!("databases.{}.max_connections", table_of(settings, database)),
            ),
            2 => (format!("of user \"{user}\""), format!("users.{}.max_connections", key(user))),
            3 => {
                let name = self.shared.registry.node_name(node).unwrap_or_else(|| Arc::from(""));
                (format!("to node \"{name}\""), format!("node.{}.max_connections", key(&name)))
            }
            _ => ("of all pools together".to_owned(), "pool.max_connections".to_owned()),
        };
        format!("all {limit} server connections {whose} are in use ({setting})")
    }
}

/// The setting that says how large the pool is.
fn size_setting(settings: &Settings, family: &Family) -> String {
    if settings.user(&family.user).is_some_and(|user| user.pool_size.is_some()) {
        return format!("users.{}.pool_size", key(&family.user));
    }
    match settings.databases.find(&family.database) {
        Some(table) if table.pool_size.is_some() => {
            format!("databases.{}.pool_size", table_of(settings, &family.database))
        }
        _ => "pool.size".to_owned(),
    }
}

/// The setting that says how large its reserve is.
fn reserve_setting(settings: &Settings, family: &Family) -> String {
    match settings.databases.find(&family.database) {
        Some(table) if table.reserve_size.is_some() => {
            format!("databases.{}.reserve_size", table_of(settings, &family.database))
        }
        _ => "pool.reserve_size".to_owned(),
    }
}

/// The name of the table that holds for a database.
fn table_of(settings: &Settings, database: &str) -> String {
    let own = settings.databases.0.contains_key(database);
    key(if own { database } else { trunkline_settings::WILDCARD })
}

/// A name as it stands in the settings file.
fn key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { format!("{name:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_where_the_settings_file_wants_it() {
        assert_eq!(
            (key("shop-2"), key("*"), key("a.b")),
            ("shop-2".to_owned(), "\"*\"".to_owned(), "\"a.b\"".to_owned())
        );
    }
}
