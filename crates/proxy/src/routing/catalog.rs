//! What is known of the catalog of one database.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::{ArcSwapOption, Cache, Guard};
use tokio::sync::Notify;
use trunkline_route::Snapshot;
use trunkline_session::SharedFacts;

use super::floor::Floor;
use crate::positions::{Positions, Sample, Ticket};

/// The catalog of a database as it was read last.
#[derive(Debug)]
pub(crate) struct Catalog {
    /// The name of the database on the servers.
    pub(crate) database: String,
    /// What counts its changes.
    facts: Arc<SharedFacts>,
    known: Arc<ArcSwapOption<Known>>,
    /// Somebody has asked for it.
    wanted: AtomicBool,
    /// Something has turned out to be otherwise than it tells.
    doubted: AtomicBool,
    /// Rung when somebody asks for the first time.
    bell: Arc<Notify>,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Known {
    /// The catalog.
    pub(crate) snapshot: Snapshot,
    /// How many changes of it had been seen when it was asked for.
    changes: u32,
    /// A standby that shows what was done before this was taken has all of the objects.
    ticket: Ticket,
    /// Where that is in the log, as soon as it is known.
    place: OnceLock<Sample>,
}

/// What is known at a moment. It is not counted who looks at it: all loops do, with each statement.
pub(crate) type Latest = Guard<Option<Arc<Known>>>;

impl Known {
    /// What was read once, and is not followed.
    pub(crate) fn alone(snapshot: Snapshot) -> Self {
        let ticket = Positions::default().want();
        Self { snapshot, changes: 0, ticket, place: OnceLock::new() }
    }
}

impl Catalog {
    /// That of a database, of which nothing is known yet.
    pub(crate) fn new(database: String, facts: Arc<SharedFacts>, bell: Arc<Notify>) -> Self {
        let (known, wanted) = (Arc::new(ArcSwapOption::empty()), AtomicBool::new(false));
        Self { database, facts, known, wanted, doubted: AtomicBool::new(false), bell }
    }

    /// What is known of it, to be looked at with [`of_now`](Self::of_now).
    #[inline]
    pub(crate) fn latest(&self) -> Latest {
        self.want();
        self.known.load()
    }

    /// It is read from now on, if it is not yet.
    #[inline]
    fn want(&self) {
        if !self.wanted.load(Ordering::Relaxed) {
            self.wanted.store(true, Ordering::Relaxed);
            self.bell.notify_one();
        }
    }

    /// The same, if nothing has changed since as far as clients' texts have shown.
    #[inline]
    pub(crate) fn of_now<'a>(&self, latest: Option<&'a Known>) -> Option<&'a Known> {
        latest.filter(|known| known.changes == self.facts.changes())
    }

    /// Whether somebody has asked for it.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Something has turned out to be otherwise than it tells: somebody may have changed it unseen. It is compared at once.
    pub(crate) fn doubt(&self) {
        self.doubted.store(true, Ordering::Relaxed);
    }

    /// Whether that is so.
    pub(crate) fn is_doubted(&self) -> bool {
        self.doubted.load(Ordering::Relaxed)
    }

    /// It is compared now.
    pub(crate) fn begin_comparison(&self) {
        self.doubted.store(false, Ordering::Relaxed);
    }

    /// Whether it has to be read anew, whatever its mark.
    pub(crate) fn is_outdated(&self) -> bool {
        self.known.load().as_ref().is_none_or(|known| known.changes != self.facts.changes())
    }

    /// How many changes of it have been seen.
    pub(crate) fn changes(&self) -> u32 {
        self.facts.changes()
    }

    /// The mark of what is known.
    pub(crate) fn mark(&self) -> Option<String> {
        self.known.load().as_ref().map(|known| known.snapshot.mark().to_owned())
    }

    /// It was read before the ticket was taken; so many changes had been seen when it was asked for.
    pub(crate) fn learn(&self, snapshot: Snapshot, changes: u32, ticket: Ticket) {
        let place = OnceLock::new();
        self.known.store(Some(Arc::new(Known { snapshot, changes, ticket, place })));
    }

    /// The place of what was learnt with this ticket is known.
    pub(crate) fn placed(&self, ticket: Ticket, place: Sample) {
        if let Some(known) = self.known.load().as_ref().filter(|known| known.ticket == ticket) {
            let _first = known.place.set(place);
        }
    }
}

impl Known {
    /// Whoever goes by it must find its objects on a standby.
    pub(crate) fn raise(&self, floor: &mut Floor) {
        match self.place.get() {
            Some(place) => floor.raise_to(place),
            None => floor.cover(self.ticket),
        }
    }
}

/// What is known of the catalog that a loop has looked at last: as long as it is the same, and nothing changes, nobody else's
/// memory is written. It is that of one database only, as it may be large and is kept alive by this.
#[derive(Debug, Default)]
pub(crate) struct Glance(Option<Seen>);

#[derive(Debug)]
struct Seen {
    catalog: Arc<Catalog>,
    known: Cache<Arc<ArcSwapOption<Known>>, Option<Arc<Known>>>,
}

impl Glance {
    /// What is known of a catalog, to be looked at with [`Catalog::of_now`].
    #[inline]
    pub(crate) fn latest(&mut self, catalog: &Arc<Catalog>) -> Option<&Known> {
        if self.0.as_ref().is_none_or(|seen| !Arc::ptr_eq(&seen.catalog, catalog)) {
            self.0 = None;
        }
        let seen = self.0.get_or_insert_with(|| Seen {
            catalog: Arc::clone(catalog),
            known: Cache::new(Arc::clone(&catalog.known)),
        });
        catalog.want();
        seen.known.load().as_deref()
    }
}
