//! The slots of a loop: a client, a server, and what each is doing.

use std::sync::Arc;

use bytes::BytesMut;
use trunkline_route::Wish;
use trunkline_session::{ClientSession, ServerSession};
use trunkline_wire::startup::ProtocolVersion;

use super::{
    leaving::Leaving, ledger::Entry, link::Link, listening::Listening, rest::Rest, routed::Routed,
};
use crate::{
    backend::Endpoint,
    cluster::NodeId,
    frontend::ClientSlot,
    handover::{CancelTicket, StartupParams},
    listening::Backend,
    net::Peer,
    pool::{Family, Membership, Permit},
};

/// What a client is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientState {
    /// Logged in; waits for a first server of its pool to say what to tell it.
    Welcoming,
    /// Holds no server.
    Idle,
    /// Has sent something that needs a server, and waits for one.
    Waiting,
    /// Has sent a `LISTEN`, holds no server, and waits for the listener to hear the channel.
    Listening,
    /// Has sent a read, holds no server, and waits a moment for a standby that shows what it must find.
    Pausing,
    /// Has sent a notification, listens itself, and holds no server: that its server is ready is told behind what it has
    /// sent. There is no statement to cancel.
    Unsaid,
    /// A server serves it.
    Leased(usize),
    /// Its settings are being replayed; its own bytes follow when that has succeeded.
    Replaying(usize),
    /// Has been told why, and is closed when that is written.
    Closing,
}

impl ClientState {
    /// The server it holds.
    pub(crate) fn server(self) -> Option<usize> {
        match self {
            Self::Leased(server) | Self::Replaying(server) => Some(server),
            Self::Welcoming
            | Self::Idle
            | Self::Waiting
            | Self::Listening
            | Self::Pausing
            | Self::Unsaid
            | Self::Closing => None,
        }
    }
}

/// A frame that is passed on before all of it was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stream {
    /// Bytes still to come.
    pub(crate) remaining: usize,
    /// Whether they go on, or are dropped.
    pub(crate) forward: bool,
}

impl Stream {
    /// Whether who receives has a part of a message and waits for the rest; anything else would be taken for it.
    pub(crate) fn is_torn(self) -> bool {
        self.remaining > 0 && self.forward
    }
}

/// A client of the loop.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts about its socket and stream that hold independently of each other and of its state"
)]
pub(crate) struct Client {
    pub(crate) link: Link,
    pub(crate) state: ClientState,
    pub(crate) session: ClientSession,
    /// The place of its family among the loop's pools.
    pub(crate) pool: usize,
    /// Bytes read but not judged yet: an incomplete frame, or a burst that waits for a server.
    pub(crate) held: Rest,
    /// So many bytes may go to the standby that it waits for or that serves it, or [`ALL`]; [`ANY`] if it is the primary.
    pub(crate) horizon: usize,
    /// It has a transaction open, and no server: it goes on on the next one that it gets.
    pub(crate) crosses: bool,
    pub(crate) stream: Stream,
    /// The socket has, or may have, more to read.
    pub(crate) readable: bool,
    /// The other side has closed its half.
    pub(crate) hung_up: bool,
    /// After an error of ours in the extended protocol: everything up to the Sync is dropped.
    pub(crate) skipping: bool,
    /// The pool's oldest-first order: when it began to wait, in microseconds.
    pub(crate) since: u64,
    /// When its transaction began, and its last statement; 0 while none is under way.
    pub(crate) transaction_since: u64,
    pub(crate) query_since: u64,
    /// When its last statement was cancelled by `timeouts.query`; 0 if it was not.
    pub(crate) cancelled_at: u64,
    /// Whether it is counted as one that keeps its server between transactions.
    pub(crate) kept: bool,
    /// When it last did anything.
    pub(crate) active_at: u64,
    /// The time of its entry in the wheel; 0 for none.
    pub(crate) armed: u64,
    /// The cancel key: process id as told, and secret.
    pub(crate) key: CancelKey,
    /// It has ended its side, and what it asked for before is still being answered.
    pub(crate) leaving: Option<Box<Leaving>>,
    /// If it has ever listened while it shared servers.
    pub(crate) listening: Option<Box<Listening>>,
    pub(crate) rare: Box<ClientRare>,
}

/// The horizon of a client that is not bound for a standby.
pub(crate) const ANY: usize = usize::MAX;

/// That of one whose standby is given all that it sends.
pub(crate) const ALL: usize = usize::MAX - 1;

/// That of one that the primary serves with what would be a standby's if `routing.mode` were `on`. All from here on is more
/// than can be sent.
pub(crate) const SHADOW: usize = usize::MAX - 2;

/// What a client needs seldom.
#[derive(Debug)]
pub(crate) struct ClientRare {
    pub(crate) peer: Peer,
    pub(crate) protocol: ProtocolVersion,
    pub(crate) startup: StartupParams,
    pub(crate) connected_at: u64,
    /// When its server last said something without being ready. Followed while a limit of time is set for clients.
    pub(crate) answered_at: u64,
    /// Since when it keeps its server between transactions, if it does.
    pub(crate) kept_since: u64,
    /// What is kept for it, as counted last.
    pub(crate) entry: Entry,
    /// Where the listener by which it has come sends it.
    pub(crate) role: Wish,
    /// If its reads may go to standbys.
    pub(crate) routed: Option<Box<Routed>>,
    /// Its places among all clients and in its family.
    pub(crate) places: (ClientSlot, Membership),
}

/// The key a client was given to cancel its statements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CancelKey {
    pub(crate) pid: i32,
    /// The first 4 bytes serve protocol 3.0.
    pub(crate) secret: [u8; 32],
}

/// What a server is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerState {
    /// Parked in its pool.
    Idle,
    /// Serves this client.
    Leased(usize),
    /// It is asked what is there, as it is new or has been given back to a pool that trusts nobody; then parked for those who
    /// wait.
    Surveyed,
    /// Answers a query of ours while no client holds it; then parked.
    Housekeeping,
    /// At rest, but a cancel request for it is under way, or what its client has sent is not heard yet.
    Withheld,
    /// Told to go; it counts under the caps until the server has closed it.
    Retiring,
}

/// A server connection of the loop.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) link: Link,
    pub(crate) state: ServerState,
    pub(crate) session: Box<ServerSession>,
    pub(crate) pool: usize,
    pub(crate) held: BytesMut,
    pub(crate) stream: Stream,
    pub(crate) readable: bool,
    /// The other side has closed its half; what it has sent before is still to be read.
    pub(crate) hung_up: bool,
    pub(crate) about: Box<ServerAbout>,
    /// When it was parked or leased last.
    pub(crate) since: u64,
    /// Cancel requests for it that are not finished, and listeners that have not heard yet what it has sent.
    pub(crate) cancels: usize,
    /// Somebody asks to cancel the client's statement, and the server is not at that yet.
    pub(crate) cancel_due: Option<CancelTicket>,
    /// The burst that is being taken ends with a part of a message.
    pub(crate) amid: bool,
}

impl Server {
    /// Whether nothing of a message has been read that would stay behind if it went to another loop.
    pub(crate) fn is_movable(&self) -> bool {
        !self.amid && self.held.is_empty() && self.stream.remaining == 0
    }
}

/// What is known of a server connection apart from its conversation; travels with it.
#[derive(Debug)]
pub(crate) struct ServerAbout {
    /// Unique in this process.
    pub(crate) serial: u64,
    pub(crate) node: NodeId,
    /// Where it leads; cancel requests go there.
    pub(crate) endpoint: Endpoint,
    pub(crate) encrypted: bool,
    /// It has not answered in time what it must answer: when it is told to go, it is hardly waited for.
    pub(crate) silent: bool,
    pub(crate) pid: i32,
    pub(crate) cancel_key: Box<[u8]>,
    pub(crate) generation: u64,
    pub(crate) opened_at: u64,
    /// When it is too old to be parked again; 0 for never.
    pub(crate) expires_at: u64,
    /// Which client it works for, as listeners are told.
    pub(crate) backend: Backend,
    /// Its place under the caps.
    pub(crate) permit: Permit,
    pub(crate) family: Arc<Family>,
}

impl ServerAbout {
    /// It is ready only now; it may be as old as if it had been opened at this time.
    pub(crate) fn count_age_from(&mut self, now: u64) {
        if self.expires_at != 0 {
            self.expires_at = self.expires_at.saturating_add(now.saturating_sub(self.opened_at));
        }
    }

    /// Whether it is too old to be parked again.
    pub(crate) fn is_aged(&self, now: u64) -> bool {
        self.expires_at != 0 && now >= self.expires_at
    }
}

/// A server connection on its way to another loop.
#[derive(Debug)]
pub(crate) struct Moving {
    pub(crate) link: Link,
    pub(crate) session: Box<ServerSession>,
    pub(crate) about: Box<ServerAbout>,
}
