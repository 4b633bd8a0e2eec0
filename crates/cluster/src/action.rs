//! What is to be done.

use crate::View;

/// Something for the shell to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Let everyone know: traffic goes by this view from now on. Comes only when something has changed.
    Publish(View),
}
