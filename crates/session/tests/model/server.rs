//! A server connection of the pool: what is believed of it, and what it is.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use trunkline_session::{RESERVED_PREFIX, ServerSession};
use trunkline_wire::Reported;

use crate::model::postgres::{Postgres, REPORTED};
use crate::shared::messages;

/// The name by which settings are changed for a Parse; an error leaves it behind until the next time.
const LEFT: &str = "__trunkline_set";

/// One connection.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) session: ServerSession,
    pub(crate) postgres: Postgres,
    pub(crate) inbox: Vec<u8>,
    /// What it has answered and not sent yet.
    pub(crate) buffered: Vec<Vec<u8>>,
    pub(crate) outbox: VecDeque<Vec<u8>>,
    pub(crate) client: Option<usize>,
    /// A query of the shell's own is under way.
    pub(crate) keeping: bool,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            session: ServerSession::new(reported()),
            postgres: Postgres::new(&[]),
            inbox: Vec::new(),
            buffered: Vec::new(),
            outbox: VecDeque::new(),
            client: None,
            keeping: false,
        }
    }

    pub(crate) fn is_free(&self) -> bool {
        self.client.is_none() && !self.keeping
    }

    /// Whether all that it had to say before it ended has arrived.
    pub(crate) fn has_said_all(&self) -> bool {
        self.outbox.is_empty() && self.buffered.is_empty()
    }

    /// What is believed of a server that goes to somebody else must be true.
    pub(crate) fn check_at_rest(&self, index: usize) {
        let postgres = &self.postgres;
        // COPY messages that come too late, and Flush, have no answer: the server will ignore them.
        let asked = messages(&self.inbox).iter().any(|(tag, _)| !b"dcfH".contains(tag));
        assert!(!asked && self.has_said_all(), "server {index} has more to say");
        assert!(!self.session.is_full(), "server {index} would take nothing");
        assert!(self.session.at_rest() && postgres.is_at_rest(), "server {index} is not at rest");
        assert_eq!(self.session.owed_len(), 0);
        assert!(!postgres.has_belongings(), "server {index} has what belongs to a client");
        let names: Vec<_> = postgres.names().filter(|name| *name != LEFT).collect();
        let ours = names.iter().all(|name| name.as_bytes().starts_with(RESERVED_PREFIX));
        assert!(ours, "server {index} has a statement under a client's name: {names:?}");
        assert_eq!(names.len(), self.session.statement_count(), "{names:?} on server {index}");
        let mut believed: BTreeMap<String, String> = self
            .session
            .applied()
            .iter()
            .map(|set| {
                let value = String::from_utf8_lossy(set.value.as_bytes()).replace('\'', "");
                (String::from_utf8_lossy(&set.name).into_owned(), value)
            })
            .collect();
        let mut settings = postgres.settings().clone();
        // Whether the server has what somebody's startup packet has set depended on what was rolled back: the next client
        // sets it, or takes it back.
        settings.retain(|name, _| believed.get(name).is_none_or(|value| !value.is_empty()));
        believed.retain(|_, value| !value.is_empty());
        assert_eq!(believed, settings, "settings of server {index}");
    }
}

/// What a new server reports.
pub(crate) fn reported() -> Arc<Reported> {
    let mut reported = Reported::new();
    for (name, value) in REPORTED {
        reported.set(name.as_bytes(), value.as_bytes()).expect("they are few");
    }
    Arc::new(reported)
}
