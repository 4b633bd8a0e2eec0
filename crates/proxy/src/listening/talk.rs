//! The conversation of a listener with its server.

use std::time::Duration;

use tokio::time::Instant;

use super::board::Batch;
use crate::control::{ControlConnection, ControlError};

/// How long the server may take to answer; then the connection counts as lost.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A server that has said nothing for so long is asked whether it is there.
const PULSE: Duration = Duration::from_secs(10);

/// Where the conversation with the server stands.
#[derive(Debug)]
pub(super) struct Talk {
    /// So many clients ask one by one, since what several wanted together was refused.
    pub(super) singly: usize,
    /// What it is at was refused.
    pub(super) refused: bool,
    /// Since when nobody has said anything.
    pub(super) silent_since: Instant,
}

impl Default for Talk {
    fn default() -> Self {
        Self { singly: 0, refused: false, silent_since: Instant::now() }
    }
}

impl Talk {
    /// Tells the server what it is to do.
    pub(super) async fn begin(
        &mut self,
        ear: &mut ControlConnection,
        batch: &Batch,
    ) -> Result<(), ControlError> {
        self.singly = self.singly.saturating_sub(batch.ask_count());
        self.silent_since = Instant::now();
        ear.say(&batch.text).await
    }

    /// When the server must have answered, or is asked for a sign of life.
    pub(super) fn due(&self, asked: bool) -> Instant {
        let patience = if asked { ANSWER_MAX } else { PULSE };
        self.silent_since.checked_add(patience).unwrap_or(self.silent_since)
    }
}
