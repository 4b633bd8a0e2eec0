//! How much memory the named prepared statements of all clients may take.
//!
//! A statement counts as long as a client has a name for it, once for all clients that share it. What only servers have
//! does not: how much that may be, the limits of a server say. What the names of a client take counts in steps, so that a
//! driver that prepares and closes one statement after the other need not count them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// The memory, counted over all clients of the process.
#[derive(Debug)]
pub struct StatementRoom {
    limit: AtomicUsize,
    bytes: AtomicUsize,
    statements: AtomicUsize,
    refused: AtomicU64,
    /// All statements that there are, those that only servers have among them.
    alive: AtomicUsize,
}

impl Default for StatementRoom {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl StatementRoom {
    /// Room for so many bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit: AtomicUsize::new(limit),
            bytes: AtomicUsize::new(0),
            statements: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            alive: AtomicUsize::new(0),
        }
    }

    /// There is room for so many bytes from now on. What is there already stays.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// How many bytes there is room for.
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// How many are taken.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many statements clients have names for.
    pub fn statements(&self) -> usize {
        self.statements.load(Ordering::Relaxed)
    }

    /// How often one was refused because there was no room.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Something was refused for want of room.
    pub(crate) fn note_refusal(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// How many statements there are.
    pub(crate) fn alive(&self) -> usize {
        self.alive.load(Ordering::Relaxed)
    }

    /// Whether there is room for so many more bytes; there always is for none. Loops that ask at the same time may each be
    /// told that there is.
    pub(crate) fn has(&self, more: usize) -> bool {
        more == 0 || self.bytes().saturating_add(more) <= self.limit()
    }

    /// Names take so many bytes instead of so many.
    pub(crate) fn recount(&self, before: usize, now: usize) {
        if now > before {
            self.bytes.fetch_add(now.saturating_sub(before), Ordering::Relaxed);
        } else if now < before {
            self.bytes.fetch_sub(before.saturating_sub(now), Ordering::Relaxed);
        }
    }
}

/// What one statement takes while clients have names for it.
#[derive(Debug)]
pub(crate) struct Place {
    room: Arc<StatementRoom>,
    weight: usize,
    /// Clients' names for it.
    names: AtomicUsize,
}

impl Place {
    /// For a new statement that weighs this much.
    pub(crate) fn new(room: &Arc<StatementRoom>, weight: usize) -> Self {
        room.alive.fetch_add(1, Ordering::Relaxed);
        Self { room: Arc::clone(room), weight, names: AtomicUsize::new(0) }
    }

    /// Where it is.
    pub(crate) fn room(&self) -> &Arc<StatementRoom> {
        &self.room
    }

    /// What it takes.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// Whether there is room for one more name of it, which takes so many bytes.
    pub(crate) fn fits(&self, step: usize) -> bool {
        let new = self.names.load(Ordering::Relaxed) == 0;
        self.room.has(step.saturating_add(if new { self.weight } else { 0 }))
    }

    /// A client has one more name for it.
    pub(crate) fn enter(&self) {
        if self.names.fetch_add(1, Ordering::Relaxed) == 0 {
            self.room.bytes.fetch_add(self.weight, Ordering::Relaxed);
            self.room.statements.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A client gives its name up.
    pub(crate) fn leave(&self) {
        if self.names.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.room.bytes.fetch_sub(self.weight, Ordering::Relaxed);
            self.room.statements.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_counts_once_while_it_has_names() {
        let room = Arc::new(StatementRoom::new(100));
        let (one, other) = (Place::new(&room, 60), Place::new(&room, 41));
        assert!(one.fits(40) && !one.fits(41));
        one.enter();
        one.enter();
        assert_eq!((room.bytes(), room.statements(), room.alive()), (60, 1, 2));
        assert!(one.fits(40) && !one.fits(41) && !other.fits(0));
        room.set_limit(101);
        assert!(other.fits(0) && !other.fits(1));
        one.leave();
        assert_eq!(room.bytes(), 60);
        one.leave();
        drop(one);
        assert_eq!((room.bytes(), room.statements(), room.alive()), (0, 0, 1));
        room.set_limit(0);
        assert!(!other.fits(0));
        other.enter();
        assert!(other.fits(0) && !other.fits(1));
    }
}
