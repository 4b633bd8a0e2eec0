//! Who listens to what in one database, and what the connection there is to be told.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use tokio::time::Instant;
use trunkline_session::Channel;
use trunkline_sql::quote;

use super::calls::{Ask, Ticket};

/// Channels of all clients of a database together; who wants more keeps a server.
const CHANNELS_MAX: usize = 100_000;

/// Channels that are begun or ended by one query.
const BATCH_MAX: usize = 500;

/// A database of the servers, and the encoding in which clients there are told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) database: Arc<str>,
    pub(crate) encoding: Arc<str>,
}

/// Where a client is, and a number that no other client has had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) at: usize,
    pub(crate) slot: usize,
    pub(crate) id: u64,
}

/// Clients of one loop: their numbers, and their slots.
pub(crate) type Audience = Arc<BTreeMap<u64, usize>>;

/// The book of one database.
#[derive(Debug, Default)]
pub(super) struct Board {
    members: BTreeMap<u64, Listens>,
    /// What is heard, or about to be, by loop for whom.
    channels: BTreeMap<Channel, BTreeMap<usize, Audience>>,
    /// What is heard for nobody any more.
    idle: BTreeSet<Channel>,
    asks: VecDeque<Ask>,
    tickets: Vec<Ticket>,
    /// Why there is no connection, and none is expected soon: nobody need wait for one.
    pub(super) failing: Option<Arc<str>>,
    /// There is one.
    pub(super) is_up: bool,
}

/// A client that listens, or may.
#[derive(Debug)]
struct Listens {
    seat: Seat,
    channels: BTreeSet<Channel>,
}

/// What the connection is told by one query, and who waits for its answer.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) text: Vec<u8>,
    asks: Vec<Ask>,
    tickets: Vec<Ticket>,
    /// Channels for which nobody waits any more.
    forsaken: Vec<Channel>,
    /// Those who want too much by now; to be dropped when the board is not held.
    pub(super) refused: Vec<Ask>,
}

impl Batch {
    /// When the next one has waited for too long.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.asks.iter().map(|ask| ask.due).min()
    }

    /// Those who have waited for too long: what they want may be heard soon, but not for them.
    pub(super) fn expired(&mut self, now: Instant) -> Vec<Ask> {
        let (late, rest) =
            std::mem::take(&mut self.asks).into_iter().partition::<Vec<_>, _>(|ask| ask.due <= now);
        self.asks = rest;
        self.forsaken.extend(late.iter().flat_map(|ask| ask.channels.iter().cloned()));
        late
    }

    /// How many clients wait for it.
    pub(super) fn ask_count(&self) -> usize {
        self.asks.len()
    }
}

impl Board {
    pub(super) fn join(&mut self, seat: Seat) {
        self.members.insert(seat.id, Listens { seat, channels: BTreeSet::new() });
    }

    /// The client has gone.
    pub(super) fn leave(&mut self, id: u64) {
        let Some(member) = self.members.remove(&id) else { return };
        for channel in &member.channels {
            self.drop_from(channel, member.seat);
        }
    }

    /// The client no longer listens to these.
    pub(super) fn forget(&mut self, id: u64, channels: &[Channel]) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let seat = member.seat;
        let gone: Vec<_> =
            channels.iter().filter(|channel| member.channels.remove(*channel)).collect();
        for channel in gone {
            self.drop_from(channel, seat);
        }
    }

    fn drop_from(&mut self, channel: &Channel, seat: Seat) {
        let Some(loops) = self.channels.get_mut(channel) else { return };
        if let Some(audience) = loops.get_mut(&seat.at) {
            Arc::make_mut(audience).remove(&seat.id);
            if audience.is_empty() {
                loops.remove(&seat.at);
            }
        }
        if loops.is_empty() {
            self.idle.insert(channel.clone());
        }
    }

    /// A client wants to be told of more; gives the wish back if there is no use in waiting.
    pub(super) fn ask(&mut self, ask: Ask) -> Option<Ask> {
        let all = self.channels.len().saturating_add(ask.channels.len());
        let waits = self.is_up || !ask.channels.is_empty();
        if self.failing.is_some() || all > CHANNELS_MAX || !waits {
            return Some(ask);
        }
        self.asks.push_back(ask);
        None
    }

    /// A server waits until what it has sent is heard; gives the ticket back if nothing is heard now.
    pub(super) fn wait(&mut self, ticket: Ticket) -> Option<Ticket> {
        if !self.is_up || self.members.is_empty() {
            return Some(ticket);
        }
        self.tickets.push(ticket);
        None
    }

    /// There is no connection now: who waits for one goes on waiting, who waits for what it hears does not.
    pub(super) fn went_down(&mut self, batch: Option<Batch>) -> (Vec<Ask>, Vec<Ticket>) {
        self.is_up = false;
        let batch = batch.unwrap_or_default();
        let mut tickets = std::mem::take(&mut self.tickets);
        tickets.extend(batch.tickets);
        let asks = batch.asks.into_iter().chain(std::mem::take(&mut self.asks));
        let (wait, rest): (Vec<_>, Vec<_>) = asks.partition(|ask| !ask.channels.is_empty());
        self.asks = wait.into();
        (rest, tickets)
    }

    /// No connection can be made: nobody need wait.
    pub(super) fn fail(&mut self, why: &str) -> VecDeque<Ask> {
        self.failing = Some(why.into());
        std::mem::take(&mut self.asks)
    }

    /// There is a new connection. The queries that make it hear what is listened to.
    pub(super) fn came_up(&mut self) -> Vec<Vec<u8>> {
        self.failing = None;
        for channel in std::mem::take(&mut self.idle) {
            self.channels.remove(&channel);
        }
        let all: Vec<&Channel> = self.channels.keys().collect();
        all.chunks(BATCH_MAX)
            .map(|some| {
                let mut text = Vec::new();
                for channel in some {
                    command(&mut text, "LISTEN", channel);
                }
                text
            })
            .collect()
    }

    /// Those who have waited for too long.
    pub(super) fn expired(&mut self, now: Instant) -> VecDeque<Ask> {
        let asks = std::mem::take(&mut self.asks);
        let (late, rest) = asks.into_iter().partition(|ask| ask.due <= now);
        self.asks = rest;
        late
    }

    /// When the next one has waited for too long.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.asks.iter().map(|ask| ask.due).min()
    }

    /// Whether nobody listens, nor wants to.
    pub(super) fn is_deserted(&self) -> bool {
        self.members.is_empty()
    }

    /// How many clients there are that listen, and how many channels they listen to.
    pub(super) fn count(&self) -> (usize, usize) {
        let clients = self.members.values().filter(|member| !member.channels.is_empty()).count();
        (clients, self.channels.len().saturating_sub(self.idle.len()))
    }

    /// What the connection is to be told next, if anything; of one client only if what several wanted was refused.
    pub(super) fn take_batch(&mut self, singly: bool) -> Option<Batch> {
        if self.asks.is_empty() && self.tickets.is_empty() && self.idle.is_empty() {
            return None;
        }
        let mut batch = Batch::default();
        let (mut wanted, mut ended) = (0_usize, 0);
        while let Some(ask) = self.asks.front() {
            let all = self.channels.len().saturating_add(wanted);
            if !ask.channels.is_empty() && all.saturating_add(ask.channels.len()) > CHANNELS_MAX {
                batch.refused.extend(self.asks.pop_front());
                continue;
            }
            let more = wanted.saturating_add(ask.channels.len());
            if !batch.asks.is_empty() && (singly || more > BATCH_MAX) {
                break;
            }
            wanted = more;
            for channel in &ask.channels {
                command(&mut batch.text, "LISTEN", channel);
                if self.idle.remove(channel) {
                    self.channels.remove(channel);
                }
            }
            batch.asks.extend(self.asks.pop_front());
        }
        // What is refused with a wish of a client would be heard for ever.
        let can_end = batch.asks.is_empty();
        while can_end && let Some(channel) = self.idle.pop_first() {
            command(&mut batch.text, "UNLISTEN", &channel);
            self.channels.remove(&channel);
            ended += 1;
            if ended >= BATCH_MAX {
                break;
            }
        }
        batch.tickets = std::mem::take(&mut self.tickets);
        Some(batch)
    }

    /// The connection has done so: who is there now is told from here on what is heard.
    pub(super) fn done(&mut self, batch: Batch) -> (Vec<Ask>, Vec<Ticket>) {
        for ask in &batch.asks {
            for channel in &ask.channels {
                let loops = self.channels.entry(channel.clone()).or_default();
                if let Some(member) = self.members.get_mut(&ask.seat.id) {
                    member.channels.insert(channel.clone());
                    let audience = loops.entry(ask.seat.at).or_default();
                    Arc::make_mut(audience).insert(ask.seat.id, ask.seat.slot);
                    self.idle.remove(channel);
                } else if loops.is_empty() {
                    self.idle.insert(channel.clone());
                }
            }
        }
        for channel in batch.forsaken {
            if self.channels.entry(channel.clone()).or_default().is_empty() {
                self.idle.insert(channel);
            }
        }
        (batch.asks, batch.tickets)
    }

    /// The connection has refused: if one client alone has asked, it need not wait; else they ask again one by one.
    pub(super) fn refused(&mut self, batch: Batch) -> (Vec<Ask>, Vec<Ticket>) {
        if batch.asks.len() <= 1 {
            return (batch.asks, batch.tickets);
        }
        batch.asks.into_iter().rev().for_each(|ask| self.asks.push_front(ask));
        (Vec::new(), batch.tickets)
    }

    /// Whom to tell of a notification on this channel, by loop.
    pub(super) fn audience(&self, channel: &[u8]) -> Vec<(usize, Audience)> {
        let loops = self.channels.get(channel).into_iter().flatten();
        loops.map(|(at, audience)| (*at, Arc::clone(audience))).collect()
    }

    /// All clients that listen to something, by loop.
    pub(super) fn everybody(&self) -> Vec<(usize, Audience)> {
        let mut loops = BTreeMap::<usize, BTreeMap<u64, usize>>::new();
        for member in self.members.values().filter(|member| !member.channels.is_empty()) {
            let Seat { at, slot, id } = member.seat;
            loops.entry(at).or_default().insert(id, slot);
        }
        loops.into_iter().map(|(at, audience)| (at, Arc::new(audience))).collect()
    }
}

/// Appends a command with a channel's name, quoted.
fn command(text: &mut Vec<u8>, verb: &str, channel: &[u8]) {
    text.extend_from_slice(verb.as_bytes());
    text.push(b' ');
    quote::write_identifier(text, channel);
    text.push(b';');
}

#[cfg(test)]
mod tests;
