//! A connection that is read while it is written, so that neither side can block the other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use bytes::{Buf, Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::peer::Frame;

/// How long any read or write may take. It only decides how late a failure is told.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// Bytes asked for in one read.
const READ_BYTES: usize = 64 * 1024;

/// One connection of a conversation.
#[derive(Debug)]
pub(super) struct Line {
    stream: TcpStream,
    unread: BytesMut,
    /// How many messages of each tag have come.
    pub(super) arrived: BTreeMap<u8, usize>,
    /// Process number and key of `BackendKeyData`, for a cancel.
    pub(super) key: Option<Bytes>,
}

impl Line {
    pub(super) async fn connect(address: SocketAddr) -> Result<Self> {
        let connecting = timeout(DEADLINE, TcpStream::connect(address)).await;
        let stream = connecting.with_context(|| format!("{address} does not answer"))?;
        let stream = stream.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, unread: BytesMut::new(), arrived: BTreeMap::new(), key: None })
    }

    /// Sends all of `bytes`. What comes meanwhile is kept. That the other side has closed is no
    /// error: the next read tells what it said before.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let Self { stream, unread, .. } = self;
        let (mut reader, mut writer) = stream.split();
        let sending = async {
            let mut writing = pin!(writer.write_all(bytes));
            let mut open = true;
            loop {
                unread.reserve(READ_BYTES);
                tokio::select! {
                    outcome = &mut writing => return outcome,
                    read = reader.read_buf(unread), if open => {
                        open = read.is_ok_and(|count| count > 0);
                    }
                }
            }
        };
        match timeout(DEADLINE, sending).await {
            Err(_) => Err(anyhow!("nothing can be written for {DEADLINE:?}")),
            Ok(Err(error)) if is_closed(&error) => Ok(()),
            Ok(outcome) => Ok(outcome?),
        }
    }

    /// The next message, or `None` if the other side has closed between two messages.
    pub(super) async fn frame(&mut self) -> Result<Option<Frame>> {
        loop {
            if let Some(frame) = take(&mut self.unread)? {
                *self.arrived.entry(frame.tag).or_default() += 1;
                if frame.tag == b'K' {
                    self.key = Some(frame.body.clone());
                }
                return Ok(Some(frame));
            }
            if self.fill().await? == 0 {
                let rest = &self.unread;
                ensure!(rest.is_empty(), "closed inside a message: {}", rest.escape_ascii());
                return Ok(None);
            }
        }
    }

    /// Exactly so many bytes.
    pub(super) async fn bytes(&mut self, count: usize) -> Result<Bytes> {
        while self.unread.len() < count {
            ensure!(self.fill().await? > 0, "closed after {} bytes", self.unread.len());
        }
        Ok(self.unread.split_to(count).freeze())
    }

    /// All bytes until the other side closes.
    pub(super) async fn rest(&mut self) -> Result<Bytes> {
        while self.fill().await? > 0 {
            ensure!(self.unread.len() <= MESSAGE_BYTES_MAX, "the other side talks on and on");
        }
        Ok(self.unread.split().freeze())
    }

    /// Says that nothing more will be sent.
    pub(super) async fn finish(&mut self) -> Result<()> {
        Ok(self.stream.shutdown().await?)
    }

    /// Hangs up with RST.
    pub(super) fn reset(self) -> Result<()> {
        Ok(SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?)
    }

    /// Reads what has come; 0 bytes once the other side has closed or reset.
    async fn fill(&mut self) -> Result<usize> {
        self.unread.reserve(READ_BYTES);
        match timeout(DEADLINE, self.stream.read_buf(&mut self.unread)).await {
            Err(_) => {
                let rest = self.unread.escape_ascii();
                Err(anyhow!("nothing came for {DEADLINE:?} after \"{rest}\""))
            }
            Ok(Err(error)) if is_closed(&error) => Ok(0),
            Ok(outcome) => Ok(outcome?),
        }
    }
}

/// Whether an error only says that the other side has gone.
fn is_closed(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected)
}

/// The largest message that a test may be sent; more is taken for a broken length.
const MESSAGE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Takes one message from the front of `unread`, if a whole one is there.
fn take(unread: &mut BytesMut) -> Result<Option<Frame>> {
    let Some((&tag, mut rest)) = unread.split_first() else { return Ok(None) };
    let Ok(length) = rest.try_get_u32() else { return Ok(None) };
    let body = usize::try_from(length)?.checked_sub(4);
    let body = body.filter(|&body| body <= MESSAGE_BYTES_MAX);
    let body = body.with_context(|| format!("{length} is not the length of a message"))?;
    if rest.len() < body {
        return Ok(None);
    }
    unread.advance(5);
    Ok(Some(Frame { tag, body: unread.split_to(body).freeze() }))
}
