//! The sockets clients connect to.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket as RawSocket, Type};
use tokio::net::{TcpListener, UnixListener};
use trunkline_route::Wish;
use trunkline_settings::{Listen, SocketDir};

use crate::net::AsyncSocket;

/// Every socket the settings ask for, bound and listening. Bound before anything else is started, so that a
/// port in use is found out at once.
#[derive(Debug, Default)]
pub struct Listeners(pub(super) Vec<Listener>);

/// One listening socket.
#[derive(Debug)]
pub struct Listener {
    /// What it is bound to, for messages.
    pub(super) name: String,
    /// Where it sends clients.
    pub(super) role: Wish,
    socket: ListeningSocket,
    /// Of a Unix socket with a file: gives the file back when dropped.
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum ListeningSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listeners {
    /// Binds all of them, or none: those bound before a failure are closed again. Called in the runtime
    /// that will accept.
    pub fn bind(settings: &Listen) -> io::Result<Self> {
        let backlog = i32::try_from(settings.backlog).unwrap_or(i32::MAX);
        let mut bound = Vec::new();
        for (addresses, role) in [
            (&settings.addresses, Wish::Any),
            (&settings.primary_addresses, Wish::Primary),
            (&settings.standby_addresses, Wish::Standby),
        ] {
            for address in addresses {
                let listener = Listener::tcp(*address, backlog);
                let listener = listener.map_err(|error| named(&error, address))?;
                bound.push(Listener { role, ..listener });
            }
        }
        if let Some(directory) = &settings.unix_socket_dir {
            let port = settings.unix_port();
            let listener = match directory {
                SocketDir::Path(directory) => {
                    Listener::unix(directory, port, settings.unix_socket_mode.0, backlog)
                }
                SocketDir::Abstract(name) => Listener::abstract_unix(name, port, backlog),
            };
            bound.push(listener.map_err(|error| named(&error, directory))?);
        }
        Ok(Self(bound))
    }

    /// Where clients can connect over TCP; the ports are those the system gave for port 0.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let tcp = self.0.iter().filter_map(|listener| match &listener.socket {
            ListeningSocket::Tcp(tcp) => tcp.local_addr().ok(),
            ListeningSocket::Unix(_) => None,
        });
        tcp.collect()
    }
}

impl Listener {
    fn tcp(address: SocketAddr, backlog: i32) -> io::Result<Self> {
        let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, None)?;
        // Connections of the process before us may linger for minutes.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // Else `[::]` would take the IPv4 port too, and `0.0.0.0` beside it would fail.
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        socket.listen(backlog)?;
        socket.set_nonblocking(true)?;
        let listener = TcpListener::from_std(socket.into())?;
        let name = listener.local_addr()?.to_string();
        Ok(Self { name, role: Wish::Any, socket: ListeningSocket::Tcp(listener), _file: None })
    }

    fn unix(directory: &Path, port: u16, mode: u32, backlog: i32) -> io::Result<Self> {
        let file = SocketFile::claim(&directory.join(format!(".s.PGSQL.{port}")))?;
        let socket = RawSocket::new(Domain::UNIX, Type::STREAM, None)?;
        // The mode is set before there is a name by which anyone could connect, and again after, because
        // the process's umask takes part in the first.
        let socket = File::from(OwnedFd::from(socket));
        socket.set_permissions(Permissions::from_mode(mode))?;
        let socket = RawSocket::from(OwnedFd::from(socket));
        socket.bind(&SockAddr::unix(&file.path)?)?;
        std::fs::set_permissions(&file.path, Permissions::from_mode(mode))?;
        let name = file.path.display().to_string();
        Self::listen_unix(socket, name, Some(file), backlog)
    }

    fn abstract_unix(name: &str, port: u16, backlog: i32) -> io::Result<Self> {
        let socket = RawSocket::new(Domain::UNIX, Type::STREAM, None)?;
        // libpq's form of the name.
        socket.bind(&SockAddr::unix(format!("\0{name}/.s.PGSQL.{port}"))?)?;
        Self::listen_unix(socket, format!("@{name}/.s.PGSQL.{port}"), None, backlog)
    }

    fn listen_unix(
        socket: RawSocket,
        name: String,
        file: Option<SocketFile>,
        backlog: i32,
    ) -> io::Result<Self> {
        socket.listen(backlog)?;
        socket.set_nonblocking(true)?;
        let listener = UnixListener::from_std(OwnedFd::from(socket).into())?;
        Ok(Self { name, role: Wish::Any, socket: ListeningSocket::Unix(listener), _file: file })
    }

    /// The next connection. Safe to cancel.
    pub(super) async fn accept(&self) -> io::Result<AsyncSocket> {
        match &self.socket {
            ListeningSocket::Tcp(listener) => Ok(AsyncSocket::Tcp(listener.accept().await?.0)),
            ListeningSocket::Unix(listener) => Ok(AsyncSocket::Unix(listener.accept().await?.0)),
        }
    }
}

/// A socket's place in the file system, held by a lock so that two processes cannot both believe that the
/// other's socket is a leftover.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    lock_path: PathBuf,
    /// Locked for as long as it is open.
    _lock: File,
}

impl SocketFile {
    /// Takes the place, removing what a process that has died left there.
    fn claim(path: &Path) -> io::Result<Self> {
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let lock_path = PathBuf::from(lock_path);
        let mut lock =
            OpenOptions::new().write(true).create(true).truncate(false).open(&lock_path)?;
        if lock.try_lock().is_err() || is_alive(path) {
            let message = format!("{} is in use by another process", path.display());
            return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
        }
        // PostgreSQL looks at the first line of such a file to see whether its process still lives.
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())?;
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self { path: path.to_owned(), lock_path, _lock: lock })
    }
}

/// Whether someone listens there, for instance a PostgreSQL server, whose lock is of another kind.
fn is_alive(path: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(path).is_ok()
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        for path in [&self.path, &self.lock_path] {
            if let Err(error) = std::fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove the socket file");
            }
        }
    }
}

fn named(error: &io::Error, what: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {what}: {error}"))
}

#[cfg(test)]
mod tests {
    use trunkline_settings::UnixMode;

    use super::*;

    fn settings(directory: &Path) -> Listen {
        Listen {
            addresses: Vec::new(),
            unix_socket_dir: Some(SocketDir::Path(directory.to_owned())),
            unix_socket_mode: UnixMode(0o710),
            ..Listen::default()
        }
    }

    #[tokio::test]
    async fn a_socket_file_has_the_mode_asked_for_and_goes_with_its_listener() {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(directory.path());
        let listeners = Listeners::bind(&settings).unwrap();
        let path = directory.path().join(".s.PGSQL.6432");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o710);
        let taken = Listeners::bind(&settings).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse, "{taken}");
        drop(listeners);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_leftover_socket_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(directory.path());
        let path = directory.path().join(".s.PGSQL.6432");
        let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(Listeners::bind(&settings).is_err(), "took a socket that another process serves");
        drop(other);
        Listeners::bind(&settings).unwrap();
    }

    #[tokio::test]
    async fn an_abstract_name_and_both_families_of_addresses_are_bound() {
        let name = format!("trunkline-test-{}", std::process::id());
        let settings = Listen {
            addresses: vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()],
            unix_socket_dir: Some(SocketDir::Abstract(name)),
            ..Listen::default()
        };
        let listeners = Listeners::bind(&settings).unwrap();
        assert_eq!(listeners.addresses().len(), 2);
        assert!(Listeners::bind(&settings).is_err(), "the abstract name was given twice");
    }
}
