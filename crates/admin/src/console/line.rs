//! The stream of one session: whole messages in, buffered bytes out, each with its limits.

use std::{io, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use trunkline_proxy::handover::ConsoleStream;
use trunkline_wire::{
    SqlState,
    frame::{self, HEADER},
    frontend::{self, tag},
};

use super::refusal::Refusal;
use crate::serve::{Ends, stopped};

/// Longest message an operator may send. Commands are short; this leaves room for a comment.
pub(super) const MAX_MESSAGE: usize = 64 << 10;

/// An answer is sent in pieces of about this size, so that a table of many clients is not held twice.
const FLUSH_AT: usize = 64 << 10;

/// How long a client may take to read a piece of an answer; then the session ends.
pub(super) const WRITE_DEADLINE: Duration = Duration::from_secs(60);

/// How long a client may take to read the last words of a session.
const FAREWELL_DEADLINE: Duration = Duration::from_secs(2);

/// Why a session ends.
#[derive(Debug)]
pub(super) enum End {
    /// The client has left or is not reachable any more.
    Gone,
    /// The program stops.
    Stopped,
    /// The client cannot be understood any more.
    Fatal(Refusal),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// The stream with what has been read and what is to be written.
#[derive(Debug)]
pub(super) struct Line {
    stream: Box<dyn ConsoleStream>,
    /// Read and not yet looked at; at most one message of the greatest length, and what was read with it.
    input: BytesMut,
    /// To be written.
    pub(super) out: BytesMut,
    ends: Ends,
}

impl Line {
    pub(super) fn new(stream: Box<dyn ConsoleStream>, ends: Ends) -> Self {
        Self { stream, input: BytesMut::new(), out: BytesMut::new(), ends }
    }

    /// The next message; what was answered so far is sent before waiting for it.
    pub(super) async fn next_message(&mut self) -> Result<(u8, Bytes), End> {
        loop {
            if let Some(message) = self.buffered_message()? {
                self.flush_if_large().await?;
                return Ok(message);
            }
            self.flush().await?;
            tokio::select! {
                read = self.stream.read_buf(&mut self.input) => if read? == 0 {
                    return Err(End::Gone);
                },
                () = stopped(&mut self.ends.closing) => return Err(End::Stopped),
                () = stopped(&mut self.ends.stop) => return Err(End::Stopped),
            }
        }
    }

    /// Takes a whole message from what has been read; refuses one that need not be read to its end.
    fn buffered_message(&mut self) -> Result<Option<(u8, Bytes)>, End> {
        let header = match frame::peek(&self.input) {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(None),
            Err(error) => {
                return Err(End::Fatal(Refusal::new(error.sqlstate(), error.to_string())));
            }
        };
        if !frontend::is_known(header.tag) || header.tag == tag::PASSWORD {
            let message = format!("invalid frontend message type {}", header.tag);
            return Err(End::Fatal(Refusal::protocol(message)));
        }
        if header.len > MAX_MESSAGE {
            let message = format!("a message to the console has at most {MAX_MESSAGE} bytes");
            return Err(End::Fatal(Refusal::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)));
        }
        if self.input.len() < header.len {
            return Ok(None);
        }
        let mut message = self.input.split_to(header.len).freeze();
        message.advance(HEADER);
        Ok(Some((header.tag, message)))
    }

    /// Reads ahead until the client has gone or the program stops.
    pub(super) async fn watch(&mut self) -> End {
        loop {
            let full = self.input.len() >= MAX_MESSAGE;
            tokio::select! {
                read = self.stream.read_buf(&mut self.input), if !full => match read {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return End::Gone,
                },
                () = stopped(&mut self.ends.stop) => return End::Stopped,
            }
        }
    }

    /// Sends what is to be written if it is a piece of some size.
    pub(super) async fn flush_if_large(&mut self) -> Result<(), End> {
        if self.out.len() >= FLUSH_AT { self.flush().await } else { Ok(()) }
    }

    /// Sends what is to be written.
    pub(super) async fn flush(&mut self) -> Result<(), End> {
        if self.out.is_empty() {
            return Ok(());
        }
        let written = async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await
        };
        timeout(WRITE_DEADLINE, written).await.map_err(|_| End::Gone)??;
        self.out.clear();
        Ok(())
    }

    /// Last words, where there is somebody to hear them.
    pub(super) async fn part(&mut self, end: End) {
        let refusal = match end {
            End::Gone => return,
            End::Stopped => Refusal::new(
                SqlState::ADMIN_SHUTDOWN,
                "terminating connection due to administrator command",
            ),
            End::Fatal(refusal) => refusal,
        };
        refusal.fatal().write(&mut self.out);
        let words = async {
            self.stream.write_all(&self.out).await?;
            self.stream.shutdown().await
        };
        // Somebody who does not listen hears nothing.
        drop(timeout(FAREWELL_DEADLINE, words).await);
    }
}
