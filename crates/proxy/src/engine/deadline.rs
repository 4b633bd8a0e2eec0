//! What time does to clients.

use std::time::Duration;

use trunkline_settings::Timeouts;
use trunkline_wire::{SqlState, backend::Report};

use super::{
    floors::PAUSE_US,
    lease::us,
    leaving::LINGER_US,
    slot::{Client, ClientState, Server},
    worker::Worker,
};

/// How long a client that is being closed has to read what it was told.
const FAREWELL_US: u64 = 5_000_000;

impl Worker {
    /// Makes sure the wheel calls when the client's next deadline comes. Ordinary traffic only stores times: an entry
    /// that is already armed for an earlier moment stays.
    #[inline]
    pub(super) fn arm_client(&mut self, index: usize) {
        if self.times.untimed
            && self
                .clients
                .get(index)
                .is_none_or(|it| it.state != ClientState::Closing && it.leaving.is_none())
        {
            return;
        }
        self.arm_client_that_has_a_limit(index);
    }

    /// The same for one that may have a limit of its own.
    pub(super) fn arm_client_that_has_a_limit(&mut self, index: usize) {
        let Some((due, _)) = self.client_deadline(index) else { return };
        let Some(client) = self.clients.get_mut(index) else { return };
        if client.armed != 0 && client.armed <= due {
            return;
        }
        client.armed = due;
        self.wheel.arm(index, due);
    }

    /// The client's entry in the wheel has fired.
    pub(super) fn client_timer(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        if client.armed == 0 || client.armed > self.now {
            return;
        }
        client.armed = 0;
        match self.client_deadline(index) {
            Some((due, why)) if due <= self.now => self.client_expired(index, why),
            Some(_) => self.arm_client_that_has_a_limit(index),
            None => {}
        }
    }

    /// The next deadline of the client, in microseconds, and what it is.
    fn client_deadline(&self, index: usize) -> Option<(u64, Expiry)> {
        let client = self.clients.get(index)?;
        let limits = &self.settings.timeouts;
        let leaving = client.leaving.as_ref().filter(|leaving| leaving.is_limited());
        let linger =
            leaving.map(|leaving| (leaving.since.saturating_add(LINGER_US), Expiry::Linger));
        match client.state {
            ClientState::Closing => {
                Some((client.since.saturating_add(FAREWELL_US), Expiry::Farewell))
            }
            ClientState::Idle if client.crosses => {
                let whole =
                    after(client.transaction_since, limits.transaction, Expiry::Transaction);
                let idle = limits.idle_in_transaction;
                let own = after(client.active_at, idle, Expiry::IdleInTransaction);
                whole.into_iter().chain(own).min_by_key(|(due, _)| *due)
            }
            ClientState::Idle => {
                // A statement that took long was no idleness.
                let since = client.active_at.max(client.since);
                let own = after(since, client.session.idle_limit(), Expiry::OwnIdle);
                let ours = after(since, limits.client_idle, Expiry::Idle);
                own.into_iter().chain(ours).min_by_key(|(due, _)| *due)
            }
            ClientState::Leased(server) => {
                let server = self.servers.get(server)?;
                let whole =
                    after(client.transaction_since, limits.transaction, Expiry::Transaction);
                let own =
                    [query_deadline(client, server, limits), idle_deadline(client, server, limits)];
                own.into_iter().chain([whole, linger]).flatten().min_by_key(|(due, _)| *due)
            }
            ClientState::Pausing => {
                let pause = Some((client.since.saturating_add(PAUSE_US), Expiry::Pause));
                pause.into_iter().chain(linger).min_by_key(|(due, _)| *due)
            }
            // The queue's own deadline is looked after with the pool.
            ClientState::Welcoming
            | ClientState::Waiting
            | ClientState::Listening
            | ClientState::Unsaid
            | ClientState::Replaying(_) => linger,
        }
    }

    fn client_expired(&mut self, index: usize, why: Expiry) {
        if why == Expiry::IdleInTransaction && self.asks_to_go_on(index) {
            return;
        }
        if let Some(pool) = self
            .clients
            .get(index)
            .map(|client| client.pool)
            .and_then(|pool| self.pools.get_mut(pool))
        {
            pool.stats.timeouts = pool.stats.timeouts.wrapping_add(1);
        }
        let (code, message) = match why {
            Expiry::Farewell => {
                self.remove_client(index);
                return;
            }
            Expiry::Pause => {
                self.end_pause(index);
                return;
            }
            Expiry::Linger => {
                self.client_gone(index, None);
                return;
            }
            Expiry::Idle => (
                SqlState::IDLE_SESSION_TIMEOUT,
                "terminating connection due to idle-session timeout (timeouts.client_idle)",
            ),
            // As PostgreSQL.
            Expiry::OwnIdle => (
                SqlState::IDLE_SESSION_TIMEOUT,
                "terminating connection due to idle-session timeout",
            ),
            Expiry::IdleInTransaction => (
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
                "terminating connection due to idle-in-transaction timeout (timeouts.idle_in_transaction)",
            ),
            Expiry::Query => {
                self.cancel_late_statement(index);
                return;
            }
            Expiry::Uncancelled => {
                self.leave_to_its_statement(index);
                return;
            }
            Expiry::Transaction => (
                SqlState::TRANSACTION_TIMEOUT,
                "terminating connection due to transaction timeout (timeouts.transaction)",
            ),
        };
        self.fatal(index, code, message);
    }

    /// A statement has run for longer than it may.
    fn cancel_late_statement(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        client.cancelled_at = self.now;
        let peer = client.rare.peer;
        if let ClientState::Leased(server) = client.state
            && let Some(server) = self.servers.get_mut(server)
        {
            server.session.time_out();
            if self.settings.log.pooler_errors {
                tracing::warn!(
                    client = %peer, server_pid = server.about.pid,
                    "cancelling a statement that runs for longer than timeouts.query allows"
                );
            }
        }
        self.cancel_statement(index, None);
        self.arm_client(index);
    }

    /// A statement goes on, or its server says nothing any more, although it was cancelled: the client is let go, and
    /// the server is of no use.
    fn leave_to_its_statement(&mut self, index: usize) {
        let limits = &self.settings.timeouts;
        let detail = format!(
            "It was cancelled when it had run for {:?} (timeouts.query), and had not ended {:?} later (timeouts.cancel).",
            limits.query, limits.cancel
        );
        if let Some(ClientState::Leased(server)) =
            self.clients.get(index).map(|client| client.state)
            && let Some(server) = self.servers.get_mut(server)
        {
            server.about.silent = true;
            self.shared.suspect(server.about.node);
        }
        let message = "terminating connection because its statement cannot be canceled";
        let report = Report::fatal(SqlState::QUERY_CANCELED, message).with_detail(&detail);
        self.fatal_report(index, &report);
    }

    /// Whether a client that has sent nothing for long is not the one who is waited for: its server has not taken what
    /// it sent, or is not done with it. It may have done it without saying so, because that was not asked for: then it
    /// is asked for, and the client has the time once more.
    fn asks_to_go_on(&mut self, index: usize) -> bool {
        let Some(client) = self.clients.get_mut(index) else { return false };
        let ClientState::Leased(server) = client.state else { return false };
        let Some(server) = self.servers.get(server) else { return false };
        let will_answer = server.session.will_answer() && !client.stream.is_torn();
        if client.query_since == 0 || (!will_answer && server.link.backlog() == 0) {
            return false;
        }
        client.rare.answered_at = self.now;
        self.flush_server(index);
        self.arm_client(index);
        true
    }

    /// A server has said something, but is not ready: from now on the client may be the one who is waited for.
    #[inline]
    pub(super) fn answered_in_part(&mut self, index: usize) {
        if !self.times.untimed
            && let Some(client) = self.clients.get_mut(index)
        {
            client.rare.answered_at = self.now;
            self.arm_client(index);
        }
    }
}

/// When this much time has passed since then; never if there is no limit, or nothing is under way.
fn after(since: u64, limit: Duration, why: Expiry) -> Option<(u64, Expiry)> {
    (!limit.is_zero() && since != 0).then(|| (since.saturating_add(us(limit)), why))
}

/// When the statement that runs is cancelled, or has been for too long.
fn query_deadline(client: &Client, server: &Server, limits: &Timeouts) -> Option<(u64, Expiry)> {
    if limits.query.is_zero() || server.session.owed_len() == 0 {
        // Nothing runs any more, although the client has not sent its Sync yet.
        None
    } else if client.cancelled_at == 0 {
        after(client.query_since, limits.query, Expiry::Query)
    } else {
        after(client.cancelled_at, limits.cancel, Expiry::Uncancelled)
    }
}

/// When a client that is waited for has been silent for too long.
fn idle_deadline(client: &Client, server: &Server, limits: &Timeouts) -> Option<(u64, Expiry)> {
    let (since, limit) = (client.active_at, limits.idle_in_transaction);
    if client.query_since != 0 {
        let answered = client.rare.answered_at;
        let waited_for = server.session.awaits_client() || client.stream.is_torn();
        waited_for.then(|| after(since.max(answered), limit, Expiry::IdleInTransaction)).flatten()
    } else if client.transaction_since != 0 {
        after(since, limit, Expiry::IdleInTransaction)
    } else {
        after(since, limits.client_idle, Expiry::Idle)
    }
}

/// Which deadline has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expiry {
    Farewell,
    /// It has waited long enough for a standby that shows what it must find.
    Pause,
    Linger,
    Idle,
    /// The limit is the client's own.
    OwnIdle,
    IdleInTransaction,
    Query,
    /// A statement goes on although it was cancelled.
    Uncancelled,
    Transaction,
}
