//! Servers of a loop: how they are opened, arrive, and go.

use std::sync::Arc;

use bytes::BytesMut;
use trunkline_session::ServerSession;
use trunkline_wire::{SqlState, backend::Report};

use super::{
    lease::us,
    link::Link,
    local::Failure,
    message::{Message, Opened},
    readiness::Token,
    retire::RETIRING_US,
    shared::Shared,
    slot::{ClientState, Moving, Server, ServerAbout, ServerState, Stream},
    worker::Worker,
};
use crate::{
    cluster::NodeId,
    handover::{NewServer, OpenError},
    pool::{Family, Permit},
};

/// Clients are told the failure of the last attempt, without another one, when attempts are at least this far apart.
const ANSWER_FROM_US: u64 = 1_000_000;

/// Connections of one pool that one loop opens at a time.
const OPENING_MAX: usize = 16;

impl Worker {
    /// The loop's own part of a family's pool.
    pub(super) fn pool_of(&mut self, family: &Arc<Family>) -> usize {
        if let Some(index) = self.by_family.get(&family.id) {
            return *index;
        }
        let index = self.pools.insert(super::local::LocalPool::new(Arc::clone(family)));
        self.by_family.insert(family.id, index);
        index
    }

    /// Opens as many connections as those who wait call for and the caps allow.
    pub(super) fn open_more(&mut self, pool_index: usize) {
        let Some(node) = self.primary else { return };
        loop {
            let Some(pool) = self.pools.get_mut(pool_index) else { return };
            if pool.lacking(self.index) == 0
                || pool.opening >= OPENING_MAX
                || self.now < pool.attempt.not_before
                || pool.family.is_paused()
            {
                return;
            }
            let caps = self.shared.caps_of(&pool.family, node);
            match Permit::take(&caps, &pool.family.tenants, self.now) {
                Ok(permit) => {
                    pool.withdraw_claim();
                    pool.opening = pool.opening.saturating_add(1);
                    pool.attempt.full = None;
                    self.shared.open(&pool.family, node, permit, self.index);
                }
                Err(cap) => {
                    // Somebody's idle connection may hold the place: it is asked for, at this loop first.
                    pool.attempt.full = Some(Arc::clone(&cap));
                    pool.claim(&cap, self.now);
                    let waits = pool.is_wanted();
                    // Those on their way out make room for as many.
                    let enough = cap.leaving() >= pool.lacking(self.index);
                    if !waits
                        || !(!enough && self.evict(&cap, pool_index)
                            || self.open_reserve(pool_index, node))
                    {
                        return;
                    }
                }
            }
        }
    }

    /// Opens a connection beyond the size of the pool, if there are clients who have waited for `reserve_after` and
    /// for whom none is being opened yet.
    fn open_reserve(&mut self, pool_index: usize, node: NodeId) -> bool {
        let patience = us(self.settings.pool.reserve_after);
        let Some(pool) = self.pools.get_mut(pool_index) else { return false };
        if pool.overdue(self.now, patience) <= pool.opening {
            return false;
        }
        let Some(caps) = self.shared.reserve_caps_of(&pool.family, node) else { return false };
        let Ok(permit) = Permit::take_reserve(&caps, &pool.family.tenants, self.now) else {
            return false;
        };
        pool.opening = pool.opening.saturating_add(1);
        self.shared.open(&pool.family, node, permit, self.index);
        true
    }

    /// Closes an idle connection of another pool that counts against `cap`, the longest idle first.
    pub(super) fn evict(&mut self, cap: &Arc<crate::pool::Cap>, but: usize) -> bool {
        let found = self
            .pools
            .iter()
            .filter(|(index, pool)| *index != but && !pool.is_wanting())
            .filter_map(|(_, pool)| pool.idle.first().copied())
            .filter(|index| {
                self.servers.get(*index).is_some_and(|server| server.about.permit.is_under(cap))
            })
            .min_by_key(|index| self.servers.get(*index).map_or(u64::MAX, |server| server.since));
        let Some(index) = found else { return false };
        self.retire(index);
        true
    }

    /// A connection that was asked for is there, or not.
    pub(super) fn opened(&mut self, opened: Opened) {
        let Opened { family, node, generation, permit, result } = opened;
        let Some(pool_index) = self.by_family.get(&family).copied() else { return };
        let Some(pool) = self.pools.get_mut(pool_index) else { return };
        pool.opening = pool.opening.saturating_sub(1);
        match result {
            Ok(new) => {
                pool.attempt.backoff_us = 0;
                pool.attempt.failure = None;
                let about = self.about(pool_index, node, generation, permit, &new);
                self.settle_server(pool_index, new, about);
            }
            Err(error) => {
                drop(permit);
                if matches!(error, OpenError::Away(_)) {
                    self.shared.suspect(node);
                }
                self.open_failed(pool_index, &error);
            }
        }
        self.open_more(pool_index);
    }

    fn about(
        &self,
        pool: usize,
        node: NodeId,
        generation: u64,
        permit: Permit,
        new: &NewServer,
    ) -> Option<Box<ServerAbout>> {
        let family = Arc::clone(&self.pools.get(pool)?.family);
        let max_age = us(self.settings.pool.max_age);
        let serial = self.shared.next_serial();
        // Spreads the ends of connections that were opened together; the serial number is spread evenly enough.
        let share = (serial.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) & 0xFFFF;
        let jitter = Shared::jitter_us(max_age, self.settings.pool.max_age_jitter, share);
        Some(Box::new(ServerAbout {
            serial,
            node,
            endpoint: new.endpoint.clone(),
            encrypted: new.tls.is_some(),
            pid: new.pid,
            cancel_key: new.cancel_key.clone(),
            generation,
            opened_at: self.now,
            expires_at: if max_age == 0 {
                0
            } else {
                self.now.saturating_add(max_age).saturating_sub(jitter)
            },
            permit,
            family,
        }))
    }

    fn settle_server(
        &mut self,
        pool_index: usize,
        new: NewServer,
        about: Option<Box<ServerAbout>>,
    ) {
        let Some(about) = about else { return };
        let reported = about.family.share_reported(Arc::new(new.reported));
        about.family.learn_welcome(&reported);
        let session = Box::new(ServerSession::new(reported));
        let link = Link::new(new.socket, new.tls);
        let Some(index) = self.adopt(pool_index, link, session, about) else { return };
        if let Some(server) = self.servers.get_mut(index) {
            server.held = if new.early.is_empty() { BytesMut::new() } else { new.early };
        }
        if let Some(pool) = self.pools.get_mut(pool_index) {
            pool.stats.opened = pool.stats.opened.wrapping_add(1);
        }
        self.welcome_all(pool_index);
        self.park(index);
    }

    fn adopt(
        &mut self,
        pool_index: usize,
        mut link: Link,
        session: Box<ServerSession>,
        about: Box<ServerAbout>,
    ) -> Option<usize> {
        let entry = self.servers.vacant_entry();
        let index = entry.key();
        if let Err(error) = link.register(self.readiness.registry(), Token::Server(index)) {
            tracing::warn!(%error, "a server connection could not be registered");
            return None;
        }
        entry.insert(Server {
            link,
            state: ServerState::Idle,
            session,
            pool: pool_index,
            held: BytesMut::new(),
            stream: Stream::default(),
            readable: true,
            hung_up: false,
            about,
            since: self.now,
            cancels: 0,
            amid: false,
        });
        if let Some(pool) = self.pools.get_mut(pool_index) {
            pool.servers = pool.servers.saturating_add(1);
        }
        Some(index)
    }

    /// A connection from another loop.
    pub(super) fn moved_in(&mut self, moving: Moving) {
        let pool_index = self.pool_of(&Arc::clone(&moving.about.family));
        if let Some(index) = self.adopt(pool_index, moving.link, moving.session, moving.about) {
            self.park(index);
        }
    }

    fn welcome_all(&mut self, pool_index: usize) {
        let Some(pool) = self.pools.get_mut(pool_index) else { return };
        let Some(reported) = pool.family.welcome.load_full() else { return };
        for client in std::mem::take(&mut pool.welcoming) {
            if self.client_is(client, ClientState::Welcoming) {
                self.welcome(client, &reported);
            }
        }
    }

    fn open_failed(&mut self, pool_index: usize, error: &OpenError) {
        let (least, most) =
            (us(self.settings.pool.retry_backoff_min), us(self.settings.pool.retry_backoff_max));
        let Some(pool) = self.pools.get_mut(pool_index) else { return };
        let body = match error {
            OpenError::Final(report) => Some(report.body.clone()),
            OpenError::NodeFull(_) | OpenError::Away(_) | OpenError::NoCredential(_) => None,
        };
        let told = error.to_string();
        let news = pool.attempt.failure.as_ref().is_none_or(|failure| *failure.message != *told);
        pool.attempt.backoff_us = pool.attempt.backoff_us.saturating_mul(2).clamp(least, most);
        pool.attempt.not_before = self.now.saturating_add(pool.attempt.backoff_us);
        pool.attempt.failure = Some(Failure { message: told.into(), body: body.clone() });
        if news {
            tracing::warn!(
                database = %pool.family.database, user = %pool.family.user,
                "no server connection could be opened: {error}"
            );
        }
        let no_credential = matches!(error, OpenError::NoCredential(_));
        if body.is_some() || no_credential {
            self.fail_waiting(pool_index, body.as_deref(), &error.to_string());
        }
        self.hasten_maintenance();
    }

    /// Whether the last attempt has failed in a way that waiting does not help, and it is too early for another one;
    /// then the client is told.
    pub(super) fn told_failure(&mut self, client_index: usize, pool_index: usize) -> bool {
        let Some(pool) = self.pools.get(pool_index) else { return false };
        let Some(Failure { body: Some(body), .. }) = &pool.attempt.failure else { return false };
        if pool.servers > 0 || self.now >= pool.attempt.not_before {
            return false;
        }
        // The next attempt is near: what was wrong (a database that did not exist) may have been mended meanwhile.
        if pool.attempt.backoff_us < ANSWER_FROM_US {
            return false;
        }
        let body = body.clone();
        self.fatal_body(client_index, &body);
        true
    }

    /// Those who wait are told at once: waiting will not help.
    fn fail_waiting(&mut self, pool_index: usize, body: Option<&[u8]>, message: &str) {
        let Some(pool) = self.pools.get_mut(pool_index) else { return };
        if pool.servers > 0 {
            // Others of this pool work; their connections will serve the queue.
            return;
        }
        let mut clients: Vec<usize> = pool.waiters.drain(..).map(|waiter| waiter.client).collect();
        clients.append(&mut pool.welcoming);
        pool.publish(self.index);
        for index in clients {
            match body {
                Some(body) => self.fatal_body(index, body),
                None => self.fatal(index, SqlState::INVALID_AUTHORIZATION, message),
            }
        }
    }

    /// The connection to a server is lost, or of no use any more; who it serves is told.
    pub(super) fn drop_server(&mut self, index: usize, why: &str) {
        let said = self.servers.get(index).is_some_and(|server| server.session.is_ending());
        self.drop_server_that(said, index, why);
    }

    /// The same; `said` tells whether the server's own last words have been passed on.
    pub(super) fn drop_server_that(&mut self, said: bool, index: usize, why: &str) {
        let Some(server) = self.servers.get_mut(index) else { return };
        let torn = server.stream.is_torn();
        let state = server.state;
        if state == ServerState::Retiring {
            self.bury(index);
            return;
        }
        server.session.end();
        self.shared.suspect(server.about.node);
        let pool_index = server.pool;
        if let ServerState::Leased(client) = state {
            self.retire(index);
            if torn {
                self.hang_up(client, why);
            } else {
                self.server_lost(client, index, said, why);
            }
        } else {
            tracing::debug!(pid = server.about.pid, "a server connection ended: {why}");
            self.retire(index);
        }
        self.serve_queue(pool_index);
    }

    fn server_lost(&mut self, client_index: usize, server_index: usize, said: bool, why: &str) {
        let Some(client) = self.clients.get_mut(client_index) else { return };
        if !matches!(client.state, ClientState::Leased(s) | ClientState::Replaying(s) if s == server_index)
        {
            return;
        }
        client.state = ClientState::Idle;
        client.session.lose_server();
        if said {
            // The server's own last words have been passed on.
            self.part_silently(client_index);
            return;
        }
        let report = Report::fatal(SqlState::CONNECTION_FAILURE, why).with_hint(
            "The outcome of a statement that was running is not known. Connect again and check it.",
        );
        self.fatal_report(client_index, &report);
    }

    /// Looks after all pools; says whether something waits or is being opened.
    pub(super) fn maintain_pools(&mut self) -> bool {
        let mut busy = false;
        let pools: Vec<usize> = self.pools.iter().map(|(index, _)| index).collect();
        for pool_index in pools {
            self.follow_pause(pool_index);
            self.expire_waiters(pool_index);
            self.expire_idle(pool_index);
            self.serve_queue(pool_index);
            self.open_more(pool_index);
            self.ask_for_eviction(pool_index);
            if let Some(pool) = self.pools.get_mut(pool_index).filter(|pool| !pool.is_wanted()) {
                pool.withdraw_claim();
            }
            self.forget_pool(pool_index);
            busy |= self.pools.get(pool_index).is_some_and(|pool| {
                !pool.waiters.is_empty() || !pool.welcoming.is_empty() || pool.opening > 0
            });
        }
        self.expire_housekeeping();
        busy
    }

    /// A pool of a removed family goes when nothing of it is left here.
    fn forget_pool(&mut self, pool_index: usize) {
        let Some(pool) = self.pools.get(pool_index) else { return };
        if pool.family.is_removed() && pool.clients == 0 && pool.servers == 0 && pool.opening == 0 {
            self.by_family.remove(&pool.family.id);
            self.pools.remove(pool_index);
        }
    }

    /// A cap is full and others may hold idle connections under it, on other loops.
    fn ask_for_eviction(&mut self, pool_index: usize) {
        let Some(pool) = self.pools.get(pool_index) else { return };
        if let Some(cap) = &pool.attempt.full
            && pool.is_wanted()
        {
            self.shared.send_others(self.index, || Message::Evict(Arc::clone(cap)));
        }
    }

    fn expire_idle(&mut self, pool_index: usize) {
        let limit = us(self.settings.pool.idle_timeout);
        let Some(pool) = self.pools.get(pool_index) else { return };
        let mut spare = pool.idle_everywhere(self.index).saturating_sub(pool.least());
        for index in pool.idle.clone() {
            let (Some(pool), Some(server)) = (self.pools.get(pool_index), self.servers.get(index))
            else {
                continue;
            };
            let aged = server.about.expires_at != 0 && self.now >= server.about.expires_at;
            let stale = !pool.wants(server.about.node, server.about.generation, self.primary)
                || server.about.permit.is_surplus();
            let idle = limit != 0 && spare > 0 && self.now.saturating_sub(server.since) >= limit;
            if aged || stale || idle {
                spare = spare.saturating_sub(1);
                self.retire(index);
            }
        }
    }

    /// Queries of ours that are not answered in time cost the connection, and a server that does not close a connection
    /// is not waited for.
    fn expire_housekeeping(&mut self) {
        let limit = us(self.settings.pool.server_check_timeout);
        let late: Vec<usize> = self
            .servers
            .iter()
            .filter(|(_, server)| {
                let limit = match server.state {
                    ServerState::Housekeeping => limit,
                    ServerState::Retiring => RETIRING_US,
                    _ => return false,
                };
                self.now.saturating_sub(server.since) >= limit
            })
            .map(|(index, _)| index)
            .collect();
        for index in late {
            self.drop_server(
                index,
                "a query of the pooler was not answered within pool.server_check_timeout",
            );
        }
    }
}
