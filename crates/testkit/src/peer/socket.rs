//! A socket of either kind with what has been read from it but not yet taken.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::frame::{self, Frame};
use super::tls::{self, Tls};
use crate::wait::PATIENCE;

/// Bytes asked for in one read.
const READ_BYTES: usize = 16 * 1024;

/// The stream below.
#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that is read message by message.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Stream,
    unread: BytesMut,
    /// How long a read or write may wait.
    pub(super) patience: Duration,
}

impl Socket {
    pub(super) fn tcp(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::new(Stream::Tcp(stream)))
    }

    pub(super) fn unix(stream: UnixStream) -> Self {
        Self::new(Stream::Unix(stream))
    }

    fn new(stream: Stream) -> Self {
        Self { stream, unread: BytesMut::new(), patience: PATIENCE }
    }

    /// The next message with a tag.
    pub(super) async fn frame(&mut self) -> Result<Frame> {
        loop {
            if let Some(frame) = frame::take(&mut self.unread)? {
                return Ok(frame);
            }
            ensure!(self.fill().await? > 0, "closed by the other side{}", self.left_over());
        }
    }

    /// The next message, or `None` if the other side has closed between two messages. A reset
    /// counts as closed.
    pub(super) async fn frame_or_end(&mut self) -> Result<Option<Frame>> {
        loop {
            if let Some(frame) = frame::take(&mut self.unread)? {
                return Ok(Some(frame));
            }
            match self.fill().await {
                Ok(0) if self.unread.is_empty() => return Ok(None),
                Ok(0) => bail!("closed inside a message{}", self.left_over()),
                Ok(_) => {}
                Err(error) if is_closed(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Exactly so many bytes.
    pub(super) async fn bytes(&mut self, count: usize) -> Result<Bytes> {
        while self.unread.len() < count {
            ensure!(self.fill().await? > 0, "closed by the other side{}", self.left_over());
        }
        Ok(self.unread.split_to(count).freeze())
    }

    /// The next message without a tag (start of a connection): its body.
    pub(super) async fn untagged(&mut self) -> Result<Bytes> {
        let length = self.bytes(4).await?.get_i32();
        self.bytes(frame::body_length(length)?).await
    }

    /// Writes all of `bytes`.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let writing = async {
            match &mut self.stream {
                Stream::Tcp(stream) => stream.write_all(bytes).await,
                Stream::Unix(stream) => stream.write_all(bytes).await,
                Stream::Tls(stream) => match stream.write_all(bytes).await {
                    Ok(()) => stream.flush().await,
                    failed => failed,
                },
            }
        };
        let patience = self.patience;
        let outcome = timeout(patience, writing).await;
        outcome.with_context(|| format!("nothing can be written for {patience:?}"))??;
        Ok(())
    }

    /// Says that nothing more will be written; reading goes on.
    pub(super) async fn finish(&mut self) -> Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.shutdown().await?,
            Stream::Unix(stream) => stream.shutdown().await?,
            Stream::Tls(stream) => stream.shutdown().await?,
        }
        Ok(())
    }

    /// Closes with RST instead of FIN, as a host does that has lost the connection's state.
    pub(super) fn reset(self) -> Result<()> {
        let stream = match &self.stream {
            Stream::Tcp(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
            Stream::Unix(_) => bail!("only TCP knows a reset"),
        };
        SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
        Ok(())
    }

    /// Goes on inside TLS. What was read before must have been taken.
    pub(super) async fn encrypt(self, tls: &Tls<'_>) -> Result<Self> {
        ensure!(self.unread.is_empty(), "the server spoke before TLS{}", self.left_over());
        let Stream::Tcp(stream) = self.stream else { bail!("TLS needs plain TCP below it") };
        let stream = Stream::Tls(Box::new(tls.connect(stream).await?));
        Ok(Self { stream, unread: BytesMut::new(), patience: self.patience })
    }

    /// What SCRAM can be bound to, inside TLS.
    pub(super) fn end_point(&self) -> Option<Vec<u8>> {
        match &self.stream {
            Stream::Tls(stream) => tls::end_point(stream),
            _ => None,
        }
    }

    /// The protocol that the server has chosen (ALPN), inside TLS.
    pub(super) fn protocol(&self) -> Option<&[u8]> {
        match &self.stream {
            Stream::Tls(stream) => stream.get_ref().1.alpn_protocol(),
            _ => None,
        }
    }

    /// Reads once; 0 is the end.
    async fn fill(&mut self) -> Result<usize> {
        self.unread.reserve(READ_BYTES);
        let unread = &mut self.unread;
        let reading = async {
            match &mut self.stream {
                Stream::Tcp(stream) => stream.read_buf(unread).await,
                Stream::Unix(stream) => stream.read_buf(unread).await,
                Stream::Tls(stream) => stream.read_buf(unread).await,
            }
        };
        let outcome = timeout(self.patience, reading).await;
        let count = outcome.with_context(|| {
            format!("nothing came for {:?}{}", self.patience, self.left_over())
        })??;
        Ok(count)
    }

    /// What an error says of bytes that are no whole message.
    fn left_over(&self) -> String {
        if self.unread.is_empty() {
            return String::new();
        }
        format!(" after {} bytes: \"{}\"", self.unread.len(), self.unread.escape_ascii())
    }
}

/// Whether an error only says that the other side has gone.
fn is_closed(error: &anyhow::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    error.downcast_ref::<std::io::Error>().is_some_and(|error| {
        matches!(error.kind(), ConnectionReset | ConnectionAborted | BrokenPipe)
    })
}
