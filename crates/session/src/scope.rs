//! What the clients of one pool have in common.

use crate::{
    facts::{NameSet, SharedFacts},
    meaning::Meanings,
    path::Beginnings,
};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// At most so many placeholders that clients of a pool have set are remembered for all of them.
const PLACEHOLDERS_MAX: usize = 256;

/// What the clients of one pool have in common.
#[derive(Debug, Default)]
pub struct Scope {
    /// The number of the pool: statements are shared within it only, because a name means another table elsewhere.
    pub(crate) number: u32,
    /// A client of it has called `currval` or `lastval`, or is about to.
    reads_sequences: AtomicBool,
    /// There is one at least.
    has_placeholders: AtomicBool,
    /// Placeholders that clients of it have set. Replaced as a whole; read seldom.
    placeholders: Mutex<Arc<NameSet>>,
    /// Of its database.
    facts: Arc<SharedFacts>,
    /// Its servers were opened with parameters that clients have asked for.
    is_variant: bool,
    /// How sessions begin on its servers.
    beginnings: Beginnings,
    /// For audits.
    meanings: Meanings,
}

impl Scope {
    /// The pool with this number, which no other one has, on a database of which this is known.
    pub fn new(number: u32, facts: Arc<SharedFacts>) -> Self {
        Self { number, facts, ..Self::default() }
    }

    /// What is known of the functions of its database.
    #[inline]
    pub(crate) fn facts(&self) -> &SharedFacts {
        &self.facts
    }

    /// Whether servers have not been able to tell of the functions of the database when they were new; after a statement
    /// that calls one they are asked all the same.
    pub fn survey_is_hopeless(&self) -> bool {
        self.facts.is_given_up()
    }

    /// Whether a client of it has called `currval` or `lastval`, or is about to.
    #[inline]
    pub(crate) fn reads_sequences(&self) -> bool {
        self.reads_sequences.load(Ordering::Relaxed)
    }

    pub(crate) fn note_sequence_read(&self) {
        // Mostly it is known already; a store would take the line from the other loops.
        if !self.reads_sequences() {
            self.reads_sequences.store(true, Ordering::Relaxed);
        }
    }

    /// The same of servers that were opened with parameters that clients have asked for: placeholders among these are there
    /// from the beginning.
    #[must_use]
    pub fn of_variant(self, is_variant: bool) -> Self {
        Self { is_variant, ..self }
    }

    pub(crate) fn is_variant(&self) -> bool {
        self.is_variant
    }

    /// How sessions begin on its servers.
    pub(crate) fn beginnings(&self) -> &Beginnings {
        &self.beginnings
    }

    /// Another number as soon as sessions begin otherwise on its servers; see [`ClientSession::schemas`].
    ///
    /// [`ClientSession::schemas`]: crate::ClientSession::schemas
    #[inline]
    pub fn beginnings_changed(&self) -> u32 {
        self.beginnings.changes()
    }

    /// What its servers have made of the values of settings.
    pub(crate) fn meanings(&self) -> &Meanings {
        &self.meanings
    }

    /// The placeholders that clients of it have set, up to a limit.
    pub(crate) fn placeholders(&self) -> Arc<NameSet> {
        Arc::clone(&self.placeholders.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a server of it may have a placeholder.
    #[inline]
    pub fn has_placeholders(&self) -> bool {
        self.has_placeholders.load(Ordering::Relaxed)
    }

    /// A client has set a placeholder that it had not set before, or a server has told of one.
    #[cold]
    pub(crate) fn note_placeholder(&self, name: &[u8]) {
        self.has_placeholders.store(true, Ordering::Relaxed);
        let mut known = self.placeholders.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < PLACEHOLDERS_MAX && !known.contains(name) {
            Arc::make_mut(&mut known).insert(name.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_known_once_and_not_without_limit() {
        let scope = Scope::default();
        assert!(!scope.has_placeholders());
        for number in 0..2 * PLACEHOLDERS_MAX {
            scope.note_placeholder(format!("app.n{number}").as_bytes());
            scope.note_placeholder(b"app.n0");
        }
        assert!(scope.has_placeholders());
        assert_eq!(scope.placeholders().len(), PLACEHOLDERS_MAX);
    }
}
