//! What we believe of one server connection. It changes only on the server's replies, or is undone by them.

use std::sync::Arc;

use bytes::BytesMut;
use trunkline_sql::Rules;
use trunkline_wire::{Reported, frontend};

use crate::{
    copy::AmidCopy,
    expect::{Ours, Owed, Purpose},
    hold::{Forgetting, Hold, Unsettled, Why},
    look::ReadBack,
    naming::Naming,
    path::Kept,
    placeholder::Placeholders,
    queue::{Kind, Queue},
    readback::{Findings, Told},
    salvage::Salvage,
    sequence::SequenceState,
    setting::SettingSet,
    statement::ServerStatements,
    takeover::Question,
};

/// The transaction status of `ReadyForQuery`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TxStatus {
    /// 'I': between transactions.
    #[default]
    Idle,
    /// 'T': inside a transaction block.
    Open,
    /// 'E': inside a failed transaction block.
    Failed,
}

impl TxStatus {
    /// Reads the status byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'I' => Some(Self::Idle),
            b'T' => Some(Self::Open),
            b'E' => Some(Self::Failed),
            _ => None,
        }
    }

    /// The status byte.
    pub const fn as_byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::Open => b'T',
            Self::Failed => b'E',
        }
    }
}

/// Where the stream towards the server stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Intake {
    /// The server reads messages.
    #[default]
    Messages,
    /// Extended-protocol messages were sent after the last Sync; the server waits for one.
    Unsynced,
    /// What went ahead of the client's next message has failed: the message is answered by that.
    Refusing,
    /// After an error: the server discards everything up to the next Sync.
    Skipping,
    /// The server reads COPY data.
    CopyData,
}

/// The unnamed statement of a server, if there is one, is not known to be anybody's.
pub(crate) const UNNAMED_UNKNOWN: u64 = u64::MAX;

/// One server connection, as a conversation. It travels with the connection from loop to loop.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that hold independently of each other; where the stream stands is a type of its own"
)]
pub struct ServerSession {
    /// Replies owed.
    pub(crate) owed: Queue,
    pub(crate) status: TxStatus,
    pub(crate) intake: Intake,
    /// The settings it has, apart from those of its startup packet.
    pub(crate) applied: Arc<SettingSet>,
    /// What `applied` must be at the end of this lease when it is not simply the client's committed set.
    pub(crate) base_lost: bool,
    /// The parameters it has reported.
    pub(crate) reported: Arc<Reported>,
    /// How it reads texts, by the parameters it has reported.
    pub(crate) rules: Rules,
    /// The placeholders that it has.
    pub(crate) placeholders: Placeholders,
    /// Our statements on it.
    pub(crate) statements: ServerStatements,
    /// Which client's unnamed statement it holds: a number unique to the client and its Parse; 0 for none.
    pub(crate) unnamed: u64,
    /// What is sent for the unnamed statement may be discarded because of an error before it; until the next Sync.
    pub(crate) unnamed_doubtful: bool,
    /// Statements under a client's own name that must be closed after the next Sync.
    pub(crate) decoys: Vec<Box<[u8]>>,
    /// They were not closed behind the Sync, because a COPY may have begun.
    pub(crate) lent_stays: bool,
    /// It only reads: it is a standby's.
    pub(crate) is_standby: bool,
    /// A transaction block was begun, of which no `ReadyForQuery` may have told yet.
    pub(crate) begun: bool,
    /// It has said that it ends, or has broken the protocol.
    pub(crate) ending: bool,
    /// It reads COPY data for the reply that is owed next.
    pub(crate) copying: bool,
    /// It may listen to something.
    pub(crate) listens: bool,
    /// Its client, which listens to something, may have sent a notification since the last transaction.
    pub(crate) notified: bool,
    /// It may have what `DISCARD ALL` does not take away.
    pub(crate) indelible: bool,
    /// A query of ours has failed.
    pub(crate) ours_failed: bool,
    /// The error of that query.
    pub(crate) ours_error: Option<Box<[u8]>>,
    /// The settings that are being replayed and may be refused, and how many of them have been taken.
    pub(crate) replaying: (Vec<Box<[u8]>>, usize),
    /// What it is at was cancelled because it has taken too long.
    pub(crate) timed_out: bool,
    /// Whether the client's statements are being forgotten.
    pub(crate) forgetting: Forgetting,
    /// Why the client's next message waits, while it does.
    pub(crate) hold: Hold,
    /// Whose values its sequences have.
    pub(crate) sequences: SequenceState,
    /// What is under way that statements depend on.
    pub(crate) unsettled: Unsettled,
    /// The names that messages under way give or take.
    pub(crate) naming: Naming,
    /// What is not known of Syncs amid COPY data.
    pub(crate) amid_copy: AmidCopy,
    /// How sessions begin there, once that is known, or known not to be.
    pub(crate) beginning: Option<Arc<Kept>>,
    /// The answer to the question what its client has there, while it comes.
    pub(crate) findings: Option<Box<Findings>>,
    /// That question is an audit.
    pub(crate) is_audited: bool,
    /// What came of that last, until it is taken.
    pub(crate) read_back: Option<Box<ReadBack>>,
    /// Who it has logged in as.
    pub(crate) login: Box<[u8]>,
    /// Its client has gone amid something, and it is being brought to rest.
    pub(crate) salvage: Option<Salvage>,
    /// What SQL has prepared and is to be adopted.
    pub(crate) takeover: Vec<Question>,
}

impl ServerSession {
    /// A connection that has just logged in and reported these parameters.
    pub fn new(reported: Arc<Reported>) -> Self {
        Self {
            owed: Queue::default(),
            status: TxStatus::Idle,
            intake: Intake::Messages,
            applied: SettingSet::empty(),
            base_lost: false,
            rules: rules_of(&reported),
            beginning: None,
            login: reported.get(b"session_authorization").unwrap_or_default().into(),
            reported,
            placeholders: Placeholders::default(),
            statements: ServerStatements::default(),
            unnamed: 0,
            unnamed_doubtful: false,
            decoys: Vec::new(),
            lent_stays: false,
            is_standby: false,
            begun: false,
            ending: false,
            copying: false,
            listens: false,
            notified: false,
            indelible: false,
            ours_failed: false,
            ours_error: None,
            replaying: (Vec::new(), 0),
            timed_out: false,
            forgetting: Forgetting::No,
            hold: Hold::default(),
            sequences: SequenceState::default(),
            unsettled: Unsettled::default(),
            naming: Naming::default(),
            amid_copy: AmidCopy::default(),
            findings: None,
            is_audited: false,
            read_back: None,
            salvage: None,
            takeover: Vec::new(),
        }
    }

    /// It is a standby's, or not.
    pub fn set_standby(&mut self, standby: bool) {
        self.is_standby = standby;
    }

    /// Whether nothing is owed and no transaction is open: the connection may serve somebody else.
    #[inline]
    pub fn at_rest(&self) -> bool {
        self.owed.is_empty()
            && self.status == TxStatus::Idle
            && self.intake == Intake::Messages
            && self.decoys.is_empty()
            && !self.lent_stays
            && !self.ending
    }

    /// The status of the last `ReadyForQuery`.
    pub fn status(&self) -> TxStatus {
        self.status
    }

    /// Whether the server is ending, or cannot be trusted any more.
    pub fn is_ending(&self) -> bool {
        self.ending
    }

    /// Whether replies are owed.
    pub fn is_busy(&self) -> bool {
        !self.owed.is_empty() || self.intake != Intake::Messages
    }

    /// Whether nothing but the answer to a Sync is owed: what was sent before it is answered.
    pub fn owes_ready_only(&self) -> bool {
        self.owed.len() == 1
            && self.owed.front_kind() == Some(Kind::Sync)
            && self.intake == Intake::Messages
    }

    /// Whether it has nothing under way for its client: it may be busy with something of ours that had to come before.
    #[inline]
    pub fn has_begun_nothing(&self) -> bool {
        self.intake == Intake::Messages && (self.owed.is_empty() || self.owed.is_ours())
    }

    /// Whether the last that was sent was its client's, and is not answered.
    pub fn owes_client(&self) -> bool {
        self.owed.back().is_some_and(|last| !last.is_ours())
    }

    /// Whether what it says next is the answer to something of ours.
    #[inline]
    pub fn answers_us(&self) -> bool {
        self.owed.front().is_some_and(Owed::is_ours)
    }

    /// Whether replies are owed that will come although the client sends nothing more, or its end. What was sent
    /// without a Sync must have been flushed for that; see [`flush`](Self::flush).
    pub fn will_answer(&self) -> bool {
        self.ending
            || self.is_held_for(Why::Listener)
            || (!self.owed.is_empty() && self.intake != Intake::CopyData)
    }

    /// Whether it will need something more from the client when it is done with what it was sent: COPY data, or a Sync.
    pub fn awaits_client(&self) -> bool {
        self.intake != Intake::Messages
    }

    /// What it is at is being cancelled because it has taken too long: the error that comes of it will say so.
    pub fn time_out(&mut self) {
        self.timed_out = true;
    }

    /// Whether it reads COPY data.
    pub fn reads_copy(&self) -> bool {
        self.intake == Intake::CopyData
    }

    /// Makes the server send the replies that it holds back until a Sync; no Sync will come.
    pub fn flush(&self, out: &mut BytesMut) {
        if self.intake == Intake::Unsynced && !self.owed.is_empty() {
            frontend::flush(out);
        }
    }

    /// The server is sent something, while it reads COPY data, that it will refuse, and will end. It may have left the
    /// COPY by then because of an error in the data; it ends all the same.
    pub fn break_copy(&mut self) {
        self.ending = true;
    }

    /// What came of asking it what its client has there, to be counted.
    pub fn take_read_back(&mut self) -> Option<Box<ReadBack>> {
        self.read_back.take()
    }

    /// Number of replies owed.
    #[inline]
    pub fn owed_len(&self) -> usize {
        self.owed.len()
    }

    /// The parameters it has reported.
    pub fn reported(&self) -> &Arc<Reported> {
        &self.reported
    }

    /// The settings it has beyond its startup packet.
    pub fn applied(&self) -> &Arc<SettingSet> {
        &self.applied
    }

    /// The connection is to be used no more.
    pub fn end(&mut self) {
        self.ending = true;
    }

    /// Number of prepared statements of ours on it.
    pub fn statement_count(&self) -> usize {
        self.statements.len()
    }

    /// Whether `ROLLBACK` would bring it to rest: a transaction is open, but nothing is under way.
    pub fn needs_only_rollback(&self) -> bool {
        self.owed.is_empty()
            && self.intake == Intake::Messages
            && self.status != TxStatus::Idle
            && self.decoys.is_empty()
            && !self.lent_stays
            && !self.ending
    }

    /// Sends a simple query of ours; its replies are swallowed.
    pub fn ask(&mut self, purpose: Purpose, text: &[u8], out: &mut BytesMut) {
        if purpose == Purpose::Reset {
            self.statements.clear();
            self.takeover.clear();
            self.sequences.clear();
            self.applied = SettingSet::empty();
        }
        self.unnamed = 0;
        self.ours_failed = false;
        self.ours_error = None;
        frontend::query(out, text);
        self.owed.push(Owed::Ours(Ours::Query(purpose)));
    }

    /// Whether nothing is owed but the answer to a replay of settings, which goes before all else and cannot fail.
    #[inline]
    pub(crate) fn owes_client_nothing(&self) -> bool {
        self.owed.back().is_none_or(|last| matches!(last, Owed::Ours(Ours::Query(Purpose::Replay))))
    }

    /// Before something is sent that changes the unnamed statement: whether it may be discarded because of an error
    /// before it. Neither a Sync ends the doubt, as it is ignored inside a COPY, nor a query, which may be discarded
    /// itself; but a replay of settings before all else leaves none.
    pub(crate) fn doubt_unnamed(&mut self) -> bool {
        let doubtful = !self.owes_client_nothing();
        self.unnamed_doubtful |= doubtful;
        doubtful
    }

    /// At a Sync or a query. What follows it is not discarded with what came before, so it must not rely on an
    /// unnamed statement that may not be there: another client's may be.
    pub(crate) fn forget_doubtful(&mut self) {
        if std::mem::take(&mut self.unnamed_doubtful) && self.owed.iter().any(Owed::changes_unnamed)
        {
            self.unnamed = UNNAMED_UNKNOWN;
        }
    }

    /// An unnamed statement was parsed.
    pub(crate) fn unnamed_parsed(&mut self, key: u64) {
        if self.unnamed == UNNAMED_UNKNOWN && !self.owed.iter().any(Owed::changes_unnamed) {
            self.unnamed = key;
        }
    }

    /// The unnamed statement that is being sent lives on this server only: what follows its Sync waits until it is
    /// known to be there.
    pub(crate) fn await_unnamed(&mut self) {
        if self.unnamed_doubtful {
            self.forgetting = self.forgetting.max(Forgetting::Unsynced);
        }
    }

    /// A `ReadyForQuery` that was owed has come.
    #[inline]
    pub(crate) fn became_ready(&mut self, status: TxStatus) {
        self.status = status;
        if self.owed.is_empty() {
            self.begun = false;
            self.settle_down();
        }
    }

    /// Whether the transaction block that the next message would find may have failed by then: something that is
    /// answered before it does not make the server skip it.
    pub(crate) fn may_have_failed(&self) -> bool {
        let earlier = |owed: &Owed| matches!(owed, Owed::Query(..) | Owed::Function | Owed::Sync);
        let begins = |owed: &Owed| match owed {
            Owed::Query(effects, _) | Owed::Execute(effects) => effects.begins_block(),
            _ => false,
        };
        self.owed.iter().any(earlier)
            && (self.begun || self.status != TxStatus::Idle || self.owed.iter().any(begins))
    }

    /// All that was under way is answered.
    pub(crate) fn settle_down(&mut self) {
        self.forgetting = Forgetting::No;
        self.unsettled = Unsettled::default();
        self.timed_out = false;
    }

    /// Takes a frame while no client holds the connection: only replies to queries of ours and asynchronous messages
    /// may come.
    pub fn on_alone(&mut self, tag: u8, body: &[u8]) -> Alone {
        if self.is_adrift() {
            return self.on_adrift(tag, body);
        }
        match self.on_told(tag, body) {
            Told::More => return Alone::Nothing,
            Told::All => return Alone::Surveyed,
            Told::Nothing => {}
        }
        match tag {
            b'S' => {
                self.on_parameter(body);
                Alone::Nothing
            }
            // Notices and notifications for nobody.
            b'N' | b'A' => Alone::Nothing,
            b'E' => {
                self.ours_failed = true;
                if self.owed.is_empty() {
                    self.ending = true;
                    return Alone::Ended;
                }
                Alone::Nothing
            }
            b'Z' => self.on_alone_ready(body),
            _ if self.owed.front().is_some_and(Owed::is_ours) => Alone::Nothing,
            _ => {
                self.ending = true;
                Alone::Ended
            }
        }
    }

    fn on_alone_ready(&mut self, body: &[u8]) -> Alone {
        let status = body.first().copied().and_then(TxStatus::from_byte);
        if let (Some(Owed::Ours(Ours::Query(purpose))), Some(status)) = (self.owed.pop(), status) {
            self.status = status;
            if self.ours_failed || status != TxStatus::Idle {
                self.ending = true;
                return Alone::Ended;
            }
            if purpose == Purpose::Unlisten {
                self.listens = false;
            }
            Alone::Answered(purpose)
        } else {
            self.ending = true;
            Alone::Ended
        }
    }

    /// Follows `ParameterStatus`.
    pub(crate) fn on_parameter(&mut self, body: &[u8]) {
        let mut parts = body.split(|byte| *byte == 0);
        if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            // A server that reports more than the named limits is not believed further; what was known stays.
            let _kept = Arc::make_mut(&mut self.reported).set(name, value);
            if matches!(name, STANDARD_STRINGS | CLIENT_ENCODING) {
                self.rules = rules_of(&self.reported);
            }
        }
    }
}

const STANDARD_STRINGS: &[u8] = b"standard_conforming_strings";
const CLIENT_ENCODING: &[u8] = b"client_encoding";

pub(crate) fn rules_of(reported: &Reported) -> Rules {
    let standard = reported.get(STANDARD_STRINGS).is_none_or(|value| value == b"on");
    Rules::new(standard, reported.get(CLIENT_ENCODING).unwrap_or_default())
}

/// What came of a frame that arrived while no client held the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alone {
    /// Nothing to do.
    Nothing,
    /// A query of ours was answered, and the connection is at rest.
    Answered(Purpose),
    /// It has told of the functions of its database, or could not: see [`ServerSession::end_survey`].
    Surveyed,
    /// The connection is no longer of use.
    Ended,
}
