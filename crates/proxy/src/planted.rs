//! The bug that a test has planted. Only with the feature `planted`, which nothing that is released has.

use trunkline_session::Bug;

/// Names the bug in the environment of the program.
const VARIABLE: &str = "TRUNKLINE_PLANTED";

/// The bug, if there is one.
pub(crate) fn bug() -> Option<Bug> {
    let name = std::env::var(VARIABLE).ok()?;
    Bug::ALL.into_iter().find(|bug| bug.name() == name)
}
