//! The session takes over what the server says that it has there.

use std::sync::Arc;

use trunkline_sql::{Value, settings};

use crate::{
    client::ClientSession,
    pin::PinReason,
    readback::{Findings, Found},
    server::ServerSession,
    setting::{SETTINGS_MAX, SettingSet, is_identity},
    statement::RESERVED_PREFIX,
};

/// Settings of which `pg_settings` does not tell, or not everybody (`guc_tables.c`: `GUC_NO_SHOW_ALL`,
/// `GUC_SUPERUSER_ONLY`): what is known of them stays.
pub(crate) const UNTOLD: [&[u8]; 6] = [
    b"default_with_oids",
    b"dynamic_library_path",
    b"is_superuser",
    b"seed",
    b"session_preload_libraries",
    b"ssl_renegotiation_limit",
];

pub(crate) const ROLE: &[u8] = b"role";
pub(crate) const AUTHORIZATION: &[u8] = b"session_authorization";

impl ClientSession {
    /// Takes over what was found. Says whether there was anything that the texts of its statements had not told.
    pub(crate) fn adopt(&mut self, server: &mut ServerSession, findings: &Findings) -> bool {
        let settings = self.adopt_settings(server, findings);
        let names = self.adopt_statements(server, findings);
        let before = self.pins;
        self.pins.put(PinReason::TemporaryObject, findings.has_temporary);
        self.pins.put(PinReason::AdvisoryLock, findings.has_lock);
        self.pins.put(PinReason::HoldCursor, findings.has_held_cursor);
        self.adopt_channels(server, findings);
        if findings.has_slot {
            self.pins.add(PinReason::ServerObject);
        }
        let more = self.pins.iter().any(|reason| !before.has(reason));
        settings || names || more
    }

    fn adopt_settings(&mut self, server: &mut ServerSession, findings: &Findings) -> bool {
        let known = Arc::clone(self.settings.current());
        let mut set = SettingSet::clone(&known);
        for found in findings.settings.iter().filter(|found| is_followed(&found.name)) {
            self.adopt_setting(&mut set, found);
        }
        for found in &findings.placeholders {
            let unset = found.value.as_deref() == Some(b"") && known.get(&found.name).is_none();
            if !unset && !findings.settings.iter().any(|told| told.name == found.name) {
                self.adopt_setting(&mut set, found);
                self.note_set(&found.name, server);
            } else {
                server.note_placeholder(&found.name);
                self.scope.note_placeholder(&found.name);
            }
        }
        for entry in known.iter().filter(|entry| findings.lacks(&entry.name)) {
            match self.settings.base().get(&entry.name) {
                // Back to the value of the server's startup packet, not to that of the client's.
                Some(value) => {
                    server.base_lost = true;
                    set.set(&entry.name, value.clone());
                }
                None => set.remove(&entry.name),
            }
        }
        adopt_identity(&mut set, server, findings);
        if set.len() > SETTINGS_MAX {
            self.pins.add(PinReason::TooManySettings);
        }
        let changed = set != *known;
        if changed {
            self.settings.adopt(Arc::new(set));
        }
        changed
    }

    fn adopt_setting(&mut self, set: &mut SettingSet, found: &Found) {
        match &found.value {
            Some(value) if set.get(&found.name).is_some_and(|known| is_same(known, value)) => {}
            Some(value) => set.set(&found.name, Value::Literal(value.clone())),
            // It cannot be carried to another server.
            None => self.pins.add(PinReason::TooManySettings),
        }
    }

    /// Says whether the server has statements of the client's that were not known, or lacks some that were.
    fn adopt_statements(&mut self, server: &mut ServerSession, findings: &Findings) -> bool {
        server.statements.retain(|statement| findings.statements.contains(&statement.name));
        let own = findings.statements.iter().filter(|name| !name.starts_with(RESERVED_PREFIX));
        let there = own.cloned().collect();
        if self.there == there {
            return false;
        }
        self.there = there;
        if self.there.is_empty() {
            self.unpin_from_there();
        } else {
            self.pins.add(PinReason::SqlPrepare);
        }
        true
    }
}

impl Findings {
    /// Whether the session had set it, and has it set no longer.
    fn lacks(&self, name: &[u8]) -> bool {
        let told = |all: &[Found]| all.iter().any(|found| *found.name == *name);
        is_followed(name)
            && !UNTOLD.contains(&name)
            && !is_identity(name)
            && !told(&self.settings)
            && !told(&self.placeholders)
    }
}

/// Whether a setting is followed from one transaction to the next.
pub(crate) fn is_followed(name: &[u8]) -> bool {
    !settings::is_transaction_local(name)
}

/// Who the session acts for.
fn adopt_identity(set: &mut SettingSet, server: &ServerSession, findings: &Findings) {
    let user = server.reported.get(AUTHORIZATION).unwrap_or_default();
    if *user == *server.login {
        set.remove(AUTHORIZATION);
    } else if !set.get(AUTHORIZATION).is_some_and(|known| is_same(known, user)) {
        set.set(AUTHORIZATION, Value::Literal(user.into()));
    }
    if *findings.role == *b"none" {
        set.remove(ROLE);
    } else if !set.get(ROLE).is_some_and(|known| is_same(known, &findings.role)) {
        set.set(ROLE, Value::Literal(findings.role.clone()));
    }
}

/// Whether the client has written what the server tells. If that is not seen at once, the server's word is taken for it:
/// `8MB` and `8192` are the same, but neither is more right.
pub(crate) fn is_same(known: &Value, told: &[u8]) -> bool {
    match known {
        Value::Literal(value) => **value == *told,
        Value::Written(text) | Value::TimeZone(text) => match text.as_ref() {
            [quote @ (b'\'' | b'"'), inner @ .., last] if quote == last => {
                let plain = |byte: &u8| !matches!(byte, b'\'' | b'"' | b'\\');
                inner.iter().all(plain) && inner == told
            }
            // An unquoted word is folded, as in `SET ROLE NONE`.
            word => word == told || word.to_ascii_lowercase() == told,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_told_from_what_was_not() {
        let written = |text: &str| Value::Written(text.as_bytes().into());
        for (text, told, same) in [
            ("'UTC'", "UTC", true),
            ("'utc'", "UTC", false),
            (r#""bob""#, "bob", true),
            ("on", "on", true),
            ("NONE", "none", true),
            ("none", "NONE", false),
            ("a, b", "a, b", true),
            ("'it''s'", "it''s", false),
            (r"'a\b'", r"a\b", false),
            ("'8MB'", "8192", false),
        ] {
            assert_eq!(is_same(&written(text), told.as_bytes()), same, "{text}");
        }
        assert!(is_same(&Value::Literal(b"'x'".as_slice().into()), b"'x'"));
    }
}
