//! A server's side of a conversation, written down before it takes place.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;

use super::Talk;

/// What the scripted server does, step by step, after it has let a client in.
///
/// ```
/// use std::time::Duration;
/// use trunkline_testkit::peer::{Script, answer};
///
/// let script = Script::new()
///     .expect(b'Q')
///     .send(answer::row_description(&["a"]))
///     .trickle(answer::data_row(&[Some("1")]), 1, Duration::from_millis(1))
///     .reset();
/// ```
#[derive(Debug, Clone, Default)]
pub struct Script {
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    Expect(u8),
    ExpectQuery(String),
    ExpectClosed,
    Send(Bytes),
    Trickle { bytes: Bytes, piece: usize, pause: Duration },
    Delay(Duration),
    Finish,
    Reset,
}

impl Script {
    /// A script without a step: the server closes at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for a message with this tag.
    #[must_use]
    pub fn expect(self, tag: u8) -> Self {
        self.step(Step::Expect(tag))
    }

    /// Waits for a `Query` with this text.
    #[must_use]
    pub fn expect_query(self, sql: &str) -> Self {
        self.step(Step::ExpectQuery(sql.to_owned()))
    }

    /// Waits until the client has closed.
    #[must_use]
    pub fn expect_closed(self) -> Self {
        self.step(Step::ExpectClosed)
    }

    /// Sends bytes: messages of [`super::answer`], or junk.
    #[must_use]
    pub fn send(self, bytes: impl Into<Bytes>) -> Self {
        self.step(Step::Send(bytes.into()))
    }

    /// Sends only the first `count` bytes of a message.
    #[must_use]
    pub fn send_part(self, message: &Bytes, count: usize) -> Self {
        self.send(message.slice(..count.min(message.len())))
    }

    /// Sends bytes in pieces of so many, with a pause between two.
    #[must_use]
    pub fn trickle(self, bytes: impl Into<Bytes>, piece: usize, pause: Duration) -> Self {
        self.step(Step::Trickle { bytes: bytes.into(), piece, pause })
    }

    /// Does nothing for a while.
    #[must_use]
    pub fn delay(self, time: Duration) -> Self {
        self.step(Step::Delay(time))
    }

    /// Says that nothing more will come (FIN), but goes on reading.
    #[must_use]
    pub fn finish(self) -> Self {
        self.step(Step::Finish)
    }

    /// Closes with RST; steps after it are not played. Without this step the end of the script
    /// closes with FIN.
    #[must_use]
    pub fn reset(self) -> Self {
        self.step(Step::Reset)
    }

    /// Plays the script with a client that has been let in.
    pub async fn play(&self, mut talk: Talk) -> Result<()> {
        for (number, step) in self.steps.iter().enumerate() {
            let done = match step {
                Step::Expect(tag) => talk.expect(*tag).await.map(drop),
                Step::ExpectQuery(sql) => talk.expect_query(sql).await,
                Step::ExpectClosed => talk.expect_closed().await,
                Step::Send(bytes) => talk.send(bytes).await,
                Step::Trickle { bytes, piece, pause } => talk.trickle(bytes, *piece, *pause).await,
                Step::Delay(time) => {
                    tokio::time::sleep(*time).await;
                    Ok(())
                }
                Step::Finish => talk.finish().await,
                Step::Reset => return talk.reset(),
            };
            done.with_context(|| format!("step {number}, {step:?}"))?;
        }
        Ok(())
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}
