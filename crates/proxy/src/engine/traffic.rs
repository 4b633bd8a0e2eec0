//! What becomes of servers, and of those they serve, when traffic goes to another node.
//!
//! A server of another node than the one that its pool leads to is never used for a new transaction. Where it is certain that its node is not the
//! primary, it is cut off at once, and nothing that it says after that reaches its client. While no primary is known,
//! what is under way on the node that was it may end; what its clients send after that waits until it is the primary
//! again, another one is, or [`PoolDefaults::wait_timeout`](trunkline_settings::PoolDefaults) has passed.

use trunkline_session::{ServerSession, TxStatus};
use trunkline_wire::{SqlState, backend::Report};

use super::{
    lease::us,
    local::LocalPool,
    slot::{Server, ServerState},
    worker::{Again, Worker},
};
use crate::{
    cluster::{NodeId, Traffic},
    pool::Place,
};

/// Why a server is cut off.
const CHANGED: &str = "terminating connection because the primary has changed";

/// Why one of a standby is.
const GONE: &str = "terminating connection because the standby is used no more";

/// Why one is that nobody may use.
const UNKNOWN: &str = "terminating connection because no node is known to be the primary";

/// What the client of a lost server can do.
const IN_DOUBT: &str =
    "The outcome of a statement that was running is not known. Connect again and check it.";

impl Worker {
    /// Traffic goes elsewhere, or nowhere.
    pub(super) fn on_traffic(&mut self, traffic: &Traffic) {
        let before = std::mem::replace(&mut self.traffic, traffic.clone());
        self.follow_standbys();
        if before.primary != traffic.primary {
            self.without_primary = if traffic.primary.is_none() { self.now } else { 0 };
        }
        let pools = self.pools.iter();
        let moved = pools.filter(|(_, pool)| pool.node(&before) != pool.node(traffic));
        let moved: Vec<usize> = moved.map(|(index, _)| index).collect();
        for index in moved {
            self.withdraw_claim(index);
            if let Some(pool) = self.pools.get_mut(index) {
                pool.attempt.begin_anew();
            }
            self.send_home(index);
        }
        let lost = |server: &Server| {
            let about = &server.about;
            !about.family.place.may_go_on(about.node, traffic)
        };
        for index in self.servers_that(lost) {
            let place = self.servers.get(index).map(|server| server.about.family.place);
            self.cut_off(index, if place == Some(Place::Primary) { CHANGED } else { GONE });
        }
        for index in self.servers_that(|server| traffic.primary == Some(server.about.node)) {
            self.let_go_on(index);
        }
        // Those who wait for a standby are served by it as well.
        self.recheck();
    }

    /// A node could not be reached and answers again: those who wait for it need not wait for the next attempt.
    pub(super) fn on_recovered(&mut self, node: NodeId) {
        let leads = |pool: &LocalPool| pool.node(&self.traffic) == Some(node);
        let pools = self.pools.iter().filter(|(_, pool)| leads(pool));
        let pools: Vec<usize> = pools.map(|(index, _)| index).collect();
        for index in pools {
            if let Some(pool) = self.pools.get_mut(index) {
                pool.attempt.go_on();
            }
            self.open_more(index);
        }
    }

    fn servers_that(&self, are: impl Fn(&Server) -> bool) -> Vec<usize> {
        let found = self.servers.iter().filter(|(_, server)| are(server));
        found.map(|(index, _)| index).collect()
    }

    /// Closes a server connection whatever it does. It counts no more under the caps, although its backend may live on:
    /// those of the new primary must not wait for a node that may be dead.
    fn cut_off(&mut self, index: usize, why: &str) {
        // Each guarded by itself: who is cut off after a panic has nothing to do with it.
        match self.servers.get(index).map(|server| server.state) {
            Some(ServerState::Leased(client)) => {
                self.guard_client(client, |worker| worker.take_away(index, why));
            }
            Some(_) => self.guard_server(index, |worker| worker.take_away(index, why)),
            None => {}
        }
    }

    fn take_away(&mut self, index: usize, why: &str) {
        let Some(server) = self.servers.get(index) else { return };
        let (state, torn) = (server.state, server.stream.is_torn());
        let report = farewell(&server.session, why);
        if state != ServerState::Retiring {
            self.cancel_and_retire(index);
        }
        if let ServerState::Leased(client) = state {
            self.server_lost(client, index, torn, &report);
        }
        self.bury(index);
    }

    /// The client keeps this server, which is at rest: if it is not the node's that takes its traffic, it is used no more for
    /// now.
    pub(super) fn hold_back_in_doubt(&mut self, index: usize) {
        if let Some(server) = self.servers.get_mut(index)
            && server.about.family.place.node(&self.traffic) != Some(server.about.node)
        {
            server.session.hold_back();
            self.hasten_maintenance();
        }
    }

    fn let_go_on(&mut self, index: usize) {
        if let Some(server) = self.servers.get_mut(index)
            && server.session.is_held_back()
        {
            server.session.go_on();
            if let ServerState::Leased(client) = server.state {
                self.again.push_back(Again::Client(client));
            }
        }
    }

    /// Those who keep a server that nobody may use are told when they have waited as long as others wait for one.
    pub(super) fn expire_doubt(&mut self) {
        let limit = us(self.settings.pool.wait_timeout);
        let waited = self.now.saturating_sub(self.without_primary);
        if self.without_primary == 0 || limit == 0 || waited < limit {
            return;
        }
        for index in self.servers_that(|server| server.session.is_held_back()) {
            self.cut_off(index, UNKNOWN);
        }
    }
}

/// What a client is told whose server is taken away.
fn farewell<'a>(session: &ServerSession, why: &'a str) -> Report<'a> {
    if session.is_busy() && !session.is_asked() {
        return loss(session, why);
    }
    let report = Report::fatal(SqlState::ADMIN_SHUTDOWN, why).with_hint("Connect again.");
    match session.status() {
        TxStatus::Idle => report,
        TxStatus::Open | TxStatus::Failed => {
            report.with_detail("The transaction that was open is rolled back.")
        }
    }
}

/// What a client is told whose server is lost while it may be at something.
pub(super) fn loss<'a>(session: &ServerSession, why: &'a str) -> Report<'a> {
    let code = if session.may_commit() {
        SqlState::TRANSACTION_RESOLUTION_UNKNOWN
    } else {
        SqlState::CONNECTION_FAILURE
    };
    Report::fatal(code, why).with_hint(IN_DOUBT)
}
