//! Which client a server's process works for: what was sent by it is told to have been sent by that client.
//!
//! A notification is heard a moment after its commit, when the server may serve another client already. A server whose
//! client has visibly sent one is therefore given to nobody else before all that was sent by then is heard. What
//! functions and triggers send unseen is told as the client's if only one had the server in the time in question, else
//! with the number of the server's process: a client never takes another one's notification for its own because of that.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::cluster::NodeId;

/// Microseconds of a unit of time here, as a power of 2: about a millisecond.
const UNIT_BITS: u32 = 10;

/// So many units after its commit a notification is heard at the latest, as far as is assumed of those that nobody saw
/// being sent.
const LAG: u32 = 50;

/// In a word: the client may have sent a notification. Process ids that clients are told leave this bit free.
const MARK: u64 = 1 << 63;

/// All server connections.
#[derive(Debug, Default)]
pub(crate) struct Backends(Mutex<BTreeMap<(NodeId, i32), Arc<Log>>>);

/// Who has had a server: the client that has it, or had it last, and since when; and the other one before, and until
/// when. Each is a word of a process id and a time; written by the loop that owns the server only.
#[derive(Debug, Default)]
struct Log {
    now: AtomicU64,
    before: AtomicU64,
}

/// A server connection's entry, which goes with it.
#[derive(Debug)]
pub(crate) struct Backend {
    log: Arc<Log>,
    key: (NodeId, i32),
    all: Arc<Backends>,
}

impl Backends {
    /// A connection to the node was opened, to this process there.
    pub(crate) fn opened(self: &Arc<Self>, node: NodeId, pid: i32) -> Backend {
        let (log, key) = (Arc::<Log>::default(), (node, pid));
        self.lock().insert(key, Arc::clone(&log));
        Backend { log, key, all: Arc::clone(self) }
    }

    /// The client that a notification is from that this process has sent, by the process id that the client was told.
    pub(crate) fn client_of(&self, node: NodeId, pid: i32, now_us: u64) -> Option<i32> {
        let log = self.lock().get(&(node, pid)).map(Arc::clone)?;
        let (now, before) = (log.now.load(Ordering::Acquire), log.before.load(Ordering::Acquire));
        let recent = units(now_us).wrapping_sub(time_of(before)) < LAG;
        let client = pid_of(now);
        let doubtful = pid_of(before) != 0 && recent && now & MARK == 0;
        (client != 0 && !doubtful).then_some(client)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(NodeId, i32), Arc<Log>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend {
    /// A client gets the server, which has been free since then.
    #[inline]
    pub(crate) fn lend(&self, client: i32, free_since: u64, now_us: u64) {
        let last = self.log.now.load(Ordering::Relaxed);
        if pid_of(last) != client {
            self.log.before.store(word(pid_of(last), free_since), Ordering::Release);
        }
        self.log.now.store(word(client, now_us), Ordering::Release);
    }

    /// Its client may send a notification.
    pub(crate) fn mark(&self) {
        let now = self.log.now.load(Ordering::Relaxed);
        self.log.now.store(now | MARK, Ordering::Release);
    }

    /// Whether its client may have sent a notification.
    #[inline]
    pub(crate) fn is_marked(&self) -> bool {
        self.log.now.load(Ordering::Relaxed) & MARK != 0
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        // The server may have given the number to another process already.
        if all.get(&self.key).is_some_and(|log| Arc::ptr_eq(log, &self.log)) {
            all.remove(&self.key);
        }
    }
}

fn units(us: u64) -> u32 {
    u32::try_from(us >> UNIT_BITS & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

fn word(pid: i32, us: u64) -> u64 {
    u64::from(pid.unsigned_abs() & 0x7FFF_FFFF) << 32 | u64::from(units(us))
}

fn pid_of(word: u64) -> i32 {
    i32::try_from(word >> 32 & 0x7FFF_FFFF).unwrap_or(0)
}

fn time_of(word: u64) -> u32 {
    u32::try_from(word & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(0);
    const MS: u64 = 1 << UNIT_BITS;

    #[test]
    fn the_client_that_has_a_server_or_had_it_last_has_sent() {
        let all = Arc::new(Backends::default());
        let backend = all.opened(NODE, 4711);
        assert_eq!(all.client_of(NODE, 4711, MS), None);
        backend.lend(7, 0, MS);
        assert_eq!(all.client_of(NODE, 4711, 2 * MS), Some(7));
        assert_eq!(all.client_of(NodeId(1), 4711, 2 * MS), None);
        assert_eq!(all.client_of(NODE, 4712, 2 * MS), None);
        drop(backend);
        assert_eq!(all.client_of(NODE, 4711, 2 * MS), None);
    }

    #[test]
    fn what_two_clients_may_have_sent_is_neithers_unless_one_was_seen_to() {
        let all = Arc::new(Backends::default());
        let backend = all.opened(NODE, 1);
        let lag = u64::from(LAG) * MS;
        backend.lend(7, 0, MS);
        backend.lend(8, 10 * MS, 11 * MS);
        assert_eq!(all.client_of(NODE, 1, 12 * MS), None);
        backend.mark();
        assert_eq!(all.client_of(NODE, 1, 12 * MS), Some(8));
        // Again the same client: the one before it counts until its time is over.
        backend.lend(8, 13 * MS, 14 * MS);
        assert!(!backend.is_marked());
        assert_eq!(all.client_of(NODE, 1, 15 * MS), None);
        assert_eq!(all.client_of(NODE, 1, 10 * MS + lag), Some(8));
    }

    #[test]
    fn a_process_number_that_is_given_anew_stays_with_the_new_connection() {
        let all = Arc::new(Backends::default());
        let old = all.opened(NODE, 1);
        let new = all.opened(NODE, 1);
        new.lend(9, 0, MS);
        drop(old);
        assert_eq!(all.client_of(NODE, 1, 2 * MS), Some(9));
    }
}
