//! What happens when a loop keeps more for its clients than its share of `limits.held_total`: who is refused, and what
//! they are told.
//!
//! Nothing is asked or counted on the way of bytes that go on at once. A client is counted anew where bytes of it stay
//! behind, and where they go on.

use std::{io, time::Duration};

use trunkline_wire::{SqlState, backend::Report, frame::peek};

use super::{
    ledger::{Entry, share},
    readiness::Token,
    slot::{Client, ClientState},
    worker::{Again, Worker},
};

/// What can be done.
const HINT: &str =
    "Raise limits.held_total, or see why clients send, or read, so slowly, or wait for so long.";

/// How long a message may be on its way, or a client not read, before that is held against it: any long message comes in
/// parts.
const GRACE_US: u64 = 1_000_000;

/// Why something is kept for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Burden {
    /// It has sent a part of a message.
    Unfinished,
    /// It has not read everything.
    Unread,
    /// Its statement waits for a server connection.
    Waiting,
    /// It has sent ahead, and its server is not there yet.
    Ahead,
}

/// In which order clients are refused for whom something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// Who has begun a message and not ended it in [`GRACE_US`]: first who has begun first.
    Slow { since: u64 },
    /// Who has not read anything for so long: first who has not for longest.
    Deaf { since: u64 },
    /// Nobody else is to blame: first for whom most is kept, because then the fewest have to go.
    Large { less_than_all: u64 },
}

impl Client {
    /// Why something is kept for it; nothing if nothing is.
    fn burden(&self) -> Option<Burden> {
        let own_move = matches!(self.state, ClientState::Idle | ClientState::Leased(_));
        if self.rare.entry.counted == 0 {
            None
        } else if own_move && is_unfinished(&self.held) {
            Some(Burden::Unfinished)
        } else if self.link.backlog() > 0 {
            Some(Burden::Unread)
        } else if self.state == ClientState::Waiting {
            Some(Burden::Waiting)
        } else {
            Some(Burden::Ahead)
        }
    }

    /// When its turn is to be refused.
    fn turn(&self, now: u64) -> Option<Turn> {
        let Entry { counted, sent_since, unread_since } = self.rare.entry;
        let long_ago = |since: u64| now.saturating_sub(since) >= GRACE_US;
        Some(match self.burden()? {
            Burden::Unfinished if long_ago(sent_since) => Turn::Slow { since: sent_since },
            Burden::Unread if long_ago(unread_since) => Turn::Deaf { since: unread_since },
            _ => Turn::Large { less_than_all: !u64::try_from(counted).unwrap_or(u64::MAX) },
        })
    }
}

/// Whether the first message that is held is not complete.
fn is_unfinished(held: &[u8]) -> bool {
    match peek(held) {
        Ok(Some(header)) => header.len > held.len(),
        Ok(None) => !held.is_empty(),
        // It is about to be refused.
        Err(_) => false,
    }
}

impl Worker {
    /// Counts anew what is kept for a client.
    pub(super) fn count_held(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let is = client.held.footprint().saturating_add(client.link.footprint());
        let entry = &mut client.rare.entry;
        self.ledger.change(std::mem::replace(&mut entry.counted, is), is);
        mark(&mut entry.sent_since, !client.held.is_empty(), self.now);
        mark(&mut entry.unread_since, client.link.backlog() > 0, self.now);
        if self.ledger.is_over() && self.again.front() != Some(&Again::Relieve) {
            self.again.push_front(Again::Relieve);
        }
    }

    /// Not all could be written to the client; or some could that could not before.
    #[cold]
    pub(super) fn written_in_part(&mut self, index: usize, sent: io::Result<()>) {
        #[cfg(test)]
        super::fault::point();
        let Some(client) = self.clients.get_mut(index) else { return };
        let sent = sent.and_then(|()| {
            client.link.update_interest(self.readiness.registry(), Token::Client(index))
        });
        match sent {
            Ok(()) => self.count_held(index),
            Err(error) => self.client_gone(index, Some(&error)),
        }
    }

    /// All clients are counted from the beginning.
    #[cold]
    pub(super) fn count_all_held(&mut self) {
        self.ledger.clear();
        let clients: Vec<usize> = self.clients.iter().map(|(index, _)| index).collect();
        for index in clients {
            if let Some(client) = self.clients.get_mut(index) {
                client.rare.entry.counted = 0;
            }
            self.count_held(index);
        }
    }

    /// The settings have changed.
    pub(super) fn share_anew(&mut self) {
        let limits = &self.settings.limits;
        let loops = self.shared.loops().len();
        self.ledger.set_share(share(limits.held_total, loops, limits.client_buffer));
        self.again.push_back(Again::Relieve);
    }

    /// Refuses clients until no more than the share is kept.
    #[inline]
    pub(super) fn relieve(&mut self) {
        if self.ledger.is_over() {
            self.relieve_now();
        }
    }

    #[cold]
    fn relieve_now(&mut self) {
        let turn = |(index, client): (usize, &Client)| Some((client.turn(self.now)?, index));
        let mut turns: Vec<(Turn, usize)> = self.clients.iter().filter_map(turn).collect();
        turns.sort_unstable();
        for (_, index) in turns {
            if !self.ledger.is_over() {
                return;
            }
            self.guard_client(index, |worker| worker.unburden(index));
        }
    }

    /// Refuses a client for which something is kept.
    fn unburden(&mut self, index: usize) {
        #[cfg(test)]
        super::fault::point();
        let Some(client) = self.clients.get(index) else { return };
        // Refusing others may have changed what it does.
        let Some(burden) = client.burden() else { return };
        self.ledger.refused = self.ledger.refused.wrapping_add(1);
        match burden {
            Burden::Unfinished => {
                self.refuse_for_good(index, "too much is held of messages that are not complete");
            }
            Burden::Unread => self.cut_off_unread(index),
            Burden::Waiting => self.refuse_what_waits(index),
            Burden::Ahead => {
                self.refuse_for_good(index, "too much is held of what was sent ahead");
            }
        }
    }

    /// It would not read why, at least not soon, and the reason would have to be kept as well.
    fn cut_off_unread(&mut self, index: usize) {
        let Some(client) = self.clients.get(index) else { return };
        let silent = self.span_since(client.rare.entry.unread_since);
        let why = format!(
            "it has not read for {silent} what was sent to it. {}",
            self.held_in_words(index)
        );
        self.count_error(index);
        self.hang_up(index, &why);
    }

    /// The statement is refused, and the client may send it again. If it has sent so many ahead that this hardly helps,
    /// it has to go.
    fn refuse_what_waits(&mut self, index: usize) {
        let Some(client) = self.clients.get(index) else { return };
        let before = client.rare.entry.counted;
        let detail = self.held_in_words(index);
        if let Some(pool) = self.pools.get_mut(client.pool) {
            pool.forget(index);
            pool.publish(self.index);
        }
        self.refuse_statement(
            index,
            &Report::error(
                SqlState::OUT_OF_MEMORY,
                "too much is held of statements that wait for a server connection",
            )
            .with_detail(&detail)
            .with_hint(HINT),
        );
        self.client_bytes(index, &[]);
        let after = self.clients.get(index).map_or(0, |client| client.rare.entry.counted);
        if after > before / 2 {
            self.refuse_for_good(index, "too much is held of what was sent ahead");
        }
    }

    fn refuse_for_good(&mut self, index: usize, message: &str) {
        let detail = self.held_in_words(index);
        let report = Report::fatal(SqlState::OUT_OF_MEMORY, message).with_detail(&detail);
        self.fatal_report(index, &report.with_hint(HINT));
    }

    /// What is held, for how long, and how much may be.
    fn held_in_words(&self, index: usize) -> String {
        let entry = self.clients.get(index).map(|client| client.rare.entry).unwrap_or_default();
        let since = if entry.sent_since == 0 { entry.unread_since } else { entry.sent_since };
        let (total, loops) = (self.settings.limits.held_total, self.shared.loops().len());
        format!(
            "{} bytes are held for this client, some for {}; {} bytes for all clients of its worker thread, which may \
             hold {} (limits.held_total, {total}, is shared by {loops} worker threads).",
            entry.counted,
            self.span_since(since),
            self.ledger.held(),
            self.ledger.share(),
        )
    }

    /// The time since then, in words.
    fn span_since(&self, since: u64) -> String {
        format!("{:.1} s", Duration::from_micros(self.now.saturating_sub(since)).as_secs_f64())
    }
}

/// Keeps the time since when something holds.
fn mark(since: &mut u64, holds: bool, now: u64) {
    if !holds {
        *since = 0;
    } else if *since == 0 {
        *since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_unfinished_until_its_last_byte() {
        let message = b"Q\0\0\0\x0dSELECT 1\0";
        for len in 1..message.len() {
            assert!(is_unfinished(&message[..len]), "{len}");
        }
        assert!(!is_unfinished(message) && !is_unfinished(b""));
        assert!(!is_unfinished(&[message.as_slice(), b"Q\0"].concat()));
    }

    #[test]
    fn who_is_to_blame_goes_before_who_takes_most() {
        let large = |counted: u64| Turn::Large { less_than_all: !counted };
        let (slow, deaf) = (|since| Turn::Slow { since }, |since| Turn::Deaf { since });
        let mut all = [large(500), deaf(9), large(700), slow(20), slow(10), deaf(8)];
        all.sort_unstable();
        assert_eq!(all, [slow(10), slow(20), deaf(8), deaf(9), large(700), large(500)]);
    }
}
