//! Placeholders (`app.tenant`): which of them a server has, and which a client has ever set.
//!
//! One that was set once stays in its server process: from then on it reads as '' where it has no value, and not as NULL or
//! as an error (42704), whoever asks (manual, 20.16, customized options; guc.c). So a client that has never set one goes to a
//! server that has never had it, as long as there is one; and one that has set some goes to those that have them.

use trunkline_sql::settings::{is_ours, is_placeholder};

use crate::{
    client::ClientSession,
    facts::NameSet,
    server::ServerSession,
    setting::{Setting, SettingSet},
};

/// At most so many placeholders of a server, and of a client, are known by name; with more a server suits nobody, and a
/// client every server.
const KNOWN_MAX: usize = 64;

/// Whether a server has placeholders that its next client has never set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suits {
    /// It has none.
    Well,
    /// It has some, or lacks some that the client has set: another would be better.
    Ill,
    /// It has some, and the client must not see them.
    Not,
}

/// Names of placeholders.
#[derive(Debug, Default)]
pub(crate) struct Placeholders(Option<Box<NameSet>>);

impl Placeholders {
    /// Adds one. Says whether it is new.
    fn add(&mut self, name: &[u8]) -> bool {
        let names = self.0.get_or_insert_default();
        names.len() <= KNOWN_MAX && !names.contains(name) && names.insert(name.into())
    }

    fn is_full(&self) -> bool {
        self.0.as_ref().is_some_and(|names| names.len() > KNOWN_MAX)
    }

    fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().flat_map(|names| names.iter().map(AsRef::as_ref))
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0.as_ref().is_some_and(|names| names.contains(name))
    }
}

impl ClientSession {
    /// The client sets this, on this server, for as long as it likes.
    pub(crate) fn note_set(&mut self, name: &[u8], server: &mut ServerSession) {
        if !is_placeholder(name) || is_ours(name) {
            return;
        }
        server.placeholders.add(name);
        if self.placeholders.add(name) {
            self.scope.note_placeholder(name);
        }
    }

    /// Whether this client may be served by the server, with a view to placeholders.
    #[inline]
    pub fn suits(&self, server: &ServerSession) -> Suits {
        if self.placeholders.0.is_none() && server.placeholders.0.is_none() {
            return Suits::Well;
        }
        self.suits_with(&server.placeholders)
    }

    #[cold]
    fn suits_with(&self, there: &Placeholders) -> Suits {
        let own = &self.placeholders;
        let knows = |name: &[u8]| own.has(name) || self.settings.base().get(name).is_some();
        if own.is_full() || !there.is_full() && there.names().all(knows) {
            let lacks = own.names().any(|name| !there.has(name));
            if lacks { Suits::Ill } else { Suits::Well }
        } else if self.limits.strict_placeholders {
            Suits::Not
        } else {
            Suits::Ill
        }
    }
}

impl ServerSession {
    /// It has the placeholders among these settings.
    pub(crate) fn note_placeholders(&mut self, settings: &SettingSet) {
        let counts = |entry: &&Setting| is_placeholder(&entry.name) && !is_ours(&entry.name);
        for entry in settings.iter().filter(counts) {
            self.placeholders.add(&entry.name);
        }
    }

    /// It has told of this placeholder.
    pub(crate) fn note_placeholder(&mut self, name: &[u8]) {
        self.placeholders.add(name);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline_sql::Value;
    use trunkline_wire::Reported;

    use super::*;
    use crate::client::{PoolMode, SessionLimits};

    fn client(strict: bool) -> ClientSession {
        let limits = SessionLimits { strict_placeholders: strict, ..SessionLimits::default() };
        ClientSession::new(PoolMode::Transaction, SettingSet::empty(), Arc::default(), limits)
    }

    #[test]
    fn a_server_suits_who_has_set_what_it_has() {
        let mut server = ServerSession::new(Arc::new(Reported::new()));
        let (mut alice, bob, carol) = (client(false), client(false), client(true));
        let other = ServerSession::new(Arc::new(Reported::new()));
        assert_eq!(carol.suits(&server), Suits::Well);
        alice.note_set(b"work_mem", &mut server);
        assert_eq!(carol.suits(&server), Suits::Well);
        alice.note_set(b"app.tenant", &mut server);
        let all = [alice.suits(&server), bob.suits(&server), carol.suits(&server)];
        assert_eq!(all, [Suits::Well, Suits::Ill, Suits::Not]);
        assert_eq!((alice.suits(&other), bob.suits(&other)), (Suits::Ill, Suits::Well));
        // What is replayed there counts as well.
        let mut set = SettingSet::default();
        set.set(b"app.other", Value::Written(b"x".as_slice().into()));
        server.note_placeholders(&set);
        assert_eq!(alice.suits(&server), Suits::Ill);
    }

    #[test]
    fn no_more_are_known_by_name_than_may_be() {
        let mut server = ServerSession::new(Arc::new(Reported::new()));
        let (mut all, mut none) = (client(true), client(true));
        for number in 0..=KNOWN_MAX {
            assert_eq!(all.suits(&server), Suits::Well);
            let name = format!("app.n{number}");
            server.note_placeholder(name.as_bytes());
            all.note_set(name.as_bytes(), &mut server);
            assert_eq!(none.suits(&server), Suits::Not);
        }
        none.note_set(b"app.more", &mut server);
        assert_eq!((all.suits(&server), none.suits(&server)), (Suits::Well, Suits::Not));
    }
}
