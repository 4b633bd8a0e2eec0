//! What is known of the functions of a database: which may leave something behind in the session.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use trunkline_sql::Keyword;

use crate::catalog::Catalog;

/// Names, in lower case where SQL takes them so.
pub(crate) type NameSet = BTreeSet<Box<[u8]>>;

/// What a server has told of the functions of its database.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Another one as soon as a function or a trigger is another one; empty if nothing is known.
    pub(crate) mark: Box<[u8]>,
    /// Functions that may leave something behind, or call one that may.
    pub(crate) makers: NameSet,
    /// Those among them of whose leavings a server cannot tell.
    pub(crate) keepers: NameSet,
    /// Those among these whose leavings `DISCARD ALL` does not take away.
    pub(crate) stayers: NameSet,
    /// Functions that call `currval` or `lastval`, or call one that does.
    pub(crate) readers: NameSet,
    /// Placeholders that functions name.
    pub(crate) names: NameSet,
    /// Triggers call such functions.
    pub(crate) in_triggers: bool,
    /// Views, rules, defaults, operators and the like do.
    pub(crate) anywhere: bool,
}

impl Facts {
    pub(crate) fn of(mark: &[u8]) -> Self {
        Self { mark: mark.into(), ..Self::default() }
    }
}

/// Which statements may call functions that they do not name, and that may leave something behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// None.
    Nothing,
    /// Those that change rows.
    Changes,
    /// All.
    Everything,
}

impl Reach {
    /// Whether a statement that begins with this word may.
    pub(crate) fn includes(self, keyword: Keyword) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Changes => matches!(
                keyword,
                Keyword::Insert
                    | Keyword::Update
                    | Keyword::Delete
                    | Keyword::Merge
                    | Keyword::With
                    | Keyword::Truncate
                    | Keyword::Copy
                    | Keyword::Execute
                    | Keyword::Explain
            ),
        }
    }
}

/// The facts of one database, as the servers of all pools on it have told them last.
#[derive(Debug, Default)]
pub struct SharedFacts {
    latest: Mutex<Arc<Facts>>,
    /// Of the latest, so that statements need not take the lock.
    reach: AtomicU8,
    /// A server could not tell in time.
    given_up: AtomicBool,
    catalog: Catalog,
}

impl SharedFacts {
    /// How often its catalog has changed.
    #[inline]
    pub fn changes(&self) -> u32 {
        self.catalog.changes()
    }

    /// What is counted of changes of the catalog.
    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The latest.
    pub(crate) fn latest(&self) -> Arc<Facts> {
        Arc::clone(&self.latest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Which statements may call such functions without naming them.
    #[inline]
    pub(crate) fn reach(&self) -> Reach {
        match self.reach.load(Ordering::Relaxed) {
            0 => Reach::Nothing,
            1 => Reach::Changes,
            _ => Reach::Everything,
        }
    }

    /// A new server could not tell: others are not asked when they are new.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// A server has told them anew.
    pub(crate) fn learn(&self, facts: Facts) {
        let reach = match (facts.in_triggers, facts.anywhere) {
            (_, true) => 2,
            (true, false) => 1,
            (false, false) => 0,
        };
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Arc::new(facts);
        self.given_up.store(false, Ordering::Relaxed);
        self.reach.store(reach, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reach_is_that_of_the_latest_facts() {
        let shared = SharedFacts::default();
        assert_eq!(shared.reach(), Reach::Nothing);
        shared.learn(Facts { in_triggers: true, ..Facts::of(b"1") });
        assert!(shared.reach().includes(Keyword::Insert));
        assert!(!shared.reach().includes(Keyword::Select));
        shared.learn(Facts { anywhere: true, ..Facts::of(b"2") });
        assert!(shared.reach().includes(Keyword::Select));
        shared.learn(Facts::of(b"3"));
        assert_eq!((shared.reach(), &*shared.latest().mark), (Reach::Nothing, b"3".as_slice()));
    }
}
