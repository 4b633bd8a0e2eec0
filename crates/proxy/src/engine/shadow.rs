//! `routing.mode = "shadow"`: the primary serves everything, and where it would go with `on` is decided all the same.
//!
//! A client that the primary serves with what would be a standby's has the horizon [`SHADOW`]. As long as that holds, the
//! end of its lease raises no floor, as a standby's would not; otherwise each read would make the next one look as if it
//! had to wait for a standby.

use trunkline_session::{ServerSession, TxStatus};
use trunkline_wire::frame::peek;

use super::{
    slot::{ANY, Client, SHADOW, Server},
    to_server::HOLD_MAX,
    worker::Worker,
};

impl Worker {
    /// The burst of the client would go to a standby: all of it, or only its beginning.
    pub(super) fn shadow(&mut self, index: usize, all: bool) {
        if let Some(client) = self.clients.get_mut(index) {
            client.horizon = if all { SHADOW } else { ANY };
        }
    }

    /// More of what a client sends goes to the primary, which serves it in the place of a standby.
    #[cold]
    pub(super) fn follow_shadow(client: &mut Client, server: &mut Server, data: &[u8]) {
        if begins(&server.session) {
            // It was looked at when it was decided where it goes.
            return;
        }
        let torn = client.stream.remaining > 0;
        let end = &mut client.rare.routed().block_end;
        let may = if torn { 0 } else { server.session.horizon_in_block(data, HOLD_MAX, end) };
        let rest = data.get(may..).unwrap_or_default();
        let more = peek(rest).ok().flatten().is_some_and(|header| header.len <= rest.len());
        if torn || more {
            // A standby would not get it before that has ended.
            client.horizon = ANY;
        }
    }

    /// Statements are routed otherwise from now on: what the primary serves counts as the primary's.
    pub(super) fn leave_shadow(&mut self) {
        for (_, client) in &mut self.clients {
            if client.horizon == SHADOW {
                client.horizon = ANY;
            }
        }
    }
}

/// Whether nothing is under way at a server.
fn begins(session: &ServerSession) -> bool {
    !session.is_busy() && session.status() == TxStatus::Idle
}
