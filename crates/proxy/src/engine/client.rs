//! Clients of a loop: how they come, how they go, and what time does to them.

use std::{io, sync::Arc};

use bytes::BytesMut;
use trunkline_session::{ClientSession, PinReason, SessionLimits, StatementLimits};
use trunkline_settings::PoolMode;
use trunkline_wire::{
    Reported, SqlState,
    backend::{self, Report, Severity},
    startup::ProtocolVersion,
};

use super::{
    lease::us,
    leaving::LINGER_US,
    link::Link,
    message::Arrival,
    readiness::Token,
    shared::Shared,
    slot::{CancelKey, Client, ClientRare, ClientState, Stream},
    worker::{Again, Worker},
};

use crate::{handover::StartupParams, pool::Family};

/// How long a client that is being closed has to read what it was told.
const FAREWELL_US: u64 = 5_000_000;

impl Worker {
    /// Takes in a client that has logged in.
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        let Arrival { login, member, base, secret } = arrival;
        let family = Arc::clone(member.family());
        let pool = self.pool_of(&family);
        let policy = family.policy.load();
        let mode = match policy.mode {
            PoolMode::Transaction => trunkline_session::PoolMode::Transaction,
            PoolMode::Session => trunkline_session::PoolMode::Session,
            PoolMode::Statement => trunkline_session::PoolMode::Statement,
        };
        let limits = SessionLimits {
            server_statements: StatementLimits {
                count: self.settings.pool.max_prepared_statements,
                bytes: self.settings.pool.max_prepared_bytes,
            },
            client_statements: self.settings.limits.max_client_statements,
            ..SessionLimits::default()
        };
        let entry = self.clients.vacant_entry();
        let index = entry.key();
        let key = CancelKey { pid: Shared::cancel_pid(self.index, index), secret };
        let mut link = Link::new(login.socket, login.tls);
        if let Err(error) = link.register(self.readiness.registry(), Token::Client(index)) {
            tracing::warn!(%error, "a client could not be registered");
            return;
        }
        let mut held = login.early;
        if held.is_empty() {
            held = BytesMut::new();
        }
        entry.insert(Client {
            link,
            state: ClientState::Welcoming,
            session: ClientSession::new(mode, base, family.id, limits),
            pool,
            held,
            stream: Stream::default(),
            readable: true,
            hung_up: false,
            skipping: false,
            since: self.now,
            transaction_since: 0,
            query_since: 0,
            cancelled_at: 0,
            kept: false,
            active_at: self.now,
            armed: 0,
            key,
            leaving: None,
            rare: Box::new(ClientRare {
                peer: login.peer,
                protocol: login.protocol,
                startup: login.startup,
                connected_at: self.now,
                kept_since: 0,
                places: (login.slot, member),
            }),
        });
        if let Some(pool) = self.pools.get_mut(pool) {
            pool.clients = pool.clients.saturating_add(1);
            pool.stats.logins = pool.stats.logins.wrapping_add(1);
        }
        if self.draining {
            self.farewell(index);
            return;
        }
        let known = family.welcome.load_full();
        match known {
            Some(reported) => self.welcome(index, &reported),
            None => self.await_welcome(index, pool),
        }
    }

    fn await_welcome(&mut self, index: usize, pool_index: usize) {
        if self.told_failure(index, pool_index) {
            return;
        }
        if let Some(pool) = self.pools.get_mut(pool_index) {
            pool.welcoming.push(index);
            self.open_more(pool_index);
            self.hasten_maintenance();
        }
    }

    /// Tells the client what PostgreSQL tells after a login: parameters, cancel key, ready.
    pub(super) fn welcome(&mut self, index: usize, reported: &Arc<Reported>) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let startup = &mut client.rare.startup;
        let told = told_at_login(startup, client.rare.places.1.family(), reported);
        self.reply.clear();
        if let Some(long) = startup.long_name.take() {
            give_notice_of_cut(&mut self.reply, &long, startup);
        }
        client.session.welcome(&told, &mut self.reply);
        let key: &[u8] = if client.rare.protocol >= ProtocolVersion::V3_2 {
            &client.key.secret
        } else {
            client.key.secret.first_chunk::<4>().map_or(&[], |key| key)
        };
        backend::backend_key_data(&mut self.reply, client.key.pid, key);
        backend::ready_for_query(&mut self.reply, b'I');
        client.state = ClientState::Idle;
        self.send_reply(index);
        self.again.push_back(Again::Client(index));
        self.arm_client(index);
        self.rest_client(index);
    }

    /// Writes to a client; a broken socket ends it.
    pub(super) fn send_to_client(&mut self, index: usize, bytes: &[u8]) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let sent = client.link.send(bytes).and_then(|()| {
            client.link.update_interest(self.readiness.registry(), Token::Client(index))
        });
        if let Err(error) = sent {
            self.client_gone(index, Some(&error));
        }
    }

    /// Tells the client why, and closes it.
    pub(super) fn fatal(&mut self, index: usize, code: SqlState, message: &str) {
        self.fatal_report(index, &Report::fatal(code, message));
    }

    /// Tells the client why, and closes it.
    pub(super) fn fatal_report(&mut self, index: usize, report: &Report<'_>) {
        self.log_fatal(index, report);
        self.reply.clear();
        backend::error_response(&mut self.reply, report);
        self.part(index);
    }

    pub(super) fn log_fatal(&self, index: usize, report: &Report<'_>) {
        if self.settings.log.pooler_errors
            && let Some(client) = self.clients.get(index)
        {
            tracing::warn!(client = %client.rare.peer, sqlstate = %report.code, "closing a client: {}", report.message);
        }
    }

    /// The client is told in the words of a server, and closed.
    pub(super) fn fatal_body(&mut self, index: usize, body: &[u8]) {
        use bytes::BufMut;
        self.reply.clear();
        self.reply.put_u8(b'E');
        self.reply.put_u32(u32::try_from(body.len().saturating_add(4)).unwrap_or(u32::MAX));
        self.reply.extend_from_slice(body);
        self.part(index);
    }

    /// Sends `self.reply` as the last words, and closes the client when they are written.
    fn part(&mut self, index: usize) {
        let words = self.reply.split();
        let torn = match self.clients.get(index).map(|client| client.state) {
            Some(ClientState::Leased(server)) => {
                self.servers.get(server).is_some_and(|server| server.stream.is_torn())
            }
            _ => false,
        };
        if torn {
            self.hang_up(index, "in the middle of a message to it");
            return;
        }
        self.detach(index);
        self.reply.clear();
        self.reply.unsplit(words);
        let Some(client) = self.clients.get_mut(index) else { return };
        client.state = ClientState::Closing;
        client.since = self.now;
        client.held = BytesMut::new();
        self.send_reply(index);
        let Some(client) = self.clients.get_mut(index) else { return };
        if client.link.backlog() == 0 {
            self.remove_client(index);
        } else {
            self.arm_client(index);
        }
    }

    /// Closes the client when these last words are written.
    pub(super) fn part_with(&mut self, index: usize, words: &[u8]) {
        self.reply.clear();
        self.reply.extend_from_slice(words);
        self.part(index);
    }

    /// The server's last words have been passed on: the client is closed when they are written.
    pub(super) fn part_silently(&mut self, index: usize) {
        self.reply.clear();
        self.part(index);
    }

    /// An operator or a shutdown closes the client.
    pub(super) fn farewell(&mut self, index: usize) {
        self.reply.clear();
        backend::error_response(
            &mut self.reply,
            &Report::fatal(
                SqlState::ADMIN_SHUTDOWN,
                "terminating connection due to administrator command",
            ),
        );
        self.part(index);
    }

    /// The client is gone: nothing more is done for it.
    pub(super) fn client_gone(&mut self, index: usize, error: Option<&io::Error>) {
        if error.is_some() && self.goes_deaf(index) {
            return;
        }
        if self.settings.log.disconnections
            && let Some(client) = self.clients.get(index)
        {
            let reason =
                error.map_or_else(|| "closed by the client".to_owned(), ToString::to_string);
            tracing::info!(client = %client.rare.peer, reason, "client disconnected");
        }
        self.detach(index);
        self.remove_client(index);
    }

    /// Closes a client that cannot be told why, because it has a part of a message and waits for the rest.
    pub(super) fn hang_up(&mut self, index: usize, why: &str) {
        self.log_silence(index, why);
        self.detach(index);
        self.remove_client(index);
    }

    pub(super) fn log_silence(&self, index: usize, why: &str) {
        if self.settings.log.pooler_errors
            && let Some(client) = self.clients.get(index)
        {
            tracing::warn!(client = %client.rare.peer, "closing a client without a word: {why}");
        }
    }

    /// After a panic: the client is closed without a word, its server with it.
    pub(super) fn drop_client(&mut self, index: usize, why: &str) {
        let Some(client) = self.clients.get(index) else { return };
        tracing::error!(client = %client.rare.peer, "closing a client: {why}");
        if let ClientState::Leased(server) | ClientState::Replaying(server) = client.state {
            self.retire(server);
        }
        if let Some(client) = self.clients.get_mut(index) {
            client.state = ClientState::Idle;
        }
        self.detach(index);
        self.remove_client(index);
    }

    /// Takes the client out of its queue, or away from its server.
    fn detach(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let state = std::mem::replace(&mut client.state, ClientState::Closing);
        let (pool_index, mode) = (client.pool, client.session.mode());
        let pinned = !client.session.pins().is_empty();
        let mid_message = client.stream.remaining > 0 && client.stream.forward;
        self.keep_no_longer(index);
        let Some(client) = self.clients.get_mut(index) else { return };
        match state {
            ClientState::Welcoming | ClientState::Waiting => {
                if let Some(pool) = self.pools.get_mut(pool_index) {
                    pool.forget(index);
                    pool.publish(self.index);
                }
            }
            ClientState::Leased(server_index) => {
                if let Some(server) = self.servers.get_mut(server_index) {
                    client.session.leave(&mut server.session);
                }
                self.abandon(server_index, mode, pinned, mid_message);
            }
            ClientState::Replaying(server_index) => self.retire(server_index),
            ClientState::Idle | ClientState::Closing => {}
        }
    }

    /// Forgets the client; its socket closes.
    pub(super) fn remove_client(&mut self, index: usize) {
        let Some(mut client) = self.clients.try_remove(index) else { return };
        client.link.close_notify();
        client.link.deregister(self.readiness.registry());
        if let Some(pool) = self.pools.get_mut(client.pool) {
            pool.clients = pool.clients.saturating_sub(1);
        }
    }

    /// A client that is between transactions may have to go: the loop drains, or its database was removed. In the
    /// second case there is no server for those who wait either.
    pub(super) fn rest_client(&mut self, index: usize) {
        let Some(client) = self.clients.get(index) else { return };
        let removed = self.pools.get(client.pool).is_some_and(|pool| pool.family.is_removed());
        let goes = match client.state {
            ClientState::Idle => self.draining || removed,
            ClientState::Waiting | ClientState::Welcoming => removed,
            ClientState::Leased(server) => {
                (self.draining || removed)
                    && client.stream.remaining == 0
                    && self.servers.get(server).is_some_and(|server| server.session.at_rest())
            }
            ClientState::Replaying(_) | ClientState::Closing => false,
        };
        if goes {
            self.farewell(index);
        }
    }

    /// The client keeps its server although no transaction is open: it is counted, and closed if as many as
    /// `pool.max_pinned` allows do so already, because the others would be left without a server.
    pub(super) fn keep(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let Some(pool) = self.pools.get(client.pool) else { return };
        if client.kept || client.session.mode() == trunkline_session::PoolMode::Session {
            return;
        }
        let limit = pool.family.policy.load().max_pinned;
        client.kept = pool.family.caps.keep(limit);
        client.rare.kept_since = self.now;
        if client.kept {
            return;
        }
        let reasons: Vec<&str> = client.session.pins().iter().map(PinReason::as_str).collect();
        let message = format!(
            "too many clients of pool \"{}\"/\"{}\" keep a server connection for themselves",
            pool.family.database, pool.family.user
        );
        let detail = format!(
            "This one would, because of: {}. {limit} do, as many as pool.max_pinned allows.",
            reasons.join(", ")
        );
        let report = Report::fatal(SqlState::CONFIGURATION_LIMIT_EXCEEDED, &message)
            .with_detail(&detail)
            .with_hint("Raise pool.max_pinned, or use a database or user with pool_mode session.");
        self.fatal_report(index, &report);
    }

    /// The client gives its server back, or goes.
    pub(super) fn keep_no_longer(&mut self, index: usize) {
        if let Some(client) = self.clients.get_mut(index)
            && std::mem::take(&mut client.kept)
            && let Some(pool) = self.pools.get(client.pool)
        {
            pool.family.caps.keep_no_longer();
        }
    }

    /// Makes sure the wheel calls when the client's next deadline comes. Ordinary traffic only stores times: an entry
    /// that is already armed for an earlier moment stays.
    pub(super) fn arm_client(&mut self, index: usize) {
        if self.untimed
            && self
                .clients
                .get(index)
                .is_none_or(|it| it.state != ClientState::Closing && it.leaving.is_none())
        {
            return;
        }
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

/// What a client is told at its login: what the servers of its family report, but for what it has asked for itself.
fn told_at_login(
    startup: &StartupParams,
    family: &Family,
    reported: &Arc<Reported>,
) -> Arc<Reported> {
    let mut told = Arc::clone(reported);
    for (name, value) in [
        (b"application_name".as_slice(), startup.application_name.as_deref()),
        (b"client_encoding", startup.client_encoding.as_deref()),
    ] {
        let Some(value) = value.map(str::as_bytes) else { continue };
        if told.get(name).is_some_and(|known| known != value) {
            // No limit can be passed: the name is there, and the value is short.
            let _news = Arc::make_mut(&mut told).set(name, value);
        }
    }
    if Arc::ptr_eq(&told, reported) { told } else { family.share_told(told) }
}

/// As PostgreSQL (`truncate_identifier` in `src/backend/parser/scansup.c`).
fn give_notice_of_cut(out: &mut BytesMut, long: &str, startup: &StartupParams) {
    let kept = startup.application_name.as_deref().unwrap_or_default();
    let message = format!("identifier \"{long}\" will be truncated to \"{kept}\"");
    let report = Report::new(Severity::Notice, SqlState::NAME_TOO_LONG, &message);
    backend::notice_response(out, &report);
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
