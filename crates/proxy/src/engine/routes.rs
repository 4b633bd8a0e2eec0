//! How often what clients sent went where, and why.

use trunkline_route::Because;

/// Counts of decisions by their reasons.
#[derive(Debug, Clone)]
pub(crate) struct Routes([u64; Because::COUNT]);

impl Default for Routes {
    fn default() -> Self {
        Self([0; Because::COUNT])
    }
}

impl Routes {
    /// Counts a decision.
    pub(super) fn count(&mut self, because: Because) {
        if let Some(count) = self.0.get_mut(because.index()) {
            *count = count.wrapping_add(1);
        }
    }
}
