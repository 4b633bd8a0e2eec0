//! Who comes next under a cap that is full.
//!
//! A family whose clients wait all the time never lets a connection go by itself. One that has none at all, such as a
//! rarely used set of startup parameters, claims the next place: who holds a connection under the cap closes it when it
//! comes back, if the claimant has waited for longer than the clients of its own.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use super::family::FamilyId;

/// How long a claim holds that is not made again: its loop makes it again at each look after the pool, as long as
/// somebody waits.
const CLAIM_US: u64 = 1_000_000;

/// At most one family's claim to the next place.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// Whether there is one; asked each time a connection comes back.
    any: AtomicBool,
    first: Mutex<Option<Claim>>,
}

#[derive(Debug, Clone, Copy)]
struct Claim {
    family: FamilyId,
    /// When its oldest waiter came.
    since: u64,
    until: u64,
}

impl Claims {
    /// Claims the next place for `family`, whose oldest waiter came at `since`; one who came earlier goes first.
    pub(crate) fn claim(&self, family: FamilyId, since: u64, now: u64) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let other = first.filter(|claim| claim.family != family && now < claim.until);
        if other.is_none_or(|claim| since < claim.since) {
            *first = Some(Claim { family, since, until: now.saturating_add(CLAIM_US) });
            self.any.store(true, Ordering::Release);
        }
    }

    /// The family has what it needs, or nobody of it waits any more.
    pub(crate) fn withdraw(&self, family: FamilyId) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_some_and(|claim| claim.family == family) {
            *first = None;
            self.any.store(false, Ordering::Release);
        }
    }

    /// Since when a family other than `family` has waited that claims the next place.
    pub(crate) fn of_another(&self, family: FamilyId, now: u64) -> Option<u64> {
        if self.any.load(Ordering::Relaxed) { self.look(family, now) } else { None }
    }

    fn look(&self, family: FamilyId, now: u64) -> Option<u64> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_some_and(|claim| now >= claim.until) {
            *first = None;
            self.any.store(false, Ordering::Release);
        }
        first.filter(|claim| claim.family != family).map(|claim| claim.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_who_has_waited_longest_comes_first_until_its_claim_is_old() {
        let claims = Claims::default();
        assert_eq!(claims.of_another(9, 0), None);
        claims.claim(1, 50, 100);
        claims.claim(2, 60, 100);
        assert_eq!((claims.of_another(9, 101), claims.of_another(1, 101)), (Some(50), None));
        claims.claim(2, 40, 102);
        assert_eq!(claims.of_another(9, 103), Some(40));
        claims.withdraw(1);
        assert_eq!(claims.of_another(9, 103), Some(40));
        assert_eq!(claims.of_another(9, 102 + CLAIM_US), None);
        claims.claim(1, 50, 102 + CLAIM_US);
        claims.withdraw(1);
        assert_eq!(claims.of_another(9, 103 + CLAIM_US), None);
    }
}
