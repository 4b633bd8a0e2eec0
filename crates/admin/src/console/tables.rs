//! What `SHOW` answers: one file per table, each a list of columns and a function from a snapshot to rows.
//!
//! Where PgBouncer 1.18 has a table of that name, its columns come first, in its order and with its types
//! (`tests/data/pgbouncer-1.18-columns.txt`); ours follow.

mod clients;
mod config;
mod databases;
mod listeners;
mod lists;
mod nodes;
mod pins;
mod pools;
mod readbacks;
mod replication;
mod routes;
mod servers;
mod state;
mod stats;
mod time;
mod totals;
mod users;
mod version;

use super::table::{Column, Row};
use crate::snapshot::Snapshot;

/// Declares the tables: the name behind `SHOW`, the columns, the rows.
macro_rules! views {
    ($($(#[$doc:meta])+ $view:ident = $name:literal, $columns:expr, $rows:expr;)+) => {
        /// A table that `SHOW` can answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum View {
            $($(#[$doc])+ $view,)+
        }

        impl View {
            /// All tables, in the order in which help lists them.
            pub(crate) const ALL: [Self; [$($name),+].len()] = [$(Self::$view),+];

            /// The word behind `SHOW`.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$view => $name,)+
                }
            }

            /// The columns.
            pub(crate) const fn columns(self) -> &'static [Column] {
                match self {
                    $(Self::$view => $columns,)+
                }
            }

            /// The rows.
            pub(crate) fn rows(self, snapshot: &Snapshot) -> Vec<Row> {
                match self {
                    $(Self::$view => $rows(snapshot),)+
                }
            }
        }
    };
}

views! {
    /// Pools, each with its clients and servers.
    Pools = "POOLS", pools::COLUMNS, pools::rows;
    /// Clients.
    Clients = "CLIENTS", clients::COLUMNS, clients::rows;
    /// Server connections.
    Servers = "SERVERS", servers::COLUMNS, servers::rows;
    /// Counters and averages of each database.
    Stats = "STATS", stats::COLUMNS, stats::rows;
    /// Counters of each database.
    StatsTotals = "STATS_TOTALS", stats::TOTALS_COLUMNS, stats::totals_rows;
    /// Averages of each database.
    StatsAverages = "STATS_AVERAGES", stats::AVERAGES_COLUMNS, stats::averages_rows;
    /// Counters and averages of all databases together.
    Totals = "TOTALS", totals::COLUMNS, totals::rows;
    /// Databases that clients may name.
    Databases = "DATABASES", databases::COLUMNS, databases::rows;
    /// Users.
    Users = "USERS", users::COLUMNS, users::rows;
    /// Numbers of things.
    Lists = "LISTS", lists::COLUMNS, lists::rows;
    /// The PostgreSQL servers.
    Nodes = "NODES", nodes::COLUMNS, nodes::rows;
    /// Clients that keep their server between transactions, and why.
    Pins = "PINS", pins::COLUMNS, pins::rows;
    /// Functions because of which servers were asked what their clients have there.
    Readbacks = "READBACKS", readbacks::COLUMNS, readbacks::rows;
    /// Where statements went, and why.
    Routes = "ROUTES", routes::COLUMNS, routes::rows;
    /// Connections that listen for clients.
    Listeners = "LISTENERS", listeners::COLUMNS, listeners::rows;
    /// Replication connections.
    Replication = "REPLICATION", replication::COLUMNS, replication::rows;
    /// Every setting.
    Config = "CONFIG", config::COLUMNS, config::rows;
    /// Whether clients are served.
    State = "STATE", state::COLUMNS, state::rows;
    /// The version of the program.
    Version = "VERSION", version::COLUMNS, version::rows;
}

#[cfg(test)]
mod tests;
