//! Follows a client's settings through transactions and savepoints.

use std::sync::Arc;

use trunkline_sql::Value;

use crate::setting::{SETTINGS_MAX, SettingSet};

/// At most this many savepoints are followed by name; deeper ones keep the settings of the deepest followed.
const SAVEPOINTS_MAX: usize = 1024;

/// What a client has set, as committed and as seen by its open transaction.
///
/// PostgreSQL takes settings back when the transaction (or the savepoint) in which they were made is rolled back
/// (manual, SET: "the effects ... will be canceled").
#[derive(Debug)]
pub(crate) struct SettingsTrack {
    /// What the startup packet asked for and the server connections of the pool do not have by themselves.
    base: Arc<SettingSet>,
    committed: Arc<SettingSet>,
    current: Arc<SettingSet>,
    savepoints: Vec<(Box<[u8]>, Arc<SettingSet>)>,
}

impl SettingsTrack {
    /// A session that has `base` set from its startup packet.
    pub(crate) fn new(base: Arc<SettingSet>) -> Self {
        Self {
            committed: Arc::clone(&base),
            current: Arc::clone(&base),
            base,
            savepoints: Vec::new(),
        }
    }

    /// What the next statement of the client must see.
    #[inline]
    pub(crate) fn current(&self) -> &Arc<SettingSet> {
        &self.current
    }

    /// What the startup packet asked for.
    pub(crate) fn base(&self) -> &Arc<SettingSet> {
        &self.base
    }

    /// Follows a `SET` that the server has accepted. False when the session has set too many to follow.
    #[must_use]
    pub(crate) fn set(&mut self, name: &[u8], value: Value) -> bool {
        if self.current.len() >= SETTINGS_MAX && self.current.get(name).is_none() {
            return false;
        }
        Arc::make_mut(&mut self.current).set(name, value);
        true
    }

    /// Follows a `RESET`: back to what the startup packet asked for.
    pub(crate) fn reset(&mut self, name: &[u8]) {
        let set = Arc::make_mut(&mut self.current);
        match self.base.get(name) {
            Some(value) => set.set(name, value.clone()),
            None => set.remove(name),
        }
    }

    /// Follows `RESET ALL` and the like. The role and the session's user are left alone, as PostgreSQL does.
    pub(crate) fn reset_all(&mut self) {
        let mut fresh = SettingSet::clone(&self.base);
        for name in [b"session_authorization".as_slice(), b"role"] {
            if let Some(value) = self.current.get(name) {
                fresh.set(name, value.clone());
            }
        }
        self.current = if fresh == *self.base { Arc::clone(&self.base) } else { Arc::new(fresh) };
    }

    /// Follows `DISCARD ALL`: `SET SESSION AUTHORIZATION DEFAULT; RESET ALL` and more.
    pub(crate) fn discard_all(&mut self) {
        self.current = Arc::clone(&self.base);
    }

    /// Follows `SAVEPOINT name`.
    pub(crate) fn savepoint(&mut self, name: &[u8]) {
        if self.savepoints.len() < SAVEPOINTS_MAX {
            self.savepoints.push((name.into(), Arc::clone(&self.current)));
        }
    }

    /// Follows `ROLLBACK TO name`: the savepoint stays, those after it go.
    pub(crate) fn rollback_to(&mut self, name: &[u8]) {
        if let Some(place) = self.savepoints.iter().rposition(|(known, _)| known.as_ref() == name) {
            self.savepoints.truncate(place.saturating_add(1));
            if let Some((_, set)) = self.savepoints.get(place) {
                self.current = Arc::clone(set);
            }
        }
    }

    /// Follows `RELEASE name`: it and those after it go, the values stay.
    pub(crate) fn release(&mut self, name: &[u8]) {
        if let Some(place) = self.savepoints.iter().rposition(|(known, _)| known.as_ref() == name) {
            self.savepoints.truncate(place);
        }
    }

    /// The transaction has committed.
    #[inline]
    pub(crate) fn commit(&mut self) {
        if !Arc::ptr_eq(&self.committed, &self.current) {
            self.committed = Arc::clone(&self.current);
        }
        self.savepoints.clear();
    }

    /// The transaction was rolled back.
    #[inline]
    pub(crate) fn rollback(&mut self) {
        if !Arc::ptr_eq(&self.committed, &self.current) {
            self.current = Arc::clone(&self.committed);
        }
        self.savepoints.clear();
    }

    /// Shares memory with an equal set that somebody else holds.
    pub(crate) fn unify(&mut self, other: &Arc<SettingSet>) {
        self.committed = Arc::clone(other);
        self.current = Arc::clone(other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Value {
        Value::Written(text.as_bytes().into())
    }

    fn track() -> SettingsTrack {
        SettingsTrack::new(SettingSet::empty())
    }

    #[test]
    fn a_rollback_takes_settings_back() {
        let mut track = track();
        assert!(track.set(b"timezone", token("'UTC'")));
        track.commit();
        assert!(track.set(b"timezone", token("'Asia/Tokyo'")));
        track.rollback();
        assert_eq!(track.current().get(b"timezone"), Some(&token("'UTC'")));
    }

    #[test]
    fn a_rollback_to_a_savepoint_keeps_what_was_set_before_it() {
        let mut track = track();
        assert!(track.set(b"a.x", token("1")));
        track.savepoint(b"s");
        assert!(track.set(b"a.x", token("2")));
        track.savepoint(b"t");
        assert!(track.set(b"a.x", token("3")));
        track.rollback_to(b"s");
        assert_eq!(track.current().get(b"a.x"), Some(&token("1")));
        assert!(track.set(b"a.x", token("4")));
        track.release(b"s");
        track.commit();
        assert_eq!(track.current().get(b"a.x"), Some(&token("4")));
    }

    #[test]
    fn reset_goes_back_to_the_startup_packet() {
        let mut base = SettingSet::default();
        base.set(b"application_name", token("'app'"));
        let mut track = SettingsTrack::new(Arc::new(base));
        assert!(track.set(b"application_name", token("'x'")));
        assert!(track.set(b"work_mem", token("'8MB'")));
        track.reset(b"application_name");
        track.reset(b"work_mem");
        track.commit();
        assert_eq!(track.current(), track.base());
    }

    #[test]
    fn too_many_settings_are_refused() {
        let mut track = track();
        for number in 0..SETTINGS_MAX {
            assert!(track.set(format!("a.n{number}").as_bytes(), token("1")));
        }
        assert!(!track.set(b"a.more", token("1")));
        assert!(track.set(b"a.n0", token("2")));
    }
}
