//! Operators at the console, numbered, so that a cancel request finds the one it is for.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use subtle::ConstantTimeEq;
use tokio::sync::{Notify, futures::Notified};

use crate::numbers::Numbers;

/// The first process id that is told to an operator. Those of clients name a worker loop in their upper bits, and there
/// is no such loop.
const FIRST_PID: u32 = 0x7F00_0001;

/// The seats that are taken; there are as many as operators are let in.
#[derive(Debug, Clone, Default)]
pub struct Seats(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    numbers: Numbers,
    taken: BTreeMap<i32, Taken>,
}

impl Default for Inner {
    fn default() -> Self {
        Self { numbers: Numbers::from(FIRST_PID), taken: BTreeMap::new() }
    }
}

struct Taken {
    key: [u8; 4],
    cancelled: Arc<Notify>,
}

/// The key is a secret.
impl std::fmt::Debug for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Taken").finish_non_exhaustive()
    }
}

/// One operator's process id and cancel key; given back when dropped.
pub struct Seat {
    seats: Seats,
    pid: i32,
    key: [u8; 4],
    cancelled: Arc<Notify>,
}

impl Seats {
    /// The next seat, with a key that nobody can guess.
    pub fn take(&self) -> Seat {
        let (key, cancelled) = (rand::random(), Arc::new(Notify::new()));
        let mut inner = self.inner();
        let Inner { numbers, taken } = &mut *inner;
        let pid = numbers.next(|pid| taken.contains_key(&pid));
        taken.insert(pid, Taken { key, cancelled: Arc::clone(&cancelled) });
        drop(inner);
        Seat { seats: self.clone(), pid, key, cancelled }
    }

    /// Ends what the operator with this process id waits for, if the key is his.
    pub fn cancel(&self, pid: i32, key: &[u8]) {
        if let Some(taken) = self.inner().taken.get(&pid)
            && bool::from(taken.key.as_slice().ct_eq(key))
        {
            taken.cancelled.notify_waiters();
        }
    }

    // Whole after every statement, so a panic elsewhere cannot have left it half changed.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The process id that the operator is told.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The key with which the operator may cancel.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Ends at the next cancel request from now on; earlier ones were for what has ended.
    pub fn cancelled(&self) -> Notified<'_> {
        self.cancelled.notified()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.inner().taken.remove(&self.pid);
    }
}

/// The key is a secret.
impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat").field("pid", &self.pid).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn a_cancel_reaches_the_seat_it_names_with_the_right_key_while_it_waits() {
        let seats = Seats::default();
        let (alice, bob) = (seats.take(), seats.take());
        assert_ne!(alice.pid(), bob.pid());
        // Too early: nothing is remembered.
        seats.cancel(alice.pid(), alice.key());
        let waiting = alice.cancelled();
        seats.cancel(alice.pid(), bob.key());
        seats.cancel(alice.pid(), &[]);
        seats.cancel(bob.pid(), bob.key());
        tokio::pin!(waiting);
        let early = timeout(Duration::from_secs(1), waiting.as_mut()).await;
        assert!(early.is_err(), "a cancel hit somebody else");
        seats.cancel(alice.pid(), alice.key());
        waiting.await;
    }

    #[test]
    fn a_seat_is_given_back_and_shows_no_key() {
        let seats = Seats::default();
        let seat = seats.take();
        assert_eq!(seats.inner().taken.len(), 1);
        let shown = format!("{seat:?} {seats:?}");
        assert!(shown.contains("Seat") && !shown.contains("key"), "{shown}");
        drop(seat);
        assert_eq!(seats.inner().taken.len(), 0);
    }
}
