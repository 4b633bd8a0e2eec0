//! The loops that look for a place under a cap that is full: they are told when one is given back.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// A set of loops, of which there are at most 64.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Loops(u64);

impl Loops {
    fn of(index: usize) -> Self {
        Self(u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)).unwrap_or(0))
    }

    /// These and those.
    pub(crate) fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Their numbers.
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        (0..64).filter(move |index| self.0 & Self::of(*index).0 != 0)
    }
}

/// Who has looked in vain since a place was last given back.
#[derive(Debug, Default)]
pub(crate) struct Seekers(AtomicU64);

impl Seekers {
    /// A loop has found no place. If that is news, it looks once more: it is told of places that are given back from now
    /// on, and one may have been just before.
    pub(crate) fn add(&self, index: usize) -> bool {
        let own = Loops::of(index).0;
        if self.0.load(Ordering::Relaxed) & own != 0 {
            return false;
        }
        let before = self.0.fetch_or(own, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        before & own == 0
    }

    /// Whether somebody has looked in vain since a place was last given back.
    pub(crate) fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// A place has been given back: who is to be told.
    pub(crate) fn take(&self) -> Loops {
        fence(Ordering::SeqCst);
        if self.0.load(Ordering::Relaxed) == 0 {
            return Loops::default();
        }
        Loops(self.0.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loop_is_told_once() {
        let seekers = Seekers::default();
        assert_eq!(seekers.take(), Loops::default());
        assert!(seekers.add(0) && seekers.add(63) && !seekers.add(0));
        assert_eq!(seekers.take().iter().collect::<Vec<_>>(), [0, 63]);
        assert_eq!(seekers.take(), Loops::default());
        assert!(!seekers.any() && seekers.add(0) && seekers.any());
        assert_eq!(Loops::of(1).and(Loops::of(2)).iter().collect::<Vec<_>>(), [1, 2]);
    }
}
