//! A client: its session, what it has said and heard, and a server of its own that is told the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use trunkline_session::{
    ClientSession, HiddenState, PoolMode, SessionLimits, SettingSet, StatementLimits,
};
use trunkline_sql::Value;

use crate::model::{postgres::Postgres, server::reported};
use crate::shared::{Message, messages};

/// So that unnamed statements are sometimes too long to keep, and servers often full.
const LIMITS: SessionLimits = SessionLimits {
    server_statements: StatementLimits { count: 3, bytes: 400 },
    client_statements: StatementLimits { count: 4, bytes: 400 },
    hidden_state: HiddenState::ReadBack,
    strict_placeholders: false,
    unnamed_bytes: 60,
};

/// What the startup packets of some clients set, and the servers of the pool do not have.
const STARTUP: [(&str, &str); 1] = [("application_name", "app")];

/// Where a client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Idle,
    Waiting,
    Replaying(usize),
    Leased(usize),
    Gone,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) session: ClientSession,
    pub(crate) place: Place,
    /// What the client has sent and the shell has not taken.
    pub(crate) held: Vec<u8>,
    /// The rest of a message that is streaming by: its length, and whether it goes on.
    pub(crate) stream: (usize, bool),
    pub(crate) alone: Postgres,
    /// Its startup packet has set something.
    pub(crate) startup: bool,
    pub(crate) expected: Vec<Message>,
    /// So much of it a server would have sent by now.
    pub(crate) due: usize,
    pub(crate) got: Vec<Message>,
    /// The parameters as the client was told them.
    pub(crate) told: BTreeMap<String, String>,
}

impl Client {
    pub(crate) fn new(mode: PoolMode, startup: bool) -> Self {
        let set: &[_] = if startup { &STARTUP } else { &[] };
        let mut base = SettingSet::default();
        for (name, value) in set {
            base.set(name.as_bytes(), Value::Literal(value.as_bytes().into()));
        }
        let mut client = Self {
            session: ClientSession::new(mode, Arc::new(base), Arc::default(), LIMITS),
            place: Place::Idle,
            held: Vec::new(),
            stream: (0, false),
            alone: Postgres::new(set),
            startup,
            expected: Vec::new(),
            due: 0,
            got: Vec::new(),
            told: BTreeMap::new(),
        };
        let mut welcome = BytesMut::new();
        client.session.welcome(&reported(), &mut welcome);
        client.receive(&welcome);
        // It is told when it first has a server.
        client.told.extend(client.alone.told().clone());
        client
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        for (tag, body) in messages(bytes) {
            if tag == b'S' {
                let text = String::from_utf8_lossy(&body);
                let mut parts = text.split('\0').map(str::to_owned);
                if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
                    self.told.insert(name, value);
                }
            } else {
                self.got.push((tag, body));
            }
        }
    }
}
