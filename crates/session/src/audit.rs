//! What a server has after a client has given it back, compared with what is believed of it. For tests of the program
//! itself: whatever differs would reach another client, or be lost.

use std::sync::Arc;

use bytes::BytesMut;
use trunkline_sql::{Value, settings};

use crate::{
    adopt::{AUTHORIZATION, ROLE, UNTOLD, is_followed, is_same},
    readback::{Findings, Found, NAME, Question},
    scope::Scope,
    server::ServerSession,
    setting::{SettingSet, is_identity},
    statement::RESERVED_PREFIX,
};

impl ServerSession {
    /// Asks it for all that a session can leave there, while no client holds it.
    pub fn audit(&mut self, scope: &Scope, out: &mut BytesMut) {
        let facts = scope.facts().latest();
        let shared = scope.placeholders();
        let applied = Arc::clone(&self.applied);
        let own = applied.iter().map(|entry| entry.name.as_ref());
        let own = own.filter(|name| settings::is_placeholder(name));
        let others = [&shared, &facts.names].into_iter().flat_map(|names| names.iter());
        let names = own.chain(others.map(AsRef::as_ref)).collect();
        let whole = Question { mark: &facts.mark, names, whole: true, ..Question::default() };
        self.look(&whole, out);
        self.is_audited = true;
    }

    /// Whether what it is asked for is an audit.
    pub fn is_audited(&self) -> bool {
        self.is_audited
    }

    /// What it has, and is not known to have, or the other way round. Empty if all is as it should be.
    pub fn end_audit(&mut self, scope: &Scope) -> Vec<String> {
        self.is_audited = false;
        let Some(mut findings) = self.findings.take() else { return Vec::new() };
        if let Some(facts) = findings.facts.take() {
            scope.facts().learn(facts);
        }
        if findings.is_broken {
            return vec!["it cannot be asked".to_owned()];
        }
        let mut differences = Vec::new();
        self.compare_settings(&findings, scope, &mut differences);
        self.compare_identity(&findings, &mut differences);
        self.compare_statements(&findings, &mut differences);
        for (is_there, what) in [
            (findings.has_lock, "an advisory lock"),
            (findings.has_temporary, "a temporary object"),
            (findings.has_held_cursor, "a cursor with hold"),
            (!findings.channels.is_empty() && !self.listens, "a channel that it listens on"),
            (findings.has_slot, "a temporary replication slot"),
        ] {
            if is_there {
                differences.push(format!("there is {what}"));
            }
        }
        differences
    }

    fn compare_settings(&self, findings: &Findings, scope: &Scope, out: &mut Vec<String>) {
        let known = |name: &[u8]| self.applied.get(name);
        let mut compare = |found: &Found| {
            let told = found.value.as_deref().unwrap_or_default();
            match known(&found.name) {
                // What it has is not known, and taken back before anybody uses it.
                Some(value) if is_unknown(value) => {}
                Some(value) if scope.meanings().agree(&found.name, value, told) => {}
                Some(_) => out.push(difference(&found.name, "has another value than is known")),
                None if told.is_empty() && settings::is_placeholder(&found.name) => {}
                // It may be one that the server was opened with.
                None if scope.is_variant() && settings::is_placeholder(&found.name) => {}
                None if found.is_default => {}
                None => out.push(difference(&found.name, "is set, and nobody knows of it")),
            }
        };
        findings.settings.iter().filter(|found| is_followed(&found.name)).for_each(&mut compare);
        let told = |name: &[u8]| findings.settings.iter().any(|found| *found.name == *name);
        let placeholders = findings.placeholders.iter().filter(|found| !told(&found.name));
        placeholders.for_each(&mut compare);
        for name in missing(&self.applied, findings) {
            out.push(difference(name, "is not set, and is believed to be"));
        }
    }

    fn compare_identity(&self, findings: &Findings, out: &mut Vec<String>) {
        let user = self.reported.get(AUTHORIZATION).unwrap_or_default();
        let is = |name: &[u8], told: &[u8], default: &[u8]| match self.applied.get(name) {
            Some(value) => is_unknown(value) || is_same(value, told),
            None => *told == *default,
        };
        if !is(ROLE, &findings.role, b"none") {
            out.push("the role is not what is known".to_owned());
        }
        if !is(AUTHORIZATION, user, &self.login) {
            out.push("the session's user is not what is known".to_owned());
        }
    }

    fn compare_statements(&self, findings: &Findings, out: &mut Vec<String>) {
        let all = || findings.statements.iter().map(AsRef::<[u8]>::as_ref);
        let strangers = all().filter(|name| !name.starts_with(RESERVED_PREFIX));
        out.extend(strangers.map(|name| {
            format!("there is a statement \"{}\" of a client", String::from_utf8_lossy(name))
        }));
        let known = self.statements.names();
        let there =
            all().filter(|name| name.starts_with(RESERVED_PREFIX) && *name != NAME).collect();
        for name in known.symmetric_difference(&there) {
            let name = String::from_utf8_lossy(name);
            out.push(format!(
                "statement \"{name}\" is known and not there, or there and not known"
            ));
        }
    }
}

/// Settings that the server does not have although it should.
fn missing<'a>(applied: &'a SettingSet, findings: &Findings) -> impl Iterator<Item = &'a [u8]> {
    let told = |all: &[Found], name: &[u8]| all.iter().any(|found| *found.name == *name);
    let there =
        move |name: &[u8]| told(&findings.settings, name) || told(&findings.placeholders, name);
    applied
        .iter()
        .filter(|entry| !is_unknown(&entry.value) && is_followed(&entry.name))
        .map(|entry| entry.name.as_ref())
        .filter(|name| !is_identity(name) && !UNTOLD.contains(name))
        .filter(move |name| !there(name))
}

/// Of a setting that may have been rolled back, or not; see [`crate::ClientSession::end_lease`].
fn is_unknown(value: &Value) -> bool {
    value.as_bytes().is_empty() && matches!(value, Value::Written(_))
}

fn difference(name: &[u8], what: &str) -> String {
    format!("setting \"{}\" {what}", String::from_utf8_lossy(name))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline_wire::Reported;

    use super::*;
    use crate::setting::tests::set;

    fn found(name: &str, value: &str) -> Found {
        let value = Some(value.as_bytes().into());
        Found { name: name.as_bytes().into(), value, is_default: false }
    }

    /// What is wrong with a server that has these settings and should have those.
    fn wrong(scope: &Scope, has: Vec<Found>, should: &[(&str, &str)]) -> Vec<String> {
        let mut server = ServerSession::new(Arc::new(Reported::new()));
        server.applied = Arc::new(set(should));
        let (placeholders, settings) =
            has.into_iter().partition(|found| settings::is_placeholder(&found.name));
        let role = b"none".as_slice().into();
        server.findings =
            Some(Box::new(Findings { settings, placeholders, role, ..Findings::default() }));
        server.end_audit(scope)
    }

    #[test]
    fn settings_are_what_they_are_known_to_be() {
        let scope = Scope::default();
        let right = vec![found("timezone", "UTC"), found("work_mem", "8192"), found("a.x", "")];
        let should = [("timezone", "'UTC'"), ("work_mem", "'8MB'")];
        assert!(wrong(&scope, right, &should).is_empty());
        let other = vec![found("timezone", "UTC"), found("work_mem", "1024")];
        assert_eq!(wrong(&scope, other, &should).len(), 1, "it was told otherwise before");
        assert_eq!(wrong(&scope, vec![found("jit", "off")], &[]).len(), 1);
        let default = || vec![Found { is_default: true, ..found("jit", "on") }];
        assert!(wrong(&scope, default(), &[]).is_empty());
        assert_eq!(wrong(&scope, default(), &[("jit", "off")]).len(), 1);
        assert_eq!(wrong(&scope, vec![found("a.x", "1")], &[]).len(), 1);
        assert_eq!(wrong(&scope, Vec::new(), &[("jit", "off")]).len(), 1);
        assert_eq!(wrong(&scope, Vec::new(), &[("a.x", "1")]).len(), 1);
        assert!(wrong(&scope, Vec::new(), &[("application_name", "")]).is_empty());
    }

    #[test]
    fn nothing_else_is_left_behind() {
        let mut server = ServerSession::new(Arc::new(Reported::new()));
        server.findings = Some(Box::new(Findings {
            role: b"bob".as_slice().into(),
            has_lock: true,
            has_temporary: true,
            statements: [b"p".as_slice().into(), b"__trunkline_7".as_slice().into()].into(),
            ..Findings::default()
        }));
        assert_eq!(server.end_audit(&Scope::default()).len(), 5);
    }
}
