//! What a loop keeps of texts, and whether anything may go to standbys.

use std::{fmt, hash::RandomState, sync::Arc};

use trunkline_route::{Asked, Plain, Trust};
use trunkline_session::{Block, ClientSession};
use trunkline_settings::{RoutingMode, Settings};
use trunkline_sql::access::{
    self, Secret,
    cache::{Cache, Limits},
};

use super::{
    catalog::Known,
    explained::Explained,
    judge::{JUDGED_AT_ONCE, Judge, Kept},
    level::begins_here,
    overrides::Overrides,
    study::{Asker, Studied, Study},
    whereabouts::Whereabouts,
};
use crate::pool::Family;

/// A loop's own judge of texts; it lets no text go to standbys if it has no desk.
#[derive(Default)]
pub(crate) struct Router {
    /// Something may go to a standby: there is a desk, or there are such listeners.
    on: bool,
    desk: Option<Box<Desk>>,
    /// What the settings say.
    overrides: Overrides,
    /// There are listeners by which sessions come that are a standby's as a whole.
    has_standby_listeners: bool,
}
/// Where a text stands that is explained.
#[derive(Debug)]
pub(crate) enum Place<'a> {
    /// It begins a transaction.
    Begins(Block<'a>),
    /// It is a part of one, or of a session that is a standby's as a whole.
    Within,
    /// It is none.
    Alone,
}

/// What it works with.
struct Desk {
    cache: Cache<Kept>,
    /// Who asks about texts that are not judged here.
    asker: Asker,
    /// What the keys of paths are made with.
    chance: RandomState,
    /// How many texts it has been taught to be no reads.
    lessons: u64,
}

impl Desk {
    fn new(chance: [u8; 16], (study, by): (&Arc<Study>, usize)) -> Self {
        let cache = Cache::new(Limits::default(), &Secret::new(chance));
        Self {
            cache,
            asker: Asker::new(Arc::clone(study), by),
            chance: RandomState::new(),
            lessons: 0,
        }
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Router").field(&self.is_on()).finish()
    }
}
impl Router {
    /// One that judges nothing by itself, and knows what the settings say.
    pub(super) fn of(settings: &Settings) -> Self {
        let mut router = Self::default();
        router.overrides.follow(settings);
        router
    }

    /// Whether anything may go to a standby.
    #[inline]
    pub(crate) const fn is_on(&self) -> bool {
        self.on
    }

    /// Whether texts are judged, so that some may go to a standby.
    #[inline]
    pub(crate) const fn judges(&self) -> bool {
        self.desk.is_some()
    }

    /// What is found of a text, by the same catalog and path, is the same as long as this is.
    #[inline]
    pub(crate) fn edition(&self) -> (u64, u64) {
        (self.overrides.epoch(), self.desk.as_ref().map_or(0, |desk| desk.lessons))
    }

    /// What the settings say.
    pub(crate) const fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// Takes over what the settings say. `chance` is to be known to nobody. What is too long for this loop goes to the study.
    pub(crate) fn follow(
        &mut self,
        settings: &Settings,
        chance: [u8; 16],
        study: (&Arc<Study>, usize),
    ) {
        self.has_standby_listeners = !settings.listen.standby_addresses.is_empty();
        if self.overrides.follow(settings) {
            // What was kept of texts was judged by others.
            self.desk = None;
        }
        self.set(settings.routing.mode != RoutingMode::Off, chance, study);
        self.on = self.judges() || self.has_standby_listeners;
    }

    /// Lets texts be judged, or not.
    fn set(&mut self, on: bool, chance: [u8; 16], (study, by): (&Arc<Study>, usize)) {
        if self.judges() != on {
            self.desk = on.then(|| Box::new(Desk::new(chance, (study, by))));
        }
    }

    /// A judge for a client of this family; none if nothing goes to standbys. `known` is what is known of the catalog of its
    /// database, `path` what was known before of how its texts are read, `now` the clock of the loop.
    pub(crate) fn judge<'a>(
        &'a mut self,
        (family, session): (&Family, &ClientSession),
        known: &'a Known,
        path: &'a mut Whereabouts,
        now: u64,
    ) -> Option<Judge<'a>> {
        let Desk { cache, asker, chance, lessons } = self.desk.as_deref_mut()?;
        path.update(session, family, (&known.snapshot, chance));
        let (overrides, trust, budget) = (&self.overrides, Trust::None, JUDGED_AT_ONCE);
        Some(Judge { cache, asker, overrides, known, path, now, trust, budget, lessons })
    }

    /// What there is to say of a text, also if texts are not judged.
    pub(crate) fn explain(
        &mut self,
        (family, session, trust): (&Family, &ClientSession, Trust),
        (asked, text, place): (Asked, &[u8], Place<'_>),
        now: u64,
        study: (&Arc<Study>, usize),
    ) -> Explained {
        let mut spare = None;
        let desk = match self.desk.as_deref_mut() {
            Some(desk) => desk,
            // Only this text is put on it.
            None => spare.insert(Desk::new([0; 16], study)),
        };
        let latest = family.catalog.latest();
        let Some(known) = family.catalog.of_now(latest.as_deref()) else {
            return Explained::without_catalog(text, session.rules());
        };
        let mut path = Whereabouts::default();
        path.update(session, family, (&known.snapshot, &desk.chance));
        let (Desk { cache, asker, lessons, .. }, overrides) = (desk, &self.overrides);
        let (path, budget) = (&path, JUDGED_AT_ONCE);
        let mut judge = Judge { cache, asker, overrides, known, path, now, trust, budget, lessons };
        let mut explained = judge.explain(asked, text);
        if let Place::Begins(block) = &place {
            explained.because = begins_here(block, &mut judge, (asked, family));
            explained.reason = explained.because.to_string();
        } else if matches!(place, Place::Alone)
            && explained.because.is_to_standby()
            && judge.is_serializable(session)
        {
            explained.because = Plain::UnknownLevel.into();
            explained.reason = explained.because.to_string();
        }
        explained
    }

    /// What there is to say of a text of a session of which nothing is known, by this catalog. It is judged here however
    /// long that takes.
    pub(super) fn explain_alone(&mut self, known: &Known, text: &[u8]) -> Explained {
        let study = Arc::default();
        let mut desk = Desk::new([0; 16], (&study, 0));
        let path = &Whereabouts::nowhere();
        if text.len() <= access::TEXT_READ {
            desk.cache.entry(text, path.rules());
        }
        let (Desk { cache, asker, lessons, .. }, overrides) = (&mut desk, &self.overrides);
        let (trust, budget) = (Trust::None, JUDGED_AT_ONCE);
        let mut judge =
            Judge { cache, asker, overrides, known, path, now: 0, trust, budget, lessons };
        judge.explain(Asked::default(), text)
    }

    /// It is known now what a text is.
    pub(crate) fn take(&mut self, studied: Studied) {
        if let Some(Desk { cache, asker, .. }) = self.desk.as_deref_mut() {
            asker.hear(&studied);
            cache.learn(&studied.text, studied.rules, studied.access);
        }
    }
}
#[cfg(test)]
mod tests {
    use trunkline_route::{Because, Plain, Row, Snapshot};
    use trunkline_sql::Rules;

    use super::*;
    use crate::{
        positions::Positions,
        routing::{
            Catalog,
            judge::{JUDGED_MAX, LEARNT_FOR},
        },
    };

    const HARMLESS: Row<'_> = Row {
        kind: "mark",
        detail: Some("1"),
        number: None,
        schema: None,
        name: None,
        traits: None,
    };

    fn router() -> Router {
        let mut router = Router::default();
        router.set(true, [1; 16], (&Arc::default(), 0));
        router
    }

    /// Judges for a session of which no path is known.
    fn with_judge<T>(
        router: &mut Router,
        (generation, now): (u64, u64),
        use_it: impl FnOnce(&mut Judge<'_>) -> T,
    ) -> T {
        let catalog = Catalog::new("postgres".into(), Arc::default(), Arc::default());
        let mut builder = Snapshot::builder(generation);
        builder.row(&HARMLESS);
        catalog.learn(builder.finish(), 0, Positions::default().want());
        let Router { desk, overrides, .. } = router;
        let Desk { cache, asker, lessons, .. } = desk.as_deref_mut().unwrap();
        let latest = catalog.latest();
        let (known, path) = (catalog.of_now(latest.as_deref()).unwrap(), &Whereabouts::nowhere());
        let (trust, budget) = (Trust::None, JUDGED_AT_ONCE);
        use_it(&mut Judge { cache, asker, overrides, known, path, now, trust, budget, lessons })
    }

    /// A query of so many bytes.
    fn query(bytes: usize) -> Vec<u8> {
        let mut text = b"SELECT 1".to_vec();
        text.resize(bytes, b' ');
        text
    }

    #[test]
    fn nothing_longer_than_the_limit_is_judged_at_a_loop() {
        let mut router = router();
        let (short, long) = (query(JUDGED_MAX), query(JUDGED_MAX + 1));
        let being_judged = Because::Plain(Plain::BeingJudged);
        with_judge(&mut router, (1, 0), |judge| {
            assert_eq!(judge.judge(&query(access::TEXT_READ + 1)), Plain::OutOfReach.into());
            for _ in 0..2 {
                assert_eq!(judge.judge(&long), being_judged);
                assert_eq!(judge.explain(Asked::default(), &long).reason, "being judged");
                judge.learn(&long);
            }
            assert!(judge.cache.is_empty(), "it is not judged here");
        });
        let rules = Rules::default();
        let studied = Studied::new(0, &long, rules, access::access(&long, rules));
        router.take(studied);
        with_judge(&mut router, (1, 0), |judge| {
            assert_eq!(judge.judge(&long), Because::READ);
            assert_eq!(judge.judge(&short), Because::READ);
            judge.learn(&long);
            assert_eq!(judge.judge(&long), Plain::Learnt.into());
        });
    }

    #[test]
    fn no_more_is_judged_at_once_than_the_limit() {
        let mut router = router();
        let text = |number: usize| {
            format!("SELECT 1 AS a{number}, 2 AS b{number}, 3 AS c{number}, 4").into_bytes()
        };
        let (mut judged, mut turns, mut last) = (0, 0, 0);
        while judged < 200 {
            turns += 1;
            let before = judged;
            with_judge(&mut router, (1, 0), |judge| {
                // What is known costs nothing.
                assert!((0..judged).all(|number| judge.judge(&text(number)) == Because::READ));
                while judge.judge(&text(judged)) == Because::READ {
                    judged += 1;
                }
                assert_eq!(judge.judge(&text(judged)), Plain::BeingJudged.into());
            });
            last = (before..judged).map(|number| text(number).len()).sum();
            assert!(last <= JUDGED_AT_ONCE && judged > before, "{last} bytes");
        }
        assert!(turns > 1 && last > JUDGED_AT_ONCE / 2, "{turns} turns, {last} bytes");
    }

    #[test]
    fn what_was_learnt_is_forgotten_after_a_while_and_with_another_catalog() {
        let mut router = router();
        let text = b"SELECT 1 <~> 2";
        let learnt = Because::Plain(Plain::Learnt);
        let began = 5_000_000;
        with_judge(&mut router, (1, began), |judge| {
            assert_eq!(judge.judge(text), Because::READ);
            judge.learn(text);
            assert_eq!(judge.judge(b"SELECT 3 <~> 4"), learnt, "it has the same shape");
        });
        let last = began + LEARNT_FOR - 1;
        with_judge(&mut router, (1, last), |judge| assert_eq!(judge.judge(text), learnt));
        with_judge(&mut router, (1, last + 1), |judge| {
            assert_eq!(judge.judge(text), Because::READ);
            judge.learn(text);
            assert_eq!(judge.judge(text), learnt, "it is learnt anew");
        });
        with_judge(&mut router, (2, last + 2), |judge| {
            assert_eq!(judge.judge(text), Because::READ, "it may be another operator by now");
        });
    }
}
