//! One session as the scripted server has it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::frame::{Frame, take_text};
use super::socket::Socket;
use super::{Startup, answer};

/// What a server tells of itself after a login.
const WELCOME: [(&str, &str); 9] = [
    ("server_version", "15.0 (testkit)"),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("integer_datetimes", "on"),
    ("standard_conforming_strings", "on"),
    ("in_hot_standby", "off"),
];

/// A client's session with the scripted server.
#[derive(Debug)]
pub struct Talk {
    startup: Startup,
    pid: u32,
    socket: Socket,
}

impl Talk {
    pub(super) fn new(startup: Startup, pid: u32, socket: Socket) -> Self {
        Self { startup, pid, socket }
    }

    /// How the client introduced itself.
    pub fn startup(&self) -> &Startup {
        &self.startup
    }

    /// The process number that [`Self::welcome`] gives the session; no other session of the same
    /// peer has it. The key is [`Self::key`].
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The key that a cancel of this session must show.
    pub fn key(&self) -> [u8; 4] {
        (!self.pid).to_be_bytes()
    }

    /// Changes how long the next reads and writes may wait; [`crate::wait::PATIENCE`] at first.
    pub fn set_patience(&mut self, patience: Duration) {
        self.socket.patience = patience;
    }

    /// Lets the client in without a password: `AuthenticationOk` to `ReadyForQuery`.
    pub async fn welcome(&mut self) -> Result<()> {
        let mut parts = vec![answer::authentication_ok()];
        parts.extend(WELCOME.iter().map(|(name, value)| answer::parameter_status(name, value)));
        parts.push(answer::backend_key(self.pid, &self.key()));
        parts.push(answer::ready(b'I'));
        self.send(&parts.concat()).await
    }

    /// The next message of the client.
    pub async fn read(&mut self) -> Result<Frame> {
        self.socket.frame().await
    }

    /// The next message, which must have this tag.
    pub async fn expect(&mut self, tag: u8) -> Result<Frame> {
        let wanted = char::from(tag);
        let frame =
            self.read().await.with_context(|| format!("the client should send {wanted:?}"))?;
        ensure!(frame.tag == tag, "the client should send {wanted:?}, but sends {frame:?}");
        Ok(frame)
    }

    /// The next messages, which must have these tags in this order: `b"PBDES"`.
    pub async fn expect_all(&mut self, tags: &[u8]) -> Result<Vec<Frame>> {
        let mut frames = Vec::new();
        for &tag in tags {
            frames.push(self.expect(tag).await?);
        }
        Ok(frames)
    }

    /// The next message, which must be a `Query` with this text.
    pub async fn expect_query(&mut self, sql: &str) -> Result<()> {
        let mut frame = self.expect(b'Q').await?;
        let said = take_text(&mut frame.body)?;
        ensure!(said == sql, "the client should ask {sql:?}, but asks {said:?}");
        Ok(())
    }

    /// Waits until the client has closed; anything else it says but `Terminate` is an error.
    pub async fn expect_closed(&mut self) -> Result<()> {
        loop {
            match self.socket.frame_or_end().await.context("the client should close")? {
                None => return Ok(()),
                Some(frame) => ensure!(frame.tag == b'X', "the client says {frame:?} at the end"),
            }
        }
    }

    /// The next message, or `None` if the client has closed.
    pub async fn read_or_end(&mut self) -> Result<Option<Frame>> {
        self.socket.frame_or_end().await
    }

    /// Sends bytes as they are: messages of [`answer`], parts of them, or junk.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.socket.write(bytes).await
    }

    /// Sends bytes in pieces of so many, with a pause between two.
    pub async fn trickle(&mut self, bytes: &[u8], piece: usize, pause: Duration) -> Result<()> {
        for piece in bytes.chunks(piece.max(1)) {
            self.send(piece).await?;
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Expects `sql` and answers with a table.
    pub async fn answer_query(
        &mut self,
        sql: &str,
        columns: &[&str],
        rows: &[&[Option<&str>]],
    ) -> Result<()> {
        self.expect_query(sql).await?;
        self.send(&answer::table(columns, rows)).await
    }

    /// Says that nothing more will come (FIN), but goes on reading.
    pub async fn finish(&mut self) -> Result<()> {
        self.socket.finish().await
    }

    /// Closes with RST. Dropping the talk closes with FIN.
    pub fn reset(self) -> Result<()> {
        self.socket.reset()
    }
}
