//! A worker loop: its own clients, servers and pools, driven by readiness.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    time::Duration,
};

use bytes::BytesMut;
use slab::Slab;
use trunkline_settings::Settings;

use super::floors::Floors;
use super::{
    departed::Departed,
    lease::us,
    ledger::{Ledger, share},
    link::Inflow,
    local::LocalPool,
    message::Message,
    readiness::{Readiness, Ready, Registry, Token},
    shared::{Own, Shared},
    slot::{Client, ClientState, Server},
    standbys::Standbys,
    waiting::Waiter,
    wheel::Wheel,
};
use crate::{
    cluster::Traffic,
    pool::FamilyId,
    positions::View,
    routing::{Glance, Router},
};

/// Reads per connection and turn; a connection with more to read is queued again behind the others, so that a bulk
/// COPY does not starve small queries.
pub(super) const READS_PER_TURN: usize = 4;

/// How often pools are looked after: deadlines of waiters, attempts to open, idle and aged connections.
const MAINTENANCE_US: u64 = 20_000;

/// The same while nothing waits and nothing is being opened.
const MAINTENANCE_IDLE_US: u64 = 500_000;

/// Something to go on with in this or the next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    Client(usize),
    Server(usize),
    /// A client that found the queue full.
    Refuse(usize),
    /// A client whose session is a standby's, and that none can serve.
    Unserved(usize),
    /// A pool with parked connections beside its queue.
    Queue(usize),
    /// More may be kept for clients than the loop's share.
    Relieve,
    /// Notifications are kept for a client.
    Notify(usize),
}

/// One event loop.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(super) index: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) readiness: Readiness,
    pub(super) inbox: mpsc::Receiver<Message>,
    pub(super) clients: Slab<Client>,
    pub(super) servers: Slab<Server>,
    pub(super) pools: Slab<LocalPool>,
    pub(super) by_family: BTreeMap<FamilyId, usize>,
    pub(super) departed: Departed,
    /// Taken while a connection is served.
    pub(super) inflow: Option<Box<Inflow>>,
    /// What goes to a server and could not be a range of the burst.
    pub(super) splice: BytesMut,
    /// What goes to a client beside the server's bytes.
    pub(super) reply: BytesMut,
    pub(super) again: VecDeque<Again>,
    /// What is kept for clients.
    pub(super) ledger: Ledger,
    pub(super) wheel: Wheel,
    pub(super) expired: Vec<usize>,
    /// Microseconds since the engine started, read once per turn; never 0.
    pub(super) now: u64,
    pub(super) settings: Arc<Settings>,
    pub(super) times: Times,
    /// Numbers of statements and clients, and what was parsed lately.
    pub(super) own: Own,
    /// Where traffic goes.
    pub(super) traffic: Traffic,
    /// The standbys that reads may go to.
    pub(super) standbys: Standbys,
    /// How far they are.
    pub(super) view: View,
    /// What is known of the catalog by which a text was judged last.
    pub(super) glance: Glance,
    /// Clients whose sessions are a standby's, and which wait for one.
    pub(super) stranded: Vec<Waiter>,
    /// What says which statements may go to standbys.
    pub(super) router: Router,
    /// What clients must find on standbys.
    pub(super) floors: Floors,
    /// Those who wait a moment for a standby.
    pub(super) pausing: Vec<usize>,
    /// Since when there has been no primary, in microseconds; 0 while there is one.
    pub(super) without_primary: u64,
    pub(super) next_maintenance: u64,
    /// Until when caps are looked at each time a connection comes back.
    pub(super) pressed_until: u64,
    pub(super) draining: bool,
    pub(super) stopping: bool,
    pub(super) panics: u64,
    /// Serving a client that says this panics.
    #[cfg(test)]
    pub(super) fault: Option<&'static str>,
}

/// What a loop is made of.
#[derive(Debug)]
pub(crate) struct WorkerParts {
    pub(crate) index: usize,
    /// How many loops there are.
    pub(crate) loops: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) registry: Registry,
    pub(crate) inbox: mpsc::Receiver<Message>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) traffic: Traffic,
}

impl Worker {
    /// Makes a loop that runs when [`Worker::run`] is called.
    pub(crate) fn new(parts: WorkerParts) -> Self {
        let now = parts.shared.now_us();
        let limits = &parts.settings.limits;
        let study = Arc::clone(parts.shared.study());
        let share = share(limits.held_total, parts.loops, limits.client_buffer);
        let standbys = Standbys::of(&parts.traffic, &parts.settings, &parts.shared.registry);
        Self {
            index: parts.index,
            shared: Arc::clone(&parts.shared),
            readiness: Readiness::new(parts.registry),
            inbox: parts.inbox,
            clients: Slab::new(),
            servers: Slab::new(),
            pools: Slab::new(),
            by_family: BTreeMap::new(),
            departed: Departed::default(),
            inflow: Some(Box::new(Inflow::new())),
            splice: BytesMut::new(),
            reply: BytesMut::new(),
            again: VecDeque::new(),
            ledger: Ledger::new(share),
            wheel: Wheel::new(now),
            expired: Vec::new(),
            now,
            times: Times::of(&parts.settings),
            own: Own::of_loop(parts.index),
            floors: Floors::of(&parts.settings, (parts.shared.positions().want(), now)),
            pausing: Vec::new(),
            router: {
                let mut router = Router::default();
                router.follow(&parts.settings, rand::random(), (&study, parts.index));
                router
            },
            standbys,
            view: parts.shared.positions().view(),
            glance: Glance::default(),
            stranded: Vec::new(),
            settings: parts.settings,
            without_primary: if parts.traffic.primary.is_none() { now } else { 0 },
            traffic: parts.traffic,
            next_maintenance: now,
            pressed_until: 0,
            draining: false,
            stopping: false,
            panics: 0,
            #[cfg(test)]
            fault: None,
        }
    }

    /// Runs until told to stop.
    pub(crate) fn run(mut self) -> io::Result<()> {
        while !self.stopping {
            self.turn(self.sleep_us())?;
        }
        self.close_all();
        Ok(())
    }

    /// Waits for events, at most so long, and does what there is to do; says how many sockets had events.
    #[inline]
    pub(super) fn turn(&mut self, sleep_us: u64) -> io::Result<usize> {
        let count = self.readiness.wait(sleep_us)?;
        self.now = self.shared.now_us();
        self.on_events(count);
        self.go_on();
        self.on_time();
        Ok(count)
    }

    /// Microseconds until the loop has something to do by itself.
    fn sleep_us(&self) -> u64 {
        if !self.again.is_empty() {
            return 0;
        }
        self.wheel.next().min(self.next_maintenance).saturating_sub(self.now)
    }

    #[inline]
    fn on_events(&mut self, count: usize) {
        if count == 1 {
            // Under light load a turn serves a single socket.
            if let Some(ready) = self.readiness.get(0) {
                self.on_event(ready);
            }
        } else {
            self.on_all_events(count);
        }
    }

    #[inline]
    fn on_event(&mut self, ready: Ready) {
        match ready.token {
            Token::Server(index) => self.on_server_event(index, ready),
            Token::Client(index) => self.on_client_event(index, ready),
            Token::Inbox => self.on_inbox(),
        }
    }

    fn on_all_events(&mut self, count: usize) {
        let (mut clients, mut inbox) = (false, false);
        // Servers first: one that says goodbye now must not be given to a client of the same turn.
        for number in 0..count {
            let Some(ready) = self.readiness.get(number) else { break };
            match ready.token {
                Token::Server(index) => self.on_server_event(index, ready),
                Token::Client(_) => clients = true,
                Token::Inbox => inbox = true,
            }
        }
        if clients {
            for number in 0..count {
                let Some(ready) = self.readiness.get(number) else { break };
                if let Token::Client(index) = ready.token {
                    self.on_client_event(index, ready);
                    // Not only when all have been read from, because each may bring much.
                    self.relieve();
                }
            }
        }
        // Newcomers last: they may get the slots of those who have gone, and must not get their events.
        if inbox {
            self.on_inbox();
        }
    }

    fn on_client_event(&mut self, index: usize, ready: Ready) {
        if ready.hung_up
            && let Some(client) = self.clients.get_mut(index)
        {
            client.hung_up = true;
        }
        self.guard_client(index, |worker| {
            if ready.writable {
                worker.client_writable(index);
            }
            worker.client_readable(index);
        });
    }

    fn on_server_event(&mut self, index: usize, ready: Ready) {
        if ready.hung_up
            && let Some(server) = self.servers.get_mut(index)
        {
            server.hung_up = true;
        }
        self.guard_server(index, |worker| {
            if ready.writable {
                worker.server_writable(index);
            }
            worker.server_readable(index);
        });
    }

    /// Connections that had more to do than a turn allows.
    fn go_on(&mut self) {
        for _ in 0..self.again.len() {
            match self.again.pop_front() {
                Some(Again::Client(index)) => {
                    self.guard_client(index, |worker| worker.client_resume(index));
                }
                Some(Again::Server(index)) => {
                    self.guard_server(index, |worker| worker.server_readable(index));
                }
                Some(Again::Refuse(index)) => {
                    self.guard_client(index, |worker| worker.refuse_waiting(index));
                }
                Some(Again::Unserved(index)) => {
                    self.guard_client(index, |worker| worker.refuse_unserved(index));
                }
                Some(Again::Queue(pool)) => self.guard(|worker| worker.serve_queue(pool)),
                Some(Again::Notify(index)) => {
                    self.guard_client(index, |worker| worker.give_notifications(index));
                }
                Some(Again::Relieve) => self.guard(Self::relieve),
                None => return,
            }
        }
    }

    /// A panic while serving a client must cost that client and its server, not the loop.
    pub(super) fn guard_client(&mut self, index: usize, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            self.after_panic();
            self.expel_client(index);
            self.mend();
        }
    }

    pub(super) fn guard_server(&mut self, index: usize, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            self.after_panic();
            self.expel_server(index);
            self.mend();
        }
    }

    /// The same for work that is about nobody in particular: who was in the middle of something goes.
    pub(super) fn guard(&mut self, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            self.after_panic();
            self.mend();
        }
    }

    fn on_time(&mut self) {
        if self.now < self.next_maintenance && self.now < self.wheel.next() {
            return;
        }
        let mut expired = std::mem::take(&mut self.expired);
        self.wheel.expired(self.now, &mut expired);
        for index in expired.drain(..) {
            self.guard_client(index, |worker| worker.client_timer(index));
        }
        self.expired = expired;
        if self.now >= self.next_maintenance {
            let busy = self.maintain_pools();
            self.next_maintenance =
                self.now.saturating_add(if busy { MAINTENANCE_US } else { MAINTENANCE_IDLE_US });
        }
    }

    /// Makes the next turn look after the pools soon.
    pub(super) fn hasten_maintenance(&mut self) {
        #[cfg(test)]
        super::fault::point();
        self.next_maintenance = self.next_maintenance.min(self.now.saturating_add(MAINTENANCE_US));
    }

    fn close_all(&mut self) {
        let clients: Vec<usize> = self.clients.iter().map(|(index, _)| index).collect();
        for index in clients {
            self.guard_client(index, |worker| worker.farewell(index));
        }
        self.servers.clear();
    }

    /// Whether the client still has this state.
    pub(super) fn client_is(&self, index: usize, state: ClientState) -> bool {
        self.clients.get(index).is_some_and(|client| client.state == state)
    }
}

/// Settings that every transaction looks at, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// No limit of time is set for clients, which is the ordinary case.
    pub(super) untimed: bool,
    /// `pool.server_check`; a server that has been silent for less is given out without being asked.
    pub(super) server_check: u64,
    /// `pool.fairness_slack`.
    pub(super) slack: u64,
    /// `log.min_duration_statement`; [`u64::MAX`] for none.
    pub(super) slow_statement: u64,
    /// `pool.paranoid`.
    pub(super) paranoid: bool,
}

impl Times {
    pub(super) fn of(settings: &Settings) -> Self {
        let limits = &settings.timeouts;
        let untimed =
            [limits.client_idle, limits.idle_in_transaction, limits.query, limits.transaction]
                .iter()
                .all(Duration::is_zero);
        let check = settings.pool.server_check;
        Self {
            untimed,
            server_check: if check.is_zero() { u64::MAX } else { us(check) },
            slack: us(settings.pool.fairness_slack),
            slow_statement: settings.log.min_duration_statement.map_or(u64::MAX, us),
            paranoid: settings.pool.paranoid,
        }
    }
}

/// The engine's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// What the clock below said at the start.
    started: i64,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self { started: monotonic_us() }
    }

    /// Microseconds since the start; never 0, which means "none" in the slots.
    #[inline]
    pub(crate) fn now_us(self) -> u64 {
        monotonic_us().wrapping_sub(self.started).max(1).unsigned_abs()
    }
}

/// Microseconds of `CLOCK_MONOTONIC`. Each turn of a loop asks, so there is no detour by types of time spans; and by the C
/// library, because `rustix` does not find the kernel's clock under valgrind.
#[cfg(not(test))]
#[inline]
fn monotonic_us() -> i64 {
    use nix::time::{ClockId, clock_gettime};
    // Every Linux has this clock: there is no error to tell of.
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |now| now.tv_sec().wrapping_mul(1_000_000).wrapping_add(now.tv_nsec() / 1000))
}

/// Microseconds of a clock that drills set by hand.
#[cfg(test)]
fn monotonic_us() -> i64 {
    static ORIGIN: std::sync::OnceLock<tokio::time::Instant> = std::sync::OnceLock::new();
    let origin = *ORIGIN.get_or_init(tokio::time::Instant::now);
    let elapsed = tokio::time::Instant::now().saturating_duration_since(origin);
    i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)
}
