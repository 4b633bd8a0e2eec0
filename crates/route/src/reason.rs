//! Why a statement must run on the primary.

use std::fmt;

use crate::worded::worded;

worded! {
    /// What is the matter with what a statement calls or names. The words are those of `EXPLAIN ROUTE`.
    Reason:
    /// It counts a sequence, or tells what one is at.
    SequenceFunction "sequence function",
    /// A lock that only sessions of the same server meet.
    AdvisoryLock "advisory lock",
    /// A built-in function that writes, takes a transaction number, or runs what a text says.
    WritingFunction "writing function",
    /// It answers about the server that it runs on.
    NodeLocalFunction "node-local function",
    /// It tells the server to do something.
    ControlFunction "control function",
    /// It changes, or shows, the session with that server.
    SessionFunction "session function",
    /// It reads or writes files of the machine.
    FileFunction "file function",
    /// It asks another server.
    Dblink "dblink",
    /// A user's function that is volatile, or names what is not harmless.
    UnprovenFunction "unproven function",
    /// No function of this name takes so many arguments.
    UnknownFunction "unknown function",
    /// Only its session's server has it.
    TemporaryTable "temporary table",
    /// A standby has its name without its rows.
    UnloggedTable "unlogged table",
    /// A standby's copy of a sequence runs ahead.
    Sequence "sequence",
    /// Its rows are elsewhere.
    ForeignTable "foreign table",
    /// It shows what the server does that answers.
    NodeLocalView "node-local view",
    /// A view, or the row security of a table, calls or names what is not harmless.
    View "view",
    /// There is no such relation.
    UnknownRelation "unknown relation",
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.words())
    }
}
