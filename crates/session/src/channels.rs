//! The channels that a client listens to while it shares servers.
//!
//! A server cannot listen for a client that it serves now and then, so the shell has one connection for all clients of a
//! database that does: the listener. `LISTEN` goes to the client's server all the same, so that its answer is the
//! server's own, but not before the listener hears the channel: what is sent after the answer to a `LISTEN`, or to the
//! `COMMIT` behind it, or in the same transaction, finds the listener there. The server forgets the channel before it
//! serves anybody else. What the listener cannot hear, or what was seen too late to ask it, pins, and the server's own
//! notifications are passed on.
//!
//! As for PostgreSQL (`async.c`), `LISTEN` and `UNLISTEN` count from the commit, and are undone by a rollback.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    change::Change,
    client::{ClientSession, PoolMode},
    effect::Effects,
    expect::Owed,
    from_client::Step,
    hold::Why,
    pin::PinReason,
    readback::Findings,
    server::{ServerSession, TxStatus},
};

/// A client that listens to more channels keeps a server for itself.
pub(crate) const CHANNELS_MAX: usize = 1000;

/// At most this many savepoints are followed since the first `LISTEN` of a transaction; deeper ones keep the channels of
/// the deepest followed.
const SAVEPOINTS_MAX: usize = 1024;

/// A channel, as PostgreSQL compares them.
pub type Channel = Box<[u8]>;

type Set = BTreeSet<Channel>;

/// What a client listens to.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    committed: Arc<Set>,
    /// What it listens to when the transaction commits.
    current: Arc<Set>,
    /// The same at each savepoint since the first change of the transaction.
    saved: Vec<(Box<[u8]>, Arc<Set>)>,
    /// There are savepoints that are not followed.
    deeper: bool,
    /// What the listener hears for this client: all that is committed, and what may be.
    heard: Set,
    ask: Ask,
    /// The listener has answered since the server was last ready: what it hears now was sent later.
    fresh: bool,
    /// A commit ends what pins.
    unpins: bool,
}

/// What the listener is to be asked.
#[derive(Debug, Default)]
enum Ask {
    #[default]
    Nothing,
    /// To hear these; if there are none, only to tell when it has heard what was sent by now.
    Due(Set),
    /// It was asked, and has not answered.
    Asked(Set),
    /// It cannot: the message that waits goes on without.
    Denied,
}

/// What becomes of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    /// The client listens to the channel, or will have if what is under way commits: the notification is for it if it
    /// [does](ClientSession::listens_to) when it is idle.
    Kept,
    /// It does not.
    Not,
}

impl Channels {
    fn rollback(&mut self) {
        self.current = Arc::clone(&self.committed);
        self.end();
    }

    fn commit(&mut self) {
        self.committed = Arc::clone(&self.current);
        self.end();
    }

    fn end(&mut self) {
        self.saved.clear();
        self.deeper = false;
        self.unpins = false;
    }

    fn savepoint(&mut self, name: &[u8]) {
        if self.saved.len() < SAVEPOINTS_MAX {
            self.saved.push((name.into(), Arc::clone(&self.current)));
        } else {
            self.deeper = true;
        }
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        self.saved.iter().rposition(|(known, _)| **known == *name)
    }

    fn rollback_to(&mut self, name: &[u8]) {
        self.unpins = false;
        match self.find(name) {
            Some(place) => {
                self.saved.truncate(place.saturating_add(1));
                if let Some((_, set)) = self.saved.get(place) {
                    self.current = Arc::clone(set);
                }
            }
            None if self.deeper => {}
            // It is older than the first change.
            None => self.rollback(),
        }
    }

    fn release(&mut self, name: &[u8]) {
        match self.find(name) {
            Some(place) => self.saved.truncate(place),
            None if self.deeper => {}
            None => self.saved.clear(),
        }
    }

    /// Whether a commit makes the client listen to more.
    fn has_news(&self) -> bool {
        !Arc::ptr_eq(&self.current, &self.committed) && !self.current.is_subset(&self.committed)
    }
}

impl ClientSession {
    /// Before a message that does this. Says whether it must wait for the listener.
    pub(crate) fn awaits_listener(
        &mut self,
        effects: &Effects,
        server: &mut ServerSession,
    ) -> bool {
        let Effects::Many(changes) = effects else {
            return self.channels.is_some() && effects.commits() && self.commits_later(server);
        };
        if self.mode == PoolMode::Session
            || (server.status == TxStatus::Failed && !server.is_busy())
        {
            return false;
        }
        let wanted = changes.iter().filter_map(|(_, change)| match change {
            Change::Listen(channel) => Some(channel),
            _ => None,
        });
        let heard = self.channels.as_ref().map(|channels| &channels.heard);
        let missing: Set = wanted
            .filter(|channel| heard.is_none_or(|heard| !heard.contains(*channel)))
            .cloned()
            .collect();
        if missing.is_empty() {
            return self.channels.is_some() && effects.commits() && self.commits_later(server);
        }
        let channels = self.channels.get_or_insert_default();
        if channels.heard.len().saturating_add(missing.len()) > CHANNELS_MAX {
            return false;
        }
        channels.wait(missing, server)
    }

    /// A transaction is to be committed that may have gone on for long since its `LISTEN`: the listener must have heard
    /// by then what was sent before the commit.
    #[cold]
    fn commits_later(&mut self, server: &mut ServerSession) -> bool {
        match &mut self.channels {
            Some(channels) if channels.has_news() && !channels.fresh => {
                channels.wait(Set::new(), server)
            }
            _ => false,
        }
    }

    /// What the listener is to be told now, if anything.
    pub fn take_ask(&mut self) -> Option<Vec<Channel>> {
        let channels = self.channels.as_deref_mut()?;
        if !matches!(channels.ask, Ask::Due(_)) {
            return None;
        }
        let Ask::Due(set) = std::mem::take(&mut channels.ask) else { return None };
        let all = set.iter().cloned().collect();
        channels.ask = Ask::Asked(set);
        Some(all)
    }

    /// The listener has answered. The message that waits is to be looked at again.
    pub fn listener_answers(&mut self, granted: bool) {
        let Some(channels) = self.channels.as_deref_mut() else { return };
        let Ask::Asked(set) = std::mem::take(&mut channels.ask) else { return };
        if granted {
            channels.heard.extend(set);
            channels.fresh = true;
        } else {
            channels.ask = Ask::Denied;
        }
    }

    /// What the listener hears in vain for this client, which is between transactions.
    pub fn take_unneeded(&mut self) -> Vec<Channel> {
        let Some(channels) = self.channels.as_deref_mut() else { return Vec::new() };
        if channels.fresh || channels.heard.len() == channels.committed.len() {
            // What was granted a moment ago is about to be used.
            return Vec::new();
        }
        let committed = &channels.committed;
        let unneeded: Vec<_> = channels
            .heard
            .iter()
            .filter(|channel| !committed.contains(*channel))
            .cloned()
            .collect();
        channels.heard.retain(|channel| committed.contains(channel));
        unneeded
    }

    /// Whether it listens to the channel, as committed.
    pub fn listens_to(&self, channel: &[u8]) -> bool {
        self.channels.as_ref().is_some_and(|channels| channels.committed.contains(channel))
    }

    /// How many channels it listens to.
    pub fn channel_count(&self) -> usize {
        self.channels.as_ref().map_or(0, |channels| channels.committed.len())
    }

    /// What becomes of a notification that the listener has heard; `busy` while a server is at something for the client.
    pub fn hears(&self, channel: &[u8], busy: bool) -> Hearing {
        let Some(channels) = &self.channels else { return Hearing::Not };
        let may_be = (busy || channels.fresh) && channels.heard.contains(channel);
        if channels.committed.contains(channel) || may_be { Hearing::Kept } else { Hearing::Not }
    }

    /// Whether a notification of the server that serves the client is for it.
    pub(crate) fn hears_from_server(&self, body: &[u8]) -> bool {
        if self.mode == PoolMode::Session {
            return true;
        }
        let listens = [PinReason::Listen, PinReason::HiddenState, PinReason::Unread]
            .into_iter()
            .any(|reason| self.pins.has(reason));
        // Behind the process id. What the listener hears comes from there.
        let channel = body.get(4..).and_then(|rest| rest.split(|byte| *byte == 0).next());
        listens && !channel.is_some_and(|channel| self.listens_to(channel))
    }

    /// The server tells what it listens to: what the listener does not hear, only it does.
    pub(crate) fn adopt_channels(&mut self, server: &mut ServerSession, findings: &Findings) {
        server.listens = !findings.channels.is_empty();
        let hidden = findings.channels.iter().any(|channel| !self.listens_to(channel));
        self.pins.put(PinReason::Listen, hidden);
    }

    /// The server has done this.
    pub(crate) fn change_channels(&mut self, server: &mut ServerSession, change: &Change) {
        match (change, self.channels.as_deref_mut()) {
            (Change::Listen(channel), channels) => {
                server.listens = true;
                match channels {
                    Some(channels) if channels.heard.contains(channel) => {
                        Arc::make_mut(&mut channels.current).insert(channel.clone());
                    }
                    _ => {
                        self.pins.add(PinReason::Listen);
                        self.channels.get_or_insert_default().unpins = false;
                    }
                }
            }
            (Change::Unlisten(channel), Some(channels)) if channels.current.contains(channel) => {
                Arc::make_mut(&mut channels.current).remove(channel);
            }
            (Change::UnlistenAll, Some(channels)) => {
                channels.current = Arc::default();
                channels.unpins = true;
            }
            (Change::DiscardAll, channels) => {
                server.listens = false;
                if let Some(channels) = channels {
                    channels.current = Arc::default();
                }
            }
            (Change::Savepoint(name), Some(channels)) => channels.savepoint(name),
            (Change::RollbackTo(name), Some(channels)) => channels.rollback_to(name),
            (Change::Release(name), Some(channels)) => channels.release(name),
            _ => {}
        }
    }

    /// The transaction has ended like this.
    #[inline]
    pub(crate) fn end_channels(&mut self, commits: bool) {
        if self.channels.is_some() {
            self.end_those_channels(commits);
        }
    }

    #[cold]
    fn end_those_channels(&mut self, commits: bool) {
        let Some(channels) = self.channels.as_deref_mut() else { return };
        if commits {
            if channels.unpins {
                self.pins.remove(PinReason::Listen);
            }
            channels.commit();
        } else {
            channels.rollback();
        }
    }

    /// Before a message that does this is sent: how the shell goes on if it is.
    pub(crate) fn step_of(&self, effects: &Effects, server: &mut ServerSession) -> Step {
        let Effects::Many(_) = effects else { return Step::Next };
        server.note_indelible(effects);
        if !effects.notifies() {
            return Step::Next;
        }
        server.notified |= self.channels.is_some();
        Step::Notify
    }

    /// Whether the client is not to be told yet that the server is ready: PostgreSQL tells a session what it has sent
    /// itself before that. If more is under way, what it has sent comes when it is heard.
    #[inline]
    pub(crate) fn awaits_itself(&self, server: &mut ServerSession) -> bool {
        self.channels.is_some() && server.status == TxStatus::Idle && self.has_told_itself(server)
    }

    #[cold]
    fn has_told_itself(&self, server: &mut ServerSession) -> bool {
        let listens = self.channels.as_ref().is_some_and(|it| !it.committed.is_empty());
        std::mem::take(&mut server.notified)
            && listens
            && self.shares_servers()
            && server.owed.iter().all(Owed::is_unanswered)
    }

    /// The server is ready: what was granted for what it was at has been used.
    #[inline]
    pub(crate) fn settle_channels(&mut self) {
        if let Some(channels) = self.channels.as_deref_mut() {
            channels.fresh = false;
            if matches!(channels.ask, Ask::Denied) {
                channels.ask = Ask::Nothing;
            }
        }
    }
}

impl Channels {
    /// The client's message waits until the listener hears these. Says whether it does.
    fn wait(&mut self, missing: Set, server: &mut ServerSession) -> bool {
        match self.ask {
            Ask::Denied => {
                self.ask = Ask::Nothing;
                return false;
            }
            Ask::Nothing => self.ask = Ask::Due(missing),
            Ask::Due(_) | Ask::Asked(_) => {}
        }
        server.hold(Why::Listener);
        true
    }
}

impl ServerSession {
    /// Whether it may listen to something, which must end before it serves anybody else.
    #[inline]
    pub fn listens(&self) -> bool {
        self.listens
    }

    /// The client's message no longer waits for the listener.
    pub fn go_on_without_listener(&mut self) {
        if self.is_held_for(Why::Listener) {
            self.release_hold();
        }
    }
}
