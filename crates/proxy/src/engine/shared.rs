//! What all loops share.

use std::{
    hash::{BuildHasher, Hasher},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use foldhash::quality::SeedableRandomState;
use tokio::sync::mpsc;
use trunkline_session::{RecentParses, StatementRoom, StatementStore, Surroundings};

use super::{
    errand::{Asked, Cancelling, Opening},
    message::{Mailbox, Message},
    slot::ServerAbout,
    worker::Clock,
};
use crate::{
    backend::Endpoint,
    cluster::NodeId,
    handle::NodeReport,
    handover::CancelTicket,
    listening::{Backends, Hubs},
    pool::{Cap, Family, Permit, Registry},
    positions::Positions,
    routing::Study,
};

/// Gives up an attempt to open a server connection; if it has not ended, it ends without an outcome.
pub(crate) type GiveUp = Box<dyn FnOnce() + Send>;

/// Opens connections to servers, away from the loops.
pub(crate) trait Opener: Send + Sync + std::fmt::Debug {
    /// Opens a connection of the family to the node, in the background.
    fn open(&self, family: Arc<Family>, node: NodeId, opening: Opening) -> GiveUp;

    /// Sends a cancel request, in the background.
    fn cancel(&self, at: CancelAt, cancelling: Cancelling);
}

/// What a cancel request is about, and where it goes.
#[derive(Debug)]
pub(crate) struct CancelAt {
    pub(crate) node: NodeId,
    pub(crate) endpoint: Endpoint,
    /// Whether the connection it is about is encrypted.
    pub(crate) encrypted: bool,
    pub(crate) pid: i32,
    pub(crate) key: Box<[u8]>,
}

/// What all loops share.
#[derive(Debug)]
pub(crate) struct Shared {
    clock: Clock,
    loops: OnceLock<Box<[Mailbox]>>,
    statements: Mutex<StatementStore>,
    room: Arc<StatementRoom>,
    hasher: SeedableRandomState,
    serials: AtomicU64,
    pub(crate) registry: Arc<Registry>,
    opener: Arc<dyn Opener>,
    suspects: mpsc::Sender<NodeId>,
    listeners: OnceLock<Arc<Hubs>>,
    backends: Arc<Backends>,
    positions: Arc<Positions>,
    study: Arc<Study>,
    /// How the nodes are, for people.
    standings: ArcSwap<Vec<(NodeId, NodeReport)>>,
}

/// Bits of a cancel pid that name the slot; the bits above name the loop.
const SLOT_BITS: u32 = 24;

impl Shared {
    /// What the loops of one engine share; the loops are set when they exist.
    pub(crate) fn new(
        registry: Arc<Registry>,
        opener: Arc<dyn Opener>,
        seed: u64,
        suspects: mpsc::Sender<NodeId>,
    ) -> Self {
        let room = Arc::new(StatementRoom::default());
        Self {
            clock: Clock::start(),
            loops: OnceLock::new(),
            statements: Mutex::new(StatementStore::new(Arc::clone(&room))),
            room,
            hasher: SeedableRandomState::with_seed(seed, foldhash::SharedSeed::global_random()),
            serials: AtomicU64::new(0),
            registry,
            opener,
            suspects,
            listeners: OnceLock::new(),
            backends: Arc::default(),
            positions: Arc::default(),
            study: Arc::default(),
            standings: ArcSwap::default(),
        }
    }

    /// Sets who listens for clients, once.
    pub(crate) fn set_listeners(&self, listeners: Arc<Hubs>) {
        drop(self.listeners.set(listeners));
    }

    /// Who listens for clients; none in a drill.
    pub(crate) fn listeners(&self) -> Option<&Arc<Hubs>> {
        self.listeners.get()
    }

    /// Which clients the servers work for.
    pub(crate) fn backends(&self) -> &Arc<Backends> {
        &self.backends
    }

    /// How far the logs of the nodes are.
    #[inline]
    pub(crate) fn positions(&self) -> &Arc<Positions> {
        &self.positions
    }

    /// Where texts are judged that are too long to be judged at a loop.
    pub(crate) fn study(&self) -> &Arc<Study> {
        &self.study
    }

    /// How the nodes are, for people.
    pub(crate) fn standings(&self) -> Arc<Vec<(NodeId, NodeReport)>> {
        self.standings.load_full()
    }

    /// Sets how the nodes are.
    pub(crate) fn set_standings(&self, standings: Vec<(NodeId, NodeReport)>) {
        self.standings.store(Arc::new(standings));
    }

    /// Sets the loops' mailboxes, once.
    pub(crate) fn set_loops(&self, loops: Box<[Mailbox]>) {
        drop(self.loops.set(loops));
    }

    /// The loops' mailboxes.
    pub(crate) fn loops(&self) -> &[Mailbox] {
        self.loops.get().map_or(&[], |loops| loops)
    }

    /// The memory for the prepared statements of all clients.
    pub(crate) fn room(&self) -> &StatementRoom {
        &self.room
    }

    /// Microseconds since the start.
    pub(crate) fn now_us(&self) -> u64 {
        self.clock.now_us()
    }

    /// Sends to one loop.
    pub(crate) fn send(&self, to: usize, message: Message) {
        if let Some(mailbox) = self.loops().get(to) {
            mailbox.send(message);
        }
    }

    /// Sends to all loops but one.
    pub(crate) fn send_others(&self, but: usize, message: impl Fn() -> Message) {
        for (index, mailbox) in self.loops().iter().enumerate() {
            if index != but {
                mailbox.send(message());
            }
        }
    }

    /// Sends to all loops.
    pub(crate) fn send_all(&self, message: impl Fn() -> Message) {
        self.send_others(usize::MAX, message);
    }

    /// The caps a connection of the family to the node falls under.
    pub(crate) fn caps_of(&self, family: &Family, node: NodeId) -> [Arc<Cap>; 5] {
        self.registry.caps_of(family, node)
    }

    /// The same for a connection from the reserve of its pool; none if it has no reserve.
    pub(crate) fn reserve_caps_of(&self, family: &Family, node: NodeId) -> Option<[Arc<Cap>; 5]> {
        self.registry.reserve_caps_of(family, node)
    }

    /// Opens a connection; the outcome reaches the loop as a message with this number. If it is given up, the permit
    /// is given back.
    pub(crate) fn open(
        self: &Arc<Self>,
        family: &Arc<Family>,
        node: NodeId,
        permit: Permit,
        (to, number): (usize, u64),
    ) -> GiveUp {
        let (id, generation) = (family.id, family.generation(node));
        let asked = Asked { family: id, node, number, generation, permit };
        let opening = Opening::new(Arc::clone(self), to, asked);
        self.opener.open(Arc::clone(family), node, opening)
    }

    /// Sends a cancel request for what the server is doing; `to` is the loop that is told when it has ended, and the
    /// ticket is dropped then.
    pub(crate) fn cancel_at_server(
        self: &Arc<Self>,
        about: &ServerAbout,
        to: Option<usize>,
        ticket: Option<CancelTicket>,
    ) {
        let at = CancelAt {
            node: about.node,
            endpoint: about.endpoint.clone(),
            encrypted: about.encrypted,
            pid: about.pid,
            key: about.cancel_key.clone(),
        };
        let cancelling = Cancelling::new(Arc::clone(self), to, about.serial, ticket);
        self.opener.cancel(at, cancelling);
    }

    /// A connection to the node has broken, or none could be made: it is asked at once how it is.
    pub(crate) fn suspect(&self, node: NodeId) {
        #[cfg(test)]
        super::fault::point();
        // If so many wishes wait already, the node is asked soon.
        self.suspects.try_send(node).ok();
    }

    /// A number for a server connection.
    pub(crate) fn next_serial(&self) -> u64 {
        #[cfg(test)]
        super::fault::point();
        self.serials.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// The process id told to the client in this slot: it names loop and slot, so that a cancel request finds both.
    /// The sign bit stays clear, as in PostgreSQL.
    pub(crate) fn cancel_pid(index: usize, slot: usize) -> i32 {
        let index = u32::try_from(index).unwrap_or(0) & 0x7F;
        let slot = u32::try_from(slot).unwrap_or(0) & ((1 << SLOT_BITS) - 1);
        // Never 0, which clients may take for "no key".
        i32::try_from((index << SLOT_BITS | slot).wrapping_add(1) & 0x7FFF_FFFF).unwrap_or(1)
    }

    /// Loop and slot that a cancel pid names.
    pub(crate) fn place_of_pid(pid: i32) -> Option<(usize, usize)> {
        let bits = u32::try_from(pid).ok()?.checked_sub(1)?;
        let slot = bits & ((1 << SLOT_BITS) - 1);
        Some((usize::try_from(bits >> SLOT_BITS).ok()?, usize::try_from(slot).ok()?))
    }

    /// What a step of a session needs from outside.
    pub(crate) fn surroundings<'a>(&'a self, own: &'a mut Own) -> Around<'a> {
        #[cfg(test)]
        super::fault::point();
        Around { shared: self, own }
    }

    /// A part of `max_age`: `share` of 65,535 of the fraction `jitter`.
    pub(crate) fn jitter_us(max_age: u64, jitter: f64, share: u64) -> u64 {
        let thousandths = thousandths(jitter);
        max_age
            .saturating_mul(thousandths)
            .saturating_div(1000)
            .saturating_mul(share)
            .saturating_div(0xFFFF)
    }
}

/// A fraction between 0 and 1 in thousandths.
fn thousandths(fraction: f64) -> u64 {
    (0..=1000_u32).rev().find(|n| f64::from(*n) <= fraction * 1000.0).map_or(0, u64::from)
}

/// What a step of a session needs from outside.
#[derive(Debug)]
pub(crate) struct Around<'a> {
    shared: &'a Shared,
    own: &'a mut Own,
}

/// What each loop has for the steps of its sessions.
#[derive(Debug)]
pub(crate) struct Own {
    keys: Keys,
    recent: RecentParses,
}

impl Own {
    /// That of the loop with this index.
    pub(crate) fn of_loop(index: usize) -> Self {
        Self { keys: Keys::of_loop(index), recent: RecentParses::default() }
    }
}

/// Numbers that no other loop gives: one that all loops counted would go back and forth between them with every
/// statement.
#[derive(Debug)]
struct Keys(u64);

/// Bits of a number below those that name the loop.
const KEY_BITS: u32 = 48;

impl Keys {
    /// The numbers of the loop with this index.
    fn of_loop(index: usize) -> Self {
        Self(u64::try_from(index).unwrap_or(0) << KEY_BITS)
    }

    /// The next one; never 0.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        self.0
    }
}

impl Surroundings for Around<'_> {
    fn hash(&self, text: &[u8], types: &[u8], environment: &[u8]) -> u64 {
        let mut hasher = self.shared.hasher.build_hasher();
        for part in [text, types, environment] {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        hasher.finish()
    }

    fn with_store<T>(&mut self, work: impl FnOnce(&mut StatementStore) -> T) -> T {
        work(&mut self.shared.statements.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn unnamed_key(&mut self) -> u64 {
        self.own.keys.next()
    }

    fn recent(&mut self) -> &mut RecentParses {
        &mut self.own.recent
    }

    fn system(&self) -> Option<u64> {
        self.shared.positions.latest().map(|sample| sample.history.system)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_never_give_the_same_number_nor_one_that_means_none() {
        let (mut first, mut second) = (Keys::of_loop(0), Keys::of_loop(1));
        let all: Vec<u64> = (0..3).flat_map(|_| [first.next(), second.next()]).collect();
        assert_eq!(all, [1, (1 << KEY_BITS) + 1, 2, (1 << KEY_BITS) + 2, 3, (1 << KEY_BITS) + 3]);
    }
}
