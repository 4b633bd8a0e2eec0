//! From a node's name to a connected socket.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};
use trunkline_settings::Host;

use super::names::Names;
use crate::handover::Away;
use crate::net::{AsyncSocket, TcpOptions};

/// Addresses of one name that are tried. More than a handful is a mistake in the name service, and each
/// may take its part of the time.
const MAX_ADDRESSES: usize = 16;

/// Where a node is, as the settings say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddress {
    /// Name, address or socket directory.
    pub host: Host,
    /// Port, also part of the socket's file name.
    pub port: u16,
}

impl NodeAddress {
    /// Whether it is a name, which may come to mean another address.
    pub fn is_name(&self) -> bool {
        matches!(self.host, Host::Name(_))
    }

    /// The path of the Unix socket, if it is one.
    pub fn socket_path(&self) -> Option<PathBuf> {
        Some(self.host.socket()?.join(format!(".s.PGSQL.{}", self.port)))
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.socket_path(), &self.host) {
            (Some(path), _) => write!(f, "{}", path.display()),
            (None, Host::Address(address)) => SocketAddr::new(*address, self.port).fmt(f),
            (None, host) => write!(f, "{host}:{}", self.port),
        }
    }
}

/// One place to connect to: what a name was resolved to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Address and port.
    Tcp(SocketAddr),
    /// Path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Every place the node can be reached at, by this time. Names are looked up each time: after a failover a name may
/// mean another server.
pub(super) async fn resolve(
    address: &NodeAddress,
    names: &Names,
    deadline: Instant,
) -> Result<Vec<Endpoint>, Away> {
    let found = match timeout_at(deadline, addresses(address, names)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return Err(io_failed(address, &error)),
        Err(_) => return Err(Away::Timeout { address: address.to_string() }),
    };
    if found.is_empty() {
        return Err(Away::Io {
            address: address.to_string(),
            reason: "the name has no address".to_owned(),
        });
    }
    Ok(found)
}

/// The same, however long it takes; none if the name has no address.
pub(crate) async fn addresses(address: &NodeAddress, names: &Names) -> io::Result<Vec<Endpoint>> {
    if let Some(path) = address.socket_path() {
        return Ok(vec![Endpoint::Unix(path)]);
    }
    let name = match &address.host {
        Host::Address(ip) => return Ok(vec![Endpoint::Tcp(SocketAddr::new(*ip, address.port))]),
        host => host.to_string(),
    };
    let found = names.look(name, address.port).await?;
    Ok(found.into_iter().take(MAX_ADDRESSES).map(Endpoint::Tcp).collect())
}

/// Connects a socket.
pub(super) async fn dial(endpoint: &Endpoint, tcp: &TcpOptions) -> io::Result<AsyncSocket> {
    match endpoint {
        Endpoint::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            tcp.apply(&stream)?;
            Ok(AsyncSocket::Tcp(stream))
        }
        Endpoint::Unix(path) => UnixStream::connect(path).await.map(AsyncSocket::Unix),
    }
}

pub(super) fn io_failed(address: &impl fmt::Display, error: &io::Error) -> Away {
    Away::Io { address: address.to_string(), reason: error.to_string() }
}
