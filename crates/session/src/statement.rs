//! Prepared statements as texts shared by all clients, and the names they have on the servers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    effect::Effects,
    setting::{Folds, SettingSet},
};

/// Every name of ours begins with this. A client's own unknown name that begins so is sent on with one more
/// underscore in front, so that it can never mean a statement of ours.
pub const RESERVED_PREFIX: &[u8] = b"__trunkline_";

/// The store is swept of statements that nobody holds when it has grown by this many since the last sweep.
const SWEEP_STEP: usize = 1024;

/// The same in bytes.
const SWEEP_BYTES: usize = 4 << 20;

/// The number of the pool takes so many bytes of an environment.
const SCOPE_BYTES: usize = size_of::<u32>();

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
    /// The number of the pool, and the settings that PostgreSQL folds in at Parse; see
    /// [`crate::setting::SettingSet::environment`].
    pub environment: Box<[u8]>,
    /// What executing it leaves behind in the session.
    pub effects: Effects,
    /// What it takes from the settings.
    folds: Folds,
    /// Whether other clients may be given it. It must be used under its own environment only, then: a server that
    /// must analyse it anew, because a table has changed for instance, folds in the settings of that moment.
    shared: bool,
    /// Whether a server has parsed it without an error, the last time one was asked.
    accepted: AtomicBool,
    /// A server has refused to run it any more.
    retired: AtomicBool,
}

impl Statement {
    /// What it counts against the limit of bytes, on a server and in the store.
    pub fn weight(&self) -> usize {
        self.text.len().saturating_add(self.types.len()).saturating_add(self.name.len())
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
        self.settings() == settings.environment_for(self.folds)
    }

    /// Whether other clients may be given it.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared
    }

    fn says(&self, text: &[u8], types: &[u8], environment: &[u8]) -> bool {
        *self.text == *text && *self.types == *types && *self.environment == *environment
    }
}

/// All prepared statements of the process, so that clients with the same text share one name.
#[derive(Debug)]
pub struct StatementStore {
    by_hash: BTreeMap<u64, Vec<Arc<Statement>>>,
    next_id: u64,
    held: usize,
    bytes: usize,
    /// So many statements, or bytes of them, are the next reason for a sweep.
    sweep_at: StatementLimits,
}

impl Default for StatementStore {
    fn default() -> Self {
        let sweep_at = StatementLimits { count: SWEEP_STEP, bytes: SWEEP_BYTES };
        Self { by_hash: BTreeMap::new(), next_id: 1, held: 0, bytes: 0, sweep_at }
    }
}

impl StatementStore {
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
        self.by_hash.entry(hash).or_default().push(Arc::clone(&statement));
        self.held = self.held.saturating_add(1);
        self.bytes = self.bytes.saturating_add(statement.weight());
        if self.held >= self.sweep_at.count || self.bytes >= self.sweep_at.bytes {
            self.sweep();
        }
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
            .find(|known| !known.is_retired() && known.says(text, types, environment))
            .map(Arc::clone)
    }

    /// A statement with a name of its own that nobody else will be given.
    pub fn unshared(&mut self, parts: (&[u8], &[u8], &[u8]), effects: Effects) -> Arc<Statement> {
        self.make(parts, effects, false)
    }

    fn make(
        &mut self,
        (text, types, environment): (&[u8], &[u8], &[u8]),
        effects: Effects,
        shared: bool,
    ) -> Arc<Statement> {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let mut name = RESERVED_PREFIX.to_vec();
        name.extend_from_slice(id.to_string().as_bytes());
        Arc::new(Statement {
            id,
            bind_names: [b"\0", name.as_slice(), b"\0"].concat().into(),
            name: name.into(),
            text: text.into(),
            types: types.into(),
            environment: environment.into(),
            effects,
            folds: Folds::of(text),
            shared,
            accepted: AtomicBool::new(false),
            retired: AtomicBool::new(false),
        })
    }

    /// The number of statements held.
    pub fn len(&self) -> usize {
        self.held
    }

    /// Whether no statement is held.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Forgets the statements that no client and no server holds any more.
    fn sweep(&mut self) {
        for same in self.by_hash.values_mut() {
            same.retain(|statement| Arc::strong_count(statement) > 1);
        }
        self.by_hash.retain(|_, same| !same.is_empty());
        let left = self.by_hash.values().flatten();
        self.held = left.clone().count();
        self.bytes = left.map(|statement| statement.weight()).sum();
        let next = |now: usize, step| now.saturating_mul(2).max(now.saturating_add(step));
        self.sweep_at = StatementLimits {
            count: next(self.held, SWEEP_STEP),
            bytes: next(self.bytes, SWEEP_BYTES),
        };
    }
}

/// The statements of ours that a server connection holds.
#[derive(Debug, Default)]
pub(crate) struct ServerStatements {
    held: BTreeMap<u64, Held>,
    bytes: usize,
    /// Counts uses; the entry with the smallest count is the least recently used.
    uses: u64,
    /// The one that was used last, if it is still held; 0 for none. Most clients of a server use the same one.
    latest: u64,
}

#[derive(Debug)]
struct Held {
    statement: Arc<Statement>,
    used: u64,
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
        id == self.latest || self.touch_another(id)
    }

    fn touch_another(&mut self, id: u64) -> bool {
        self.uses = self.uses.wrapping_add(1);
        match self.held.get_mut(&id) {
            Some(held) => {
                held.used = self.uses;
                self.latest = id;
                true
            }
            None => false,
        }
    }

    /// The server is being given this statement.
    pub(crate) fn add(&mut self, statement: &Arc<Statement>) {
        self.uses = self.uses.wrapping_add(1);
        self.bytes = self.bytes.saturating_add(statement.weight());
        self.latest = statement.id;
        self.held.insert(statement.id, Held { statement: Arc::clone(statement), used: self.uses });
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

    /// `DEALLOCATE ALL` or `DISCARD ALL` was done.
    pub(crate) fn clear(&mut self) {
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

    /// The number of statements held.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intern(store: &mut StatementStore, text: &str, environment: &str) -> Arc<Statement> {
        store.intern(7, (text.as_bytes(), b"\0\0", environment.as_bytes()), Effects::default)
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
    fn statements_nobody_holds_are_swept() {
        let mut store = StatementStore::default();
        let kept = intern(&mut store, "select 1", "");
        for number in 0..SWEEP_STEP {
            intern(&mut store, &format!("select {number} + 0"), "");
        }
        assert!(store.len() < SWEEP_STEP, "{}", store.len());
        assert_eq!(kept.id, intern(&mut store, "select 1", "").id);
    }

    #[test]
    fn long_statements_nobody_holds_are_swept_before_they_are_many() {
        let mut store = StatementStore::default();
        for number in 0..64 {
            let text = format!("select '{}', {number}", "x".repeat(256 << 10));
            intern(&mut store, &text, "");
            assert!(store.bytes <= SWEEP_BYTES + (257 << 10), "{} bytes", store.bytes);
        }
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
