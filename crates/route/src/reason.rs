//! Why a statement must run on the primary.

use std::fmt;

/// What is the matter with what a statement calls or names. The words are those of `EXPLAIN ROUTE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It counts a sequence, or tells what one is at.
    SequenceFunction,
    /// A lock that only sessions of the same server meet.
    AdvisoryLock,
    /// A built-in function that writes, takes a transaction number, or runs what a text says.
    WritingFunction,
    /// It answers about the server that it runs on.
    NodeLocalFunction,
    /// It tells the server to do something.
    ControlFunction,
    /// It changes, or shows, the session with that server.
    SessionFunction,
    /// It reads or writes files of the machine.
    FileFunction,
    /// It asks another server.
    Dblink,
    /// A user's function that is volatile, or names what is not harmless.
    UnprovenFunction,
    /// No function of this name takes so many arguments.
    UnknownFunction,
    /// Only its session's server has it.
    TemporaryTable,
    /// A standby has its name without its rows.
    UnloggedTable,
    /// A standby's copy of a sequence runs ahead.
    Sequence,
    /// Its rows are elsewhere.
    ForeignTable,
    /// It shows what the server does that answers.
    NodeLocalView,
    /// A view, or the row security of a table, calls or names what is not harmless.
    View,
    /// There is no such relation.
    UnknownRelation,
}

impl Reason {
    /// The words for it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::SequenceFunction => "sequence function",
            Self::AdvisoryLock => "advisory lock",
            Self::WritingFunction => "writing function",
            Self::NodeLocalFunction => "node-local function",
            Self::ControlFunction => "control function",
            Self::SessionFunction => "session function",
            Self::FileFunction => "file function",
            Self::Dblink => "dblink",
            Self::UnprovenFunction => "unproven function",
            Self::UnknownFunction => "unknown function",
            Self::TemporaryTable => "temporary table",
            Self::UnloggedTable => "unlogged table",
            Self::Sequence => "sequence",
            Self::ForeignTable => "foreign table",
            Self::NodeLocalView => "node-local view",
            Self::View => "view",
            Self::UnknownRelation => "unknown relation",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.words())
    }
}
