//! How far a node is in the write-ahead log.

use crate::Lsn;

/// What a probe has seen of a node's write-ahead log. It changes with every probe, so it is no part of what is
/// published of the node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// Of a primary, up to where its log is on disk: what a standby can have received. Of a standby, up to where it has
    /// replayed: what its readers see. None if the node does not say.
    pub reached: Option<Lsn>,
    /// Of a primary, up to where it has written records, on disk or not. Of a standby, up to where it has received by
    /// streaming since it was started; behind a start that may be less than it has replayed.
    pub ahead: Option<Lsn>,
}
