//! The groups of the settings file, one file each: the struct, its defaults, and what its settings accept.

mod auth;
mod console;
mod database;
mod general;
mod limits;
mod listen;
mod node;
mod pool;
mod route;
mod routing;
mod tcp;
mod timeouts;
mod tls;
mod user;

pub use self::auth::{Auth, AuthMethod};
pub use self::console::{Console, Http, Log, LogFormat, LogLevel};
pub use self::database::Database;
pub use self::general::General;
pub use self::limits::Limits;
pub use self::listen::{Listen, SocketDir, UnixMode};
pub use self::node::{Cluster, Host, Node};
pub use self::pool::{HiddenState, Placeholders, PoolDefaults, PoolMode};
pub use self::route::{RouteRule, RouteTo};
pub use self::routing::{
    AsynchronousCommits, Balance, Fallback, ReadAfterWrite, RouteLog, Routing, RoutingMode,
    TransactionReads,
};
pub use self::tcp::Tcp;
pub use self::timeouts::Timeouts;
pub use self::tls::{
    CaSource, ClientTls, ClientTlsMode, Negotiation, PemFile, ServerTls, ServerTlsMode, TlsVersion,
};
pub use self::user::{User, UserPassword};

/// The largest count that any setting takes: far above use, far below overflow in sums.
pub(crate) const MOST: u64 = 10_000_000;
