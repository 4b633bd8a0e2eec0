//! From a finished login to a loop, or to the console.

use std::sync::Arc;

use bytes::BytesMut;
use tokio::sync::mpsc;
use trunkline_session::{IDLE_SESSION_TIMEOUT, ROUTE, SettingSet};
use trunkline_sql::Value;
use trunkline_wire::{
    SqlState,
    backend::{self, Report},
};

use crate::{
    engine::{Arrival, Dealer, Message, Shared},
    frontend::StartupParams,
    handover::{CancelTicket, ConsoleLogin, Handoff, LoggedIn, ReplicationLogin},
    net::AsyncSocket,
    pool::{Family, Refusal},
    replication::Office,
    seats::{Seat, Seats},
};

/// Sends logins on their way.
#[derive(Debug)]
pub(crate) struct Switch {
    pub(crate) shared: Arc<Shared>,
    pub(crate) dealer: Dealer,
    pub(crate) consoles: mpsc::UnboundedSender<(ConsoleLogin, Seat)>,
    pub(crate) seats: Seats,
    pub(crate) replication: Arc<Office>,
}

impl Handoff for Switch {
    fn logged_in(&self, login: LoggedIn) {
        match self.shared.registry.family(&login.database, &login.user, &login.startup) {
            Ok(member) => {
                let family = member.family();
                let to = self.dealer.next(family.home, self.shared.loops().len());
                let base = base_settings(&login.startup, family);
                let arrival = Arrival { login, member, base, secret: rand::random() };
                self.shared.send(to, Message::Client(Box::new(arrival)));
            }
            Err(Refusal::NoDatabase) => {
                let message = format!("database \"{}\" does not exist", login.database);
                turn_away(login, &Report::fatal(SqlState::INVALID_CATALOG_NAME, &message));
            }
        }
    }

    fn cancel(&self, pid: i32, key: &[u8], ticket: CancelTicket) {
        // One of an operator names no loop, and one of a client no seat.
        self.seats.cancel(pid, key);
        let Some(ticket) = self.replication.cancel(pid, key, ticket) else { return };
        if let Some((index, slot)) = Shared::place_of_pid(pid) {
            self.shared.send(index, Message::Cancel { slot, pid, key: key.into(), ticket });
        }
    }

    fn console(&self, login: ConsoleLogin) {
        if self.consoles.send((login, self.seats.take())).is_err() {
            tracing::warn!("nobody serves the admin console");
        }
    }

    fn replication(&self, login: ReplicationLogin) {
        self.replication.receive(login);
    }
}

/// What the client's startup packet sets that the servers of its family are not opened with.
fn base_settings(startup: &StartupParams, family: &Family) -> Arc<SettingSet> {
    let mut base = SettingSet::default();
    let mut add = |name: &str, value: &str| {
        base.set(name.to_ascii_lowercase().as_bytes(), Value::Literal(value.as_bytes().into()));
    };
    if let Some(name) = &startup.application_name {
        add("application_name", name);
    }
    if let Some(limit) = &startup.idle_session_timeout {
        add(IDLE_SESSION_TIMEOUT, limit);
    }
    if let Some(route) = &startup.route {
        add(ROUTE, route);
    }
    let known = family.welcome.load();
    let usual = known.as_ref().and_then(|reported| reported.get(b"client_encoding"));
    if let Some(encoding) = &startup.client_encoding
        && usual != Some(encoding.as_bytes())
    {
        add("client_encoding", encoding);
    }
    if family.startup.others != startup.others {
        for (name, value) in &startup.others {
            add(name, value);
        }
    }
    Arc::new(base)
}

/// Tells a client that it cannot stay, in the background.
fn turn_away(login: LoggedIn, report: &Report<'_>) {
    let mut words = BytesMut::new();
    backend::error_response(&mut words, report);
    let LoggedIn { socket, mut tls, .. } = login;
    tokio::spawn(async move {
        let mut out = BytesMut::new();
        let sealed = if let Some(tls) = &mut tls {
            tls.encrypt(&words, &mut out).and_then(|()| tls.close_notify(&mut out))
        } else {
            out.extend_from_slice(&words);
            Ok(())
        };
        if sealed.is_ok()
            && let Ok(mut socket) = AsyncSocket::new(socket)
        {
            // A client that does not read its refusal has gone already.
            drop(tokio::io::AsyncWriteExt::write_all(&mut socket, &out).await);
        }
    });
}
