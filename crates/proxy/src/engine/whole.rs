//! Sessions that are a standby's as a whole, because of the listener by which they have come: whatever they send goes
//! there, and what it refuses they are told. While no standby can serve one, the settings say what becomes of it.

use std::sync::Arc;

use trunkline_route::{Because, Plain};
use trunkline_session::Begin;
use trunkline_settings::Fallback;
use trunkline_wire::{SqlState, backend::Report};

use super::{
    lease::us,
    slot::{ALL, ClientState},
    waiting::Waiter,
    worker::{Again, Worker},
};

/// What becomes of such a session now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// It is served by the pool here.
    At(usize),
    /// The primary serves it.
    Home(Because),
    /// It waits.
    Wait,
    /// It is refused.
    Refuse,
}

/// What a client is told that no standby serves.
const MESSAGE: &str = "no standby can serve this session";

/// Why that is said at once.
const AT_ONCE: &str = "No standby is fit to be read from (routing.fallback is \"error\").";

impl Worker {
    /// Decides where the burst goes of a client whose session is a standby's, and which holds no server. Says whether it
    /// is to get one now.
    pub(super) fn direct_whole(&mut self, index: usize, data: &[u8]) -> bool {
        if let Some(because) = self.recalled(index, data) {
            self.note_route(index, data, because);
            return true;
        }
        match self.course_of(index) {
            Course::At(pool) => {
                if let Some(client) = self.clients.get_mut(index) {
                    client.pool = pool;
                    client.horizon = ALL;
                }
                self.note_route(index, data, Plain::StandbyListener.into());
                true
            }
            Course::Home(because) => {
                self.note_route(index, data, because);
                true
            }
            Course::Wait => {
                self.strand(index, ClientState::Waiting);
                false
            }
            Course::Refuse => {
                // What it has sent is still in the buffer of the loop: it is refused when the client holds it itself.
                if let Some(client) = self.clients.get_mut(index) {
                    client.state = ClientState::Waiting;
                }
                self.again.push_back(Again::Unserved(index));
                false
            }
        }
    }

    /// What of a burst says more particularly than the listener that it belongs on the primary.
    fn recalled(&mut self, index: usize, data: &[u8]) -> Option<Because> {
        if !self.router.judges() {
            return None;
        }
        let client = self.clients.get_mut(index)?;
        let pool = self.pools.get(client.pool)?;
        let path = &mut client.rare.routed().path;
        let latest = pool.family.catalog.latest();
        let known = pool.family.catalog.of_now(latest.as_deref())?;
        let whose = (&*pool.family, &client.session);
        let mut judge = self.router.judge(whose, known, path, self.now)?;
        let mut found = None;
        client.session.horizon(data, Begin::ReadOnly, |text| {
            found = found.or_else(|| judge.recall(text));
            found.is_none()
        });
        found
    }

    /// What becomes of a session that is a standby's.
    fn course_of(&mut self, index: usize) -> Course {
        let Some(client) = self.clients.get_mut(index) else { return Course::Wait };
        let home = client.pool;
        let chosen = self.choose_standby(index, (home, true));
        let pool = chosen.map(|node| self.beside(home, node, true));
        match pool {
            Ok(Some(pool)) => Course::At(pool),
            Ok(None) => Course::Wait,
            Err(because) => {
                let near = [Plain::OwnWrites, Plain::FloorNotReached].map(Because::Plain);
                match self.settings.routing.fallback {
                    Fallback::Primary => Course::Home(because),
                    // It will be there in a moment.
                    Fallback::Error if !near.contains(&because) => Course::Refuse,
                    Fallback::Error | Fallback::Wait => Course::Wait,
                }
            }
        }
    }

    /// Has a client wait until a standby can serve it.
    fn strand(&mut self, index: usize, state: ClientState) {
        let now = self.now;
        let Some(client) = self.clients.get_mut(index) else { return };
        client.state = state;
        let routed = client.rare.routed();
        if routed.stranded_since == 0 {
            routed.stranded_since = now;
        }
        let since = routed.stranded_since;
        self.stranded.push(Waiter { client: index, since });
        self.hasten_maintenance();
    }

    /// The client waits no more for a standby.
    pub(super) fn unstrand(&mut self, index: usize) {
        self.stranded.retain(|waiter| waiter.client != index);
        if let Some(routed) = self.clients.get_mut(index).and_then(|it| it.rare.routed.as_mut()) {
            routed.stranded_since = 0;
        }
    }

    /// Those who wait for a standby are refused if they have for too long; for the others it is decided anew.
    pub(super) fn serve_stranded(&mut self) {
        let limit = us(self.settings.pool.wait_timeout);
        for waiter in std::mem::take(&mut self.stranded) {
            let late = limit != 0 && self.now.saturating_sub(waiter.since) >= limit;
            self.guard_client(waiter.client, |worker| {
                if late {
                    worker.refuse_unserved(waiter.client);
                } else {
                    worker.serve_again(waiter.client);
                }
            });
        }
    }

    fn serve_again(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        match client.state {
            ClientState::Waiting => {
                client.state = ClientState::Idle;
                self.again.push_back(Again::Client(index));
            }
            ClientState::Welcoming => self.greet_whole(index),
            _ => {}
        }
    }

    /// Welcomes a new client whose session is a standby's.
    pub(super) fn greet_whole(&mut self, index: usize) {
        match self.course_of(index) {
            Course::At(pool) => {
                let family = self.pools.get(pool).map(|pool| Arc::clone(&pool.family));
                let reported = family.and_then(|family| family.welcome.load_full());
                if let Some(client) = self.clients.get_mut(index) {
                    client.rare.routed().stranded_since = 0;
                    client.pool = pool;
                }
                if let Some(reported) = reported {
                    return self.welcome(index, &reported);
                }
                self.await_welcome(index);
            }
            Course::Home(_) => self.greet_at_home(index),
            Course::Wait => self.strand(index, ClientState::Welcoming),
            Course::Refuse => self.refuse_unserved(index),
        }
    }

    /// No standby serves the client: it is told so.
    pub(super) fn refuse_unserved(&mut self, index: usize) {
        let limit = self.settings.pool.wait_timeout;
        let waited = self.clients.get(index).and_then(|it| it.rare.routed.as_ref());
        let waited = waited.is_some_and(|routed| routed.stranded_since != 0);
        let detail = if waited {
            format!("None could within {limit:?} (pool.wait_timeout).")
        } else {
            AT_ONCE.to_owned()
        };
        self.unstrand(index);
        let code = SqlState::CANNOT_CONNECT_NOW;
        match self.clients.get(index).map(|client| client.state) {
            Some(ClientState::Waiting) => {
                self.refuse_statement(index, &Report::error(code, MESSAGE).with_detail(&detail));
            }
            Some(ClientState::Welcoming) => {
                self.fatal_report(index, &Report::fatal(code, MESSAGE).with_detail(&detail));
            }
            _ => {}
        }
    }
}
