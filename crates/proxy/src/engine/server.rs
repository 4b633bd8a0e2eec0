//! How server connections arrive at a loop: new ones, and those from other loops.

use std::sync::Arc;

use bytes::BytesMut;
use trunkline_session::ServerSession;

use super::{
    lease::us,
    link::Link,
    local::LocalPool,
    readiness::Token,
    shared::Shared,
    slot::{ClientState, Moving, Server, ServerAbout, ServerState, Stream},
    worker::Worker,
};
use crate::{
    cluster::NodeId,
    handover::NewServer,
    pool::{Family, Permit, Place},
};

impl Worker {
    /// The loop's own part of a family's pool.
    pub(super) fn pool_of(&mut self, family: &Arc<Family>) -> usize {
        if let Some(index) = self.by_family.get(&family.id).copied() {
            if let Some(pool) = self.pools.get_mut(index) {
                // A family that was removed comes back with the settings of now.
                pool.follow_policy();
            }
            return index;
        }
        let lead = family.lead().map(|lead| self.pool_of(lead));
        let index = self.pools.insert(LocalPool { lead, ..LocalPool::new(Arc::clone(family)) });
        self.by_family.insert(family.id, index);
        if let (Some(lead), Place::Standby(node)) = (lead, family.place)
            && let Some(lead) = self.pools.get_mut(lead)
        {
            let besides =
                if family.tells_of_standby { &mut lead.beside_whole } else { &mut lead.beside };
            besides.push((node, index));
        }
        index
    }

    pub(super) fn about(
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
            silent: false,
            pid: new.pid,
            cancel_key: new.cancel_key.clone(),
            generation,
            backend: self.shared.backends().opened(node, new.pid),
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

    pub(super) fn settle_server(
        &mut self,
        pool_index: usize,
        new: NewServer,
        about: Option<Box<ServerAbout>>,
    ) {
        let Some(about) = about else { return };
        let mut reported = new.reported;
        let hides = about.family.place != Place::Primary && !about.family.tells_of_standby;
        if hides && reported.get(b"in_hot_standby").is_some() {
            // Clients are told of one server, which is the primary. There is room: the name is known.
            let _told = reported.set(b"in_hot_standby", b"off");
        }
        let reported = about.family.share_reported(Arc::new(reported));
        about.family.learn_welcome(&reported);
        let mut session = Box::new(ServerSession::new(reported));
        session.set_standby(about.family.place != Place::Primary);
        let link = Link::new(new.socket, new.tls);
        let Some(index) = self.adopt(pool_index, link, session, about) else { return };
        if let Some(server) = self.servers.get_mut(index) {
            server.held = if new.early.is_empty() { BytesMut::new() } else { new.early };
        }
        if let Some(pool) = self.pools.get_mut(pool_index) {
            pool.stats.opened = pool.stats.opened.wrapping_add(1);
        }
        self.guard_server(index, |worker| worker.survey(index));
        self.welcome_all(pool_index);
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
            cancel_due: None,
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
            self.guard_server(index, |worker| worker.park(index));
        }
    }

    fn welcome_all(&mut self, pool_index: usize) {
        let Some(pool) = self.pools.get(pool_index) else { return };
        let Some(reported) = pool.family.welcome.load_full() else { return };
        let next = |pool: &mut LocalPool| pool.welcoming.pop_front();
        while let Some(client) = self.pools.get_mut(pool_index).and_then(next) {
            if self.client_is(client, ClientState::Welcoming) {
                self.guard_client(client, |worker| worker.welcome(client, &reported));
            }
        }
    }
}
