//! Which databases are paused.

use std::collections::BTreeSet;

/// What is paused, so that families made during a pause are paused as well.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    /// Whether databases without an entry below are paused.
    all: bool,
    /// Databases for which the opposite holds; only operators add to it.
    except: BTreeSet<Box<str>>,
}

impl Pauses {
    /// Pauses a database (all if none), or ends that.
    pub(super) fn set(&mut self, database: Option<&str>, paused: bool) {
        match database {
            None => *self = Self { all: paused, except: BTreeSet::new() },
            Some(name) if paused == self.all => {
                self.except.remove(name);
            }
            Some(name) => {
                self.except.insert(name.into());
            }
        }
    }

    /// Whether a database is paused.
    pub(super) fn holds(&self, database: &str) -> bool {
        self.all != self.except.contains(database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_holds_for_databases_that_come_later_until_it_is_ended() {
        let mut pauses = Pauses::default();
        pauses.set(Some("shop"), true);
        assert_eq!((pauses.holds("shop"), pauses.holds("wiki")), (true, false));
        pauses.set(None, true);
        assert!(pauses.holds("shop") && pauses.holds("wiki"));
        pauses.set(Some("shop"), false);
        assert_eq!((pauses.holds("shop"), pauses.holds("wiki")), (false, true));
        pauses.set(Some("shop"), true);
        assert!(pauses.holds("shop"));
        pauses.set(None, false);
        assert!(!pauses.holds("shop") && !pauses.holds("wiki"));
        assert!(pauses.except.is_empty());
    }
}
