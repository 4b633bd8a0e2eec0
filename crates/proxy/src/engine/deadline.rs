//! What time does to clients.

use trunkline_wire::SqlState;

use super::{lease::us, leaving::LINGER_US, slot::ClientState, worker::Worker};

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

    fn arm_client_that_has_a_limit(&mut self, index: usize) {
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
            Some(_) => self.arm_client(index),
            None => {}
        }
    }

    /// The next deadline of the client, in microseconds, and what it is.
    fn client_deadline(&self, index: usize) -> Option<(u64, Expiry)> {
        let client = self.clients.get(index)?;
        let limits = &self.settings.timeouts;
        let after = |since: u64, limit: std::time::Duration, why| {
            (!limit.is_zero() && since != 0).then(|| (since.saturating_add(us(limit)), why))
        };
        let leaving = client.leaving.as_ref().filter(|leaving| leaving.is_limited());
        let linger =
            leaving.map(|leaving| (leaving.since.saturating_add(LINGER_US), Expiry::Linger));
        match client.state {
            ClientState::Closing => {
                Some((client.since.saturating_add(FAREWELL_US), Expiry::Farewell))
            }
            ClientState::Idle => after(client.active_at, limits.client_idle, Expiry::Idle),
            ClientState::Leased(_) => {
                let since = if client.query_since == 0 {
                    0
                } else {
                    client.query_since.max(client.cancelled_at)
                };
                let running = after(since, limits.query, Expiry::Query);
                let whole =
                    after(client.transaction_since, limits.transaction, Expiry::Transaction);
                let idle = if client.query_since == 0 {
                    let in_transaction = after(
                        client.active_at,
                        limits.idle_in_transaction,
                        Expiry::IdleInTransaction,
                    );
                    if client.transaction_since == 0 {
                        after(client.active_at, limits.client_idle, Expiry::Idle)
                    } else {
                        in_transaction
                    }
                } else {
                    None
                };
                [running, whole, idle, linger].into_iter().flatten().min_by_key(|(due, _)| *due)
            }
            // The queue's own deadline is looked after with the pool.
            ClientState::Welcoming | ClientState::Waiting | ClientState::Replaying(_) => linger,
        }
    }

    fn client_expired(&mut self, index: usize, why: Expiry) {
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
            Expiry::Linger => {
                self.client_gone(index, None);
                return;
            }
            Expiry::Idle => (
                SqlState::IDLE_SESSION_TIMEOUT,
                "terminating connection due to idle-session timeout (timeouts.client_idle)",
            ),
            Expiry::IdleInTransaction => (
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
                "terminating connection due to idle-in-transaction timeout (timeouts.idle_in_transaction)",
            ),
            Expiry::Query => {
                if let Some(client) = self.clients.get_mut(index) {
                    client.cancelled_at = self.now;
                }
                self.cancel_statement(index, None);
                self.arm_client(index);
                return;
            }
            Expiry::Transaction => (
                SqlState::TRANSACTION_TIMEOUT,
                "terminating connection due to transaction timeout (timeouts.transaction)",
            ),
        };
        self.fatal(index, code, message);
    }
}

/// Which deadline has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expiry {
    Farewell,
    Linger,
    Idle,
    IdleInTransaction,
    Query,
    Transaction,
}
