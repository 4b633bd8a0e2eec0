//! Carries bytes both ways, as they are.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    frames::Frames,
    office::Office,
    seat::{Seat, Stage},
};
use crate::net::Channel;

/// Bytes that each direction carries at a time; beside them a [`Channel`] holds what its socket does not take, which is
/// bounded too.
const BUFFER: usize = 16 * 1024;

/// Reads in a row before others get their turn: both directions, and whoever wants to close the connection.
const READS_MAX: usize = 16;

/// Who has said all that it will say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// Both directions of one connection.
#[derive(Debug)]
pub(super) struct Pump<'a> {
    office: &'a Office,
    seat: &'a Seat,
    up: Way,
    down: Way,
    /// What the server says.
    frames: Frames,
}

/// One direction.
#[derive(Debug)]
struct Way {
    buffer: Box<[u8]>,
    /// The part of the buffer that has been read and not written.
    start: usize,
    end: usize,
    /// There is nothing more to read.
    ended: bool,
}

impl<'a> Pump<'a> {
    /// Nothing has been carried yet.
    pub(super) fn new(office: &'a Office, seat: &'a Seat) -> Self {
        Self { office, seat, up: Way::new(), down: Way::new(), frames: Frames::default() }
    }

    /// Carries until one side has said all that it will say, and the other has been told; or until a connection breaks.
    pub(super) async fn carry(&mut self, client: &mut Channel, server: &mut Channel) -> Side {
        std::future::poll_fn(|cx| {
            // The server's last words are worth more than what it will not read.
            let down = self.poll_down(cx, client, server);
            if let Poll::Ready(side) = down {
                return Poll::Ready(side);
            }
            let heard = |bytes: &[u8]| self.office.hear(self.seat, bytes.len());
            self.up.poll(cx, client, server, heard).map(|_| Side::Client)
        })
        .await
    }

    /// Carries what the server still says to a client that says nothing more.
    pub(super) async fn carry_rest(&mut self, client: &mut Channel, server: &mut Channel) {
        std::future::poll_fn(|cx| self.poll_down(cx, client, server)).await;
    }

    /// Writes what has been read of the server. Says whether the client has whole messages then.
    pub(super) async fn settle(&mut self, client: &mut Channel) -> io::Result<bool> {
        std::future::poll_fn(|cx| self.down.poll_write_out(cx, client)).await?;
        Ok(self.frames.is_whole())
    }

    /// Who has ended when this is ready: whoever does not read his words cannot hear any.
    fn poll_down(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Channel,
        server: &mut Channel,
    ) -> Poll<Side> {
        let told = |bytes: &[u8]| {
            self.office.tell(self.seat, bytes.len());
            self.frames.see(bytes, |tag| {
                if let Some(stage) = stage_of(tag) {
                    self.seat.enter(stage);
                }
            });
        };
        self.down.poll(cx, server, client, told).map(|_| Side::Server)
    }
}

/// What the connection does once the server has begun such a message: `CopyBothResponse`, `CopyDone`, `ReadyForQuery`.
fn stage_of(tag: u8) -> Option<Stage> {
    match tag {
        b'W' => Some(Stage::Streaming),
        b'c' => Some(Stage::Busy),
        b'Z' => Some(Stage::Idle),
        _ => None,
    }
}

impl Way {
    fn new() -> Self {
        Self { buffer: vec![0; BUFFER].into(), start: 0, end: 0, ended: false }
    }

    /// Ready when all has been read and written.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Channel,
        to: &mut Channel,
        mut seen: impl FnMut(&[u8]),
    ) -> Poll<io::Result<()>> {
        for _ in 0..READS_MAX {
            ready!(self.poll_write_some(cx, to))?;
            if self.ended {
                return Pin::new(to).poll_flush(cx);
            }
            let mut into = ReadBuf::new(&mut self.buffer);
            match Pin::new(&mut *from).poll_read(cx, &mut into) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    // Nobody waits for more before he has what is there.
                    ready!(Pin::new(to).poll_flush(cx))?;
                    return Poll::Pending;
                }
            }
            seen(into.filled());
            (self.start, self.end) = (0, into.filled().len());
            self.ended = self.end == 0;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what is in the buffer.
    fn poll_write_some(&mut self, cx: &mut Context<'_>, to: &mut Channel) -> Poll<io::Result<()>> {
        while let Some(part @ [_, ..]) = self.buffer.get(self.start..self.end) {
            let written = ready!(Pin::new(&mut *to).poll_write(cx, part))?;
            self.start = self.start.saturating_add(written);
        }
        Poll::Ready(Ok(()))
    }

    /// The same, down to the socket.
    fn poll_write_out(&mut self, cx: &mut Context<'_>, to: &mut Channel) -> Poll<io::Result<()>> {
        ready!(self.poll_write_some(cx, to))?;
        Pin::new(to).poll_flush(cx)
    }
}
