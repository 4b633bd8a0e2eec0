//! What is known of one node.

use crate::event::{Answer, Outcome};

/// Whether a node answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Health {
    /// Not asked yet.
    #[default]
    Unknown,
    /// Its last probe was answered.
    Up,
    /// So many probes in a row have failed, too few to call it down: its last answer still counts.
    Doubtful(u32),
    /// It is not counted on.
    Down,
}

/// What is known of one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) health: Health,
    /// The last answer; it counts while the node is up or doubtful.
    pub(crate) answer: Option<Answer>,
    /// Why the last probe failed; empty when it did not.
    pub(crate) failure: String,
}

impl Known {
    /// Takes a probe's outcome. `down_after` is the number of failures in a row that make a node down; at least 1.
    pub(crate) fn probed(&mut self, outcome: Outcome, down_after: u32) {
        match outcome {
            Outcome::Answered(answer) => {
                self.health = Health::Up;
                self.answer = Some(answer);
                self.failure.clear();
            }
            Outcome::Failed(reason) => {
                self.failure = reason;
                let failures = match self.health {
                    Health::Up => 1,
                    Health::Doubtful(failures) => failures.saturating_add(1),
                    // Never heard of, or given up: one more failure changes nothing.
                    Health::Unknown | Health::Down => down_after,
                };
                self.health =
                    if failures >= down_after { Health::Down } else { Health::Doubtful(failures) };
            }
        }
    }

    /// The answer that counts now.
    pub(crate) fn current(&self) -> Option<Answer> {
        match self.health {
            Health::Up | Health::Doubtful(_) => self.answer,
            Health::Unknown | Health::Down => None,
        }
    }
}
