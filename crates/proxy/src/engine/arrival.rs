//! How clients come: what they are told at their login.

use std::sync::Arc;

use bytes::BytesMut;
use trunkline_session::{ClientSession, SessionLimits, StatementLimits};
use trunkline_settings::{HiddenState, Placeholders, PoolMode, PoolPolicy};
use trunkline_wire::{
    Reported, SqlState,
    backend::{self, Report, Severity},
    startup::ProtocolVersion,
};

use super::{
    lease::us,
    ledger::Entry,
    link::Link,
    message::Arrival,
    readiness::Token,
    rest::Rest,
    shared::Shared,
    slot::{ANY, CancelKey, Client, ClientRare, ClientState, Stream},
    worker::{Again, Worker},
};
use crate::{handover::StartupParams, pool::Family};

impl Worker {
    /// A client has logged in.
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        if let Some(index) = self.admit(arrival) {
            self.guard_client(index, |worker| worker.greet(index));
        }
    }

    /// Takes in a client; nothing has been said to it yet.
    fn admit(&mut self, arrival: Arrival) -> Option<usize> {
        let Arrival { login, member, base, secret } = arrival;
        let family = Arc::clone(member.family());
        let pool = self.pool_of(&family);
        let policy = family.policy.load();
        let mode = match policy.mode {
            PoolMode::Transaction => trunkline_session::PoolMode::Transaction,
            PoolMode::Session => trunkline_session::PoolMode::Session,
            PoolMode::Statement => trunkline_session::PoolMode::Statement,
        };
        let limits = self.session_limits(&policy);
        let entry = self.clients.vacant_entry();
        let index = entry.key();
        let key = CancelKey { pid: Shared::cancel_pid(self.index, index), secret };
        let mut link = Link::new(login.socket, login.tls);
        if let Err(error) = link.register(self.readiness.registry(), Token::Client(index)) {
            tracing::warn!(%error, "a client could not be registered");
            return None;
        }
        let held = Rest::from(&login.early[..]);
        let scope = Arc::clone(&family.scope);
        #[cfg_attr(not(feature = "planted"), expect(unused_mut, reason = "changed by tests only"))]
        let mut session = ClientSession::new(mode, base, scope, limits);
        #[cfg(feature = "planted")]
        session.plant(crate::planted::bug());
        entry.insert(Client {
            link,
            state: ClientState::Welcoming,
            session,
            pool,
            held,
            horizon: ANY,
            crosses: false,
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
            listening: None,
            rare: Box::new(ClientRare {
                peer: login.peer,
                protocol: login.protocol,
                startup: login.startup,
                connected_at: self.now,
                answered_at: 0,
                kept_since: 0,
                entry: Entry::default(),
                role: login.role,
                routed: None,
                places: (login.slot, member),
            }),
        });
        if let Some(pool) = self.pools.get_mut(pool) {
            pool.clients = pool.clients.saturating_add(1);
            pool.stats.logins = pool.stats.logins.wrapping_add(1);
            pool.attempt.hope(self.now.saturating_add(us(self.settings.pool.retry_backoff_min)));
        }
        self.count_held(index);
        Some(index)
    }

    /// Welcomes a new client, as soon as it is known with what.
    pub(super) fn greet(&mut self, index: usize) {
        if self.draining {
            self.farewell(index);
            return;
        }
        if self.asked(index).is_whole() {
            return self.greet_whole(index);
        }
        self.greet_at_home(index);
    }

    /// Welcomes a new client as one of the primary's.
    pub(super) fn greet_at_home(&mut self, index: usize) {
        let Some(client) = self.clients.get(index) else { return };
        match client.rare.places.1.family().welcome.load_full() {
            Some(reported) => self.welcome(index, &reported),
            None => self.await_welcome(index),
        }
    }

    fn session_limits(&self, policy: &PoolPolicy) -> SessionLimits {
        SessionLimits {
            strict_placeholders: policy.placeholders == Placeholders::Strict,
            hidden_state: match policy.hidden_state {
                HiddenState::ReadBack => trunkline_session::HiddenState::ReadBack,
                HiddenState::Trust => trunkline_session::HiddenState::Trust,
            },
            server_statements: StatementLimits {
                count: self.settings.pool.max_prepared_statements,
                bytes: self.settings.pool.max_prepared_bytes,
            },
            client_statements: StatementLimits {
                count: self.settings.limits.max_client_statements,
                bytes: self.settings.limits.max_client_statement_bytes,
            },
            ..SessionLimits::default()
        }
    }

    pub(super) fn await_welcome(&mut self, index: usize) {
        let Some(pool_index) = self.clients.get(index).map(|client| client.pool) else { return };
        if self.told_failure(index, pool_index) {
            return;
        }
        if let Some(pool) = self.pools.get_mut(pool_index) {
            pool.welcoming.push_back(index);
            self.open_more(pool_index);
            self.hasten_maintenance();
        }
    }

    /// Tells the client what PostgreSQL tells after a login: parameters, cancel key, ready.
    pub(super) fn welcome(&mut self, index: usize, reported: &Arc<Reported>) {
        self.go_home(index);
        let Some(client) = self.clients.get_mut(index) else { return };
        let startup = &mut client.rare.startup;
        let version = reported.get(b"server_version").unwrap_or_default();
        if let Some(name) = startup.odd_name_at(version) {
            client.session.start_with(b"application_name", &name);
            startup.application_name = Some(name.into());
        }
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
        self.arm_client_that_has_a_limit(index);
        self.rest_client(index);
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
