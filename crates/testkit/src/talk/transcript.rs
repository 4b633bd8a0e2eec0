//! What was heard in a conversation.

use std::fmt;

use bytes::Bytes;

use super::decode;
use crate::peer::Frame;

/// One thing that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The line of the step that heard it.
    pub line: usize,
    /// The connection.
    pub who: char,
    /// What it is.
    pub what: What,
}

/// What can be heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A message.
    Frame(Frame),
    /// Bytes outside of messages.
    Bytes(Bytes),
    /// The server closed.
    Closed,
}

/// All that was heard, and why it ended if it ended early.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transcript {
    /// What was heard, in order.
    pub events: Vec<Event>,
    /// A step that could not be done: nothing came before the deadline, or the server closed where
    /// the conversation goes on. Always a failure, whatever the other transcript says.
    pub failure: Option<String>,
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for event in &self.events {
            writeln!(f, "    {event}")?;
        }
        match &self.failure {
            Some(failure) => writeln!(f, "    FAILURE {failure}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>3} {} {}", self.line, self.who, self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(frame) => f.write_str(&decode::text(frame)),
            Self::Bytes(bytes) => write!(f, "bytes \"{}\"", bytes.escape_ascii()),
            Self::Closed => f.write_str("closed"),
        }
    }
}
