//! The names one client has given to prepared statements.

use std::sync::Arc;

use crate::statement::Statement;

/// A client's names, in the order of their lengths and bytes. Most clients have a few names, and thousands of clients are
/// idle: one short vector is searched faster, and is smaller, than a tree or a hash table. Names that are counted up, as
/// drivers do, come at its end.
#[derive(Debug, Default)]
pub(crate) struct Names {
    sorted: Vec<(Box<[u8]>, Arc<Statement>)>,
    /// What the statements weigh together, each as if this client alone held it.
    bytes: usize,
}

impl Names {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
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

    /// Lets a name mean this statement.
    pub(crate) fn insert(&mut self, name: Box<[u8]>, statement: Arc<Statement>) {
        self.bytes = self.bytes.saturating_add(statement.weight());
        match self.place(&name) {
            Ok(place) => {
                if let Some((_, before)) = self.sorted.get_mut(place) {
                    self.bytes = self.bytes.saturating_sub(before.weight());
                    *before = statement;
                }
            }
            Err(place) => {
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
        let removed = self.sorted.remove(place);
        self.bytes = self.bytes.saturating_sub(removed.1.weight());
        Some(removed)
    }

    /// Gives all names up.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::{effect::Effects, statement::StatementStore};

    fn statement(store: &mut StatementStore, text: &str) -> Arc<Statement> {
        store.unshared((text.as_bytes(), b"\0\0", b"\0\0\0\0"), Effects::None)
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
}
