//! What a loop tells of itself when asked.

use std::{collections::BTreeMap, sync::Arc};

use trunkline_session::PinReason;

use super::{
    local::LocalPool,
    report::{ClientReport, LoopReport, PoolReport, ServerReport},
    slot::{Client, ClientState, Server, ServerState},
    worker::Worker,
};

/// How many clients and servers of a pool do what.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    active: usize,
    waiting: usize,
    idle: usize,
    pinned: usize,
    servers_active: usize,
    servers_idle: usize,
    servers_busy: usize,
}

impl Worker {
    /// Everything there is to tell.
    pub(super) fn report(&self) -> LoopReport {
        let counts = self.count();
        let of = |index: usize| counts.get(&index).copied().unwrap_or_default();
        let held = |link: usize, held: usize| link.saturating_add(held);
        let clients = self.clients.iter().map(|(_, c)| held(c.link.backlog(), c.held.len()));
        let servers = self.servers.iter().map(|(_, s)| held(s.link.backlog(), s.held.len()));
        LoopReport {
            index: self.index,
            pools: self.pools.iter().map(|(at, pool)| self.report_pool(pool, of(at))).collect(),
            departed: self.departed.report(),
            buffered: clients.chain(servers).sum(),
            clients: self.clients.iter().map(|(_, client)| self.report_client(client)).collect(),
            servers: self.servers.iter().map(|(_, server)| self.report_server(server)).collect(),
            panics: self.panics,
            held: self.ledger.held(),
            held_share: self.ledger.share(),
            held_refused: self.ledger.refused,
        }
    }

    /// Counts all pools' clients and servers in one go.
    fn count(&self) -> BTreeMap<usize, Count> {
        let mut counts = BTreeMap::<usize, Count>::new();
        for (_, client) in &self.clients {
            let count = counts.entry(client.pool).or_default();
            let of = match client.state {
                ClientState::Leased(_) | ClientState::Replaying(_) => &mut count.active,
                ClientState::Waiting
                | ClientState::Welcoming
                | ClientState::Listening
                | ClientState::Pausing
                | ClientState::Unsaid => &mut count.waiting,
                ClientState::Idle => &mut count.idle,
                ClientState::Closing => continue,
            };
            *of = of.saturating_add(1);
            count.pinned =
                count.pinned.saturating_add(usize::from(!client.session.pins().is_empty()));
        }
        for (_, server) in &self.servers {
            let count = counts.entry(server.pool).or_default();
            let of = match server.state {
                ServerState::Leased(_) => &mut count.servers_active,
                ServerState::Idle => &mut count.servers_idle,
                ServerState::Surveyed | ServerState::Housekeeping | ServerState::Withheld => {
                    &mut count.servers_busy
                }
                ServerState::Retiring => continue,
            };
            *of = of.saturating_add(1);
        }
        counts
    }

    fn report_pool(&self, pool: &LocalPool, count: Count) -> PoolReport {
        let oldest = pool.waiters.front().map(|waiter| self.now.saturating_sub(waiter.since));
        PoolReport {
            family: pool.family.id,
            database: Arc::clone(&pool.family.database),
            user: Arc::clone(&pool.family.user),
            named: pool.family.named,
            clients_active: count.active,
            clients_waiting: count.waiting,
            clients_idle: count.idle,
            servers_active: count.servers_active,
            servers_idle: count.servers_idle,
            servers_busy: count.servers_busy,
            servers_opening: pool.attempt.under_way(),
            pinned: count.pinned,
            oldest_wait_us: oldest.unwrap_or(0),
            paused: pool.family.is_paused(),
            last_error: pool.attempt.failure.as_ref().map(|failure| Arc::clone(&failure.message)),
            functions: pool.functions.report(),
            stats: pool.stats,
            routes: pool.routes.clone(),
        }
    }

    fn report_client(&self, client: &Client) -> ClientReport {
        let server = match client.state {
            ClientState::Leased(server) | ClientState::Replaying(server) => {
                self.servers.get(server)
            }
            _ => None,
        };
        let family = self.pools.get(client.pool).map(|pool| Arc::clone(&pool.family));
        ClientReport {
            pid: client.key.pid,
            family: family.as_ref().map_or(0, |family| family.id),
            database: family
                .as_ref()
                .map_or_else(|| Arc::from(""), |family| Arc::clone(&family.database)),
            user: family.as_ref().map_or_else(|| Arc::from(""), |family| Arc::clone(&family.user)),
            state: match client.state {
                _ if client.leaving.is_some() => "leaving",
                ClientState::Welcoming => "login",
                ClientState::Idle => "idle",
                ClientState::Waiting
                | ClientState::Listening
                | ClientState::Pausing
                | ClientState::Unsaid => "waiting",
                ClientState::Leased(_) | ClientState::Replaying(_) => "active",
                ClientState::Closing => "closing",
            },
            peer: client.rare.peer,
            connected_us: self.now.saturating_sub(client.rare.connected_at),
            silent_us: self.now.saturating_sub(client.active_at),
            wait_us: if client.state == ClientState::Waiting {
                self.now.saturating_sub(client.since)
            } else {
                0
            },
            kept_us: client.kept.then(|| self.now.saturating_sub(client.rare.kept_since)),
            pinned_by: client.session.pinned_by().map(str::to_owned),
            pins: client.session.pins().iter().collect::<Vec<PinReason>>(),
            server_pid: server.map(|server| server.about.pid),
            statements: client.session.name_count(),
            tls: client.link.is_tls(),
            application_name: client
                .rare
                .startup
                .application_name
                .as_deref()
                .unwrap_or_default()
                .to_owned(),
        }
    }

    fn report_server(&self, server: &Server) -> ServerReport {
        ServerReport {
            serial: server.about.serial,
            family: server.about.family.id,
            database: Arc::clone(&server.about.family.database),
            user: Arc::clone(&server.about.family.user),
            node: server.about.node,
            state: match server.state {
                ServerState::Idle => "idle",
                ServerState::Leased(_) => "active",
                ServerState::Surveyed | ServerState::Housekeeping => "tested",
                ServerState::Withheld => "cancel",
                ServerState::Retiring => "closing",
            },
            pid: server.about.pid,
            age_us: self.now.saturating_sub(server.about.opened_at),
            since_us: self.now.saturating_sub(server.since),
            client_pid: match server.state {
                ServerState::Leased(client) => {
                    self.clients.get(client).map(|client| client.key.pid)
                }
                _ => None,
            },
            statements: server.session.statement_count(),
            tls: server.link.is_tls(),
        }
    }
}
