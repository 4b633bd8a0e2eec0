//! What a loop has asked the cold side to do. However that ends, the loop hears of it: an errand that is dropped without
//! an outcome, because its task has panicked, counts as one that has failed.

use std::{sync::Arc, time::Duration};

use super::{
    message::{Message, Opened},
    shared::Shared,
};
use crate::{
    cluster::NodeId,
    handover::{CancelTicket, NewServer, OpenError},
    pool::{FamilyId, Permit},
};

/// How long a standby may take to tell how far it is.
const HEARING_MAX: Duration = Duration::from_secs(2);

/// An attempt to open a server connection.
#[derive(Debug)]
pub(crate) struct Opening {
    shared: Arc<Shared>,
    /// The loop that waits for it.
    to: usize,
    /// What the connection is for, until the loop is told.
    asked: Option<Asked>,
}

/// What a connection is for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) family: FamilyId,
    pub(super) node: NodeId,
    /// Which of the attempts of its pool at its loop it is.
    pub(super) number: u64,
    pub(super) generation: u64,
    pub(super) permit: Permit,
}

impl Opening {
    /// The attempt that loop `to` has asked for.
    pub(super) fn new(shared: Arc<Shared>, to: usize, asked: Asked) -> Self {
        Self { shared, to, asked: Some(asked) }
    }

    /// Waits until it is known how far the standby is that was just connected to; says whether it is. If it has started
    /// again, what is known from before that says nothing of what this connection shows.
    pub(crate) async fn is_heard_of(&self, node: NodeId) -> bool {
        let positions = self.shared.positions();
        let _asked = positions.want();
        let heard = positions.heard_since(node, self.shared.now_us());
        tokio::time::timeout(HEARING_MAX, heard).await.is_ok()
    }

    /// It has ended like this.
    pub(crate) fn ended(mut self, result: Result<NewServer, OpenError>) {
        self.tell(result);
    }

    fn tell(&mut self, result: Result<NewServer, OpenError>) {
        if let Some(Asked { family, node, number, generation, permit }) = self.asked.take() {
            let opened = Opened { family, node, number, generation, permit, result };
            self.shared.send(self.to, Message::Opened(Box::new(opened)));
        }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.tell(Err(OpenError::Broken));
    }
}

/// A cancel request on its way to a server.
#[derive(Debug)]
pub(crate) struct Cancelling {
    shared: Arc<Shared>,
    /// The loop that waits for its end.
    to: Option<usize>,
    /// The connection that it is about.
    serial: u64,
    certain: bool,
    /// Dropped last: who asked may go on when the loop knows.
    _ticket: Option<CancelTicket>,
}

impl Cancelling {
    /// The request for the connection of this number; `to` is the loop that waits for its end.
    pub(super) fn new(
        shared: Arc<Shared>,
        to: Option<usize>,
        serial: u64,
        ticket: Option<CancelTicket>,
    ) -> Self {
        Self { shared, to, serial, certain: false, _ticket: ticket }
    }

    /// The server is done with it, or never got it: from now on it hits nothing.
    pub(crate) fn ended(mut self) {
        self.certain = true;
    }
}

impl Drop for Cancelling {
    fn drop(&mut self) {
        if let Some(to) = self.to {
            let done = Message::CancelDone { serial: self.serial, certain: self.certain };
            self.shared.send(to, done);
        }
    }
}
