//! The settings of a session: what the client has set, what a server has, and the text that makes them equal.

use std::sync::Arc;

use trunkline_sql::{Parameter, Value, quote, settings};

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

/// A set of settings, ordered by name. Never changed in place once shared: a change makes a new set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingSet {
    entries: Vec<Setting>,
}

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

    /// The settings in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.entries.iter()
    }

    /// The value of `name`, if set.
    pub fn get(&self, name: &[u8]) -> Option<&Value> {
        let place = self.entries.binary_search_by(|entry| entry.name.as_ref().cmp(name)).ok()?;
        self.entries.get(place).map(|entry| &entry.value)
    }

    /// Sets `name`.
    pub fn set(&mut self, name: &[u8], value: Value) {
        // PostgreSQL: SET SESSION AUTHORIZATION sets the role back to none.
        if name == b"session_authorization" {
            self.remove(b"role");
        }
        match self.entries.binary_search_by(|entry| entry.name.as_ref().cmp(name)) {
            Ok(place) => {
                if let Some(entry) = self.entries.get_mut(place) {
                    entry.value = value;
                }
            }
            Err(place) => self.entries.insert(place, Setting { name: name.into(), value }),
        }
    }

    /// Takes `name` back to its default.
    pub fn remove(&mut self, name: &[u8]) {
        if let Ok(place) = self.entries.binary_search_by(|entry| entry.name.as_ref().cmp(name)) {
            self.entries.remove(place);
        }
    }

    /// Appends the part of the set that PostgreSQL folds into a statement at Parse, as bytes that can be compared.
    pub fn write_parse_environment(&self, text: &mut Vec<u8>) {
        for entry in &self.entries {
            if settings::is_parse_environment(&entry.name) {
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
        }
    }
}

/// The statements that bring a server from one set to another.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// The text of one simple query; empty when the sets are equal.
    pub text: Vec<u8>,
    /// Whether one of its statements may fail, so that its reply must be awaited before the client's bytes go.
    pub uncertain: bool,
    /// The names it touches, for the hint of an error.
    pub names: Vec<Box<[u8]>>,
}

impl Replay {
    /// Compares two sets. Order: back to defaults first, then session authorization, role, the rest.
    pub fn between(server: &SettingSet, wanted: &SettingSet) -> Self {
        let mut replay = Self::default();
        for name in [b"role".as_slice(), b"session_authorization"] {
            if server.get(name).is_some() && wanted.get(name).is_none() {
                replay.reset(name);
            }
        }
        for entry in server.iter() {
            if !is_identity(&entry.name) && wanted.get(&entry.name).is_none() {
                replay.reset(&entry.name);
            }
        }
        let switched = server.get(b"session_authorization") != wanted.get(b"session_authorization");
        if switched && let Some(value) = wanted.get(b"session_authorization") {
            replay.set(b"session_authorization", value);
        }
        // A switch of the session's user takes the role back to none, so the role is set again after it.
        if let Some(value) = wanted.get(b"role")
            && (switched || server.get(b"role") != Some(value))
        {
            replay.set(b"role", value);
        }
        for entry in wanted.iter() {
            if !is_identity(&entry.name) && server.get(&entry.name) != Some(&entry.value) {
                replay.set(&entry.name, &entry.value);
            }
        }
        replay
    }

    fn reset(&mut self, name: &[u8]) {
        quote::write_reset(&mut self.text, &Parameter::named(name));
        self.text.push(b';');
        self.touch(name);
    }

    fn set(&mut self, name: &[u8], value: &Value) {
        quote::write_set(&mut self.text, &Parameter::named(name), value);
        self.text.push(b';');
        self.touch(name);
    }

    fn touch(&mut self, name: &[u8]) {
        self.uncertain |= !settings::is_certain(name);
        self.names.push(name.into());
    }
}

fn is_identity(name: &[u8]) -> bool {
    name == b"role" || name == b"session_authorization"
}
