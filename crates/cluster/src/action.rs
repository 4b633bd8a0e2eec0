//! What is to be done.

use crate::{NodeId, Readers, View};

/// Something for the shell to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Let everyone know: traffic goes by this view from now on. Comes only when something has changed.
    Publish(View),
    /// Let everyone know: these may be read from, and are so far behind. Comes when anything in it has changed, so with
    /// nearly every probe while there are writes.
    Readers(Readers),
    /// Let those know who wait for this node: its last probe had failed, and this one was answered.
    Recovered(NodeId),
}
