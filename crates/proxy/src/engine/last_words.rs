//! What a server says, before it ends, to a client that has had all it asked for: that is no matter of the client's.

use trunkline_session::TxStatus;
use trunkline_wire::{
    backend::Fields,
    frame::{HEADER, peek},
};

use super::{
    crossing::{may_go_on, outlives},
    loss::ENDED,
    refusal::{Refusal, refusal},
    slot::{Client, ClientState, SHADOW, Server},
    tally::count_answer,
    worker::Worker,
};

/// What of a server's words the client does not hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unheard {
    /// That a standby refuses what the primary carries out, or ends while the client's transaction may go on there.
    Refusal(Refusal),
    /// That a server ends of which the client needs nothing more.
    Unneeded,
    /// That a standby ends which owes nothing but the answer to a Sync, at which there is nothing to do for what only reads.
    Unready,
}

/// Whether the first of these messages, an error or a notice, is a server's last, and no answer to what the client has asked.
#[cold]
pub(super) fn last_words(client: &Client, server: &Server, said: &[u8]) -> Option<Unheard> {
    let session = &server.session;
    let is_tried = client.rare.routed.as_ref().is_some_and(|routed| routed.trial.is_some());
    if session.answers_us() || session.is_ending() || is_tried {
        return None;
    }
    let at_standby = client.horizon < SHADOW;
    if session.is_busy() {
        let may_end = match session.status() {
            TxStatus::Idle => true,
            TxStatus::Open => !client.session.has_failed() && may_go_on(client, server),
            TxStatus::Failed => false,
        };
        let unready = at_standby && session.owes_ready_only() && may_end && is_end(said);
        return unready.then_some(Unheard::Unready);
    }
    let ends = ends_a_standby(said);
    if let Some(refusal) = ends.filter(|_| at_standby && outlives(client, server)) {
        return Some(Unheard::Refusal(refusal));
    }
    // Nothing is owed, neither by the server nor by us: every error is the last.
    let unneeded = !session.will_answer()
        && !session.has_question()
        && (ends.is_some() || said.first() == Some(&b'E'))
        && client.session.may_release(session)
        && client.stream.remaining == 0;
    unneeded.then_some(Unheard::Unneeded)
}

/// If the first of these messages, which nobody has asked for, is whole and says that a standby ends the session: why.
fn ends_a_standby(said: &[u8]) -> Option<Refusal> {
    refusal(first_report(said)?)
}

/// Whether the first of these messages is whole, and the last.
fn is_end(said: &[u8]) -> bool {
    first_report(said)
        .and_then(|body| Fields::parse(body).ok())
        .is_some_and(|fields| fields.is_fatal())
}

fn first_report(said: &[u8]) -> Option<&[u8]> {
    let header = peek(said).ok().flatten().filter(|header| matches!(header.tag, b'E' | b'N'))?;
    said.get(HEADER..header.len)
}

impl Worker {
    /// Does what is to be done behind what the client does not hear, with which `rest` begins. Says how much of it is taken.
    #[cold]
    pub(super) fn heed(
        &mut self,
        unheard: Unheard,
        (client_index, index): (usize, usize),
        rest: &[u8],
    ) -> usize {
        match unheard {
            Unheard::Refusal(refusal) => {
                self.refused_by_standby(client_index, index, refusal);
                0
            }
            Unheard::Unneeded => {
                self.gives_back_the_ending(client_index, index);
                rest.len()
            }
            Unheard::Unready => {
                let Some(server) = self.servers.get(index) else { return rest.len() };
                let ready = [b'Z', 0, 0, 0, 5, server.session.status().as_byte()];
                let both = [&ready, rest].concat();
                self.server_burst(index, &both).saturating_sub(ready.len())
            }
        }
    }

    /// The client gives back a server that goes.
    fn gives_back_the_ending(&mut self, client_index: usize, index: usize) {
        let (Some(client), Some(server)) =
            (self.clients.get_mut(client_index), self.servers.get(index))
        else {
            return;
        };
        if client.state != ClientState::Leased(index) {
            return;
        }
        if let Some(pool) = self.pools.get_mut(client.pool) {
            count_answer(client, server, pool, self.now, &self.times);
        }
        client.session.lose_server();
        self.give_up_lease(client_index, index);
        self.drop_server(index, ENDED);
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use trunkline_wire::{
        SqlState,
        backend::{Report, error_response},
    };

    use super::*;

    fn said(report: &Report<'_>) -> Vec<u8> {
        let mut out = BytesMut::new();
        error_response(&mut out, report);
        out.to_vec()
    }

    #[test]
    fn a_standby_that_has_nothing_under_way_says_that_it_ends_by_what_the_primary_would_not() {
        let ends = said(&Report::error(SqlState::ADMIN_SHUTDOWN, "no"));
        assert_eq!(ends_a_standby(&ends), Some(Refusal::Passing));
        for end in 0..ends.len() {
            assert_eq!(ends_a_standby(&ends[..end]), None, "{end}");
        }
        let own = said(&Report::error(SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT, "no"));
        assert_eq!(ends_a_standby(&own), None, "a limit of the client's own");
        assert_eq!(ends_a_standby(b"A\0\0\0\x04"), None);
    }

    #[test]
    fn the_last_of_a_server_is_fatal_and_whole() {
        let fatal = said(&Report::fatal(SqlState::ADMIN_SHUTDOWN, "no"));
        assert!(is_end(&fatal));
        assert!(is_end(&[&fatal[..], b"Z"].concat()));
        for end in 0..fatal.len() {
            assert!(!is_end(&fatal[..end]), "{end}");
        }
        assert!(!is_end(&said(&Report::error(SqlState::ADMIN_SHUTDOWN, "no"))));
        assert!(!is_end(b"Z\0\0\0\x05I"));
    }
}
