//! Where clients connect: TCP addresses and the Unix socket.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::group::group;
use crate::value::{Field, Kind, Value};

/// The port of PgBouncer and its kin, which clients of a pooler try first.
pub(crate) const DEFAULT_PORT: u16 = 6432;

group! {
    /// Where clients connect.
    pub struct Listen in "listen" {
        /// TCP addresses with port, IPv6 in brackets. An empty list: no TCP.
        pub addresses: Vec<SocketAddr> = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT))]
            => Kind::List, Restart, r#"["0.0.0.0:6432", "[::]:6432"]"#;
        /// More of them: what comes in there goes to the primary, unless something more particular says otherwise; see
        /// `[routing]`.
        pub primary_addresses: Vec<SocketAddr> = Vec::new() => Kind::List, Restart, r#"["0.0.0.0:5000"]"#;
        /// More of them: sessions that come in there are those of a standby, which refuses what writes. See
        /// `routing.fallback` for when there is none. They need no `routing.mode`.
        pub standby_addresses: Vec<SocketAddr> = Vec::new() => Kind::List, Restart, r#"["0.0.0.0:5001"]"#;
        /// Directory of the Unix socket `.s.PGSQL.<port>`, the port being that of the first address
        /// (6432 without one); `"@name"` for a socket in Linux's abstract namespace. Empty: no Unix socket.
        pub unix_socket_dir: Option<SocketDir> = None => Kind::Text, Restart, "\"/run/trunkline\"";
        /// Permissions of the Unix socket, as octal digits.
        pub unix_socket_mode: UnixMode = UnixMode(0o777) => Kind::Text, Restart, "\"0770\"";
        /// Connections that the kernel keeps waiting to be accepted, for each listening socket.
        pub backlog: u32 = 1024 => Kind::count(1, 65_535), Restart, "4096";
    }
}

impl Listen {
    /// Every list of TCP addresses, with the name of its setting.
    pub fn all_addresses(&self) -> [(&'static str, &[SocketAddr]); 3] {
        [
            ("addresses", &self.addresses),
            ("primary_addresses", &self.primary_addresses),
            ("standby_addresses", &self.standby_addresses),
        ]
    }

    /// The port in the Unix socket's file name: that of the first address.
    pub fn unix_port(&self) -> u16 {
        self.addresses.first().map_or(DEFAULT_PORT, SocketAddr::port)
    }
}

/// Where the Unix socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketDir {
    /// A directory that holds the file `.s.PGSQL.<port>`.
    Path(PathBuf),
    /// A name in Linux's abstract namespace, without the `@`; libpq appends `/.s.PGSQL.<port>` to it.
    Abstract(String),
}

impl fmt::Display for SocketDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Abstract(name) => write!(f, "@{name}"),
        }
    }
}

impl Field for Option<SocketDir> {
    fn show(&self) -> Value {
        Value::Text(self.as_ref().map(ToString::to_string).unwrap_or_default())
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        let text = value.into_text()?;
        *self = match text.strip_prefix('@') {
            _ if text.is_empty() => None,
            Some("") => return Err("a name is missing after `@`".into()),
            Some(name) => Some(SocketDir::Abstract(name.to_owned())),
            None if text.starts_with('/') => Some(SocketDir::Path(PathBuf::from(text))),
            None => {
                return Err(format!(
                    "`{text}` must begin with `/` (a directory) or `@` (an abstract name)"
                ));
            }
        };
        Ok(())
    }
}

/// Permission bits of the Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixMode(pub u32);

impl Field for UnixMode {
    fn show(&self) -> Value {
        Value::Text(format!("{:04o}", self.0))
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        let text = value.into_text()?;
        let digits = text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| digits && *mode <= 0o777);
        *self =
            Self(mode.ok_or_else(|| {
                format!("`{text}` is not a mode: write octal digits up to \"0777\"")
            })?);
        Ok(())
    }
}
