//! Prepared statements as texts shared by all clients, and the names they have on the servers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    effect::Effects,
    room::{Place, StatementRoom},
    setting::{Folds, SettingSet},
    shape::{AsTold, Told},
};

/// Every name of ours begins with this. A client's own unknown name that begins so is sent on with one more
/// underscore in front, so that it can never mean a statement of ours.
pub const RESERVED_PREFIX: &[u8] = b"__trunkline_";

/// The store forgets where statements were once there are so many more of these places than twice the statements.
const SWEEP_STEP: usize = 1024;

/// What a statement takes beside its parts: itself, its place in the store, what the allocations of its parts cost, and
/// the place of one that is gone already.
const STATEMENT_BYTES: usize = 512;

/// The number of the pool and that of the changes of its catalog take so many bytes of an environment.
pub(crate) const SCOPE_BYTES: usize = 2 * size_of::<u32>();

/// A prepared statement: what it says and under which settings it was parsed.
#[derive(Debug)]
pub struct Statement {
    /// Unique in this process.
    pub id: u64,
    /// Its name on every server: the reserved prefix and the number.
    pub name: Box<[u8]>,
    /// The names in a Bind of it to the unnamed portal, each with its NUL.
    pub bind_names: Box<[u8]>,
    /// The SQL text.
    pub text: Box<[u8]>,
    /// The parameter types of the Parse message, as on the wire (count and OIDs).
    pub types: Box<[u8]>,
    /// The number of the pool, that of the changes of its catalog, and the settings that PostgreSQL folds in at Parse; see
    /// [`crate::setting::SettingSet::environment`].
    pub environment: Box<[u8]>,
    /// What executing it leaves behind in the session.
    pub effects: Effects,
    /// How often the catalog had changed, out of the environment.
    changes: u32,
    /// What it takes from the settings.
    folds: Folds,
    /// Whether other clients may be given it. It must be used under its own environment only, then: a server that
    /// must analyse it anew, because a table has changed for instance, folds in the settings of that moment.
    shared: bool,
    /// Whether a server has parsed it without an error, the last time one was asked.
    accepted: AtomicBool,
    /// A server has refused to run it any more.
    retired: AtomicBool,
    /// What clients were told of it.
    told: Told,
    /// What it takes of the memory for all statements.
    place: Place,
}

impl Statement {
    /// What it counts against the limits of a server and of a client.
    pub fn weight(&self) -> usize {
        let parts = [self.text.len(), self.types.len(), self.settings().len(), self.name.len()];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    /// Whether a server has parsed it without an error, the last time one was asked.
    pub fn is_accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Notes what a server said of it.
    pub(crate) fn set_accepted(&self, accepted: bool) {
        // Mostly it is known already; a store would take the line from the other loops.
        if self.is_accepted() != accepted {
            self.accepted.store(accepted, Ordering::Relaxed);
        }
    }

    /// A server has refused to run it because its result is another since it was prepared (0A000, plancache.c). Those
    /// who prepare the text again get a new statement, which every server parses anew.
    pub(crate) fn retire(&self) {
        self.set_accepted(false);
        self.retired.store(true, Ordering::Relaxed);
    }

    fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// What clients were told of it.
    #[inline]
    pub(crate) const fn told(&self) -> &Told {
        &self.told
    }

    /// How often the catalog of its database had changed when it was prepared.
    #[inline]
    pub(crate) fn changes(&self) -> u32 {
        self.changes
    }

    /// What it takes from the settings.
    #[inline]
    pub(crate) fn folds(&self) -> Folds {
        self.folds
    }

    /// The settings it was parsed under, as far as it takes from them.
    #[inline]
    pub(crate) fn settings(&self) -> &[u8] {
        self.environment.get(SCOPE_BYTES..).unwrap_or_default()
    }

    /// Whether it was parsed under these settings.
    #[inline]
    pub(crate) fn is_of(&self, settings: &SettingSet) -> bool {
        let (own, now) = (self.settings(), settings.environment_for(self.folds));
        // Mostly there are none.
        own.len() == now.len() && (own.is_empty() || own == now)
    }

    /// Whether other clients may be given it.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared
    }

    /// What it takes of the memory for all statements.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// One without a name, which no server has.
    pub(crate) fn nameless(
        (text, types, environment): (&[u8], &[u8], &[u8]),
        effects: Effects,
        shared: bool,
        room: &Arc<StatementRoom>,
    ) -> Self {
        // What it leaves behind is read from its text and can be about as long.
        let effects_len = if effects.is_none() { 0 } else { text.len() };
        let parts = [text.len(), types.len(), environment.len(), effects_len, STATEMENT_BYTES];
        let weight = parts.into_iter().fold(0, usize::saturating_add);
        Self {
            id: 0,
            bind_names: Box::default(),
            name: Box::default(),
            text: text.into(),
            types: types.into(),
            environment: environment.into(),
            effects,
            changes: changes_of(environment),
            folds: Folds::of(text),
            shared,
            accepted: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            told: Told::default(),
            place: Place::new(room, weight),
        }
    }

    fn says(&self, text: &[u8], types: &[u8], environment: &[u8]) -> bool {
        *self.text == *text && *self.types == *types && *self.environment == *environment
    }
}

/// How often the catalog had changed, as an environment says it.
fn changes_of(environment: &[u8]) -> u32 {
    let scope = environment.get(size_of::<u32>()..SCOPE_BYTES);
    scope.and_then(|changes| changes.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// All prepared statements of the process, so that clients with the same text share one name. It knows those that a client
/// or a server holds.
#[derive(Debug, Default)]
pub struct StatementStore {
    by_hash: BTreeMap<u64, Vec<Weak<Statement>>>,
    last_id: u64,
    /// How many there are in the map, with those that are gone already.
    places: usize,
    room: Arc<StatementRoom>,
}

impl StatementStore {
    /// An empty one whose statements take their memory here.
    pub fn new(room: Arc<StatementRoom>) -> Self {
        Self { room, ..Self::default() }
    }

    /// The memory that they take.
    pub fn room(&self) -> &StatementRoom {
        &self.room
    }

    /// The statement with this text, types and environment; made when new. `hash` is a keyed hash of the three
    /// (equality is decided on the bytes, so a collision only costs time); `effects` is asked for a new one.
    pub fn intern(
        &mut self,
        hash: u64,
        (text, types, environment): (&[u8], &[u8], &[u8]),
        effects: impl FnOnce() -> Effects,
    ) -> Arc<Statement> {
        if let Some(known) = self.find(hash, (text, types, environment)) {
            return known;
        }
        let statement = self.make((text, types, environment), effects(), true);
        if self.places > self.room.alive().saturating_mul(2).saturating_add(SWEEP_STEP) {
            self.sweep();
        }
        self.by_hash.entry(hash).or_default().push(Arc::downgrade(&statement));
        self.places = self.places.saturating_add(1);
        statement
    }

    /// The statement with this text, types and environment, if it is known.
    pub fn find(
        &self,
        hash: u64,
        (text, types, environment): (&[u8], &[u8], &[u8]),
    ) -> Option<Arc<Statement>> {
        self.by_hash
            .get(&hash)?
            .iter()
            .filter_map(Weak::upgrade)
            .find(|known| !known.is_retired() && known.says(text, types, environment))
    }

    /// A statement with a name of its own that nobody else will be given.
    pub fn unshared(&mut self, parts: (&[u8], &[u8], &[u8]), effects: Effects) -> Arc<Statement> {
        self.make(parts, effects, false)
    }

    fn make(
        &mut self,
        parts: (&[u8], &[u8], &[u8]),
        effects: Effects,
        shared: bool,
    ) -> Arc<Statement> {
        self.last_id = self.last_id.wrapping_add(1);
        let mut name = RESERVED_PREFIX.to_vec();
        name.extend_from_slice(self.last_id.to_string().as_bytes());
        Arc::new(Statement {
            id: self.last_id,
            bind_names: [b"\0", name.as_slice(), b"\0"].concat().into(),
            name: name.into(),
            ..Statement::nameless(parts, effects, shared, &self.room)
        })
    }

    /// The memory that they take, to be counted by others.
    pub(crate) fn shared_room(&self) -> Arc<StatementRoom> {
        Arc::clone(&self.room)
    }

    /// Forgets the places of statements that no client and no server holds any more.
    fn sweep(&mut self) {
        self.by_hash.retain(|_, same| {
            same.retain(|statement| statement.strong_count() > 0);
            !same.is_empty()
        });
        self.places = self.by_hash.values().map(Vec::len).sum();
    }
}

/// The statements of ours that a server connection holds.
#[derive(Debug, Default)]
pub(crate) struct ServerStatements {
    held: BTreeMap<u64, Held>,
    bytes: usize,
    /// Counts uses; the entry with the smallest count is the least recently used.
    uses: u64,
    /// The one that was used last, if it is still held and looks as clients were told; 0 for none. Most clients of a server
    /// use the same one.
    latest: u64,
    /// It has the question of [`crate::readback`], which does not count.
    reader: bool,
}

#[derive(Debug)]
struct Held {
    statement: Arc<Statement>,
    used: u64,
    as_told: AsTold,
}

/// How many statements one server connection may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatementLimits {
    /// Number of statements; at least 1.
    pub count: usize,
    /// Bytes of their texts.
    pub bytes: usize,
}

impl ServerStatements {
    /// Whether the server has `id`; marks it as used.
    #[inline]
    pub(crate) fn touch(&mut self, id: u64) -> bool {
        id == self.latest || self.touch_another(id).is_some()
    }

    /// Whether the server has `id`, and describes it as clients were told; marks it as used.
    #[inline]
    pub(crate) fn touch_as_told(&mut self, id: u64) -> bool {
        id == self.latest || self.touch_another(id) == Some(AsTold::Yes)
    }

    /// Whether the server describes it as clients were told; none if it does not have it.
    pub(crate) fn as_told(&self, id: u64) -> Option<AsTold> {
        self.held.get(&id).map(|held| held.as_told)
    }

    /// Notes how the server describes it.
    pub(crate) fn set_as_told(&mut self, id: u64, as_told: AsTold) {
        if let Some(held) = self.held.get_mut(&id) {
            held.as_told = as_told;
        }
        if self.latest == id && as_told != AsTold::Yes {
            self.latest = 0;
        }
    }

    fn touch_another(&mut self, id: u64) -> Option<AsTold> {
        self.uses = self.uses.wrapping_add(1);
        let held = self.held.get_mut(&id)?;
        held.used = self.uses;
        if held.as_told == AsTold::Yes {
            self.latest = id;
        }
        Some(held.as_told)
    }

    /// The server is being given this statement.
    pub(crate) fn add(&mut self, statement: &Arc<Statement>) {
        self.uses = self.uses.wrapping_add(1);
        self.bytes = self.bytes.saturating_add(statement.weight());
        self.latest = statement.id;
        let (statement, used) = (Arc::clone(statement), self.uses);
        self.held.insert(statement.id, Held { statement, used, as_told: AsTold::Yes });
    }

    /// The server no longer has it, or never got it.
    pub(crate) fn remove(&mut self, id: u64) {
        if let Some(held) = self.take(id) {
            self.bytes = self.bytes.saturating_sub(held.statement.weight());
        }
    }

    /// A client has deallocated a name of ours by SQL.
    pub(crate) fn remove_named(&mut self, name: &[u8]) {
        let found = self.held.values().find(|held| *held.statement.name == *name);
        if let Some(id) = found.map(|held| held.statement.id) {
            self.remove(id);
        }
    }

    /// The server has no others any more.
    pub(crate) fn retain(&mut self, has: impl Fn(&Statement) -> bool) {
        let gone: Vec<u64> =
            self.held.iter().filter(|(_, held)| !has(&held.statement)).map(|(id, _)| *id).collect();
        for id in gone {
            self.remove(id);
        }
    }

    /// `DEALLOCATE ALL` or `DISCARD ALL` was done.
    pub(crate) fn clear(&mut self) {
        self.reader = false;
        self.held.clear();
        self.latest = 0;
        self.bytes = 0;
    }

    /// Takes out the least recently used statement while the limits are exceeded; never one that is to be kept.
    pub(crate) fn evict(
        &mut self,
        limits: StatementLimits,
        keeps: impl Fn(&Statement) -> bool,
    ) -> Option<Arc<Statement>> {
        if self.held.len() <= limits.count && self.bytes <= limits.bytes {
            return None;
        }
        let oldest = self
            .held
            .iter()
            .filter(|(_, held)| !keeps(&held.statement))
            .min_by_key(|(_, held)| held.used)
            .map(|(id, _)| *id)?;
        let held = self.take(oldest)?;
        self.bytes = self.bytes.saturating_sub(held.statement.weight());
        Some(held.statement)
    }

    fn take(&mut self, id: u64) -> Option<Held> {
        if self.latest == id {
            self.latest = 0;
        }
        self.held.remove(&id)
    }

    /// Their names.
    pub(crate) fn names(&self) -> BTreeSet<&[u8]> {
        self.held.values().map(|held| held.statement.name.as_ref()).collect()
    }

    /// Whether it has our question.
    pub(crate) fn has_reader(&self) -> bool {
        self.reader
    }

    /// It has it now, or has it no longer.
    pub(crate) fn set_reader(&mut self, has: bool) {
        self.reader = has;
    }

    /// The number of statements held.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intern(store: &mut StatementStore, text: &str, environment: &str) -> Arc<Statement> {
        let parts = (text.as_bytes(), b"\0\0".as_slice(), environment.as_bytes());
        store.intern(7, parts, Effects::default)
    }

    #[test]
    fn the_same_text_has_one_name_and_another_environment_another() {
        let mut store = StatementStore::default();
        let one = intern(&mut store, "select 1", "");
        assert_eq!(one.id, intern(&mut store, "select 1", "").id);
        assert_ne!(one.id, intern(&mut store, "select 1", "timezone").id);
        assert_ne!(one.id, intern(&mut store, "select 2", "").id);
        assert!(one.name.starts_with(RESERVED_PREFIX));
    }

    #[test]
    fn a_retired_statement_is_given_to_nobody_any_more() {
        let mut store = StatementStore::default();
        let old = intern(&mut store, "select * from t", "");
        old.set_accepted(true);
        old.retire();
        assert!(!old.is_accepted());
        let new = intern(&mut store, "select * from t", "");
        assert_ne!(new.id, old.id);
        assert_eq!(new.id, intern(&mut store, "select * from t", "").id);
    }

    #[test]
    fn statements_nobody_holds_are_gone_and_their_places_are_swept() {
        let mut store = StatementStore::default();
        let kept = intern(&mut store, "select 1", "");
        for number in 0..3 * SWEEP_STEP {
            intern(&mut store, &format!("select {number} + 0"), "");
            assert_eq!(store.room().alive(), 1);
            assert!(store.places <= SWEEP_STEP + 5, "{}", store.places);
        }
        assert_eq!(kept.id, intern(&mut store, "select 1", "").id);
    }

    #[test]
    fn the_least_recently_used_is_closed_first() {
        let mut store = StatementStore::default();
        let mut server = ServerStatements::default();
        let all: Vec<_> = (0..3).map(|n| intern(&mut store, &format!("select {n}"), "")).collect();
        for statement in &all {
            server.add(statement);
        }
        assert!(server.touch(all[0].id));
        let limits = StatementLimits { count: 2, bytes: 1 << 20 };
        let keeps = |held: &Statement| held.id == all[2].id;
        assert_eq!(server.evict(limits, keeps).map(|s| s.id), Some(all[1].id));
        assert!(server.evict(limits, keeps).is_none());
        let limits = StatementLimits { count: 2, bytes: 1 };
        assert_eq!(server.evict(limits, keeps).map(|s| s.id), Some(all[0].id));
        assert!(server.evict(limits, keeps).is_none(), "the one to keep stays");
        assert!(server.touch(all[2].id));
        server.remove(all[2].id);
        assert!(!server.touch(all[2].id), "it has just been removed");
    }
}
