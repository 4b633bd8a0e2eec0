//! What loops wait for. However it ends, the loop hears of it: what is dropped without an outcome has failed.

use std::sync::Arc;

use tokio::time::Instant;
use trunkline_session::Channel;

use super::board::Seat;
use crate::engine::{Message, Shared};

/// Who carries messages to loops.
pub(crate) trait Post: Send + Sync + std::fmt::Debug {
    /// Sends to one loop.
    fn send(&self, to: usize, message: Message);
}

impl Post for Shared {
    fn send(&self, to: usize, message: Message) {
        Self::send(self, to, message);
    }
}

/// A client waits until these channels are heard for it.
#[derive(Debug)]
pub(super) struct Ask {
    post: Arc<dyn Post>,
    pub(super) seat: Seat,
    /// Which of its client's asks it is.
    number: u32,
    pub(super) channels: Vec<Channel>,
    /// When it waits no longer.
    pub(super) due: Instant,
    granted: bool,
}

impl Ask {
    pub(super) fn new(
        post: Arc<dyn Post>,
        (seat, number): (Seat, u32),
        channels: Vec<Channel>,
        due: Instant,
    ) -> Self {
        Self { post, seat, number, channels, due, granted: false }
    }

    /// They are.
    pub(super) fn grant(mut self) {
        self.granted = true;
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        let Self { seat, number, granted, .. } = *self;
        self.post.send(seat.at, Message::Listening { seat, number, granted });
    }
}

/// A server is given to nobody until what has been sent by it is heard, or will not be.
#[derive(Debug)]
pub(crate) struct Ticket {
    post: Arc<dyn Post>,
    at: usize,
    serial: u64,
}

impl Ticket {
    /// For the server of this number at this loop.
    pub(crate) fn new(post: Arc<dyn Post>, at: usize, serial: u64) -> Self {
        Self { post, at, serial }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let serial = self.serial;
        self.post.send(self.at, Message::CancelDone { serial, certain: true });
    }
}
