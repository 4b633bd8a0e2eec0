//! Where what a client sends goes: to the primary, or to a standby that is fit for it.

use trunkline_route::{Asked, Because, Plain};
use trunkline_session::{Begin, Onward};
use trunkline_settings::RoutingMode;

use super::{
    crossing,
    floors::Errand,
    routed::{FoundBy, Routed},
    slot::{ANY, SHADOW},
    to_server::HOLD_MAX,
    worker::Worker,
};
use crate::routing::{begins_here, sees_commits_in};

/// What of a burst goes to the server that serves the client.
pub(super) struct Share<'a> {
    /// Its bytes, from the beginning of the burst.
    pub(super) data: &'a [u8],
    /// A standby has it, which may refuse it.
    pub(super) is_tried: bool,
    /// Nothing is under way there.
    begins: bool,
    /// It belongs to a transaction that is open there and may go on on the primary.
    within: bool,
}

impl<'a> Share<'a> {
    /// All of it, to a server that carries it out whatever it is.
    pub(super) const fn all(data: &'a [u8]) -> Self {
        Self { data, is_tried: false, begins: false, within: false }
    }
}

impl Worker {
    /// Decides where the burst goes of a client that holds no server and is about to get one. Says whether it is to get one
    /// now.
    pub(super) fn direct(&mut self, index: usize, data: &[u8]) -> bool {
        let Some(client) = self.clients.get_mut(index) else { return true };
        if let Some(routed) = &mut client.rare.routed {
            routed.errand = Errand::Any;
        }
        if client.crosses {
            return true;
        }
        let asked = self.asked(index);
        if asked.is_whole() {
            return self.direct_whole(index, data);
        }
        let because = match self.steer(index, asked, data) {
            Ok(because) | Err(because) => because,
        };
        // In a shadow nobody pauses for a standby that is not read from.
        let shadow = self.settings.routing.mode == RoutingMode::Shadow;
        if !shadow && self.is_turned_away(index, because) {
            return false;
        }
        self.note_route(index, data, because);
        true
    }

    /// Sends what may go of the burst to a standby, or says why all of it goes to the primary.
    fn steer(&mut self, index: usize, asked: Asked, data: &[u8]) -> Result<Because, Because> {
        if !self.router.judges() {
            return Err(Plain::Off.into());
        }
        let begin = self.begin();
        if !self.standbys.are_usable() {
            return Err(Plain::NoFitStandby.into());
        }
        let client = self.clients.get_mut(index).ok_or(Plain::Session)?;
        let routed = client.rare.routed();
        routed.shared = None;
        routed.crossing.clear();
        if std::mem::take(&mut routed.stays_home) {
            return Err(Plain::RunAgain.into());
        }
        if !client.session.may_read_elsewhere() {
            return Err(Plain::Session.into());
        }
        let home = client.pool;
        let (because, bytes) = self.foresee(index, (home, asked), (begin, data))?;
        let node = self.choose_standby(index, (home, false))?;
        if self.settings.routing.mode == RoutingMode::Shadow {
            self.shadow(index, bytes >= data.len());
            return Ok(because);
        }
        let beside = self.beside(home, node, false).ok_or(Plain::NoConnection)?;
        let client = self.clients.get_mut(index).ok_or(Plain::Session)?;
        client.pool = beside;
        client.horizon = bytes;
        Ok(because)
    }

    /// So many bytes at the beginning of the burst only read, and may go to a standby; or why they may not.
    fn foresee(
        &mut self,
        index: usize,
        (home, asked): (usize, Asked),
        (begin, data): (Begin, &[u8]),
    ) -> Result<(Because, usize), Because> {
        let client = self.clients.get_mut(index).ok_or(Plain::Session)?;
        let pool = self.pools.get(home).ok_or(Plain::Session)?;
        let latest = self.glance.latest(&pool.family.catalog);
        let known = pool.family.catalog.of_now(latest).ok_or(Plain::UnknownCatalog)?;
        let Routed { path, way, errand, crossing, .. } = client.rare.routed();
        let generation = known.snapshot.generation();
        let (judge, version) = (self.router.edition(), path.version());
        let by = FoundBy { asked, generation, path: version, judge };
        if client.session.repeats(&way.beaten, data)
            && way.by == by
            && path.is_current(&client.session, &pool.family, &known.snapshot)
        {
            *errand = Errand::Read;
            return Ok((way.because, data.len()));
        }
        way.beaten.forget();
        let judge = self.router.judge((&pool.family, &client.session), known, path, self.now);
        let mut judge = judge.ok_or(Plain::Off)?.trusting(asked.trust());
        let mut because = Because::Plain(Plain::NoQuery);
        let horizon = client.session.horizon(data, begin, |text| {
            let found = judge.decide(asked, text);
            // What follows the first read waits for its turn.
            if !because.is_to_standby() {
                because = found;
            }
            found.is_to_standby()
        });
        if let Some(block) = &horizon.block {
            because = begins_here(block, &mut judge, (asked, &pool.family));
        } else if because.is_to_standby() && judge.is_serializable(&client.session) {
            because = Plain::UnknownLevel.into();
        }
        if horizon.bytes == 0 || !because.is_to_standby() {
            return Err(if because.is_to_standby() { Plain::NoQuery.into() } else { because });
        }
        let bytes = horizon.bytes;
        if bytes == data.len() {
            *errand = Errand::Read;
            if horizon.block.is_none() {
                way.beaten.keep(&client.session, data);
                (way.because, way.by) = (because, FoundBy { path: judge.version(), ..by });
            }
        }
        match horizon.block {
            Some(block) if block.reads_only => {
                let sees_commits = sees_commits_in(&block, &pool.family, judge.snapshot());
                crossing.begin_read_only(&block, sees_commits);
            }
            Some(block) => crossing.begin(&block),
            None => {}
        }
        Ok((because, bytes))
    }

    /// What may go of a burst to the standby that serves the client; none if its transaction goes on on the primary, and the
    /// burst with it.
    pub(super) fn share_of_standby<'a>(
        &mut self,
        index: usize,
        server_index: usize,
        data: &'a [u8],
    ) -> Option<Share<'a>> {
        let (Some(client), Some(server)) =
            (self.clients.get_mut(index), self.servers.get_mut(server_index))
        else {
            return Some(Share::all(data));
        };
        if client.horizon == SHADOW {
            Self::follow_shadow(client, server, data);
            return Some(Share::all(data));
        }
        let begun = client.stream.remaining.min(data.len());
        let first = client.horizon > 0;
        let may = if client.horizon > 0 || begun > 0 {
            client.horizon.max(begun).min(data.len())
        } else if client.rare.routed().crossing.is_begun() {
            match self.onward(index, server_index, data) {
                Onward::There(bytes) => bytes,
                Onward::Across => return None,
            }
        } else {
            let end = &mut client.rare.routed().block_end;
            server.session.horizon_in_block(data, HOLD_MAX, end)
        };
        let data = data.get(..may).unwrap_or_default();
        // A transaction that stays there is none of those from here on: what is refused in it is.
        let (Some(client), Some(server)) =
            (self.clients.get_mut(index), self.servers.get(server_index))
        else {
            return Some(Share::all(data));
        };
        let within = crossing::may_go_on(client, server);
        let tried = within && client.rare.routed().crossing.may_be_tried();
        let begins = (first || tried) && server.session.has_begun_nothing();
        Some(Share { data, is_tried: true, begins, within })
    }

    /// Takes note of what has gone of a share to the standby.
    pub(super) fn sent_to_standby(&mut self, index: usize, share: &Share<'_>, taken: usize) {
        if let Some(client) = self.clients.get_mut(index)
            && client.horizon != ANY
        {
            if share.within {
                client.rare.routed().crossing.reads();
            }
            client.horizon = client.horizon.saturating_sub(taken);
            Self::try_at_standby(client, share.data.get(..taken).unwrap_or_default(), share.begins);
        }
    }
}
