//! A loop's own judge of texts.

use std::{fmt, hash::RandomState, sync::Arc};

use trunkline_route::{
    Asked, Because, Call, Cause, Named, Path, Plain, Reason, Snapshot, Trust, Verdict, resolve,
};
use trunkline_session::ClientSession;
use trunkline_settings::{RoutingMode, Settings};
use trunkline_sql::{
    Name, Rules,
    access::{
        self, Access, Class, Hint, Secret,
        cache::{Cache, Entry, Key, Limits},
    },
};

use super::{
    catalog::Known,
    explained::Explained,
    overrides::{Lists, Overrides},
    study::{Asker, Studied, Study},
    whereabouts::{NO_PATH, Whereabouts},
};
use crate::pool::Family;

/// What a key differs by where doubts about functions do not count.
const DOUBTS: u64 = 1 << 62;

/// What it differs by where the lists in the settings do not count either.
const LISTS: u64 = 1 << 63;

/// Longer texts are not judged here: it would hold up the other clients of the loop.
const JUDGED_MAX: usize = access::QUICK;

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

/// How long a text that a standby has refused belongs on the primary, in microseconds: its catalog may not show why it is no
/// read any more.
const LEARNT_FOR: u64 = 600_000_000;

/// What is kept of a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    because: Because,
    /// Until when, in seconds, if it has been learnt; else for ever.
    until: u32,
}

impl Kept {
    const fn for_ever(because: Because) -> Self {
        Self { because, until: u32::MAX }
    }

    /// Learnt now; the clock has microseconds.
    fn learnt(now: u64) -> Self {
        Self { because: Because::Plain(Plain::Learnt), until: seconds(now + LEARNT_FOR) }
    }
}

fn seconds(clock: u64) -> u32 {
    u32::try_from(clock / 1_000_000).unwrap_or(u32::MAX)
}

/// What it works with.
struct Desk {
    cache: Cache<Kept>,
    /// Who asks about texts that are not judged here.
    asker: Asker,
    /// What the keys of paths are made with.
    chance: RandomState,
}

impl Desk {
    fn new(chance: [u8; 16], (study, by): (&Arc<Study>, usize)) -> Self {
        let cache = Cache::new(Limits::default(), &Secret::new(chance));
        Self { cache, asker: Asker::new(Arc::clone(study), by), chance: RandomState::new() }
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Router").field(&self.is_on()).finish()
    }
}

/// What texts are judged by: for one client at one moment.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    cache: &'a mut Cache<Kept>,
    asker: &'a mut Asker,
    overrides: &'a Overrides,
    known: Arc<Known>,
    path: &'a Whereabouts,
    /// The clock of the loop, in microseconds.
    now: u64,
    rules: Rules,
    /// How far a wish for a standby is taken at its word.
    trust: Trust,
    /// Texts are in UTF-8; else only those are judged that are the same in it.
    utf8: bool,
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

    /// A judge for a client of this family; none if nothing goes to standbys, or if the catalog of its database is not known.
    /// `path` is what was known before of where its names are looked for, `now` the clock of the loop.
    pub(crate) fn judge<'a>(
        &'a mut self,
        (family, session): (&Family, &ClientSession),
        path: &'a mut Whereabouts,
        now: u64,
    ) -> Option<Judge<'a>> {
        let Desk { cache, asker, chance } = self.desk.as_deref_mut()?;
        let utf8 = is_utf8(session);
        let known = family.catalog.known()?;
        path.update((session, utf8), family, (&known.snapshot, chance));
        let (overrides, rules, trust) = (&self.overrides, session.rules(), Trust::None);
        Some(Judge { cache, asker, overrides, known, path, now, rules, trust, utf8 })
    }

    /// What there is to say of a text, also if texts are not judged.
    pub(crate) fn explain(
        &mut self,
        (family, session): (&Family, &ClientSession),
        (asked, text): (Asked, &[u8]),
        now: u64,
        study: (&Arc<Study>, usize),
    ) -> Explained {
        let mut spare = None;
        let desk = match self.desk.as_deref_mut() {
            Some(desk) => desk,
            // Only this text is put on it.
            None => spare.insert(Desk::new([0; 16], study)),
        };
        let Some(known) = family.catalog.known() else {
            return Explained::without_catalog(text, session.rules());
        };
        let mut path = Whereabouts::default();
        let (overrides, rules, utf8) = (&self.overrides, session.rules(), is_utf8(session));
        path.update((session, utf8), family, (&known.snapshot, &desk.chance));
        let Desk { cache, asker, .. } = desk;
        let (path, trust) = (&path, asked.trust());
        let mut judge = Judge { cache, asker, overrides, known, path, now, rules, trust, utf8 };
        judge.explain(asked, text)
    }

    /// What there is to say of a text of a session of which nothing is known, by this catalog. It is judged here however
    /// long that takes.
    pub(super) fn explain_alone(&mut self, known: &Arc<Known>, text: &[u8]) -> Explained {
        let study = Arc::default();
        let mut desk = Desk::new([0; 16], (&study, 0));
        let rules = Rules::default();
        if text.len() <= access::TEXT_READ {
            desk.cache.entry(text, rules);
        }
        let Desk { cache, asker, .. } = &mut desk;
        let (overrides, path, known) =
            (&self.overrides, &Whereabouts::default(), Arc::clone(known));
        let trust = Trust::None;
        let mut judge =
            Judge { cache, asker, overrides, known, path, now: 0, rules, trust, utf8: true };
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

impl Judge<'_> {
    /// The same for who is taken at his word so far.
    pub(crate) fn trusting(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }

    /// Where a text goes of a session that asks for this.
    pub(crate) fn decide(&mut self, asked: Asked, text: &[u8]) -> Because {
        let found = self.judge(text);
        asked.decide(found, || self.overrides.match_in(text))
    }

    /// Where a transaction goes that is begun by this text, and may begin on a standby because of what was `found`.
    pub(crate) fn decide_block(&mut self, asked: Asked, text: &[u8], found: Plain) -> Because {
        match access::hint(text) {
            Some(Hint::Primary) => Plain::Hint.into(),
            Some(Hint::Standby) => Plain::StandbyHint.into(),
            _ => asked.decide(found.into(), || self.overrides.match_in(text)),
        }
    }

    /// What keeps a text on the primary, whatever it is, of a session that is a standby's. One that is not known yet stays
    /// where the session is.
    pub(crate) fn recall(&mut self, text: &[u8]) -> Option<Because> {
        match access::hint(text) {
            Some(Hint::Primary) => return Some(Plain::Hint.into()),
            Some(Hint::Standby) => return None,
            Some(Hint::Unknown(_)) | None => {}
        }
        let overrides = self.overrides;
        if self.is_out_of_reach(text) {
            return None;
        }
        if overrides.match_in(text) {
            return Some(Plain::Pattern.into());
        }
        let is_listed = !overrides.lists().are_empty()
            && overrides.lists().keep(self.entry(text).ok()?.access());
        is_listed.then_some(Plain::List.into())
    }

    /// What is kept of a text; or that it takes long to judge, and is judged elsewhere.
    #[inline]
    fn entry(&mut self, text: &[u8]) -> Result<&mut Entry<Kept>, Because> {
        if text.len() <= JUDGED_MAX {
            return Ok(self.cache.entry(text, self.rules).0);
        }
        match self.cache.known(text, self.rules) {
            Some(entry) => Ok(entry),
            None => Err(self.asker.ask(text, self.rules)),
        }
    }

    /// [`Because::READ`] if a text only reads, and may do so on a standby; else why it belongs on the primary.
    pub(crate) fn judge(&mut self, text: &[u8]) -> Because {
        if self.is_out_of_reach(text) {
            return Plain::OutOfReach.into();
        }
        let generation = self.known.snapshot.generation();
        let entry = if text.len() <= JUDGED_MAX {
            self.cache.entry(text, self.rules).0
        } else {
            match self.cache.known(text, self.rules) {
                Some(entry) => entry,
                None => return self.asker.ask(text, self.rules),
            }
        };
        // Most texts are the same under any path, and are kept once then.
        let trust = self.trust;
        let ground = Ground { known: &self.known, lists: self.overrides.lists(), schemas: None };
        let anywhere = key(generation, NO_PATH, trust);
        let anywhere = kept(entry, anywhere, self.now, |access| judge(ground, access, trust));
        let path = self.path.key();
        if path == NO_PATH || !depends_on_path(anywhere) {
            return anywhere;
        }
        kept(entry, key(generation, path, trust), self.now, |access| {
            let schemas = self.path.schemas();
            judge(Ground { schemas: schemas.as_deref(), ..ground }, access, trust)
        })
    }

    /// Says where a text goes by itself, of a session that asks for this, and why.
    pub(super) fn explain(&mut self, asked: Asked, text: &[u8]) -> Explained {
        let because = if asked.is_whole() {
            self.recall(text).unwrap_or(Because::Plain(Plain::StandbyListener))
        } else {
            self.decide(asked, text)
        };
        let access = if self.is_out_of_reach(text) {
            None
        } else {
            // Of one that is not known nothing is told but that.
            self.entry(text).ok().map(|entry| entry.access().clone())
        };
        let schemas = self.path.schemas();
        let mut explained = Explained::of(because, access.as_ref(), schemas.as_deref());
        if let (Because::Cause(_), Some(access)) = (because, &access) {
            let (known, lists) = (&self.known, self.overrides.lists());
            let ground = Ground { known, lists, schemas: schemas.as_deref() };
            let trust = trust_in(access, self.trust);
            with_cause(ground, access, |cause| {
                if trust != Trust::None && is_doubt(cause) {
                    return None;
                }
                explained.tell(cause);
                Some(())
            });
        }
        explained
    }

    fn is_out_of_reach(&self, text: &[u8]) -> bool {
        text.len() > access::TEXT_READ || !self.utf8 && !text.is_ascii()
    }

    /// The catalog.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.known.snapshot
    }

    /// A standby has shown that a text is no read.
    pub(crate) fn learn(&mut self, text: &[u8]) {
        let generation = self.known.snapshot.generation();
        let entry = if text.len() <= JUDGED_MAX {
            Some(self.cache.entry(text, self.rules).0)
        } else {
            self.cache.known(text, self.rules)
        };
        if let Some(entry) = entry {
            for trust in Trust::ALL {
                entry.keep(key(generation, NO_PATH, trust), Kept::learnt(self.now));
            }
        }
    }
}

/// Whether a session's texts are in UTF-8.
fn is_utf8(session: &ClientSession) -> bool {
    matches!(session.encoding(), b"UTF8" | b"")
}

/// What is kept of a text under a key; what is not is judged, and kept.
#[inline]
fn kept(
    entry: &mut Entry<Kept>,
    key: Key,
    now: u64,
    judge: impl FnOnce(&Access) -> Because,
) -> Because {
    if let Some(kept) = entry.value(key)
        && (kept.until == u32::MAX || seconds(now) < kept.until)
    {
        return kept.because;
    }
    let because = judge(entry.access());
    entry.keep(key, Kept::for_ever(because));
    because
}

/// Each trust is another question.
#[inline]
fn key(generation: u64, path: u64, trust: Trust) -> Key {
    let asked = match trust {
        Trust::None => 0,
        Trust::Doubts => DOUBTS,
        Trust::Lists => LISTS,
    };
    Key { generation, path: path ^ asked }
}

/// What a text is judged by besides its own words.
#[derive(Clone, Copy)]
struct Ground<'a> {
    known: &'a Known,
    lists: &'a Lists,
    /// Where its names are looked for, as far as that is known.
    schemas: Option<&'a [&'a str]>,
}

/// Whether a text may be found to be something else if it is known where its names are looked for.
fn depends_on_path(found: Because) -> bool {
    matches!(found, Because::Cause(_) | Because::Plain(Plain::Trusted))
}

fn judge(ground: Ground<'_>, access: &Access, trust: Trust) -> Because {
    match access.class {
        Class::Read => judge_read(ground, access, trust),
        Class::Empty => Because::READ,
        class => Because::Class(class),
    }
}

/// How far a wish for a standby is taken at its word, where a hint may be one.
fn trust_in(access: &Access, trust: Trust) -> Trust {
    if access.hint == Some(Hint::Standby) { Trust::Lists } else { trust }
}

fn judge_read(ground: Ground<'_>, access: &Access, trust: Trust) -> Because {
    let (trust, hint) = (trust_in(access, trust), access.hint == Some(Hint::Primary));
    if !hint && trust != Trust::Lists && ground.lists.keep(access) {
        return Plain::List.into();
    }
    let mut doubted = false;
    let objection = with_cause(ground, access, |cause| {
        let passes = trust != Trust::None && is_doubt(cause);
        doubted |= passes;
        (!passes).then_some(Because::Cause(cause.step().reason))
    });
    match objection {
        Some(because) => because,
        None if hint => Plain::Hint.into(),
        None if access.hint == Some(Hint::Standby) => Plain::StandbyHint.into(),
        None if doubted => Plain::Trusted.into(),
        None => Because::READ,
    }
}

/// Whether it is only not known of a function that it does no harm, directly or behind views.
fn is_doubt(cause: Cause<'_>) -> bool {
    let mut last = false;
    cause.steps().all(|step| {
        last = step.reason.is_doubt();
        last || step.reason == Reason::View
    }) && last
}

/// What is made of the first thing that a text calls or names which keeps it on the primary, and of which something is made.
fn with_cause<T>(
    ground: Ground<'_>,
    access: &Access,
    mut look: impl FnMut(Cause<'_>) -> Option<T>,
) -> Option<T> {
    let in_strings: Vec<_> = access.calls.iter().filter_map(access::Call::relation).collect();
    let calls = access.calls.iter().filter(|call| !ground.lists.trust(call)).map(|call| Call {
        function: named((&call.database, &call.schema, &call.name)),
        arguments: call.arguments,
        literal: call.literal.as_ref().and_then(text),
    });
    let relations = access.relations.iter().chain(&in_strings);
    let relations = relations.map(|it| named((&it.database, &it.schema, &it.name)));
    // Which of them the role may look into is not known.
    let path = ground.schemas.map_or(Path::Unknown, Path::Possible);
    let snapshot = &ground.known.snapshot;
    let mut found = |verdict: Verdict<'_>| match verdict {
        Verdict::Harmless => None,
        Verdict::Primary(cause) => look(cause),
    };
    for call in calls {
        if let Some(found) = found(resolve(snapshot, path, [call], [])) {
            return Some(found);
        }
    }
    for relation in relations {
        if let Some(found) = found(resolve(snapshot, path, [], [relation])) {
            return Some(found);
        }
    }
    None
}

/// No name is this.
const NOWHERE: &str = "";

/// A name as the catalog has it; one that names a database, or is none in UTF-8, is in a schema that is not there.
fn named<'a>((database, schema, name): (&Option<Name>, &'a Option<Name>, &'a Name)) -> Named<'a> {
    let schema = match (database, schema) {
        (Some(_), _) => Some(NOWHERE),
        (None, Some(schema)) => Some(text(schema).unwrap_or(NOWHERE)),
        (None, None) => text(name).is_none().then_some(NOWHERE),
    };
    Named { schema, name: text(name).unwrap_or(NOWHERE) }
}

fn text(name: &Name) -> Option<&str> {
    std::str::from_utf8(name.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use trunkline_route::{Row, Snapshot};

    use super::*;
    use crate::{positions::Positions, routing::Catalog};

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
        let Desk { cache, asker, .. } = desk.as_deref_mut().unwrap();
        let (known, path) = (catalog.known().unwrap(), &Whereabouts::default());
        let (rules, trust) = (Rules::default(), Trust::None);
        use_it(&mut Judge { cache, asker, overrides, known, path, now, rules, trust, utf8: true })
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
