//! What reaches a loop from outside.

use std::sync::{Arc, mpsc};

use tokio::sync::oneshot;
use trunkline_session::SettingSet;
use trunkline_settings::Settings;

use super::{readiness::Waker, report::LoopReport, slot::Moving};
use crate::{
    cluster::{NodeId, Traffic},
    handover::{CancelTicket, LoggedIn, NewServer, OpenError},
    listening::{Audience, Heard, Seat},
    pool::{Cap, FamilyId, Membership, Permit},
    routing::Studied,
};

/// A message to a loop.
#[derive(Debug)]
pub(crate) enum Message {
    /// A client that has logged in.
    Client(Box<Arrival>),
    /// A server connection that was asked for.
    Opened(Box<Opened>),
    /// A server connection from another loop.
    Moved(Moving),
    /// Another loop has waiters of this family and none idle.
    Wanted { family: FamilyId, by: usize },
    /// A server of this family did not answer when it was asked for a sign of life.
    Doubt(FamilyId),
    /// A pool at a full cap needs a place that a connection of another pool holds: an idle one, or one that comes back.
    Evict(Arc<Cap>),
    /// A place was given back under a cap that a pool of the loop has found full.
    Places,
    /// Somebody asks to cancel what the client in this slot is doing.
    Cancel { slot: usize, pid: i32, key: Box<[u8]>, ticket: CancelTicket },
    /// The cancel request for this server is finished; unless that is certain, it may still hit what runs there.
    CancelDone { serial: u64, certain: bool },
    /// The listener has answered the client there, which has numbered what it asks.
    Listening { seat: Seat, number: u32, granted: bool },
    /// A notification for some of the loop's clients.
    Heard(Box<Heard>),
    /// Notifications may have been missed that were for these clients.
    Missed(Audience),
    /// A standby has said how far it is, for which clients wait.
    CaughtUp,
    /// Traffic goes elsewhere, or nowhere.
    Traffic(Traffic),
    /// A node that could not be reached answers again.
    Recovered(NodeId),
    /// What a text is that the loop has not judged itself.
    Studied(Box<Studied>),
    /// New settings.
    Settings(Arc<Settings>),
    /// Generation, pause or removal of families has changed.
    Recheck,
    /// Asks what the loop is doing.
    Report(oneshot::Sender<LoopReport>),
    /// Close clients as soon as they are between transactions.
    Drain,
    /// Close everything now.
    Stop,
}

/// A client on its way into a loop.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) login: LoggedIn,
    pub(crate) member: Membership,
    /// What the client set in its startup packet that its family's servers do not have.
    pub(crate) base: Arc<SettingSet>,
    pub(crate) secret: [u8; 32],
}

/// The outcome of opening a server connection.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) family: FamilyId,
    pub(crate) node: NodeId,
    /// Which of the attempts of its pool at its loop it was.
    pub(crate) number: u64,
    pub(crate) generation: u64,
    pub(crate) permit: Permit,
    pub(crate) result: Result<NewServer, OpenError>,
}

/// The sending end of a loop's inbox.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    sender: mpsc::Sender<Message>,
    waker: Waker,
}

impl Mailbox {
    /// An inbox whose loop is woken by `waker`.
    pub(crate) fn new(waker: Waker) -> (Self, mpsc::Receiver<Message>) {
        let (sender, receiver) = mpsc::channel();
        (Self { sender, waker }, receiver)
    }

    /// Sends a message and wakes the loop. A loop that has ended takes no more; the message is dropped, and with it
    /// the sockets and permits it holds.
    pub(crate) fn send(&self, message: Message) {
        if self.sender.send(message).is_ok() && self.waker.wake().is_err() {
            tracing::error!("a worker loop could not be woken");
        }
    }
}
