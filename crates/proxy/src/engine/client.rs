//! Clients of a loop: what they are told, and how they go.

use std::io;

use trunkline_session::PinReason;
use trunkline_wire::{
    SqlState,
    backend::{self, Report, Severity},
};

use super::{
    floors::note_commits,
    rest::Rest,
    slot::{ALL, ANY, ClientState, SHADOW, ServerState},
    worker::Worker,
};

impl Worker {
    /// Writes to a client; a broken socket ends it.
    pub(super) fn send_to_client(&mut self, index: usize, bytes: &[u8]) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let sent = client.link.send(bytes);
        if sent.is_err() || !client.link.is_settled() {
            self.written_in_part(index, sent);
        }
    }

    /// Tells the client why, and closes it.
    pub(super) fn fatal(&mut self, index: usize, code: SqlState, message: &str) {
        self.fatal_report(index, &Report::fatal(code, message));
    }

    /// Tells the client why, and closes it.
    pub(super) fn fatal_report(&mut self, index: usize, report: &Report<'_>) {
        self.note_fatal(index, report);
        self.reply.clear();
        backend::error_response(&mut self.reply, report);
        self.part(index);
    }

    /// Counts, and logs, what a client is told at its end, now or later.
    pub(super) fn note_fatal(&mut self, index: usize, report: &Report<'_>) {
        self.count_error(index);
        if self.settings.log.pooler_errors
            && let Some(client) = self.clients.get(index)
        {
            tracing::warn!(client = %client.rare.peer, sqlstate = %report.code, "closing a client: {}", report.message);
        }
    }

    /// A client is refused, or failed, by an error that is not its server's.
    pub(super) fn count_error(&mut self, index: usize) {
        if let Some(client) = self.clients.get(index)
            && let Some(pool) = self.pools.get_mut(client.pool)
        {
            pool.stats.errors = pool.stats.errors.wrapping_add(1);
        }
    }

    /// The client is told in the words of a server, and closed.
    pub(super) fn fatal_body(&mut self, index: usize, body: &[u8]) {
        use bytes::BufMut;
        self.count_error(index);
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
        client.held = Rest::default();
        self.count_held(index);
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
        self.count_error(index);
        let Some(client) = self.clients.get(index) else { return };
        if let Some(server) = client.state.server() {
            if self.servers.get(server).is_some_and(|it| it.state == ServerState::Leased(index)) {
                self.retire(server);
            }
            if let Some(client) = self.clients.get_mut(index) {
                client.state = ClientState::Idle;
            }
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
            ClientState::Welcoming | ClientState::Waiting | ClientState::Listening => {
                self.unstrand(index);
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
            ClientState::Idle
            | ClientState::Pausing
            | ClientState::Unsaid
            | ClientState::Closing => {}
        }
    }

    /// Forgets the client; its socket closes.
    pub(super) fn remove_client(&mut self, index: usize) {
        self.go_home(index);
        let Some(mut client) = self.clients.try_remove(index) else { return };
        self.ledger.change(client.rare.entry.counted, 0);
        client.link.close_notify();
        client.link.deregister(self.readiness.registry());
        if let Some(pool) = self.pools.get_mut(client.pool) {
            pool.clients = pool.clients.saturating_sub(1);
        }
    }

    /// A client that is between transactions may have to go: the loop drains, or its database was removed. One that
    /// keeps its server may have to wait.
    pub(super) fn rest_client(&mut self, index: usize) {
        let Some(client) = self.clients.get(index) else { return };
        let removed = self.pools.get(client.pool).is_some_and(|pool| pool.family.is_removed());
        let ends = self.draining || removed;
        let goes = match client.state {
            // Its transaction is to come to its end.
            _ if client.crosses => false,
            ClientState::Idle
            | ClientState::Waiting
            | ClientState::Welcoming
            | ClientState::Listening
            | ClientState::Pausing
            | ClientState::Unsaid => ends,
            ClientState::Leased(server) => {
                let rests = client.stream.remaining == 0
                    && self.servers.get(server).is_some_and(|server| server.session.at_rest());
                if rests && !ends {
                    self.hold_back_in_doubt(server);
                }
                rests && ends
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
        // If it is a standby's, all goes there until it gives that back.
        if client.horizon == SHADOW {
            client.horizon = ANY;
        } else if client.horizon != ANY {
            client.horizon = ALL;
        }
        let Some(pool) = self.pools.get(client.pool) else { return };
        if self.router.is_on() {
            note_commits(&client.session, &pool.family, self.shared.positions());
        }
        if client.kept || client.session.mode() == trunkline_session::PoolMode::Session {
            return;
        }
        let limit = pool.family.policy.load().max_pinned;
        client.kept = pool.family.caps.keep(limit);
        client.rare.kept_since = self.now;
        if client.kept {
            if self.settings.pool.pin_notice {
                self.tell_pin(index);
            }
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

    /// The client is told that it keeps its server, and why.
    fn tell_pin(&mut self, index: usize) {
        let Some(client) = self.clients.get(index) else { return };
        let reasons: Vec<&str> = client.session.pins().iter().map(PinReason::as_str).collect();
        let message =
            format!("this session keeps a server connection for itself: {}", reasons.join(", "));
        let detail = client.session.pinned_by().map(|statement| format!("Because of: {statement}"));
        let report = Report::new(Severity::Notice, SqlState::SUCCESSFUL_COMPLETION, &message);
        self.reply.clear();
        backend::notice_response(
            &mut self.reply,
            &match &detail {
                Some(detail) => report.with_detail(detail),
                None => report,
            },
        );
        self.send_reply(index);
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
}
