//! The PostgreSQL servers, and the connections that watch over them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Secret;
use crate::group::group;
use crate::sections::MOST;
use crate::value::{Field, Kind, Value};

group! {
    /// One PostgreSQL server; the table is repeated for each. At least one is needed.
    pub struct Node in "node" {
        /// Its name in logs, metrics and commands, of letters, digits and `._:/-`. Empty: its address with port.
        pub name: String = String::new() => Kind::Text, Live, "\"pg1\"";
        /// Host name, IP address, or the directory of its Unix socket. A name is looked up for each connection, and with
        /// each probe: when it means another address, server connections to the old one are closed as they come back.
        pub host: Host = Host::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)) => Kind::Text, NewConnections, "\"10.0.0.11\"";
        /// Its port.
        pub port: u16 = 5432 => Kind::count(1, 65_535), NewConnections, "5433";
        /// Server connections to this node, over all pools. 0: no limit of its own.
        pub max_connections: usize = 0 => Kind::count(0, MOST), Live, "90";
        /// Its share of the reads, compared with other standbys: one of weight 2 is given twice as many as one of weight 1.
        /// 0: it is read from only while no other standby can be.
        pub weight: u32 = 1 => Kind::count(0, HEAVIEST), Live, "3";
        /// Where it is, in a word of yours such as the name of a data centre; see `routing.zone`.
        pub zone: Option<String> = None => Kind::Text, Live, "\"west\"";
        /// Kept for a failover: it is never read from while it is a standby.
        pub warm: bool = false => Kind::Switch, Live, "true";
    }
}

/// The largest weight of a node.
pub(super) const HEAVIEST: u64 = 1000;

group! {
    /// The connections with which the nodes are watched and users are looked up.
    pub struct Cluster in "cluster" {
        /// How often each node is asked how it is.
        pub probe_interval: Duration = Duration::from_secs(1)
            => Kind::span_from(Duration::from_millis(100)), Live, "\"500ms\"";
        /// How long a node may take to answer; then the probe has failed.
        pub probe_timeout: Duration = Duration::from_secs(2)
            => Kind::span_from(Duration::from_millis(100)), Live, "\"1s\"";
        /// Failed probes in a row before a node counts as down.
        pub down_failures: u32 = 3 => Kind::count(1, 1000), Live, "5";
        /// The least time between the first failed probe and the moment a node counts as down.
        pub down_after: Duration = Duration::from_secs(2) => Kind::span(), Live, "\"10s\"";
        /// Role of the control connections: probes, one more to each node that asks how far its write-ahead log is
        /// (`routing.sample_interval`), `auth_query`, and the listeners, which connect to each database in which clients
        /// that share server connections listen. One that is no superuser should be a member of `pg_monitor`: otherwise a
        /// standby that has followed a promotion is not taken for one before its next restart point.
        pub user: String = "postgres".to_owned() => Kind::Text, NewConnections, "\"trunkline\"";
        /// Its password.
        pub password: Option<Secret> = None => Kind::Secret, NewConnections, "\"...\"";
        /// File with its password; one newline at the end is removed.
        pub password_file: Option<PathBuf> = None => Kind::Path, NewConnections, "\"/run/secrets/trunkline\"";
        /// Database of the control connections.
        pub database: String = "postgres".to_owned() => Kind::Text, NewConnections, "\"monitoring\"";
    }
}

impl Node {
    /// Host and port as one text, IPv6 in brackets.
    pub fn address(&self) -> String {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => format!("[{address}]:{}", self.port),
            host => format!("{host}:{}", self.port),
        }
    }
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// A host name, to be looked up when connecting.
    Name(String),
    /// An IP address.
    Address(IpAddr),
    /// The directory that holds the server's Unix socket `.s.PGSQL.<port>`.
    Socket(PathBuf),
}

impl Host {
    /// Reads a host as libpq does: a text that begins with `/` is a directory. The error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if text.starts_with('/') {
            Ok(Self::Socket(PathBuf::from(text)))
        } else if let Ok(address) = bare.parse() {
            Ok(Self::Address(address))
        } else if text.is_empty() {
            Err("the host is empty".into())
        } else if text.contains(':') && !text.contains("::") {
            Err(format!("`{text}` is not a host: the port is a setting of its own, `port`"))
        } else if let Some(odd) =
            text.chars().find(|c| !c.is_ascii_alphanumeric() && !"-._".contains(*c))
        {
            Err(format!("`{text}` is not a host name: it contains {odd:?}"))
        } else {
            Ok(Self::Name(text.to_owned()))
        }
    }

    /// The directory of the Unix socket, if it is one.
    pub fn socket(&self) -> Option<&Path> {
        match self {
            Self::Socket(path) => Some(path),
            Self::Name(_) | Self::Address(_) => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => write!(f, "{address}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Field for Host {
    fn show(&self) -> Value {
        Value::Text(self.to_string())
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        *self = Self::parse(&value.into_text()?)?;
        Ok(())
    }
}
