//! All replication connections: how many there may be, whom a cancel request is for, who has to go.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
use trunkline_settings::Reload;

use super::{
    report::{ReplicationConnection, ReplicationReport},
    seat::{Order, Seat, ServerSide, Stage, count},
    visit::{FAREWELL, visit},
};
use crate::{
    backend::{self, CancelTarget, KeyRing},
    cluster::{NodeId, Traffic},
    cold::InForce,
    engine::Shared,
    handover::{CancelTicket, ReplicationLogin},
    numbers::Numbers,
    panics::Panics,
};

/// The first process id that is told to a client. Those of other clients name a worker loop in their upper bits, and there
/// is no such loop; operators have the numbers above.
const FIRST_PID: u32 = 0x7E00_0001;

/// Why connections are closed at the end, and when their user was removed.
pub(super) const ADMIN: &str = "terminating connection due to administrator command";

/// Why one is closed whose node has come to mean another machine.
const MOVED: &str = "terminating connection because its node is at another address now";

/// How long it may take at the end until all are closed: some more than one may take.
const CLOSING_MAX: Duration = FAREWELL.saturating_mul(3);

/// All replication connections.
#[derive(Debug)]
pub(crate) struct Office {
    pub(super) in_force: Arc<ArcSwap<InForce>>,
    pub(super) ring: Arc<KeyRing>,
    pub(super) shared: Arc<Shared>,
    pub(super) traffic: watch::Receiver<Traffic>,
    desk: Mutex<Desk>,
    opened: AtomicU64,
    refused: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    panics: Panics,
    /// Somebody has left.
    left: Notify,
}

#[derive(Debug)]
struct Desk {
    seats: BTreeMap<i32, Arc<Seat>>,
    /// What those are told who come from now on.
    standing: Order,
    numbers: Numbers,
}

/// As many as there may be are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// A seat for as long as it is held.
#[derive(Debug)]
pub(super) struct Seated {
    office: Arc<Office>,
    pub(super) seat: Arc<Seat>,
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.office.desk().seats.remove(&self.seat.pid);
        self.office.left.notify_waiters();
    }
}

impl Office {
    /// Nobody yet. The other part is told where traffic goes.
    pub(crate) fn open(
        in_force: &Arc<ArcSwap<InForce>>,
        ring: &Arc<KeyRing>,
        shared: &Arc<Shared>,
    ) -> (Arc<Self>, watch::Sender<Traffic>) {
        let (tell, traffic) = watch::channel(Traffic::default());
        let office = Self {
            in_force: Arc::clone(in_force),
            ring: Arc::clone(ring),
            shared: Arc::clone(shared),
            traffic,
            desk: Mutex::new(Desk {
                seats: BTreeMap::new(),
                standing: Order::default(),
                numbers: Numbers::from(FIRST_PID),
            }),
            opened: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            panics: Panics::default(),
            left: Notify::new(),
        };
        (Arc::new(office), tell)
    }

    /// Serves a client in the background, in the runtime this is called in.
    pub(crate) fn receive(self: &Arc<Self>, login: ReplicationLogin) {
        let office = Arc::clone(self);
        tokio::spawn(async move {
            let panics = office.panics.clone();
            panics.contain(visit(office, login)).await;
        });
    }

    /// A seat for this client.
    pub(super) fn take_seat(self: &Arc<Self>, login: &ReplicationLogin) -> Result<Seated, Full> {
        let limit = self.in_force.load().settings.limits.replication;
        let mut desk = self.desk();
        if desk.seats.len() >= limit {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Full);
        }
        let Desk { seats, numbers, .. } = &mut *desk;
        let pid = numbers.next(|pid| seats.contains_key(&pid));
        let seat = Arc::new(Seat::new(pid, login, desk.standing));
        desk.seats.insert(pid, Arc::clone(&seat));
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Seated { office: Arc::clone(self), seat })
    }

    /// Counts bytes that have come from the client.
    pub(super) fn hear(&self, seat: &Seat, bytes: usize) {
        seat.hear(bytes);
        count(&self.received, bytes);
    }

    /// Counts bytes that go to the client.
    pub(super) fn tell(&self, seat: &Seat, bytes: usize) {
        seat.tell(bytes);
        count(&self.sent, bytes);
    }

    /// A cancel request. The ticket is given back if there is no such connection; if the key is wrong, nothing is done.
    pub(crate) fn cancel(
        &self,
        pid: i32,
        key: &[u8],
        ticket: CancelTicket,
    ) -> Option<CancelTicket> {
        let Some(seat) = self.desk().seats.get(&pid).cloned() else { return Some(ticket) };
        if let Some(server) = seat.server.get().filter(|_| seat.fits(key))
            && let Some(target) = self.cancel_target(server)
        {
            let panics = self.panics.clone();
            tokio::spawn(async move {
                let Some(server) = seat.server.get() else { return };
                let asked = backend::cancel(&target, server.pid, &server.key);
                if let Some(Err(error)) = panics.contain(asked).await {
                    tracing::warn!("a cancel request could not be delivered: {error}");
                }
                drop(ticket);
            });
        }
        None
    }

    fn cancel_target(&self, server: &ServerSide) -> Option<CancelTarget> {
        let in_force = self.in_force.load();
        let entry = in_force.nodes.get(&server.node)?;
        Some(CancelTarget {
            endpoint: server.endpoint.clone(),
            address: entry.address.clone(),
            encrypted: server.encrypted,
            tls: Arc::clone(&in_force.server_tls),
            tcp: in_force.tcp,
            timeout: in_force.settings.timeouts.cancel,
        })
    }

    /// From now on connections are closed as soon as no command is under way that ends by itself.
    pub(crate) fn drain(&self) {
        self.order_all(Order::AtRest(ADMIN));
    }

    /// Closes all connections, and waits for as long as their clients may take to read why.
    pub(crate) async fn close(&self) {
        self.order_all(Order::Now(ADMIN));
        timeout(CLOSING_MAX, self.emptied()).await.ok();
    }

    async fn emptied(&self) {
        loop {
            let left = self.left.notified();
            if self.desk().seats.is_empty() {
                return;
            }
            left.await;
        }
    }

    fn order_all(&self, order: Order) {
        let mut desk = self.desk();
        desk.standing = order;
        for seat in desk.seats.values() {
            seat.order.send_replace(order);
        }
    }

    /// The name of the node means another machine now.
    pub(crate) fn move_on(&self, node: NodeId) {
        self.order_those(MOVED, |seat| seat.server.get().is_some_and(|server| server.node == node));
    }

    /// New settings hold: those go whose user was removed, or whose database or role is another one now.
    pub(crate) fn follow(&self, reload: &Reload<'_>) {
        self.order_those(ADMIN, |seat| {
            let place = |policy: Option<trunkline_settings::ReplicationPolicy>| {
                policy.map(|policy| (policy.server_database, policy.server_user))
            };
            let database = seat.database.as_deref();
            let before = place(reload.old.replication_for(database, &seat.user));
            let now = place(reload.new.replication_for(database, &seat.user));
            before != now || reload.is_removed(&seat.user)
        });
    }

    fn order_those(&self, why: &'static str, are: impl Fn(&Seat) -> bool) {
        for seat in self.desk().seats.values().filter(|seat| are(seat)) {
            seat.order.send_replace(Order::Now(why));
        }
    }

    /// What people see.
    pub(crate) fn report(&self) -> ReplicationReport {
        ReplicationReport {
            connections: self.desk().seats.values().map(|seat| connection(seat)).collect(),
            limit: self.in_force.load().settings.limits.replication,
            opened: self.opened.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
        }
    }

    /// Panics caught.
    pub(crate) fn panics(&self) -> u64 {
        self.panics.count()
    }

    // Whole after every statement, so a panic elsewhere cannot have left it half changed.
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connection(seat: &Seat) -> ReplicationConnection {
    ReplicationConnection {
        pid: seat.pid,
        user: Arc::clone(&seat.user),
        database: seat.database.clone(),
        kind: seat.kind,
        state: match *seat.stage.borrow() {
            Stage::Opening => "opening",
            Stage::Idle => "idle",
            Stage::Busy => "busy",
            Stage::Streaming => "streaming",
        },
        peer: seat.peer,
        tls: seat.encrypted,
        application_name: seat.startup.application_name.clone().unwrap_or_default(),
        connected_us: u64::try_from(seat.since.elapsed().as_micros()).unwrap_or(u64::MAX),
        server: seat.server.get().map(|server| (server.node, server.pid)),
        received: seat.received.load(Ordering::Relaxed),
        sent: seat.sent.load(Ordering::Relaxed),
    }
}
