//! What clients may name as their database.

use std::path::PathBuf;

use crate::group::group;
use crate::sections::MOST;
use crate::value::Kind;
use crate::{HiddenState, Placeholders, PoolMode, ReadAfterWrite, Secret};

group! {
    /// One database that clients may name; `[databases."*"]` stands for every name that has no table of its
    /// own. Without any such table, `[databases."*"]` is assumed.
    pub struct Database in "databases" {
        /// Its name on the servers. Not given: the name that the client gave.
        pub dbname: Option<String> = None => Kind::Text, NewConnections, "\"shop_prod\"";
        /// Replaces `pool.mode` for this database.
        pub pool_mode: Option<PoolMode> = None => Kind::Word(PoolMode::WORDS), NewConnections, "\"session\"";
        /// Replaces `pool.hidden_state` for this database.
        pub hidden_state: Option<HiddenState> = None => Kind::Word(HiddenState::WORDS), NewConnections, "\"trust\"";
        /// Replaces `pool.placeholders` for this database.
        pub placeholders: Option<Placeholders> = None => Kind::Word(Placeholders::WORDS), NewConnections, "\"strict\"";
        /// Replaces `routing.read_after_write` for this database.
        pub read_after_write: Option<ReadAfterWrite> = None => Kind::Word(ReadAfterWrite::WORDS), Live, "\"off\"";
        /// Replaces `pool.size` for this database.
        pub pool_size: Option<usize> = None => Kind::count(1, MOST), Live, "50";
        /// Replaces `pool.min_idle` for this database.
        pub min_idle: Option<usize> = None => Kind::count(0, MOST), Live, "5";
        /// Replaces `pool.reserve_size` for this database.
        pub reserve_size: Option<usize> = None => Kind::count(0, MOST), Live, "5";
        /// Server connections for one database name, over all users and nodes. 0: no limit of its own.
        pub max_connections: usize = 0 => Kind::count(0, MOST), Live, "80";
        /// Role with which all clients of this database work on the servers. Not given: each client's own.
        pub user: Option<String> = None => Kind::Text, NewConnections, "\"shop\"";
        /// Password of `user` on the servers; an empty one says that they ask for none.
        pub password: Option<Secret> = None => Kind::Secret, NewConnections, "\"...\"";
        /// File with the password of `user`; one newline at the end is removed.
        pub password_file: Option<PathBuf> = None => Kind::Path, NewConnections, "\"/run/secrets/shop\"";
    }
}
