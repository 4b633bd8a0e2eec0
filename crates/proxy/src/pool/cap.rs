//! Limits of server connections, shared by all loops.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{
    claim::Claims,
    family::FamilyId,
    seekers::{Loops, Seekers},
};

/// A limit that several pools share: of a pool, a database, a user, a node or the process.
#[derive(Debug)]
pub(crate) struct Cap {
    /// 0 means no limit.
    limit: AtomicUsize,
    used: AtomicUsize,
    /// How many of those that are used have been told to go.
    leaving: AtomicUsize,
    /// Who comes next, before everybody else.
    pub(crate) claims: Claims,
    /// Who is told when a place is given back.
    pub(crate) seekers: Seekers,
}

/// The connections of a family, of whatever node and loop.
#[derive(Debug)]
pub(crate) struct Tenants {
    family: FamilyId,
    held: AtomicUsize,
}

impl Tenants {
    /// None yet.
    pub(crate) fn of(family: FamilyId) -> Arc<Self> {
        Arc::new(Self { family, held: AtomicUsize::new(0) })
    }

    /// Connections that are open or being opened, without those that have been told to go.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }
}

impl Cap {
    /// A cap of `limit` connections; 0 for none.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicUsize::new(limit),
            used: AtomicUsize::new(0),
            leaving: AtomicUsize::new(0),
            claims: Claims::default(),
            seekers: Seekers::default(),
        })
    }

    /// Changes the limit. Connections above a lowered limit stay until they are closed.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// The limit; 0 for none.
    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Connections that are open or being opened, those included that have been told to go.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Connections that have been told to go, and whose server has not closed them yet.
    pub(crate) fn leaving(&self) -> usize {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Whether more are open and staying than the limit allows, after it was lowered.
    pub(crate) fn is_exceeded(&self) -> bool {
        let limit = self.limit();
        limit != 0 && self.used().saturating_sub(self.leaving()) > limit
    }

    fn take(&self) -> bool {
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |used| {
                let limit = self.limit();
                (limit == 0 || used < limit).then(|| used.saturating_add(1))
            })
            .is_ok()
    }

    fn give_back(&self) {
        self.used.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The right to hold one server connection, counted against every cap it falls under; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    caps: Box<[Arc<Cap>]>,
    tenants: Arc<Tenants>,
    reserve: bool,
    leaving: bool,
}

impl Permit {
    /// Takes one place under all of `caps`, or names the first cap that is full, or has a place that is another family's.
    pub(crate) fn take(
        caps: &[Arc<Cap>],
        tenants: &Arc<Tenants>,
        now: u64,
    ) -> Result<Self, Arc<Cap>> {
        for (taken, cap) in caps.iter().enumerate() {
            if cap.claims.of_another(tenants.family, now).is_some() || !cap.take() {
                caps.iter().take(taken).for_each(|earlier| earlier.give_back());
                return Err(Arc::clone(cap));
            }
        }
        tenants.held.fetch_add(1, Ordering::AcqRel);
        let tenants = Arc::clone(tenants);
        Ok(Self { caps: caps.into(), tenants, reserve: false, leaving: false })
    }

    /// The same for a connection beyond the size of its pool, which is closed when nobody waits any more.
    pub(crate) fn take_reserve(
        caps: &[Arc<Cap>],
        tenants: &Arc<Tenants>,
        now: u64,
    ) -> Result<Self, Arc<Cap>> {
        let mut permit = Self::take(caps, tenants, now)?;
        permit.reserve = true;
        Ok(permit)
    }

    /// Since when another family, which has no connection at all, waits for a place under one of its caps.
    pub(crate) fn claimed_since(&self, now: u64) -> Option<u64> {
        self.caps.iter().filter_map(|cap| cap.claims.of_another(self.tenants.family, now)).min()
    }

    /// The connection has been told to go. It counts until its server has closed it.
    pub(crate) fn leave(&mut self) {
        if !std::mem::replace(&mut self.leaving, true) {
            self.tenants.held.fetch_sub(1, Ordering::AcqRel);
            for cap in &self.caps {
                cap.leaving.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    /// Gives the places back; says which loops have looked for one.
    pub(crate) fn give_back(self) -> Loops {
        let caps = self.caps.clone();
        drop(self);
        caps.iter().fold(Loops::default(), |loops, cap| loops.and(cap.seekers.take()))
    }

    /// Whether it comes from the reserve of its pool.
    pub(crate) fn is_reserve(&self) -> bool {
        self.reserve
    }

    /// Whether it counts against `cap`.
    pub(crate) fn is_under(&self, cap: &Arc<Cap>) -> bool {
        self.caps.iter().any(|own| Arc::ptr_eq(own, cap))
    }

    /// Whether a cap it counts against has been lowered below what is open.
    pub(crate) fn is_surplus(&self) -> bool {
        self.caps.iter().any(|cap| cap.is_exceeded())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.leaving {
            self.tenants.held.fetch_sub(1, Ordering::AcqRel);
        }
        for cap in &self.caps {
            if self.leaving {
                cap.leaving.fetch_sub(1, Ordering::AcqRel);
            }
            cap.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(caps: &[Arc<Cap>]) -> Result<Permit, Arc<Cap>> {
        Permit::take(caps, &Tenants::of(1), 1)
    }

    #[test]
    fn a_place_that_is_claimed_is_for_nobody_else() {
        let cap = [Cap::new(2)];
        let (many, one) = (Tenants::of(1), Tenants::of(2));
        let first = Permit::take(&cap, &many, 1).expect("room for two");
        cap[0].claims.claim(2, 7, 10);
        Permit::take(&cap, &many, 11).expect_err("the place is claimed");
        assert_eq!(first.claimed_since(11), Some(7));
        let claimed = Permit::take(&cap, &one, 11).expect("the place is its own");
        assert_eq!((many.held(), one.held(), claimed.claimed_since(11)), (1, 1, None));
        cap[0].claims.withdraw(2);
        assert_eq!(first.claimed_since(11), None);
        drop((first, claimed));
        assert_eq!((many.held(), one.held()), (0, 0));
    }

    #[test]
    fn a_full_cap_gives_back_what_was_taken_before_it() {
        let (wide, narrow) = (Cap::new(5), Cap::new(1));
        let caps = [Arc::clone(&wide), Arc::clone(&narrow)];
        let first = take(&caps).expect("both have room");
        let full = take(&caps).expect_err("the narrow one is full");
        assert!(Arc::ptr_eq(&full, &narrow));
        assert_eq!((wide.used(), narrow.used()), (1, 1));
        drop(first);
        assert_eq!((wide.used(), narrow.used()), (0, 0));
    }

    #[test]
    fn one_that_leaves_holds_its_place_but_is_no_surplus() {
        let cap = Cap::new(2);
        let mut first = take(&[Arc::clone(&cap)]).expect("room for two");
        let second = take(&[Arc::clone(&cap)]).expect("room for two");
        cap.set_limit(1);
        assert!(first.is_surplus() && second.is_surplus());
        first.leave();
        first.leave();
        assert_eq!((cap.used(), cap.leaving()), (2, 1));
        assert!(!second.is_surplus());
        drop(first);
        assert_eq!((cap.used(), cap.leaving()), (1, 0));
        take(&[Arc::clone(&cap)]).expect_err("the second one stays");
    }

    #[test]
    fn no_limit_is_zero() {
        let cap = Cap::new(0);
        let held: Vec<_> = (0..100).map(|_| take(&[Arc::clone(&cap)])).collect();
        assert!(held.iter().all(Result::is_ok));
        cap.set_limit(10);
        assert!(held.iter().flatten().all(Permit::is_surplus));
    }
}
