//! Reads that have gone to a standby, as long as nothing has been said to their client: if the standby refuses them because
//! it is one, or is lost, they are carried out on the primary, and the client sees nothing of it.

use trunkline_session::Begin;
use trunkline_wire::frame::{HEADER, peek};

use super::{
    crossing::may_go_on,
    refusal::{Refusal, refusal},
    rest::Rest,
    routes::Healed,
    slot::{ANY, Client, ClientState, SHADOW},
    worker::{Again, Worker},
};

/// Longer bursts are not kept to be sent again. The longest text that is judged is within it, with its values.
const KEPT_MAX: usize = 64 << 10;

/// A client keeps no more room than this for its next burst.
const ROOM_MAX: usize = 512;

/// So much of an answer is held until it is known whether it is one: what describes the columns of a long text is as long.
const HELD_MAX: usize = KEPT_MAX;

/// What has gone to a standby and may go again, to the primary.
#[derive(Debug)]
pub(crate) struct Trial {
    burst: Vec<u8>,
}

/// What the beginning of an answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Nothing yet.
    Nothing,
    /// It is an answer, or an error that the primary would tell as well.
    Answer,
    /// The standby refuses what the primary may not.
    Refusal(Refusal),
}

impl Trial {
    /// Of nothing yet.
    pub(super) fn begun(mut room: Vec<u8>) -> Self {
        room.clear();
        Self { burst: room }
    }

    /// Adds to what has gone to the standby; none if that is too long by now.
    fn with(mut self, burst: &[u8]) -> Option<Self> {
        self.burst.extend_from_slice(burst);
        (self.burst.len() <= KEPT_MAX).then_some(self)
    }

    /// The room that it took, for the next one; none if that is much to keep for each client.
    pub(super) fn into_room(self) -> Vec<u8> {
        if self.burst.capacity() <= ROOM_MAX { self.burst } else { Vec::new() }
    }
}

/// What the beginning of an answer shows.
pub(super) fn shown(answer: &[u8]) -> Shown {
    let mut rest = answer;
    while let Ok(Some(header)) = peek(rest) {
        match header.tag {
            // ParseComplete, BindComplete, CloseComplete, NoData, RowDescription, ParameterDescription, a notice.
            b'1' | b'2' | b'3' | b'n' | b'T' | b't' | b'N' | b'S' => {}
            // With what it is for in the same group.
            b'C' if begins(rest.get(HEADER..header.len).unwrap_or_default()) => {}
            b'E' => {
                let Some(body) = rest.get(HEADER..header.len) else { break };
                return refusal(body).map_or(Shown::Answer, Shown::Refusal);
            }
            _ => return Shown::Answer,
        }
        match rest.get(header.len..) {
            Some(behind) => rest = behind,
            None => break,
        }
    }
    if answer.len() > HELD_MAX { Shown::Answer } else { Shown::Nothing }
}

/// Whether this is what completes the beginning of a transaction.
fn begins(tag: &[u8]) -> bool {
    matches!(tag, b"BEGIN\0" | b"START TRANSACTION\0")
}

impl Worker {
    /// What the client has sent goes to the standby: it is kept until something is answered.
    pub(super) fn try_at_standby(client: &mut Client, burst: &[u8], begins: bool) {
        let routed = client.rare.routed();
        let trial = routed.trial.take();
        if begins || trial.is_some() {
            let trial = trial.unwrap_or_else(|| Trial::begun(std::mem::take(&mut routed.room)));
            routed.trial = trial.with(burst);
        }
    }

    /// The standby has refused what the client has sent to it: the primary carries it out.
    #[cold]
    pub(super) fn refused_by_standby(
        &mut self,
        client_index: usize,
        index: usize,
        refusal: Refusal,
    ) {
        let Some(trial) = self.take_trial(client_index, index) else {
            if self.goes_on_at_home(client_index, index) {
                self.note_healed(client_index, refusal.into());
                self.retire(index);
            }
            return;
        };
        self.note_healed(client_index, refusal.into());
        if refusal == Refusal::Write {
            self.learn(client_index, &trial.burst);
        }
        self.set_adrift(index);
        self.carry_out_at_home(client_index, &trial);
    }

    /// The standby that serves the client is lost: if nothing was said to the client, the primary carries out what it has
    /// sent. Says whether it does.
    pub(super) fn is_carried_out_elsewhere(&mut self, client_index: usize, index: usize) -> bool {
        let Some(trial) = self.take_trial(client_index, index) else {
            return self.goes_on_at_home(client_index, index);
        };
        self.note_healed(client_index, Healed::Lost);
        self.carry_out_at_home(client_index, &trial);
        true
    }

    fn take_trial(&mut self, client_index: usize, index: usize) -> Option<Trial> {
        let client = self.clients.get_mut(client_index)?;
        if client.state != ClientState::Leased(index) {
            return None;
        }
        let trial = client.rare.tried()?.trial.take()?;
        let server = self.servers.get_mut(index)?;
        let goes_on = may_go_on(client, server);
        client.session.take_back(&mut server.session);
        if goes_on {
            // With the transaction in which it was sent.
            client.session.leave_transaction(&mut server.session);
            self.set_out(client_index);
        }
        Some(trial)
    }

    fn carry_out_at_home(&mut self, client_index: usize, trial: &Trial) {
        self.go_home(client_index);
        let Some(client) = self.clients.get_mut(client_index) else { return };
        let mut held = Rest::from(&trial.burst[..]);
        held.extend(&client.held);
        client.held = held;
        client.horizon = ANY;
        client.state = ClientState::Idle;
        client.rare.routed().stays_home = !client.crosses;
        self.count_held(client_index);
        self.again.push_back(Again::Client(client_index));
    }

    /// What the client has sent, and what has not gone to a standby yet, goes to the primary; says whether it was bound for
    /// a standby.
    pub(super) fn goes_home(&mut self, client_index: usize) -> bool {
        let Some(client) = self.clients.get_mut(client_index) else { return false };
        if client.horizon >= SHADOW {
            return false;
        }
        client.rare.routed().stays_home = true;
        self.go_home(client_index);
        self.again.push_back(Again::Client(client_index));
        true
    }

    /// What is in the burst is no read.
    fn learn(&mut self, client_index: usize, burst: &[u8]) {
        let Some(pool) = self.clients.get(client_index).map(|client| client.pool) else { return };
        let Some(pool) = self.pools.get(self.home_of(pool)) else { return };
        // Its text does not show that, or the catalog does not tell it any more.
        pool.family.catalog.doubt();
        let Some(client) = self.clients.get_mut(client_index) else { return };
        let path = &mut client.rare.routed().path;
        let latest = pool.family.catalog.latest();
        let Some(known) = pool.family.catalog.of_now(latest.as_deref()) else { return };
        let judge = self.router.judge((&pool.family, &client.session), known, path, self.now);
        let Some(mut judge) = judge else { return };
        client.session.horizon(burst, Begin::ReadOnly, |text| {
            judge.learn(text);
            true
        });
        self.note_learnt(client_index);
    }

    /// Whether the client's statement is at a standby that has said nothing yet.
    pub(super) fn is_tried(&self, client_index: usize) -> bool {
        let client = self.clients.get(client_index);
        let routed = client.and_then(|client| client.rare.routed.as_ref());
        routed.is_some_and(|routed| routed.trial.is_some())
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use trunkline_wire::{
        SqlState,
        backend::{self, Report},
    };

    use super::*;

    fn error(code: SqlState) -> Vec<u8> {
        let mut out = BytesMut::new();
        backend::error_response(&mut out, &Report::error(code, "no"));
        out.to_vec()
    }

    #[test]
    fn an_error_of_a_standby_counts_before_anything_is_answered() {
        let refusal = error(SqlState::READ_ONLY_SQL_TRANSACTION);
        let refused = Shown::Refusal(Refusal::Write);
        assert_eq!(shown(&refusal), refused);
        let complete = b"1\0\0\0\x042\0\0\0\x04";
        assert_eq!(shown(&[complete, &refusal[..]].concat()), refused);
        assert_eq!(shown(complete), Shown::Nothing);
        for end in 0..refusal.len() {
            assert_eq!(shown(&refusal[..end]), Shown::Nothing, "{end}");
        }
        let row = b"D\0\0\0\x06\0\0";
        assert_eq!(shown(&[complete, &row[..], &refusal].concat()), Shown::Answer);
        assert_eq!(shown(&error(SqlState::SYNTAX_ERROR)), Shown::Answer);
        let begun = [&complete[..], b"C\0\0\0\x0aBEGIN\0"].concat();
        assert_eq!(shown(&begun), Shown::Nothing, "the answer to what stands behind it is to come");
        assert_eq!(shown(&[&begun[..], &refusal].concat()), refused);
        assert_eq!(shown(&[&begun[..], b"Z\0\0\0\x05T"].concat()), Shown::Answer);
        let notices = b"N\0\0\0\x04".repeat(HELD_MAX / 5 + 1);
        assert_eq!(shown(&notices), Shown::Answer, "so much is not held");
    }
}
