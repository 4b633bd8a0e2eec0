//! What the loops tell each other of their part of a pool, so that no connection stays idle beside a client that waits.
//!
//! A loop that enqueues a client first publishes that, then looks for an idle connection elsewhere and asks for it. A
//! loop that parks a connection first publishes that, then looks for a waiter elsewhere and sends the connection there.
//! Of two loops that do so at the same time at least one sees the other. A wish that arrives when the connection has
//! gone is passed on to whoever has one by then, see [`Faces::pass_on`].
//!
//! The atomics are a parameter, so that the model of this protocol runs on those of `loom`.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// An atomic number, and a fence between what is published and what is looked at.
pub(crate) trait Number {
    /// A number that is 0.
    fn zero() -> Self;
    /// Stores without ordering.
    fn store(&self, value: u64);
    /// Loads without ordering.
    fn load(&self) -> u64;
    /// A sequentially consistent fence.
    fn fence();
}

impl Number for AtomicU64 {
    fn zero() -> Self {
        Self::new(0)
    }

    fn store(&self, value: u64) {
        Self::store(self, value, Ordering::Relaxed);
    }

    fn load(&self) -> u64 {
        Self::load(self, Ordering::Relaxed)
    }

    fn fence() {
        fence(Ordering::SeqCst);
    }
}

/// One loop's part of a pool, as the others see it.
#[derive(Debug)]
struct Face<N> {
    /// When its oldest waiter came, in microseconds of the engine's clock; 0 for none.
    waiting_since: Line<N>,
    /// Idle connections parked there. They change with every transaction; the others look at them only when a client of
    /// theirs has to wait.
    idle: Line<N>,
}

/// A number in cache lines of its own, two because processors fetch them in pairs: what one loop writes does not take
/// away what the others read.
#[derive(Debug)]
#[repr(align(128))]
struct Line<N>(N);

impl<N: Number> Line<N> {
    fn zero() -> Self {
        Self(N::zero())
    }

    /// Stores what its only writer publishes. What is there already is not written again: the others keep their copies.
    fn publish(&self, value: u64) {
        if self.0.load() != value {
            self.0.store(value);
        }
    }

    fn load(&self) -> u64 {
        self.0.load()
    }
}

/// All loops' parts of a pool.
#[derive(Debug)]
pub(crate) struct Faces<N = AtomicU64>(Box<[Face<N>]>);

/// Where a connection goes that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the first who waits here.
    Own,
    /// To another loop, whose oldest waiter came earlier.
    Other(usize),
    /// Nobody waits.
    Nobody,
}

impl<N: Number> Faces<N> {
    /// The faces of `loops` loops without waiters and connections.
    pub(crate) fn new(loops: usize) -> Self {
        Self((0..loops).map(|_| Face { waiting_since: Line::zero(), idle: Line::zero() }).collect())
    }

    /// Publishes when the oldest waiter of loop `own` came (0: none) and how many idle connections it has. What it sees
    /// of the others afterwards is not older than this.
    pub(crate) fn publish(&self, own: usize, waiting_since: u64, idle: u64) {
        let Some(face) = self.0.get(own) else { return };
        face.waiting_since.publish(waiting_since);
        face.idle.publish(idle);
        N::fence();
    }

    /// A client begins to wait at loop `own`: publishes that, and answers which loop is to be asked for one of its idle
    /// connections.
    pub(crate) fn wait(&self, own: usize, oldest: u64, idle: u64) -> Option<usize> {
        self.publish(own, oldest, idle);
        self.idle_elsewhere(own).next().map(|(index, _)| index)
    }

    /// A connection begins to idle at loop `own`, and no client waits there: publishes that, and answers which loop has a
    /// waiter that came meanwhile and may not have seen it.
    pub(crate) fn rest(&self, own: usize, idle: u64) -> Option<usize> {
        self.publish(own, 0, idle);
        self.oldest_elsewhere(own).map(|(index, _)| index)
    }

    /// The loop, other than `own`, whose oldest waiter came first, and when that was.
    pub(crate) fn oldest_elsewhere(&self, own: usize) -> Option<(usize, u64)> {
        self.others(own)
            .map(|(index, face)| (index, face.waiting_since.load()))
            .filter(|(_, since)| *since != 0)
            .min_by_key(|(_, since)| *since)
    }

    /// The loops other than `own` that have idle connections, and how many.
    pub(crate) fn idle_elsewhere(&self, own: usize) -> impl Iterator<Item = (usize, u64)> {
        self.others(own)
            .map(|(index, face)| (index, face.idle.load()))
            .filter(|(_, idle)| *idle > 0)
    }

    /// Where a connection goes that comes back to loop `own`, whose oldest waiter came at `oldest`: a waiter of another
    /// loop goes first if it came more than `slack` earlier.
    pub(crate) fn way(&self, own: usize, oldest: Option<u64>, slack: u64) -> Way {
        match (self.oldest_elsewhere(own), oldest) {
            (Some((other, since)), Some(oldest)) if since.saturating_add(slack) < oldest => {
                Way::Other(other)
            }
            (_, Some(_)) => Way::Own,
            (Some((other, _)), None) => Way::Other(other),
            (None, None) => Way::Nobody,
        }
    }

    /// Loop `by` has a waiter and has asked loop `own` for a connection, which has none: where the wish goes on to. Nowhere
    /// if no other loop has one; one that is parked from now on sees the waiter.
    pub(crate) fn pass_on(&self, own: usize, by: usize) -> Option<usize> {
        self.idle_elsewhere(own).map(|(index, _)| index).find(|index| *index != by)
    }

    fn others(&self, own: usize) -> impl Iterator<Item = (usize, &Face<N>)> {
        self.0.iter().enumerate().filter(move |(index, _)| *index != own)
    }
}

#[cfg(test)]
mod model;
