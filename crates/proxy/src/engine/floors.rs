//! What clients must find on a standby: by what it is raised, and what becomes of a read that a standby cannot serve yet.
//!
//! Nobody waits for a standby: the primary serves what it may not. But a read there raises the floor of its session like
//! anything else, as it may have seen what others have done a moment ago. So a session that sends read after read without a
//! pause would never get away from the primary: when it is known where the log was, it has read once more. It pauses, once it
//! has been turned away several times in a row, until a standby is known to be far enough, or for a few milliseconds.

use trunkline_route::{Because, Plain};
use trunkline_session::{BlockEnd, ClientSession, PoolMode};
use trunkline_settings::{ReadAfterWrite, RoutingMode, Settings};

use super::{
    slot::{ANY, ClientState, SHADOW},
    worker::{Again, Worker},
};
use crate::{
    pool::Family,
    positions::{Positions, Ticket},
};

/// A session that reads from the primary so many times in a row because of its floor pauses before the next read.
const TURNS_MIN: u32 = 8;

/// If no standby is far enough even behind the pause, it does so less often; after so many reads at the latest.
const TURNS_MAX: u32 = 1024;

/// How long a read pauses at most.
pub(super) const PAUSE_US: u64 = 20_000;

/// How the settings want it, for a whole loop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Floors {
    /// What was done before routing was switched on, or its level changed, was not followed.
    base: Ticket,
    /// When that was: who has come later has done nothing before.
    pub(super) since_us: u64,
    /// Somebody goes by what all clients are told.
    pub(super) follows_all: bool,
}

/// A session has ended a transaction on the primary. If its commits may be seen before they are on disk, that counts for all.
pub(super) fn note_commits(session: &ClientSession, family: &Family, positions: &Positions) {
    // What is set in session mode is not followed.
    let unseen = session.mode() == PoolMode::Session;
    if unseen || session.commits_asynchronously() || family.asynchronous {
        positions.note_asynchronous();
    }
}

impl Floors {
    /// From now on.
    pub(super) fn of(settings: &Settings, (base, since_us): (Ticket, u64)) -> Self {
        let all = ReadAfterWrite::Cluster;
        let mut tables = settings.databases.0.values();
        let follows_all = settings.routing.mode != RoutingMode::Off
            && (settings.routing.read_after_write == all
                || tables.any(|table| table.read_after_write == Some(all)));
        Self { base, since_us, follows_all }
    }
}

/// How often a session is turned away from standbys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turns {
    /// In a row.
    in_row: u32,
    /// It pauses when it is so many.
    most: u32,
    /// It pauses for the read that is decided next.
    pauses: bool,
}

impl Default for Turns {
    fn default() -> Self {
        Self { in_row: 0, most: TURNS_MIN, pauses: false }
    }
}

impl Turns {
    /// What is sent now goes where it does because of this; says whether it pauses first.
    fn pauses(&mut self, because: Because) -> bool {
        let has_paused = std::mem::take(&mut self.pauses);
        match because {
            Because::Plain(Plain::OwnWrites | Plain::FloorNotReached) => {
                self.in_row = self.in_row.saturating_add(1);
                if has_paused {
                    self.most = self.most.saturating_mul(4).min(TURNS_MAX);
                }
                self.pauses = !has_paused && self.in_row >= self.most;
                if self.pauses {
                    self.in_row = 0;
                }
            }
            because if because.is_to_standby() => *self = Self::default(),
            _ => self.in_row = 0,
        }
        self.pauses
    }
}

/// What a client does at the primary that is about to serve it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Errand {
    /// Whatever it likes.
    #[default]
    Any,
    /// It reads what a standby could not serve; nothing has been sent yet.
    Read,
    /// That has been sent, and nothing else.
    Reading,
}

impl Worker {
    /// What the client must find on a standby is by now this much.
    pub(super) fn raise_floor(&mut self, index: usize, home: usize) {
        let (Some(client), Some(pool)) = (self.clients.get_mut(index), self.pools.get(home)) else {
            return;
        };
        let positions = self.shared.positions();
        let client_since = client.rare.connected_at;
        let floor = &mut client.rare.routed().floor;
        let level = pool.level;
        if level == ReadAfterWrite::Off {
            return;
        }
        if client_since <= self.floors.since_us {
            floor.cover(self.floors.base);
        }
        if let Some(known) = self.glance.latest(&pool.family.catalog) {
            known.raise(floor);
        }
        if floor.reader() != self.traffic.primary && floor.may_show_less(self.view.load()) {
            // What it has seen there is no more than what the primary has by now.
            floor.raise(positions.want());
        }
        if level == ReadAfterWrite::Cluster
            && let Some(ticket) = positions.acknowledged()
        {
            floor.cover(ticket);
        }
    }

    /// Where a burst goes is decided because of this; says whether the client pauses before it is.
    pub(super) fn is_turned_away(&mut self, index: usize, because: Because) -> bool {
        let Some(client) = self.clients.get_mut(index) else { return false };
        let routed = client.rare.routed();
        if !routed.turns.pauses(because) {
            return false;
        }
        client.state = ClientState::Pausing;
        client.since = self.now;
        self.pausing.push(index);
        self.shared.positions().await_standbys();
        self.arm_client_that_has_a_limit(index);
        true
    }

    /// A standby has said how far it is: those who pause are decided anew, if it is far enough for them.
    pub(super) fn on_caught_up(&mut self) {
        let pausing = std::mem::take(&mut self.pausing);
        for index in pausing {
            let Some(client) = self.clients.get_mut(index) else { continue };
            if client.state != ClientState::Pausing {
                continue;
            }
            let fit = &self.traffic.fit;
            let floor = &mut client.rare.routed().floor;
            let reached = self
                .shared
                .positions()
                .read(|picture| fit.iter().any(|node| floor.is_reached(picture, *node).is_ok()));
            if reached {
                self.end_pause(index);
            } else {
                self.pausing.push(index);
            }
        }
        if !self.pausing.is_empty() {
            self.shared.positions().await_standbys();
        }
    }

    /// The client has paused for long enough, or need not any more.
    pub(super) fn end_pause(&mut self, index: usize) {
        if let Some(client) = self.clients.get_mut(index)
            && client.state == ClientState::Pausing
        {
            client.state = ClientState::Idle;
            self.pausing.retain(|other| *other != index);
            self.again.push_back(Again::Client(index));
        }
    }

    /// A client that may read from standbys gives its server back: a standby's, or the primary's if its pool has no lead.
    #[inline(never)]
    pub(super) fn release_routed(&mut self, index: usize, lead: Option<usize>) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let routed = client.rare.routed();
        routed.stranded_since = 0;
        if let Some(lead) = lead {
            routed.settle();
            routed.block_end = BlockEnd::No;
            routed.crossing.clear();
            routed.floor.has_read(self.now);
            client.horizon = ANY;
            client.pool = lead;
            return;
        }
        if client.horizon == SHADOW {
            // It has seen there what it would have seen at a standby.
            routed.block_end = BlockEnd::No;
            routed.floor.has_read(self.now);
            client.horizon = ANY;
            return;
        }
        let pool = self.pools.get(client.pool);
        if let Some(pool) = pool {
            note_commits(&client.session, &pool.family, self.shared.positions());
        }
        if pool.is_some_and(|pool| pool.level != ReadAfterWrite::Off) {
            // Whatever it has done or seen there, it finds again wherever it reads next.
            routed.floor.raise(self.shared.positions().want());
        }
        if let Some(primary) = routed.shared.take() {
            routed.floor.reads_from(primary, self.now);
        }
    }

    /// The client has been told of something that another one has done: it finds that.
    pub(super) fn was_told(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        if self.router.is_on() {
            client.rare.routed().floor.raise(self.shared.positions().want());
        }
    }

    /// The client sends something to the server that serves it.
    #[cold]
    pub(super) fn note_sent(&mut self, index: usize) {
        if let Some(routed) = self.clients.get_mut(index).and_then(|it| it.rare.routed.as_mut()) {
            routed.errand = match routed.errand {
                Errand::Read => Errand::Reading,
                Errand::Any | Errand::Reading => Errand::Any,
            };
        }
    }

    /// The client is about to be told what a server has answered. Others may know that the transaction has ended as soon as
    /// it is. A read that a standby could not serve has done nothing; it would keep those of others from standbys too.
    #[cold]
    pub(super) fn acknowledge(&self, index: usize) {
        let Some(client) = self.clients.get(index) else { return };
        let reads = client.rare.routed.as_ref().is_some_and(|it| it.errand == Errand::Reading);
        let pool = self.pools.get(client.pool);
        if client.horizon == ANY
            && !reads
            && pool.is_some_and(|it| it.level == ReadAfterWrite::Cluster)
        {
            self.shared.positions().acknowledge();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWAY: Because = Because::Plain(Plain::OwnWrites);

    #[test]
    fn a_session_pauses_when_it_is_turned_away_again_and_again_and_less_often_if_that_is_in_vain() {
        let mut turns = Turns::default();
        let mut reads = |away: Because| (1..=5000).find(|_| turns.pauses(away)).unwrap_or(0);
        assert_eq!(reads(AWAY), TURNS_MIN);
        // The first is the one that has paused.
        assert_eq!(reads(AWAY), TURNS_MIN * 4);
        assert_eq!(reads(AWAY), TURNS_MIN * 16);
        assert_eq!(reads(AWAY), TURNS_MIN * 64);
        assert_eq!(reads(AWAY), TURNS_MAX);
        assert_eq!(reads(AWAY), TURNS_MAX);
        assert_eq!(reads(Because::READ), 0);
        assert_eq!(reads(AWAY), TURNS_MIN);
    }

    #[test]
    fn who_writes_is_not_turned_away() {
        let mut turns = Turns::default();
        for _ in 0..10 {
            assert!((1..TURNS_MIN).all(|_| !turns.pauses(AWAY)));
            assert!(!turns.pauses(Plain::Session.into()));
        }
    }
}
