//! The names one client has given to prepared statements.

use std::sync::Arc;

use crate::statement::Statement;

/// What the names of one client take counts among the memory of all statements in steps of so many bytes. What is less
/// does not count.
const STEP: usize = 4 << 10;

/// What a name takes beside its bytes: its entry, with the growth of the vector, and an allocation.
const NAME_BYTES: usize = 64;

/// A client's names, in the order of their lengths and bytes. Most clients have a few names, and thousands of clients are
/// idle: one short vector is searched faster, and is smaller, than a tree or a hash table. Names that are counted up, as
/// drivers do, come at its end.
#[derive(Debug, Default)]
pub(crate) struct Names {
    sorted: Vec<(Box<[u8]>, Arc<Statement>)>,
    /// What the statements weigh together, each as if this client alone held it.
    bytes: usize,
    /// What the names themselves take.
    own: usize,
    /// How often one of them has come to mean something else.
    version: u64,
}

impl Names {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// As long as this is the same, every name means what it did.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Whether there is none.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// What the statements weigh together: see [`Statement::weight`].
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What a name means.
    #[inline]
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        let place = self.place(name).ok()?;
        self.sorted.get(place).map(|(_, statement)| statement)
    }

    /// Whether the name is taken.
    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        self.place(name).is_ok()
    }

    /// How many bytes of the memory of all statements one more name would take.
    pub(crate) fn step_for(&self, name: &[u8]) -> usize {
        self.steps_for(taken_by(name))
    }

    /// The same of names that take so many bytes themselves.
    pub(crate) fn steps_for(&self, names: usize) -> usize {
        let own = self.own.saturating_add(names);
        counted(own).saturating_sub(counted(self.own))
    }

    /// Lets a name mean this statement.
    pub(crate) fn insert(&mut self, name: Box<[u8]>, statement: Arc<Statement>) {
        self.version = self.version.wrapping_add(1);
        self.bytes = self.bytes.saturating_add(statement.weight());
        statement.place().enter();
        match self.place(&name) {
            Ok(place) => {
                if let Some((_, before)) = self.sorted.get_mut(place) {
                    self.bytes = self.bytes.saturating_sub(before.weight());
                    before.place().leave();
                    *before = statement;
                }
            }
            Err(place) => {
                self.set_own(self.own.saturating_add(taken_by(&name)), &statement);
                if self.sorted.is_empty() {
                    // Not the four places that the first one would get.
                    self.sorted.reserve_exact(1);
                }
                self.sorted.insert(place, (name, statement));
            }
        }
    }

    /// Gives a name up.
    pub(crate) fn remove(&mut self, name: &[u8]) -> Option<(Box<[u8]>, Arc<Statement>)> {
        let place = self.place(name).ok()?;
        self.version = self.version.wrapping_add(1);
        let removed = self.sorted.remove(place);
        self.bytes = self.bytes.saturating_sub(removed.1.weight());
        self.set_own(self.own.saturating_sub(taken_by(&removed.0)), &removed.1);
        removed.1.place().leave();
        Some(removed)
    }

    fn set_own(&mut self, own: usize, statement: &Statement) {
        statement.place().room().recount(counted(self.own), counted(own));
        self.own = own;
    }

    /// Gives all names up.
    pub(crate) fn clear(&mut self) {
        let version = self.version.wrapping_add(1);
        *self = Self::default();
        self.version = version;
    }

    /// All names and what they mean.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Arc<Statement>)> + Clone {
        self.sorted.iter().map(|(name, statement)| (name.as_ref(), statement))
    }

    /// Where the name is, or would be.
    #[inline]
    fn place(&self, name: &[u8]) -> Result<usize, usize> {
        if let [(only, _)] = self.sorted.as_slice()
            && **only == *name
        {
            return Ok(0);
        }
        self.sorted.binary_search_by(|(known, _)| {
            known.len().cmp(&name.len()).then_with(|| known.as_ref().cmp(name))
        })
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        if let Some((_, statement)) = self.sorted.first() {
            statement.place().room().recount(counted(self.own), 0);
        }
        for (_, statement) in &self.sorted {
            statement.place().leave();
        }
    }
}

/// What a name takes.
pub(crate) fn taken_by(name: &[u8]) -> usize {
    name.len().saturating_add(NAME_BYTES)
}

/// So much of what names take counts.
const fn counted(own: usize) -> usize {
    own - own % STEP
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::{effect::Effects, statement::StatementStore};

    fn statement(store: &mut StatementStore, text: &str) -> Arc<Statement> {
        let parts = (text.as_bytes(), b"\0\0".as_slice(), b"\0\0\0\0".as_slice());
        store.unshared(parts, Effects::None)
    }

    proptest! {
        #[test]
        fn it_does_what_a_map_does(acts in proptest::collection::vec(("[a-c]{0,3}", 0_usize..3), 0..60)) {
            let mut store = StatementStore::default();
            let (mut names, mut map) = (Names::default(), BTreeMap::new());
            for (name, act) in acts {
                let name: Box<[u8]> = name.into_bytes().into();
                if act == 0 {
                    let removed = names.remove(&name).map(|(_, statement)| statement.id);
                    prop_assert_eq!(removed, map.remove(&name).map(|(id, _)| id));
                } else {
                    let new = statement(&mut store, &"x".repeat(act * 10));
                    map.insert(name.clone(), (new.id, new.weight()));
                    names.insert(name.clone(), new);
                }
                prop_assert_eq!(names.get(&name).map(|found| found.id), map.get(&name).map(|(id, _)| *id));
                prop_assert_eq!((names.len(), names.is_empty()), (map.len(), map.is_empty()));
                prop_assert_eq!(names.bytes(), map.values().map(|(_, weight)| weight).sum::<usize>());
            }
            let mut all: Vec<_> = names.iter().map(|(name, found)| (name.to_vec(), found.id)).collect();
            all.sort();
            let expected: Vec<_> = map.iter().map(|(name, (id, _))| (name.to_vec(), *id)).collect();
            prop_assert_eq!(all, expected);
            names.clear();
            prop_assert_eq!((names.len(), names.bytes()), (0, 0));
        }
    }

    #[test]
    fn many_names_count_whatever_they_mean() {
        let mut store = StatementStore::default();
        let shared = statement(&mut store, "select 1");
        let mut names = Names::default();
        names.insert(b"".as_slice().into(), Arc::clone(&shared));
        let alone = store.room().bytes();
        for number in 0..1000 {
            let name = format!("s{number}").into_bytes();
            let (step, before) = (names.step_for(&name), store.room().bytes());
            names.insert(name.into(), Arc::clone(&shared));
            assert_eq!(store.room().bytes(), before + step);
        }
        let taken = store.room().bytes() - alone;
        assert!(taken > 1000 * NAME_BYTES && taken.is_multiple_of(STEP), "{taken}");
        names.insert(b"s1".as_slice().into(), Arc::clone(&shared));
        assert_eq!(store.room().bytes() - alone, taken);
        for number in 0..990 {
            names.remove(format!("s{number}").as_bytes());
        }
        assert_eq!(store.room().bytes(), alone);
        for number in 0..100 {
            names.insert(format!("t{number}").into_bytes().into(), Arc::clone(&shared));
        }
        assert!(store.room().bytes() > alone);
        assert_eq!(store.room().statements(), 1);
        names.clear();
        assert_eq!((store.room().bytes(), store.room().statements()), (0, 0));
    }
}
