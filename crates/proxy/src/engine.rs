//! The data path: worker loops, each with its own clients, servers and free lists.
//!
//! A loop is a thread with one readiness poll. It reads a burst into a buffer that all its connections share, lets the
//! pure session machine judge the frames where they lie, and writes the whole burst on with one call. Everything that
//! may block or takes long (logins, opening servers, DNS, key derivation) happens elsewhere and arrives as a message.

mod adrift;
mod alone;
mod arrival;
mod asking;
mod attempt;
mod beside;
mod census;
mod client;
mod crossing;
mod deadline;
mod departed;
mod directing;
#[cfg(test)]
mod drill;
mod errand;
mod explaining;
mod explanation;
#[cfg(test)]
mod fault;
mod floors;
mod from_client;
mod functions;
mod inbox;
mod last_words;
mod lease;
mod leaving;
mod ledger;
mod link;
mod listening;
mod local;
mod looking;
mod loss;
mod mend;
mod message;
mod noting;
mod opening;
mod parking;
mod placing;
mod queue;
mod readiness;
mod refusal;
mod relief;
mod replaying;
pub mod report;
mod rest;
mod retire;
mod routed;
mod routes;
mod server;
mod shadow;
mod shared;
mod shortage;
mod slot;
mod standbys;
mod suiting;
mod tally;
mod to_client;
mod to_server;
mod traffic;
mod trial;
mod upkeep;
mod waiting;
mod wheel;
mod whole;
mod worker;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use trunkline_settings::Settings;

pub(crate) use self::{
    errand::{Cancelling, Opening},
    message::{Arrival, Message},
    shared::{CancelAt, GiveUp, Opener, Shared},
};
use self::{
    message::Mailbox,
    readiness::Registry,
    worker::{Worker, WorkerParts},
};
use crate::pool::Home;

/// The running loops.
#[derive(Debug)]
pub(crate) struct Engine {
    shared: Arc<Shared>,
    threads: Vec<thread::JoinHandle<io::Result<()>>>,
}

impl Engine {
    /// Starts `workers` loops.
    pub(crate) fn start(
        shared: Arc<Shared>,
        settings: &Arc<Settings>,
        workers: usize,
    ) -> io::Result<Self> {
        let mut mailboxes = Vec::new();
        let mut parts = Vec::new();
        for index in 0..workers {
            let (registry, waker) = Registry::new()?;
            let (mailbox, inbox) = Mailbox::new(waker);
            mailboxes.push(mailbox);
            parts.push(WorkerParts {
                index,
                loops: workers,
                shared: Arc::clone(&shared),
                registry,
                inbox,
                settings: Arc::clone(settings),
                traffic: crate::cluster::Traffic::default(),
            });
        }
        shared.set_loops(mailboxes.into_boxed_slice());
        let threads = parts
            .into_iter()
            .map(|parts| {
                thread::Builder::new()
                    .name(format!("loop-{}", parts.index))
                    .spawn(move || Worker::new(parts).run())
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self { shared, threads })
    }

    /// Ends all loops and waits for them.
    pub(crate) fn stop(self) {
        self.shared.send_all(|| Message::Stop);
        for thread in self.threads {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a worker loop ended with an error"),
                Err(_) => tracing::error!("a worker loop ended with a panic"),
            }
        }
    }
}

/// Deals clients of spread families to the loops in turn.
#[derive(Debug, Default)]
pub(crate) struct Dealer(AtomicUsize);

impl Dealer {
    /// The loop for the next client of a family.
    pub(crate) fn next(&self, home: Home, loops: usize) -> usize {
        match home {
            Home::One(index) => index,
            Home::Spread => self.0.fetch_add(1, Ordering::Relaxed).checked_rem(loops).unwrap_or(0),
        }
    }
}
