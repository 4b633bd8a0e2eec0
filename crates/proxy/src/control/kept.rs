//! A control connection that is kept for one question that is asked again and again.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use trunkline_wire::backend::tag;

use super::connection::{ControlConnection, Row};
use crate::backend::OpenTarget;
use crate::backoff::Backoff;

/// Shortest and longest pause before a connection is made again that could not be made, or was lost.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The connection, made when it is needed first.
pub(super) struct Kept {
    target: OpenTarget,
    /// What is said to the server when it is made; its answer.
    greeting: &'static str,
    /// How long an answer may take.
    limit: Duration,
    /// The least time between two questions.
    gap: Duration,
    open: Option<Open>,
    /// How many have been made.
    made: u64,
    /// No question before this.
    next: Instant,
    backoff: Backoff,
}

struct Open {
    connection: ControlConnection,
    greeted: Vec<Row>,
    since: Instant,
}

impl Kept {
    /// Not made yet.
    pub(super) fn new(
        target: OpenTarget,
        greeting: &'static str,
        (limit, gap): (Duration, Duration),
    ) -> Self {
        let backoff = Backoff::default();
        let next = Instant::now();
        Self { target, greeting, limit, gap, open: None, made: 0, next, backoff }
    }

    /// Waits until a question may be asked, and makes the connection if there is none. If it cannot be made, a pause
    /// follows; says whether it is there.
    pub(super) async fn is_ready(&mut self) -> bool {
        sleep_until(self.next).await;
        if self.open.is_some() {
            return true;
        }
        match self.connect().await {
            Ok(open) => {
                self.open = Some(open);
                self.made = self.made.wrapping_add(1);
            }
            Err(error) => {
                tracing::debug!(node = %self.target.address, %error, "cannot ask how far the log is");
                self.pause(Duration::ZERO).await;
            }
        }
        self.open.is_some()
    }

    async fn connect(&self) -> Result<Open, Box<dyn std::error::Error + Send + Sync>> {
        let mut connection = ControlConnection::connect(&self.target).await?;
        let greeted = connection.query(self.greeting, self.limit).await?;
        Ok(Open { connection, greeted, since: Instant::now() })
    }

    /// Asks; to be called when it [is ready](Self::is_ready). Behind a failure the connection is closed, and a pause
    /// follows.
    pub(super) async fn ask(&mut self, question: &str) -> Option<Vec<Row>> {
        self.next = Instant::now() + self.gap;
        // Whoever stops to wait for the answer leaves no connection behind that is in the middle of it.
        let mut open = self.open.take()?;
        match open.connection.query(question, self.limit).await {
            Ok(rows) => {
                self.open = Some(open);
                Some(rows)
            }
            Err(error) => {
                tracing::debug!(node = %self.target.address, %error, "not told how far the log is");
                self.pause(open.since.elapsed()).await;
                None
            }
        }
    }

    /// Whether there is a connection, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The number of the connection that was made last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.made
    }

    /// What the server said when the connection was made.
    pub(super) fn greeted(&self) -> &[Row] {
        self.open.as_ref().map_or(&[], |open| &open.greeted)
    }

    /// Waits until the connection is lost while nothing is asked; for ever if there is none. A call that is cancelled
    /// loses nothing.
    pub(super) async fn lost(&mut self) {
        let Some(open) = &mut self.open else { return std::future::pending().await };
        let why = loop {
            match open.connection.hear().await {
                // Settings that have changed, and notices.
                Ok(message) if message.tag != tag::ERROR_RESPONSE => {}
                Ok(_) => break "the server has ended it".to_owned(),
                Err(error) => break error.to_string(),
            }
        };
        tracing::debug!(node = %self.target.address, "not connected to ask how far the log is: {why}");
        self.open = None;
        self.next = Instant::now() + PAUSES.0;
    }

    /// A pause behind an answer that says nothing; the longer the more of these there are.
    pub(super) async fn hold_back(&mut self) {
        self.pause(Duration::ZERO).await;
    }

    async fn pause(&mut self, lasted: Duration) {
        sleep(self.backoff.next(PAUSES, lasted, rand::random())).await;
    }
}
