//! Follows a client's settings through transactions and savepoints.

use std::{borrow::Cow, sync::Arc};

use trunkline_sql::Value;

use crate::{
    date_style,
    setting::{SETTINGS_MAX, SettingSet},
};

/// At most this many savepoints are followed by name; deeper ones keep the settings of the deepest followed.
const SAVEPOINTS_MAX: usize = 1024;

/// What a client has set, as committed and as seen by its open transaction.
///
/// PostgreSQL takes settings back when the transaction (or the savepoint) in which they were made is rolled back
/// (manual, SET: "the effects ... will be canceled").
#[derive(Debug, Clone)]
pub(crate) struct SettingsTrack {
    /// What the startup packet asked for and the server connections of the pool do not have by themselves.
    base: Arc<SettingSet>,
    committed: Arc<SettingSet>,
    /// What the session has when the transaction commits.
    current: Arc<SettingSet>,
    /// What statements see now: `current`, and over it what the transaction has for itself (`SET LOCAL`).
    seen: Arc<SettingSet>,
    /// The transaction has something for itself that its text does not show.
    unknown: bool,
    savepoints: Vec<Saved>,
    /// It has had `synchronous_commit` off, for a transaction or longer.
    asynchronous: bool,
}

#[derive(Debug, Clone)]
struct Saved {
    name: Box<[u8]>,
    current: Arc<SettingSet>,
    seen: Arc<SettingSet>,
}

impl SettingsTrack {
    /// A session that has `base` set from its startup packet.
    pub(crate) fn new(base: Arc<SettingSet>) -> Self {
        Self {
            committed: Arc::clone(&base),
            current: Arc::clone(&base),
            seen: Arc::clone(&base),
            asynchronous: has_asynchronous(&base),
            base,
            unknown: false,
            savepoints: Vec::new(),
        }
    }

    /// Whether it has ever had `synchronous_commit` off, as far as that was seen.
    #[inline]
    pub(crate) fn is_asynchronous(&self) -> bool {
        self.asynchronous
    }

    /// What the session has when the transaction commits.
    #[inline]
    pub(crate) fn current(&self) -> &Arc<SettingSet> {
        &self.current
    }

    /// What the next statement sees.
    #[inline]
    pub(crate) fn seen(&self) -> &Arc<SettingSet> {
        &self.seen
    }

    /// Whether the next statement may see something else than [`Self::seen`].
    #[inline]
    pub(crate) fn is_unknown(&self) -> bool {
        self.unknown
    }

    /// Whether the end of the transaction changes what statements see, or may.
    pub(crate) fn is_open(&self) -> bool {
        self.unknown
            || !Arc::ptr_eq(&self.committed, &self.current)
            || !Arc::ptr_eq(&self.current, &self.seen)
    }

    /// What the startup packet asked for.
    pub(crate) fn base(&self) -> &Arc<SettingSet> {
        &self.base
    }

    /// Follows a `SET` that the server has accepted. False when the session has set too many to follow.
    #[must_use]
    pub(crate) fn set(&mut self, name: &[u8], value: &Value) -> bool {
        if self.current.len() >= SETTINGS_MAX && self.current.get(name).is_none() {
            return false;
        }
        let value = self.whole(name, value);
        self.asynchronous |= is_asynchronous(name, value.as_bytes());
        self.change(|set| set.set(name, Value::clone(&value)));
        true
    }

    /// What a `SET` to this value comes to.
    fn whole<'a>(&self, name: &[u8], value: &'a Value) -> Cow<'a, Value> {
        let before = if name == date_style::NAME { self.seen.get(name) } else { None };
        let completed = before.and_then(|before| date_style::completed(before, value));
        completed.map_or(Cow::Borrowed(value), Cow::Owned)
    }

    /// Follows `SET LOCAL`, to the default if there is no value.
    pub(crate) fn set_local(&mut self, name: &[u8], value: Option<&Value>) {
        let value = match value {
            Some(value) => Some(self.whole(name, value).into_owned()),
            None => self.base.get(name).cloned(),
        };
        self.asynchronous |= value.as_ref().is_some_and(|it| is_asynchronous(name, it.as_bytes()));
        let set = Arc::make_mut(&mut self.seen);
        match value {
            Some(value) => set.set(name, value),
            None => set.remove(name),
        }
    }

    /// The transaction has got something for itself that its text does not show.
    pub(crate) fn set_unknown(&mut self) {
        self.unknown = true;
    }

    /// Follows a `RESET`: back to what the startup packet asked for.
    pub(crate) fn reset(&mut self, name: &[u8]) {
        let value = self.base.get(name).cloned();
        self.change(|set| match &value {
            Some(value) => set.set(name, value.clone()),
            None => set.remove(name),
        });
    }

    fn change(&mut self, change: impl Fn(&mut SettingSet)) {
        let local = !Arc::ptr_eq(&self.current, &self.seen);
        if local {
            change(Arc::make_mut(&mut self.seen));
        } else {
            // So that it is not copied for nothing.
            self.seen = Arc::clone(&self.base);
        }
        change(Arc::make_mut(&mut self.current));
        if !local {
            self.seen = Arc::clone(&self.current);
        }
    }

    /// Follows `RESET ALL` and the like. The role and the session's user are left alone, as PostgreSQL does.
    pub(crate) fn reset_all(&mut self) {
        let fresh = |old: &SettingSet| {
            let mut fresh = SettingSet::clone(&self.base);
            for name in [b"session_authorization".as_slice(), b"role"] {
                if let Some(value) = old.get(name) {
                    fresh.set(name, value.clone());
                }
            }
            if fresh == *self.base { Arc::clone(&self.base) } else { Arc::new(fresh) }
        };
        let seen = (!Arc::ptr_eq(&self.current, &self.seen)).then(|| fresh(&self.seen));
        self.current = fresh(&self.current);
        self.seen = seen.unwrap_or_else(|| Arc::clone(&self.current));
    }

    /// Follows `DISCARD ALL`: `SET SESSION AUTHORIZATION DEFAULT; RESET ALL` and more.
    pub(crate) fn discard_all(&mut self) {
        self.current = Arc::clone(&self.base);
        self.seen = Arc::clone(&self.base);
    }

    /// Follows `SAVEPOINT name`.
    pub(crate) fn savepoint(&mut self, name: &[u8]) {
        if self.savepoints.len() < SAVEPOINTS_MAX {
            let (current, seen) = (Arc::clone(&self.current), Arc::clone(&self.seen));
            self.savepoints.push(Saved { name: name.into(), current, seen });
        }
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        self.savepoints.iter().rposition(|known| known.name.as_ref() == name)
    }

    /// Follows `ROLLBACK TO name`: the savepoint stays, those after it go.
    pub(crate) fn rollback_to(&mut self, name: &[u8]) {
        if let Some(place) = self.find(name) {
            self.savepoints.truncate(place.saturating_add(1));
            if let Some(saved) = self.savepoints.get(place) {
                self.current = Arc::clone(&saved.current);
                self.seen = Arc::clone(&saved.seen);
            }
        }
    }

    /// Follows `RELEASE name`: it and those after it go, the values stay.
    pub(crate) fn release(&mut self, name: &[u8]) {
        if let Some(place) = self.find(name) {
            self.savepoints.truncate(place);
        }
    }

    /// The transaction has committed.
    #[inline]
    pub(crate) fn commit(&mut self) {
        // Most change nothing.
        if self.is_open() || !self.savepoints.is_empty() {
            self.commit_changes();
        }
    }

    #[cold]
    fn commit_changes(&mut self) {
        self.committed = Arc::clone(&self.current);
        self.end();
    }

    /// The transaction was rolled back.
    #[inline]
    pub(crate) fn rollback(&mut self) {
        if !Arc::ptr_eq(&self.committed, &self.current) {
            self.current = Arc::clone(&self.committed);
        }
        self.end();
    }

    #[inline]
    fn end(&mut self) {
        if !Arc::ptr_eq(&self.current, &self.seen) {
            self.seen = Arc::clone(&self.current);
        }
        self.unknown = false;
        self.savepoints.clear();
    }

    /// The session turns out to have these, between two transactions.
    pub(crate) fn adopt(&mut self, set: Arc<SettingSet>) {
        self.asynchronous |= has_asynchronous(&set);
        self.current = Arc::clone(&set);
        self.seen = Arc::clone(&set);
        self.committed = set;
    }

    /// Shares memory with an equal set that somebody else holds.
    pub(crate) fn unify(&mut self, other: &Arc<SettingSet>) {
        self.committed = Arc::clone(other);
        self.current = Arc::clone(other);
        self.seen = Arc::clone(other);
    }
}

/// Decides whether a commit is on disk when it can be seen (PostgreSQL documentation, 20.5.1).
const SYNCHRONOUS_COMMIT: &[u8] = b"synchronous_commit";

/// Its values with which one is.
const SYNCHRONOUS: [&[u8]; 7] =
    [b"on", b"local", b"remote_write", b"remote_apply", b"true", b"yes", b"1"];

fn has_asynchronous(set: &SettingSet) -> bool {
    let value = set.get(SYNCHRONOUS_COMMIT);
    value.is_some_and(|value| is_asynchronous(SYNCHRONOUS_COMMIT, value.as_bytes()))
}

/// Whether this value of this setting makes commits asynchronous, or may.
pub fn is_asynchronous(name: &[u8], value: &[u8]) -> bool {
    let word = value.strip_prefix(b"'").and_then(|word| word.strip_suffix(b"'")).unwrap_or(value);
    name.eq_ignore_ascii_case(SYNCHRONOUS_COMMIT)
        && !SYNCHRONOUS.iter().any(|it| word.eq_ignore_ascii_case(it))
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
        assert!(track.set(b"timezone", &token("'UTC'")));
        track.commit();
        assert!(track.set(b"timezone", &token("'Asia/Tokyo'")));
        track.rollback();
        assert_eq!(track.current().get(b"timezone"), Some(&token("'UTC'")));
    }

    #[test]
    fn a_rollback_to_a_savepoint_keeps_what_was_set_before_it() {
        let mut track = track();
        assert!(track.set(b"a.x", &token("1")));
        track.savepoint(b"s");
        assert!(track.set(b"a.x", &token("2")));
        track.savepoint(b"t");
        assert!(track.set(b"a.x", &token("3")));
        track.rollback_to(b"s");
        assert_eq!(track.current().get(b"a.x"), Some(&token("1")));
        assert!(track.set(b"a.x", &token("4")));
        track.release(b"s");
        track.commit();
        assert_eq!(track.current().get(b"a.x"), Some(&token("4")));
    }

    #[test]
    fn reset_goes_back_to_the_startup_packet() {
        let mut base = SettingSet::default();
        base.set(b"application_name", token("'app'"));
        let mut track = SettingsTrack::new(Arc::new(base));
        assert!(track.set(b"application_name", &token("'x'")));
        assert!(track.set(b"work_mem", &token("'8MB'")));
        track.reset(b"application_name");
        track.reset(b"work_mem");
        track.commit();
        assert_eq!(track.current(), track.base());
    }

    #[test]
    fn what_a_transaction_has_for_itself_goes_with_it() {
        let mut track = track();
        assert!(track.set(b"timezone", &token("'UTC'")));
        track.commit();
        track.set_local(b"timezone", Some(&token("'Asia/Tokyo'")));
        track.savepoint(b"s");
        assert!(track.set(b"search_path", &token("a")));
        track.set_local(b"timezone", None);
        assert_eq!(track.seen().get(b"timezone"), None);
        assert_eq!(track.current().get(b"timezone"), Some(&token("'UTC'")));
        track.rollback_to(b"s");
        assert_eq!(track.seen().get(b"timezone"), Some(&token("'Asia/Tokyo'")));
        assert_eq!(track.seen().get(b"search_path"), None);
        assert!(track.is_open());
        track.commit();
        assert!(!track.is_open());
        assert_eq!(track.seen().get(b"timezone"), Some(&token("'UTC'")));
    }

    #[test]
    fn a_later_setting_of_the_session_is_seen_over_that_of_the_transaction() {
        let mut track = track();
        track.set_local(b"timezone", Some(&token("'UTC'")));
        assert!(track.set(b"timezone", &token("'Asia/Tokyo'")));
        assert_eq!(track.seen().get(b"timezone"), Some(&token("'Asia/Tokyo'")));
        track.set_local(b"timezone", Some(&token("'UTC'")));
        track.reset(b"timezone");
        assert_eq!(track.seen().get(b"timezone"), None);
    }

    #[test]
    fn half_a_date_style_leaves_the_other_half_as_it_was() {
        let mut track = track();
        assert!(track.set(b"datestyle", &token("'German'")));
        assert_eq!(track.current().get(b"datestyle"), Some(&token("'German'")));
        track.commit();
        track.set_local(b"datestyle", Some(&token("'YMD'")));
        let seen = Value::Literal(b"German, YMD".as_slice().into());
        assert_eq!(track.seen().get(b"datestyle"), Some(&seen));
        // PostgreSQL goes by what is in force, which may be the transaction's own.
        assert!(track.set(b"datestyle", &token("'SQL'")));
        track.commit();
        let left = Value::Literal(b"SQL, YMD".as_slice().into());
        assert_eq!(track.current().get(b"datestyle"), Some(&left));
        track.reset(b"datestyle");
        assert!(track.set(b"datestyle", &token("'SQL'")));
        assert_eq!(track.current().get(b"datestyle"), Some(&token("'SQL'")));
    }

    #[test]
    fn who_has_committed_asynchronously_is_remembered() {
        for (value, asynchronous) in
            [("off", true), ("'Off'", true), ("no", true), ("on", false), ("'remote_write'", false)]
        {
            let mut track = track();
            assert!(track.set(b"work_mem", &token("'off'")));
            track.set_local(SYNCHRONOUS_COMMIT, Some(&token(value)));
            track.commit();
            assert_eq!(track.is_asynchronous(), asynchronous, "{value}");
        }
    }

    #[test]
    fn too_many_settings_are_refused() {
        let mut track = track();
        for number in 0..SETTINGS_MAX {
            assert!(track.set(format!("a.n{number}").as_bytes(), &token("1")));
        }
        assert!(!track.set(b"a.more", &token("1")));
        assert!(track.set(b"a.n0", &token("2")));
    }
}
