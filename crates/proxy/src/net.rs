//! Sockets as values: TCP or Unix, on their way between the login runtime and the worker loops.
//!
//! A [`Socket`] is non-blocking and belongs to nobody's event loop. [`AsyncSocket`] is the same socket while
//! the login runtime drives it, and [`Channel`] adds TLS and the two buffers a login needs.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

mod allowance;
mod channel;

pub use allowance::{Allowance, Part};
pub use channel::{Channel, ChannelParts, Message};

/// A connected, non-blocking stream socket that is registered with no event loop.
#[derive(Debug)]
pub enum Socket {
    /// TCP over IPv4 or IPv6.
    Tcp(std::net::TcpStream),
    /// A Unix-domain socket.
    Unix(StdUnixStream),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(tcp) => tcp.as_fd(),
            Self::Unix(unix) => unix.as_fd(),
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl io::Read for &Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(tcp) => (&mut &*tcp).read(buf),
            Socket::Unix(unix) => (&mut &*unix).read(buf),
        }
    }
}

impl io::Write for &Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(tcp) => (&mut &*tcp).write(buf),
            Socket::Unix(unix) => (&mut &*unix).write(buf),
        }
    }

    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Socket::Tcp(tcp) => (&mut &*tcp).write_vectored(bufs),
            Socket::Unix(unix) => (&mut &*unix).write_vectored(bufs),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is set on every TCP socket, on both sides. `TCP_NODELAY` is always on: a burst is one write, so
/// waiting for more could only add latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpOptions {
    /// Probing of a silent peer; `None` leaves it off.
    pub keepalive: Option<Keepalive>,
    /// How long written data may stay unacknowledged (`TCP_USER_TIMEOUT`); zero leaves it to the system.
    pub user_timeout: Duration,
}

/// When a silent TCP peer is asked whether it is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first probe.
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// Unanswered probes before the connection counts as broken.
    pub count: u32,
}

impl TcpOptions {
    /// Sets the options on a socket; what the system does not know is an error.
    pub fn apply(&self, socket: &impl AsFd) -> io::Result<()> {
        let socket = SockRef::from(socket);
        socket.set_tcp_nodelay(true)?;
        if let Some(keepalive) = self.keepalive {
            let times = TcpKeepalive::new()
                .with_time(keepalive.idle)
                .with_interval(keepalive.interval)
                .with_retries(keepalive.count);
            socket.set_tcp_keepalive(&times)?;
        }
        if !self.user_timeout.is_zero() {
            socket.set_tcp_user_timeout(Some(self.user_timeout))?;
        }
        Ok(())
    }
}

/// Who is at the other end of a client connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The client's address and port.
    Tcp(SocketAddr),
    /// The process that connected to the Unix socket, as the kernel vouches for it.
    Unix {
        /// User id of the process.
        uid: u32,
        /// Group id of the process.
        gid: u32,
        /// Process id, where the system tells it.
        pid: Option<i32>,
    },
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { .. } => f.write_str("[local]"),
        }
    }
}

/// A [`Socket`] while the login runtime drives it.
#[derive(Debug)]
pub enum AsyncSocket {
    /// TCP over IPv4 or IPv6.
    Tcp(TcpStream),
    /// A Unix-domain socket.
    Unix(UnixStream),
}

impl AsyncSocket {
    /// Registers the socket with the runtime this is called in.
    pub fn new(socket: Socket) -> io::Result<Self> {
        match socket {
            Socket::Tcp(tcp) => TcpStream::from_std(tcp).map(Self::Tcp),
            Socket::Unix(unix) => UnixStream::from_std(unix).map(Self::Unix),
        }
    }

    /// Takes the socket off the runtime; it stays non-blocking.
    pub fn into_socket(self) -> io::Result<Socket> {
        match self {
            Self::Tcp(tcp) => tcp.into_std().map(Socket::Tcp),
            Self::Unix(unix) => unix.into_std().map(Socket::Unix),
        }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> io::Result<Peer> {
        match self {
            Self::Tcp(tcp) => tcp.peer_addr().map(Peer::Tcp),
            Self::Unix(unix) => {
                let found = unix.peer_cred()?;
                Ok(Peer::Unix { uid: found.uid(), gid: found.gid(), pid: found.pid() })
            }
        }
    }
}

impl AsyncRead for AsyncSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Unix(unix) => Pin::new(unix).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for AsyncSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Unix(unix) => Pin::new(unix).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Unix(unix) => Pin::new(unix).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Unix(unix) => Pin::new(unix).poll_shutdown(cx),
        }
    }
}
