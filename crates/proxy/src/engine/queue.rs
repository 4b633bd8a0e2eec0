//! How long clients wait for a server at most.

use trunkline_wire::{SqlState, backend::Report};

use super::{lease::us, worker::Worker};

impl Worker {
    /// The time of a pause does not count as time of waiting: when it ends, those who wait are as far as they were when
    /// it began.
    pub(super) fn follow_pause(&mut self, pool_index: usize) {
        let Some(pool) = self.pools.get_mut(pool_index) else { return };
        let paused_since = pool.paused_since;
        pool.paused_since = match (pool.family.is_paused(), paused_since) {
            (true, 0) => self.now,
            (true, since) => since,
            (false, _) => 0,
        };
        if paused_since == 0 || pool.paused_since != 0 {
            return;
        }
        let now = self.now;
        let later = |since: u64| since.saturating_add(now.saturating_sub(paused_since.max(since)));
        for waiter in pool.waiters.iter_mut() {
            waiter.since = later(waiter.since);
        }
        pool.publish(self.index);
        for index in pool.waiters.iter().map(|waiter| waiter.client).chain(pool.welcoming.clone()) {
            if let Some(client) = self.clients.get_mut(index) {
                client.since = later(client.since);
            }
        }
    }

    pub(super) fn expire_waiters(&mut self, pool_index: usize) {
        let limit = us(self.settings.pool.wait_timeout);
        if self.pools.get(pool_index).is_none_or(|pool| pool.paused_since != 0) {
            return;
        }
        loop {
            let Some(pool) = self.pools.get_mut(pool_index) else { return };
            let overdue = |since: u64| limit != 0 && self.now.saturating_sub(since) >= limit;
            let Some(waiter) = pool.waiters.front().copied().filter(|waiter| overdue(waiter.since))
            else {
                break;
            };
            pool.waiters.pop_front();
            pool.publish(self.index);
            let text = self.wait_error(pool_index);
            self.guard_client(waiter.client, |worker| {
                worker.refuse_statement(waiter.client, &text.report());
            });
        }
        let Some(pool) = self.pools.get_mut(pool_index) else { return };
        let clients = &self.clients;
        let late: Vec<usize> = pool
            .welcoming
            .iter()
            .copied()
            .filter(|index| {
                limit != 0
                    && clients
                        .get(*index)
                        .is_none_or(|client| self.now.saturating_sub(client.since) >= limit)
            })
            .collect();
        for index in late {
            if let Some(pool) = self.pools.get_mut(pool_index) {
                pool.welcoming.retain(|other| *other != index);
            }
            let text = self.wait_error(pool_index);
            self.guard_client(index, |worker| worker.fatal_report(index, &text.fatal()));
        }
    }

    fn wait_error(&self, pool_index: usize) -> WaitError {
        let limit = self.settings.pool.wait_timeout;
        let Some(pool) = self.pools.get(pool_index) else { return WaitError::default() };
        let (code, why) = match (&pool.attempt.failure, pool.node(&self.traffic)) {
            (_, None) => {
                (SqlState::CANNOT_CONNECT_NOW, "no node is known to be the primary".to_owned())
            }
            (Some(failure), _) => (
                SqlState::CANNOT_CONNECT_NOW,
                format!("the last attempt to connect failed: {}", failure.message),
            ),
            (None, _) if pool.family.is_paused() => {
                (SqlState::CANNOT_CONNECT_NOW, "the pool is paused".to_owned())
            }
            (None, Some(node)) => (SqlState::TOO_MANY_CONNECTIONS, self.shortage(pool, node)),
        };
        WaitError {
            code,
            message: format!(
                "no server connection for pool \"{}\"/\"{}\" within {limit:?} (pool.wait_timeout)",
                pool.family.database, pool.family.user
            ),
            detail: why,
        }
    }
}

/// Why a client has waited in vain.
#[derive(Debug)]
struct WaitError {
    code: SqlState,
    message: String,
    detail: String,
}

impl Default for WaitError {
    fn default() -> Self {
        Self { code: SqlState::CANNOT_CONNECT_NOW, message: String::new(), detail: String::new() }
    }
}

impl WaitError {
    fn report(&self) -> Report<'_> {
        Report::error(self.code, &self.message).with_detail(&self.detail)
    }

    fn fatal(&self) -> Report<'_> {
        Report::fatal(self.code, &self.message).with_detail(&self.detail)
    }
}
