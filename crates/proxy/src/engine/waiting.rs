//! The queue of a pool at one loop; how long it may be is counted over all loops.

use std::{
    collections::{VecDeque, vec_deque},
    sync::Arc,
};

use crate::pool::PoolCaps;

/// A client that waits, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiter {
    pub(super) client: usize,
    pub(super) since: u64,
}

/// Clients that wait, in order of arrival. Each is counted among those of its pool.
#[derive(Debug)]
pub(super) struct Waiting {
    line: VecDeque<Waiter>,
    caps: Arc<PoolCaps>,
}

impl Waiting {
    /// Nobody waits here; others of the pool may wait elsewhere.
    pub(super) fn new(caps: Arc<PoolCaps>) -> Self {
        Self { line: VecDeque::new(), caps }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    /// Who has waited longest.
    pub(super) fn front(&self) -> Option<&Waiter> {
        self.line.front()
    }

    pub(super) fn iter(&self) -> vec_deque::Iter<'_, Waiter> {
        self.line.iter()
    }

    pub(super) fn iter_mut(&mut self) -> vec_deque::IterMut<'_, Waiter> {
        self.line.iter_mut()
    }

    /// Puts one more at the end, if fewer than `most` wait for this pool at all loops together.
    pub(super) fn push(&mut self, waiter: Waiter, most: usize) -> bool {
        let room = self.caps.wait(most);
        if room {
            self.line.push_back(waiter);
        }
        room
    }

    /// Takes out who has waited longest.
    pub(super) fn pop_front(&mut self) -> Option<Waiter> {
        let first = self.line.pop_front()?;
        self.caps.wait_no_longer(1);
        Some(first)
    }

    /// Takes out all but those of whom `stays` holds.
    pub(super) fn retain(&mut self, stays: impl FnMut(&Waiter) -> bool) {
        let before = self.line.len();
        self.line.retain(stays);
        self.caps.wait_no_longer(before.saturating_sub(self.line.len()));
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.caps.wait_no_longer(self.line.len());
    }
}
