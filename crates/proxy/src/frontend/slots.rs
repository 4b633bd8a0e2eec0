//! Places for clients: `max_clients`, the console's own reserve, and limits per user.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A bounded number of places, of which each client holds one from its login to its end.
///
/// Counted under a lock: it is taken at login and logout only, never for a query.
#[derive(Debug, Clone)]
pub struct Slots(Arc<Mutex<Counts>>);

#[derive(Debug)]
struct Counts {
    /// The most places given out at once.
    limit: usize,
    /// Places given out; above `limit` only after the limit was lowered.
    taken: usize,
    /// Places held by each user that has one, so at most `taken` entries.
    by_user: BTreeMap<Arc<str>, usize>,
}

/// No place is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SlotsFull {
    /// All places are taken.
    #[error("sorry, too many clients already")]
    Clients,
    /// The user holds as many as it may.
    #[error("too many connections for role")]
    User,
}

/// One place; given back when dropped. It belongs to the client and goes where the client goes.
pub struct ClientSlot {
    slots: Slots,
    user: Arc<str>,
}

impl Slots {
    /// So many places.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Counts { limit, taken: 0, by_user: BTreeMap::new() })))
    }

    /// Takes a place for `user`, who may hold at most `user_limit` (`None`: no limit of its own).
    pub fn take(
        &self,
        user: &Arc<str>,
        user_limit: Option<usize>,
    ) -> Result<ClientSlot, SlotsFull> {
        let mut counts = self.counts();
        if counts.taken >= counts.limit {
            return Err(SlotsFull::Clients);
        }
        let held = counts.by_user.get(user).copied().unwrap_or(0);
        if user_limit.is_some_and(|limit| held >= limit) {
            return Err(SlotsFull::User);
        }
        counts.taken += 1;
        counts.by_user.insert(Arc::clone(user), held + 1);
        Ok(ClientSlot { slots: self.clone(), user: Arc::clone(user) })
    }

    /// Changes the number of places. Those above it stay until their clients leave.
    pub fn set_limit(&self, limit: usize) {
        self.counts().limit = limit;
    }

    /// Places given out.
    pub fn taken(&self) -> usize {
        self.counts().taken
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        // Whole after every statement, so a panic elsewhere cannot have left it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ClientSlot {
    fn drop(&mut self) {
        let mut counts = self.slots.counts();
        counts.taken = counts.taken.saturating_sub(1);
        match counts.by_user.get_mut(&self.user) {
            Some(held) if *held > 1 => *held -= 1,
            _ => {
                counts.by_user.remove(&self.user);
            }
        }
    }
}

impl fmt::Debug for ClientSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSlot").field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_when_its_client_goes() {
        let slots = Slots::new(2);
        let (alice, bob) = (Arc::from("alice"), Arc::from("bob"));
        let first = slots.take(&alice, None).unwrap();
        let second = slots.take(&bob, None).unwrap();
        assert_eq!(slots.take(&alice, None).unwrap_err(), SlotsFull::Clients);
        drop(first);
        let third = slots.take(&alice, None).unwrap();
        drop((second, third));
        assert_eq!(slots.taken(), 0);
        assert!(slots.counts().by_user.is_empty());
    }

    #[test]
    fn a_user_with_a_limit_leaves_places_for_others() {
        let slots = Slots::new(10);
        let (alice, bob) = (Arc::from("alice"), Arc::from("bob"));
        let held = slots.take(&alice, Some(1)).unwrap();
        assert_eq!(slots.take(&alice, Some(1)).unwrap_err(), SlotsFull::User);
        slots.take(&bob, Some(1)).unwrap();
        drop(held);
        slots.take(&alice, Some(1)).unwrap();
    }

    #[test]
    fn a_lowered_limit_holds_for_new_clients_only() {
        let slots = Slots::new(2);
        let user = Arc::from("alice");
        let held = [slots.take(&user, None).unwrap(), slots.take(&user, None).unwrap()];
        slots.set_limit(1);
        assert_eq!(slots.taken(), 2);
        drop(held);
        let _only = slots.take(&user, None).unwrap();
        assert_eq!(slots.take(&user, None).unwrap_err(), SlotsFull::Clients);
    }
}
