//! A socket with or without TLS and the two buffers a conversation needs while it is not on a loop.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use trunkline_wire::frame;
use zeroize::Zeroize;

use super::{AsyncSocket, Part, Socket};
use crate::tls::{Progress, TlsCodec, TlsError};

/// Bytes asked of the socket at once. Login messages are short; the loops have buffers of their own.
const READ_SIZE: usize = 8 * 1024;

/// Bytes of a message's type and length.
const HEADER: usize = 5;

/// Bytes read and thrown away from a peer that has been told goodbye.
const IGNORED_MAX: usize = 256 * 1024;

/// Bytes waiting to be written above which [`AsyncWrite`] takes no more: a console client that does not read
/// may not cost more memory than this.
const WRITE_LIMIT: usize = 64 * 1024;

/// A connection during login, or for as long as it is served by the runtime (console, control).
///
/// Plaintext in and out; TLS, once started, is inside. Every method is safe to cancel: bytes taken from the
/// socket are in the buffer, bytes not yet written stay queued.
#[derive(Debug)]
pub struct Channel {
    socket: AsyncSocket,
    tls: Option<Box<TlsCodec>>,
    /// Plaintext read and not yet taken.
    received: BytesMut,
    /// Bytes for the socket, encrypted where TLS is on.
    unsent: BytesMut,
    /// The peer closed its direction.
    ended: bool,
    /// We have said that we send nothing more.
    closing: bool,
    /// Its part in what all such connections may take, if that is limited.
    part: Option<Part>,
}

/// What a [`Channel`] consists of when it leaves the runtime.
#[derive(Debug)]
pub struct ChannelParts {
    /// The socket, registered nowhere.
    pub socket: Socket,
    /// TLS, when it was started.
    pub tls: Option<Box<TlsCodec>>,
    /// Plaintext that has been read and not taken.
    pub received: BytesMut,
}

/// One whole message that has been read.
#[derive(Debug)]
pub struct Message {
    /// Its type.
    pub tag: u8,
    /// All of it, header included.
    bytes: BytesMut,
}

impl Message {
    /// What follows the header.
    pub fn body(&self) -> &[u8] {
        self.bytes.get(HEADER..).unwrap_or_default()
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // It may have been a password.
        self.bytes.zeroize();
    }
}

impl Channel {
    /// A connection on which nothing has been said.
    pub fn new(socket: AsyncSocket) -> Self {
        Self {
            socket,
            tls: None,
            received: BytesMut::new(),
            unsent: BytesMut::new(),
            ended: false,
            closing: false,
            part: None,
        }
    }

    /// From now on what has been read and not taken counts towards what all such connections may take together; reading
    /// more than that is [`OutOfMemory`](io::ErrorKind::OutOfMemory).
    #[must_use]
    pub fn within(mut self, part: Part) -> Self {
        self.part = Some(part);
        self
    }

    /// From now on it does not count.
    pub fn release(&mut self) {
        self.part = None;
    }

    /// A connection that has been elsewhere: TLS is up, and `received` has been read and not taken.
    pub fn resume(socket: AsyncSocket, tls: Option<Box<TlsCodec>>, received: BytesMut) -> Self {
        Self { tls, received, ..Self::new(socket) }
    }

    /// The socket underneath.
    pub fn socket(&self) -> &AsyncSocket {
        &self.socket
    }

    /// TLS, when it is on.
    pub fn tls(&self) -> Option<&TlsCodec> {
        self.tls.as_deref()
    }

    /// Plaintext read and not yet taken; the caller advances it over what it has understood.
    pub fn received(&mut self) -> &mut BytesMut {
        &mut self.received
    }

    /// Reads more plaintext. Answers how many bytes came; 0 means that the peer has closed.
    pub async fn fill(&mut self) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// Reads one whole message of at most `longest` bytes. A longer one, or one that cannot be a message, is
    /// [`InvalidData`](io::ErrorKind::InvalidData); the end of the connection is
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof).
    pub async fn message(&mut self, longest: usize) -> io::Result<Message> {
        loop {
            let header = frame::peek(&self.received).map_err(invalid)?;
            match header {
                Some(header) if header.len > longest => return Err(invalid("message too long")),
                Some(header) if header.len <= self.received.len() => {
                    let bytes = self.received.split_to(header.len);
                    return Ok(Message { tag: header.tag, bytes });
                }
                _ if self.fill().await? == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => {}
            }
        }
    }

    /// Queues plaintext; [`flush`](Self::flush) writes it.
    pub fn queue(&mut self, plain: &[u8]) -> Result<(), TlsError> {
        if let Some(tls) = &mut self.tls {
            return tls.encrypt(plain, &mut self.unsent);
        }
        self.unsent.extend_from_slice(plain);
        Ok(())
    }

    /// Writes all that is queued.
    pub async fn flush(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_drain(cx, 0)).await
    }

    /// Queues and writes.
    pub async fn send(&mut self, plain: &[u8]) -> io::Result<()> {
        self.queue(plain).map_err(tls_failed)?;
        self.flush().await
    }

    /// Plays the server's part of a TLS handshake.
    ///
    /// The caller makes sure that nothing it does not want to be part of the handshake has been read:
    /// whatever lies in the buffer is taken as the client's first record.
    pub async fn accept_tls(&mut self, config: Arc<ServerConfig>) -> io::Result<()> {
        let codec = TlsCodec::server(config).map_err(tls_failed)?;
        self.handshake(codec).await
    }

    /// Plays the client's part of a TLS handshake; the buffer must be empty.
    pub async fn connect_tls(
        &mut self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<()> {
        if !self.received.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "received unencrypted data after TLS",
            ));
        }
        let codec = TlsCodec::client(config, name).map_err(tls_failed)?;
        self.handshake(codec).await
    }

    async fn handshake(&mut self, mut codec: TlsCodec) -> io::Result<()> {
        let mut first = std::mem::take(&mut self.received);
        let mut step = codec.decrypt(&mut first, &mut self.received);
        codec.take_owed(&mut self.unsent);
        self.tls = Some(Box::new(codec));
        loop {
            match step.map_err(tls_failed) {
                Ok(Progress::Open) => return self.flush().await,
                Ok(Progress::PeerClosed) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(Progress::Handshaking) => self.flush().await?,
                Err(error) => {
                    // The peer gets the alert if it still listens; the reason is the first error.
                    self.flush().await.ok();
                    return Err(error);
                }
            }
            step = match std::future::poll_fn(|cx| self.poll_tls(cx)).await? {
                Some(step) => step,
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
    }

    /// Reads once and hands the bytes to TLS; `None` when the peer has closed.
    fn poll_tls(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Result<Progress, TlsError>>>> {
        let mut incoming = [0; READ_SIZE];
        let read = ready!(poll_socket(&mut self.socket, cx, &mut incoming))?;
        let (Some(tls), Some(incoming @ [_, ..])) = (&mut self.tls, incoming.get_mut(..read))
        else {
            return Poll::Ready(Ok(None));
        };
        let step = tls.decrypt(incoming, &mut self.received);
        tls.take_owed(&mut self.unsent);
        self.count()?;
        Poll::Ready(Ok(Some(step)))
    }

    /// Says goodbye (a `close_notify` under TLS) and closes the sending direction.
    pub async fn close(mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| Pin::new(&mut self).poll_shutdown(cx)).await
    }

    /// Sends the last words and closes, such that they arrive: the peer's bytes are read until it has closed
    /// too, or has sent more than anyone would who listens. A socket closed with bytes unread resets the
    /// connection, and the peer might never see what it was told.
    pub async fn farewell(&mut self, last_words: &[u8]) -> io::Result<()> {
        self.received = BytesMut::new();
        if !last_words.is_empty() {
            self.send(last_words).await?;
        }
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_shutdown(cx)).await?;
        let mut ignored = 0;
        while ignored < IGNORED_MAX {
            match self.fill().await? {
                0 => break,
                read => ignored += read,
            }
            self.received.clear();
        }
        Ok(())
    }

    /// Whether the peer has neither closed the connection nor sent anything that was not taken. Looks at the
    /// socket without waiting.
    pub fn is_quiet(&mut self) -> bool {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        self.received.is_empty() && !self.ended && self.poll_fill(&mut cx).is_pending()
    }

    /// Takes the connection off the runtime. Everything queued must have been flushed.
    pub fn into_parts(self) -> io::Result<ChannelParts> {
        debug_assert!(self.unsent.is_empty(), "a channel leaves the runtime with bytes unsent");
        Ok(ChannelParts {
            socket: self.socket.into_socket()?,
            tls: self.tls,
            received: self.received,
        })
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        let before = self.received.len();
        let mut room = [const { MaybeUninit::uninit() }; READ_SIZE];
        loop {
            let mut incoming = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut incoming))?;
            let incoming = incoming.filled_mut();
            match &mut self.tls {
                _ if incoming.is_empty() => self.ended = true,
                None => self.received.extend_from_slice(incoming),
                Some(tls) => {
                    let progress = tls.decrypt(incoming, &mut self.received).map_err(tls_failed);
                    tls.take_owed(&mut self.unsent);
                    self.ended = progress? == Progress::PeerClosed;
                }
            }
            self.count()?;
            let came = self.received.len() - before;
            if came > 0 || self.ended {
                return Poll::Ready(Ok(came));
            }
        }
    }

    /// Counts what has been read and not taken.
    fn count(&mut self) -> io::Result<()> {
        let Some(part) = &mut self.part else { return Ok(()) };
        let sealed = self.tls.as_ref().map_or(0, |tls| tls.held_len());
        part.set(self.received.len() + sealed)
    }

    /// Writes until at most `keep` bytes are left.
    fn poll_drain(&mut self, cx: &mut Context<'_>, keep: usize) -> Poll<io::Result<()>> {
        while self.unsent.len() > keep {
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.unsent))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

fn poll_socket(
    socket: &mut AsyncSocket,
    cx: &mut Context<'_>,
    into: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut into = ReadBuf::new(into);
    ready!(Pin::new(socket).poll_read(cx, &mut into))?;
    Poll::Ready(Ok(into.filled().len()))
}

fn tls_failed(error: TlsError) -> io::Error {
    invalid(error)
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl AsyncRead for Channel {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let channel = self.get_mut();
        if channel.received.is_empty() {
            ready!(channel.poll_fill(cx))?;
        }
        let taken = channel.received.len().min(buf.remaining());
        buf.put_slice(&channel.received.split_to(taken));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Channel {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let channel = self.get_mut();
        ready!(channel.poll_drain(cx, WRITE_LIMIT))?;
        let taken = buf.get(..buf.len().min(WRITE_LIMIT)).unwrap_or_default();
        channel.queue(taken).map_err(tls_failed)?;
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_drain(cx, 0)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let channel = self.get_mut();
        if let Some(tls) = channel.tls.as_mut().filter(|_| !channel.closing) {
            // A connection whose TLS has failed has said its alert already.
            tls.close_notify(&mut channel.unsent).ok();
        }
        channel.closing = true;
        ready!(channel.poll_drain(cx, 0))?;
        Pin::new(&mut channel.socket).poll_shutdown(cx)
    }
}
