//! One client's conversation: what it has prepared, set and pinned, whichever server it talks to.

use std::{collections::BTreeSet, sync::Arc};

use bytes::BytesMut;
use trunkline_sql::{Rules, Value};
use trunkline_wire::{Reported, backend, frontend};

use crate::{
    aside::Aside,
    channels::Channels,
    effect::Effects,
    expect::{Compare, Named, Ours, Owed, Purpose},
    long::Follow,
    look::{HiddenState, Suspicion},
    made::Made,
    names::Names,
    outgoing::Outgoing,
    pin::{PinReason, Pins},
    placeholder::Placeholders,
    planted::planted,
    portal::Portal,
    recent::RecentParses,
    replay::Replay,
    scope::Scope,
    server::{ServerSession, TxStatus},
    setting::SettingSet,
    shape::AsTold,
    statement::{Statement, StatementLimits, StatementStore},
    taking::Taking,
    track::SettingsTrack,
    unite::unite,
};

/// How long a client keeps a server connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PoolMode {
    /// Until the end of each transaction.
    #[default]
    Transaction,
    /// Until the client leaves.
    Session,
    /// Until the end of each statement; transaction blocks are refused.
    Statement,
}

/// Limits of one session.
#[derive(Debug, Clone, Copy)]
pub struct SessionLimits {
    /// Prepared statements per server connection.
    pub server_statements: StatementLimits,
    /// Named statements per client; what a client prepares beyond lives on one server, which it keeps.
    pub client_statements: StatementLimits,
    /// Bytes of an unnamed statement that are kept for another server; a longer one pins until it is replaced.
    pub unnamed_bytes: usize,
    /// What becomes of state that no text shows.
    pub hidden_state: HiddenState,
    /// Whether the client must not see that others have set placeholders; see [`crate::Suits`].
    pub strict_placeholders: bool,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            server_statements: StatementLimits { count: 500, bytes: 4 << 20 },
            client_statements: StatementLimits { count: 10_000, bytes: 16 << 20 },
            unnamed_bytes: 16 << 10,
            hidden_state: HiddenState::default(),
            strict_placeholders: false,
        }
    }
}

/// What the session needs from outside for a step.
pub trait Surroundings {
    /// A keyed hash of the parts of a statement.
    fn hash(&self, text: &[u8], types: &[u8], environment: &[u8]) -> u64;
    /// Runs `work` on the statements of the process.
    fn with_store<T>(&mut self, work: impl FnOnce(&mut StatementStore) -> T) -> T;
    /// A number that no other unnamed statement of the process has had.
    fn unnamed_key(&mut self) -> u64;
    /// What clients of this loop have parsed lately.
    fn recent(&mut self) -> &mut RecentParses;
    /// The cluster that it stands before, by its system identifier; none if that is not known.
    fn system(&self) -> Option<u64> {
        None
    }
}

/// The client's unnamed statement.
#[derive(Debug, Default)]
pub(crate) enum Unnamed {
    /// There is none.
    #[default]
    None,
    /// Kept, so that it can be given to another server.
    Kept {
        key: u64,
        /// The body of the Parse message: empty name, text, types.
        body: Arc<Vec<u8>>,
        effects: Effects,
        /// How its text was read for them.
        rules: Rules,
        /// What it was parsed under; none for the settings of a new connection.
        settings: Option<Arc<SettingSet>>,
    },
    /// Too long to keep: lives on the server under this key only.
    OnServer { key: u64, effects: Effects },
}

impl Unnamed {
    /// What executing it leaves behind.
    pub(crate) fn effects(&self) -> Effects {
        match self {
            Self::None => Effects::None,
            Self::Kept { effects, .. } | Self::OnServer { effects, .. } => effects.clone(),
        }
    }

    /// Its text, as far as it is kept.
    pub(crate) fn text(&self) -> &[u8] {
        match self {
            // The empty name, then the text.
            Self::Kept { body, .. } => body.split(|byte| *byte == 0).nth(1).unwrap_or_default(),
            Self::None | Self::OnServer { .. } => b"",
        }
    }

    /// The number of the statement; none if there is none.
    pub(crate) fn key(&self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Kept { key, .. } | Self::OnServer { key, .. } => Some(*key),
        }
    }
}

/// One client's conversation.
#[derive(Debug)]
pub struct ClientSession {
    pub(crate) mode: PoolMode,
    pub(crate) settings: SettingsTrack,
    /// By the parts of their names that count.
    pub(crate) names: Names,
    /// Told apart from all other clients; 0 until its first lease.
    pub(crate) number: u64,
    /// What a name meant that has just been looked up, if the settings have changed that.
    pub(crate) meant: Option<Box<Named>>,
    /// The statements that live under the client's own names on the server to which they pin it.
    pub(crate) there: BTreeSet<Box<[u8]>>,
    /// Those of them that SQL has prepared.
    pub(crate) made: Option<Box<Made>>,
    /// The transaction that is open, or under way, has changed the catalog, or may have.
    pub(crate) catalog_changed: bool,
    pub(crate) unnamed: Unnamed,
    /// What statements take back, in session mode.
    pub(crate) taking: Taking,
    /// Those that matter. Empty in the ordinary case.
    pub(crate) portals: Vec<Portal>,
    /// Those that it has ever set.
    pub(crate) placeholders: Placeholders,
    pub(crate) pins: Pins,
    /// Why the server is to be asked what the session has there, beside what its texts show.
    pub(crate) suspicion: Option<Box<Suspicion>>,
    /// The statement that may be, or is, what the client keeps its server for.
    pub(crate) blamed: Option<Box<str>>,
    /// What it listens to; none if it has never listened.
    pub(crate) channels: Option<Box<Channels>>,
    /// An error has come in the transaction that is open or ending.
    pub(crate) errored: bool,
    /// The parameters as this client was told them.
    pub(crate) seen: Arc<Reported>,
    pub(crate) limits: SessionLimits,
    /// Its pool.
    pub(crate) scope: Arc<Scope>,
    /// What it has prepared that no server knows; see [`crate::aside`].
    pub(crate) asides: Vec<Aside>,
    /// The text of a long message that is streaming by.
    pub(crate) follow: Option<Box<Follow>>,
    /// The bug that a test has planted.
    #[cfg(feature = "planted")]
    pub(crate) planted: Option<crate::planted::Bug>,
}

/// How a lease begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseStart {
    /// The client's frames may follow at once.
    Ready,
    /// Settings are being replayed whose reply must be awaited first. Their names are for the hint of an error.
    Await,
}

impl ClientSession {
    /// A simple query was answered elsewhere: it destroys the unnamed statement.
    pub fn forget_unnamed(&mut self) {
        self.unnamed = Unnamed::None;
    }

    /// A client that has just logged in; `base` is what its startup packet set beyond what the server connections of
    /// its pool have.
    pub fn new(
        mode: PoolMode,
        base: Arc<SettingSet>,
        scope: Arc<Scope>,
        limits: SessionLimits,
    ) -> Self {
        Self {
            mode,
            settings: SettingsTrack::new(base),
            names: Names::default(),
            there: BTreeSet::new(),
            made: None,
            catalog_changed: false,
            meant: None,
            number: 0,
            unnamed: Unnamed::None,
            taking: Taking::default(),
            portals: Vec::new(),
            placeholders: Placeholders::default(),
            pins: Pins::default(),
            suspicion: None,
            blamed: None,
            channels: None,
            errored: false,
            seen: Arc::new(Reported::new()),
            limits,
            scope,
            asides: Vec::new(),
            follow: None,
            #[cfg(feature = "planted")]
            planted: None,
        }
    }

    /// Makes it behave wrongly.
    #[cfg(feature = "planted")]
    pub fn plant(&mut self, bug: Option<crate::planted::Bug>) {
        self.planted = bug;
    }

    /// Before the first lease: the value of a setting of its startup packet turns out to be another one.
    pub fn start_with(&mut self, name: &[u8], value: &str) {
        let mut base = SettingSet::clone(self.settings.base());
        base.set(name, Value::Literal(value.as_bytes().into()));
        self.settings = SettingsTrack::new(Arc::new(base));
    }

    /// Tells the client, once after its login, the parameters of its pool.
    pub fn welcome(&mut self, reported: &Arc<Reported>, to_client: &mut BytesMut) {
        reported.write(to_client);
        self.seen = Arc::clone(reported);
    }

    /// The client goes while `server` serves it: what is known of the server's settings is kept for the next client.
    pub fn leave(&mut self, server: &mut ServerSession) {
        if server.status != TxStatus::Idle || self.errored {
            self.settings.rollback();
        }
        server.takeover.clear();
        // What is under way may be done yet.
        self.tell_catalog_change();
        self.leave_indelible(server);
        self.end_lease(server);
        server.go_on();
        server.go_on_without_listener();
        server.notified = false;
    }

    /// The encoding in which it is told texts.
    pub fn encoding(&self) -> &[u8] {
        self.seen.get(b"client_encoding").unwrap_or(b"UTF8")
    }

    /// What it has been told by its server.
    #[inline]
    pub fn reported(&self) -> &Arc<Reported> {
        &self.seen
    }

    /// Its pooling mode.
    pub fn mode(&self) -> PoolMode {
        self.mode
    }

    /// Why it keeps its server between transactions.
    pub fn pins(&self) -> Pins {
        self.pins
    }

    /// Pins it for a reason seen outside.
    pub fn pin(&mut self, reason: PinReason) {
        self.pins.add(reason);
    }

    /// Number of statement names it holds.
    pub fn name_count(&self) -> usize {
        self.names.len()
    }

    /// Whether it gives its server back between transactions.
    #[inline]
    pub fn shares_servers(&self) -> bool {
        planted!(self, MissedPin, return !self.pins.has(PinReason::Unread));
        self.mode != PoolMode::Session && self.pins.is_empty()
    }

    /// Whether the server may go back to the pool now.
    #[inline]
    pub fn may_release(&self, server: &ServerSession) -> bool {
        planted!(self, EarlyRelease, return self.shares_servers() && server.owed.is_empty());
        self.shares_servers() && server.at_rest() && !self.unnamed_holds(server)
    }

    #[inline]
    pub(crate) fn unnamed_holds(&self, server: &ServerSession) -> bool {
        matches!(&self.unnamed, Unnamed::OnServer { key, .. } if *key == server.unnamed)
    }

    /// Whether a commit of its may have been answered, and seen, before it was on disk (`synchronous_commit` off).
    #[inline]
    pub fn commits_asynchronously(&self) -> bool {
        self.settings.is_asynchronous()
    }

    /// Whether the client was told an error since its transaction, or its statement, has begun.
    pub fn has_failed(&self) -> bool {
        self.errored
    }

    /// Begins a lease: writes to the server what makes its state the client's, and to the client what it has not been
    /// told yet.
    pub fn begin_lease(
        &mut self,
        server: &mut ServerSession,
        to_server: &mut BytesMut,
        to_client: &mut BytesMut,
        around: &mut impl Surroundings,
    ) -> LeaseStart {
        self.errored = false;
        self.begin_sequences(server, to_server, around);
        let wanted = self.settings.current();
        if !Arc::ptr_eq(wanted, &server.applied) {
            if **wanted == *server.applied {
                let mut wanted = Arc::clone(wanted);
                unite(&mut wanted, &mut server.applied);
                self.settings.unify(&wanted);
            } else {
                planted!(self, SkippedReplay, return LeaseStart::Ready);
                let replay = Replay::between(&server.applied, wanted);
                server.note_placeholders(wanted);
                server.applied = Arc::clone(wanted);
                server.replaying = (if replay.uncertain { replay.names } else { Vec::new() }, 0);
                server.ask(Purpose::Replay, &replay.text, to_server);
                return if replay.uncertain { LeaseStart::Await } else { LeaseStart::Ready };
            }
        }
        self.tell_parameters(server, to_client);
        LeaseStart::Ready
    }

    /// Tells the client the parameters in which this server differs from what it knows.
    #[inline]
    pub(crate) fn tell_parameters(&mut self, server: &mut ServerSession, to_client: &mut BytesMut) {
        if Arc::ptr_eq(&self.seen, &server.reported) {
            return;
        }
        if *self.seen == *server.reported {
            unite(&mut self.seen, &mut server.reported);
            return;
        }
        for (name, value) in self.seen.diff(&server.reported) {
            backend::parameter_status(to_client, name, value);
        }
        self.seen = Arc::clone(&server.reported);
    }

    /// Ends a lease with a server at rest: what the server has is now what the client has committed.
    #[inline]
    pub fn end_lease(&mut self, server: &mut ServerSession) {
        let committed = self.settings.current();
        if server.base_lost {
            server.base_lost = false;
            let mut left = SettingSet::clone(committed);
            // Whether the server has these depends on what was rolled back: they count as having a value that no
            // client has, so that the next lease sets them or takes them back.
            for entry in self.settings.base().iter() {
                left.set(&entry.name, Value::Written(Box::default()));
            }
            server.applied = Arc::new(left);
        } else if !Arc::ptr_eq(&server.applied, committed) {
            server.applied = Arc::clone(committed);
        }
        server.owed.shrink();
    }

    /// The server that held this client's state is gone; what lived only there is gone with it.
    pub fn lose_server(&mut self) {
        self.forget_looks();
        self.there.clear();
        self.made = None;
        // It may have been committed.
        self.tell_catalog_change();
        self.taking = Taking::default();
        self.portals.clear();
        self.settings.rollback();
        self.end_channels(false);
        if matches!(self.unnamed, Unnamed::OnServer { .. }) {
            self.unnamed = Unnamed::None;
        }
    }

    /// Makes sure the server has `statement`, before a message that names it.
    #[inline]
    pub(crate) fn give(
        &self,
        statement: &Arc<Statement>,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
    ) {
        if !server.statements.touch(statement.id) {
            self.give_anew(statement, server, out);
        }
    }

    #[cold]
    fn give_anew(
        &self,
        statement: &Arc<Statement>,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
    ) {
        let parsed = (statement.settings(), statement.folds());
        let is_told = statement.told().has_result();
        self.parse_under(parsed, server, out, |server, out| {
            frontend::parse(out.insert(), &statement.name, &statement.text, &statement.types);
            server.begin_naming(&statement.name);
            server.owed.push(Owed::Ours(Ours::Parse(Arc::clone(statement))));
            if is_told {
                server.compare(Compare { statement: Arc::clone(statement), parsed_as: None }, out);
            }
        });
        self.hold(statement, server, out);
        if is_told {
            server.statements.set_as_told(statement.id, AsTold::Unknown);
        }
    }

    /// Notes that the server has been given `statement`, and closes what exceeds the limits.
    pub(crate) fn hold(
        &self,
        statement: &Arc<Statement>,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
    ) {
        server.statements.add(statement);
        let limits = self.limits.server_statements;
        loop {
            // One that is not known to be there yet would be taken for held if both its Parse and this Close are void.
            let naming = &server.naming;
            let keeps = |held: &Statement| held.id == statement.id || naming.has(&held.name);
            let Some(old) = server.statements.evict(limits, keeps) else { break };
            frontend::close(out.insert(), frontend::STATEMENT, &old.name);
            server.begin_naming(&old.name);
            server.owed.push(Owed::Ours(Ours::Close(old)));
        }
    }

    /// Whether a transaction of this client is open on `server`.
    pub fn in_transaction(server: &ServerSession) -> bool {
        server.status != TxStatus::Idle
    }
}
