//! Transactions that may write and are begun on a standby (`routing.transaction_reads`): what is more than a read makes them
//! go on on the primary, where their client's own words begin them once more. The client sees nothing of it. Those that only
//! read by their own words do so for what a primary does in such a transaction and a standby does not, as long as they hold
//! nothing there and see each what has been committed before.

use bytes::BytesMut;
use trunkline_route::{Asked, Because, Plain, Trust, Within};
use trunkline_session::{
    Again, Begin, Block, ClientSession, LeaseStart, Onward, Purpose, TxStatus,
};
use trunkline_settings::TransactionReads;
use trunkline_sql::{access::Class, asked_route};

use super::{
    slot::{ANY, Client, ClientState, SHADOW, Server},
    to_server::HOLD_MAX,
    worker::{self, Worker},
};

/// A transaction that its client has begun on a standby, and that may cross to the primary.
#[derive(Debug, Default)]
pub(crate) struct Crossing {
    /// What begins it; empty if there is none.
    begin: Vec<u8>,
    /// What it may do, and where.
    kind: Kind,
    /// Something was read in it.
    has_read: bool,
    /// A statement of it was refused: it has failed for its client.
    pub(super) has_failed: bool,
}

/// What a transaction may do, and how long it may cross.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    /// It may write.
    #[default]
    Any,
    /// By its own words it only reads.
    ReadOnly,
    /// The same, and all of it sees one state of the database: it crosses before it has read anything, or never.
    OneState,
}

impl Crossing {
    /// There is none any more. The room is kept for the next one.
    pub(super) fn clear(&mut self) {
        self.begin.clear();
        (self.kind, self.has_read, self.has_failed) = (Kind::Any, false, false);
    }

    /// It is about to begin.
    pub(super) fn begin(&mut self, block: &Block<'_>) {
        self.clear();
        self.begin.extend_from_slice(block.begin);
        self.has_read = block.has_read;
    }

    /// One is about to begin that only reads by its own words. It crosses as long as that loses nothing.
    pub(super) fn begin_read_only(&mut self, block: &Block<'_>, sees_commits: bool) {
        self.clear();
        if block.is_short() && !block.leaves && (sees_commits || !block.has_read) {
            self.begin(block);
            self.kind = if sees_commits { Kind::ReadOnly } else { Kind::OneState };
        }
    }

    /// Whether it only reads by its own words.
    fn is_read_only(&self) -> bool {
        self.kind != Kind::Any
    }

    /// How far what its client wishes is taken at its word: that it only reads is its own word for the functions it calls.
    pub(super) fn trust(&self, asked: Asked) -> Trust {
        match asked.trust() {
            Trust::None if self.is_read_only() => Trust::Doubts,
            trust => trust,
        }
    }

    /// Whether what goes to the standby may come to be sent again with the transaction.
    pub(super) fn may_be_tried(&self) -> bool {
        self.kind != Kind::OneState
    }

    /// Whether there is one.
    pub(super) fn is_begun(&self) -> bool {
        !self.begin.is_empty()
    }

    /// Something of it goes to the standby.
    pub(super) fn reads(&mut self) {
        self.has_read = true;
        if self.kind == Kind::OneState {
            self.clear();
        }
    }
}

/// Whether the client has a transaction open at this standby that may go on elsewhere now.
pub(super) fn may_go_on(client: &Client, server: &Server) -> bool {
    server.session.status() == TxStatus::Open && outlives(client, server)
}

/// Whether the client's transaction at this standby, be it one that has failed, may go on elsewhere if the standby is lost.
pub(super) fn outlives(client: &Client, server: &Server) -> bool {
    let crossing = client.rare.routed.as_ref().map(|routed| &routed.crossing);
    client.horizon < SHADOW
        && crossing.is_some_and(Crossing::is_begun)
        && server.session.status() != TxStatus::Idle
        && client.session.may_cross()
}

/// The client that gets this server has a transaction open, which begins once more before anything of the client's.
#[cold]
pub(super) fn begin_again(
    client: &mut Client,
    server: &mut Server,
    to_server: &mut BytesMut,
) -> LeaseStart {
    let Crossing { begin, has_read, has_failed, .. } = &client.rare.routed().crossing;
    let again = Again { begin, has_read: *has_read, has_failed: *has_failed };
    client.session.begin_again(&mut server.session, again, to_server);
    LeaseStart::Await
}

impl Client {
    /// Where its transaction stands while it has no server, as it was told.
    pub(super) fn status_alone(&self) -> TxStatus {
        if !self.crosses {
            return TxStatus::Idle;
        }
        let routed = self.rare.routed.as_ref();
        let has_failed = routed.is_some_and(|routed| routed.crossing.has_failed);
        if has_failed { TxStatus::Failed } else { TxStatus::Open }
    }
}

/// Whether the client's transaction, which may cross, does so for a text of which this was found.
pub(super) fn crosses_for(client: &Client, found: Because, text: &[u8]) -> bool {
    let crossing = client.rare.routed.as_ref().map(|routed| &routed.crossing);
    if crossing.is_some_and(Crossing::is_read_only) {
        within_of(&client.session, found, text) == Within::OnPrimary
    } else {
        !found.is_to_standby()
    }
}

/// Where a transaction that only reads by its own words goes on with a text of which this was found.
fn within_of(session: &ClientSession, found: Because, text: &[u8]) -> Within {
    match (found.within_read_only(), found) {
        (Within::HereForGood, Because::Class(Class::Transaction | Class::Session))
            if session.wants_primary(text) =>
        {
            Within::OnPrimary
        }
        (within, _) => within,
    }
}

impl Worker {
    /// Which transactions may begin on a standby.
    pub(super) fn begin(&self) -> Begin {
        match self.settings.routing.transaction_reads {
            TransactionReads::Primary => Begin::ReadOnly,
            TransactionReads::UntilFirstWrite => Begin::Any,
        }
    }

    /// What becomes of a burst of a client whose transaction, begun at this standby, may cross.
    pub(super) fn onward(&mut self, index: usize, server_index: usize, data: &[u8]) -> Onward {
        let asked = self.asked(index);
        let home = self.clients.get(index).map(|client| self.home_of(client.pool));
        let (Some(client), Some(server)) =
            (self.clients.get_mut(index), self.servers.get(server_index))
        else {
            return Onward::There(data.len());
        };
        let routed = client.rare.routed();
        let (path, end, crossing) = (&mut routed.path, &mut routed.block_end, &mut routed.crossing);
        if !client.session.may_cross() {
            return Onward::There(server.session.horizon_in_block(data, HOLD_MAX, end));
        }
        let read_only = crossing.is_read_only();
        let trust = crossing.trust(asked);
        let pool = home.and_then(|home| self.pools.get(home));
        let latest = pool.map(|pool| pool.family.catalog.latest());
        let judge = pool.zip(latest.as_ref()).and_then(|(pool, latest)| {
            let known = pool.family.catalog.of_now(latest.as_deref())?;
            self.router.judge((&pool.family, &client.session), known, path, self.now)
        });
        let mut judge = judge.map(|judge| judge.trusting(trust));
        let (session, rules, mut within) = (&client.session, client.session.rules(), Within::Here);
        let onward = session.onward(&server.session, data, HOLD_MAX, end, |text| {
            // That is answered here, and asked of no server.
            if asked_route(text, rules).is_some() {
                return true;
            }
            let unknown = Because::Plain(Plain::UnknownCatalog);
            let found = judge.as_mut().map_or(unknown, |judge| judge.decide(asked, text));
            if !read_only {
                return found.is_to_standby();
            }
            within = within_of(session, found, text);
            within == Within::Here
        });
        if read_only && onward == Onward::Across && within != Within::OnPrimary {
            crossing.clear();
            return Onward::There(server.session.horizon_in_block(data, HOLD_MAX, end));
        }
        onward
    }

    /// The client's transaction goes on on the primary; the standby has nothing under way for it.
    pub(super) fn cross(&mut self, index: usize, server_index: usize, data: &[u8]) {
        let (Some(client), Some(server)) =
            (self.clients.get_mut(index), self.servers.get_mut(server_index))
        else {
            return;
        };
        // What a function has left there, if any has, is not asked for any more.
        let is_clean = client.session.pins().is_empty();
        client.session.leave_transaction(&mut server.session);
        self.set_out(index);
        self.note_route(index, data, Plain::FirstWrite.into());
        if is_clean {
            self.housekeep(server_index, Purpose::Rollback, b"ROLLBACK");
        } else {
            self.set_adrift(server_index);
        }
    }

    /// The standby where the client's transaction is open is lost, or refuses to go on, while nothing is under way there:
    /// it goes on on the primary as soon as the client sends something. Says whether it does.
    pub(super) fn goes_on_at_home(&mut self, index: usize, server_index: usize) -> bool {
        let (Some(client), Some(server)) =
            (self.clients.get_mut(index), self.servers.get(server_index))
        else {
            return false;
        };
        let rests = client.state == ClientState::Leased(server_index)
            && !server.session.is_busy()
            && client.stream.remaining == 0;
        if !rests || !outlives(client, server) {
            return false;
        }
        let has_failed = server.session.status() == TxStatus::Failed;
        client.rare.routed().crossing.has_failed |= has_failed;
        client.session.lose_server();
        self.set_out(index);
        self.again.push_back(worker::Again::Client(index));
        true
    }

    /// The client has no server, and a transaction open that goes on on the next one.
    pub(super) fn set_out(&mut self, index: usize) {
        self.go_home(index);
        let Some(client) = self.clients.get_mut(index) else { return };
        client.horizon = ANY;
        client.crosses = true;
        client.state = ClientState::Idle;
        client.since = self.now;
        let routed = client.rare.routed();
        routed.settle();
        routed.block_end = trunkline_session::BlockEnd::No;
    }

    /// The transaction goes on at a server of the primary.
    #[cold]
    pub(super) fn has_crossed(&mut self, index: usize) {
        if let Some(client) = self.clients.get_mut(index) {
            client.crosses = false;
            client.rare.routed().crossing.clear();
        }
    }
}
