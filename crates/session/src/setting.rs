//! The settings of a session: what the client has set, and what a server has.

use std::sync::Arc;

use trunkline_sql::{Value, settings};

use crate::idle::{IDLE_SESSION_TIMEOUT, IdleLimit};
use crate::preference::Preference;

/// At most this many distinct settings are followed per session; a session that sets more is pinned, so that an
/// endless stream of made-up `app.x` names cannot grow memory.
pub(crate) const SETTINGS_MAX: usize = 256;

/// One setting that differs from what a new connection has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Lower-case name, as PostgreSQL looks it up.
    pub name: Box<[u8]>,
    /// Its value.
    pub value: Value,
}

/// A set of settings. Never changed in place once shared: a change makes a new set.
///
/// Those that a server reports have an order, which is a part of the set: since PostgreSQL 16 `RESET ALL` goes through a
/// list at the end of which a setting is put when it leaves its default, and tells of them the other way round (`guc.c`,
/// `guc_nondef_list` and `guc_report_list`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingSet {
    /// First those that are reported, as they were made, then the others, by name.
    entries: Vec<Setting>,
    /// The number of the former.
    reported: usize,
    /// The part of them that PostgreSQL folds into a statement, as bytes that can be compared.
    environment: Box<[u8]>,
    /// The part of that which matters to statements without constants.
    names: Box<[u8]>,
    /// How long the session may be idle.
    idle_limit: IdleLimit,
    /// Where it wants what it sends to go.
    preference: Option<Preference>,
}

/// What a text takes from the settings when it is parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Folds {
    /// It has constants, or what cannot be told from them.
    Constants,
    /// Only the meaning of names, and operators.
    Names,
}

impl Folds {
    /// Constants that settings decide are strings: quoted, or dollar-quoted. A text that is not ASCII depends on its
    /// encoding.
    pub(crate) fn of(text: &[u8]) -> Self {
        let quoting = |pair: &[u8]| match pair {
            [b'$', next] => *next == b'$' || *next == b'_' || next.is_ascii_alphabetic(),
            _ => false,
        };
        let constants = text.iter().any(|byte| *byte == b'\'' || !byte.is_ascii())
            || text.windows(2).any(quoting);
        if constants { Self::Constants } else { Self::Names }
    }
}

/// The settings of the parse environment that matter to statements without constants.
const NAMES: [&[u8]; 4] =
    [b"role", b"search_path", b"session_authorization", b"transform_null_equals"];

impl SettingSet {
    /// The empty set, that of a new server connection.
    pub fn empty() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of settings.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The settings: first those that are reported, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.entries.iter()
    }

    /// The value of `name`, if set.
    pub fn get(&self, name: &[u8]) -> Option<&Value> {
        let place = self.place(name).ok()?;
        self.entries.get(place).map(|entry| &entry.value)
    }

    /// The value of one that no server reports, if set: without looking whether any does.
    pub(crate) fn get_unreported(&self, name: &[u8]) -> Option<&Value> {
        debug_assert!(!is_reported(name), "it is among the others");
        let others = self.entries.get(self.reported..).unwrap_or_default();
        let place = others.binary_search_by(|entry| entry.name.as_ref().cmp(name)).ok()?;
        others.get(place).map(|entry| &entry.value)
    }

    /// Where a setting is, or is to be put.
    fn place(&self, name: &[u8]) -> Result<usize, usize> {
        let (reported, others) = self.entries.split_at_checked(self.reported).unwrap_or_default();
        if is_reported(name) {
            return reported.iter().position(|entry| *entry.name == *name).ok_or(self.reported);
        }
        let behind = |place: usize| self.reported.saturating_add(place);
        let found = others.binary_search_by(|entry| entry.name.as_ref().cmp(name));
        found.map(behind).map_err(behind)
    }

    /// Those that are reported.
    pub(crate) fn reported(&self) -> &[Setting] {
        self.entries.get(..self.reported).unwrap_or_default()
    }

    /// Sets `name`.
    pub fn set(&mut self, name: &[u8], value: Value) {
        self.leave_role(name);
        match self.place(name) {
            Ok(place) => {
                if let Some(entry) = self.entries.get_mut(place) {
                    entry.value = value;
                }
            }
            Err(place) => {
                self.entries.insert(place, Setting { name: name.into(), value });
                self.reported = self.reported.saturating_add(usize::from(is_reported(name)));
            }
        }
        self.note_environment(name);
    }

    /// Takes `name` back to its default.
    pub fn remove(&mut self, name: &[u8]) {
        self.leave_role(name);
        if let Ok(place) = self.place(name) {
            self.entries.remove(place);
            self.reported = self.reported.saturating_sub(usize::from(is_reported(name)));
            self.note_environment(name);
        }
    }

    /// PostgreSQL: a change of the session's user, and its RESET, sets the role back to none.
    fn leave_role(&mut self, changed: &[u8]) {
        if changed == b"session_authorization" {
            self.remove(b"role");
        }
    }

    /// The part of the set that PostgreSQL folds into a statement at Parse, as bytes that can be compared; empty for
    /// the settings of a new connection.
    #[inline]
    pub fn environment(&self) -> &[u8] {
        &self.environment
    }

    /// The part of the environment that matters to a statement.
    #[inline]
    pub(crate) fn environment_for(&self, folds: Folds) -> &[u8] {
        match folds {
            Folds::Constants => &self.environment,
            Folds::Names => &self.names,
        }
    }

    /// The set that [`Self::environment`] has written.
    pub(crate) fn of_environment(environment: &[u8]) -> Self {
        let mut set = Self::default();
        let mut parts = environment.split(|byte| *byte == 0);
        while let (Some(name), Some(written)) = (parts.next(), parts.next()) {
            let Some((kind, text)) = written.split_first() else { break };
            let value = match kind {
                b'w' => Value::Written(text.into()),
                b'z' => Value::TimeZone(text.into()),
                _ => Value::Literal(text.into()),
            };
            set.set(name, value);
        }
        set
    }

    /// How long the session may be idle.
    #[inline]
    pub(crate) fn idle_limit(&self) -> IdleLimit {
        self.idle_limit
    }

    /// Where the session wants what it sends to go.
    #[inline]
    pub(crate) fn preference(&self) -> Option<Preference> {
        self.preference
    }

    fn note_environment(&mut self, changed: &[u8]) {
        if changed == IDLE_SESSION_TIMEOUT.as_bytes() {
            self.idle_limit = IdleLimit::of(self.get(changed));
        }
        if changed == settings::ROUTE.as_bytes() {
            self.preference = self.get(changed).and_then(Preference::of);
        }
        if !settings::is_parse_environment(changed) {
            return;
        }
        self.environment = self.written(settings::is_parse_environment);
        self.names = self.written(|name| NAMES.contains(&name));
    }

    fn written(&self, matters: impl Fn(&[u8]) -> bool) -> Box<[u8]> {
        let mut text = Vec::new();
        // What a text means does not depend on the order in which they were made.
        let mut entries: Vec<_> =
            self.entries.iter().filter(|entry| matters(&entry.name)).collect();
        entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        for entry in entries {
            text.extend_from_slice(&entry.name);
            text.push(0);
            text.push(match &entry.value {
                Value::Written(_) => b'w',
                Value::TimeZone(_) => b'z',
                Value::Literal(_) => b'l',
            });
            text.extend_from_slice(entry.value.as_bytes());
            text.push(0);
        }
        text.into()
    }
}

/// Whether the server tells of it at `RESET ALL`, which leaves alone who the session acts for.
fn is_reported(name: &[u8]) -> bool {
    settings::is_reported(name) && !is_identity(name)
}

/// Whether it says who the session acts for.
pub(crate) fn is_identity(name: &[u8]) -> bool {
    name == b"role" || name == b"session_authorization"
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// These settings, as a client has written them.
    pub(crate) fn set(entries: &[(&str, &str)]) -> SettingSet {
        let mut set = SettingSet::default();
        for (name, value) in entries {
            set.set(name.as_bytes(), Value::Written(value.as_bytes().into()));
        }
        set
    }

    #[test]
    fn the_environment_is_that_of_the_settings_that_matter() {
        let mut one = set(&[("timezone", "'UTC'"), ("work_mem", "'8MB'")]);
        let other = set(&[("work_mem", "'9MB'"), ("timezone", "'UTC'")]);
        assert_eq!(one.environment(), other.environment());
        assert_eq!(SettingSet::of_environment(one.environment()), set(&[("timezone", "'UTC'")]));
        one.remove(b"timezone");
        assert!(one.environment().is_empty());
    }

    #[test]
    fn texts_without_constants_depend_on_names_only() {
        for text in ["select a from t where b = $1", "select $1", "", "update t set a = $2 /* b */"]
        {
            assert_eq!(Folds::of(text.as_bytes()), Folds::Names, "{text}");
        }
        for text in ["select 'now'", "select $$now$$", "select $a$now$a$", "select a as ä"] {
            assert_eq!(Folds::of(text.as_bytes()), Folds::Constants, "{text}");
        }
        let one = set(&[("search_path", "a"), ("timezone", "'UTC'")]);
        let names = set(&[("search_path", "a")]);
        assert_eq!(one.environment_for(Folds::Names), names.environment());
        assert_eq!(one.environment_for(Folds::Constants), one.environment());
    }

    #[test]
    fn a_session_authorization_takes_the_role_out_of_the_environment() {
        let mut one = set(&[("role", "a")]);
        one.set(b"session_authorization", Value::Written(b"b".as_slice().into()));
        assert_eq!(one.environment(), set(&[("session_authorization", "b")]).environment());
    }

    #[test]
    fn the_role_goes_with_a_session_authorization_that_is_taken_back() {
        let mut one = set(&[("role", "a"), ("work_mem", "b")]);
        one.remove(b"session_authorization");
        assert_eq!(one, set(&[("work_mem", "b")]));
    }
}
