//! Opens servers that the test plays, at once or when it says so.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use bytes::BytesMut;
use trunkline_wire::{Reported, startup::ProtocolVersion};

use super::{Drill, End};
use crate::{
    backend::Endpoint,
    cluster::NodeId,
    engine::{CancelAt, Cancelling, GiveUp, Opener, Opening, fault},
    handover::{Away, ErrorReport, NewServer, OpenError},
    pool::Family,
};

/// Opens servers that the test plays.
#[derive(Debug, Default)]
pub(super) struct Servers {
    state: Arc<Mutex<State>>,
    /// Whatever is asked for ends without an outcome.
    pub(super) loses: AtomicBool,
    cancelled: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    opened: Vec<End>,
    /// Attempts wait for the test.
    by_hand: bool,
    begun: usize,
    waiting: Vec<Attempt>,
}

struct Attempt {
    number: usize,
    node: NodeId,
    opening: Opening,
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Servers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("one thread")
    }

    /// So many cancel requests were sent to servers.
    pub(super) fn cancelled(&self) -> usize {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// The other ends of the servers that were opened since this was last asked.
    pub(super) fn opened(&self) -> Vec<End> {
        std::mem::take(&mut self.state().opened)
    }
}

/// A server that has let us in.
fn new_server() -> (NewServer, End) {
    let (socket, end) = End::pair();
    let server = NewServer {
        socket,
        tls: None,
        endpoint: Endpoint::Unix("/nowhere".into()),
        reported: Reported::default(),
        pid: 1,
        cancel_key: Box::default(),
        protocol: ProtocolVersion::V3_0,
        early: BytesMut::new(),
    };
    (server, end)
}

/// The error of a node that cannot be reached.
fn refused() -> OpenError {
    let (address, reason) = ("nowhere".to_owned(), "connection refused".to_owned());
    OpenError::Away(Away::Io { address, reason })
}

impl Opener for Servers {
    fn open(&self, _family: Arc<Family>, node: NodeId, opening: Opening) -> GiveUp {
        fault::point();
        if self.loses.load(Ordering::Relaxed) {
            return Box::new(|| ());
        }
        let mut state = self.state();
        if !state.by_hand {
            let (server, end) = new_server();
            state.opened.push(end);
            drop(state);
            opening.ended(Ok(server));
            return Box::new(|| ());
        }
        state.begun += 1;
        let number = state.begun;
        state.waiting.push(Attempt { number, node, opening });
        let all = Arc::clone(&self.state);
        Box::new(move || {
            let mut state = all.lock().expect("one thread");
            let given_up: Vec<Attempt> =
                state.waiting.extract_if(.., |attempt| attempt.number == number).collect();
            drop(state);
            // Its loop is told outside of the lock.
            drop(given_up);
        })
    }

    fn cancel(&self, _at: CancelAt, cancelling: Cancelling) {
        fault::point();
        self.cancelled.fetch_add(1, Ordering::Relaxed);
        if !self.loses.load(Ordering::Relaxed) {
            cancelling.ended();
        }
    }
}

impl Drill {
    /// From now on attempts to open a server wait for the test.
    pub(super) fn open_by_hand(&mut self) {
        self.opener.state().by_hand = true;
    }

    /// The nodes to which servers are being opened, one for each attempt.
    pub(super) fn attempts(&self) -> Vec<u16> {
        self.opener.state().waiting.iter().map(|attempt| attempt.node.0).collect()
    }

    /// Whether more is being opened than waits for the test.
    pub(super) fn answers_are_due(&self) -> bool {
        let pools = self.loops.iter().flat_map(|worker| worker.pools.iter());
        pools.map(|(_, pool)| pool.attempt.under_way()).sum::<usize>() > self.attempts().len()
    }

    /// The first so many attempts.
    fn take_attempts(&self, count: usize) -> Vec<Attempt> {
        self.opener.state().waiting.drain(..count).collect()
    }

    /// So many attempts succeed.
    pub(super) fn accept(&mut self, count: usize) {
        for attempt in self.take_attempts(count) {
            let (server, end) = new_server();
            self.opener.state().opened.push(end);
            attempt.opening.ended(Ok(server));
        }
        self.settle();
    }

    /// So many attempts fail, because the node cannot be reached.
    pub(super) fn refuse(&mut self, count: usize) {
        for attempt in self.take_attempts(count) {
            attempt.opening.ended(Err(refused()));
        }
        self.settle();
    }

    /// Two attempts end, one well and one not; the loop hears of it when the answer is called.
    pub(super) fn two_outcomes(&mut self) -> impl FnOnce() + use<> {
        let attempts = self.take_attempts(2);
        move || {
            for (attempt, result) in attempts.into_iter().zip([Err(refused()), Ok(new_server().0)])
            {
                attempt.opening.ended(result);
            }
        }
    }

    /// So many attempts fail for good, in these words.
    pub(super) fn turn_away(&mut self, count: usize, report: &ErrorReport) {
        for attempt in self.take_attempts(count) {
            attempt.opening.ended(Err(OpenError::Final(report.clone())));
        }
        self.settle();
    }
}
