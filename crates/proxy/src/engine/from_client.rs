//! What a client sends: when it is read, and who takes it.

use super::{
    alone::{Alone, wants_server},
    directing::Share,
    explaining::Asked,
    link::Received,
    slot::{ALL, ClientState, SHADOW},
    worker::{Again, READS_PER_TURN, Worker},
};
use trunkline_wire::frame::peek;

impl Worker {
    /// The client's socket has something to read.
    pub(super) fn client_readable(&mut self, index: usize) {
        let leaving = self.clients.get(index).and_then(|client| client.leaving.as_ref());
        if leaving.is_some_and(|leaving| !leaving.is_read()) {
            return;
        }
        let Some(mut inflow) = self.inflow.take() else { return };
        for turn in 0..=READS_PER_TURN {
            let Some(client) = self.clients.get_mut(index) else { break };
            client.readable = true;
            if turn == READS_PER_TURN {
                self.again.push_back(Again::Client(index));
                break;
            }
            if self.client_must_wait(index) {
                self.watch_waiting_client(index);
                break;
            }
            let Some(client) = self.clients.get_mut(index) else { break };
            match client.link.receive(&mut inflow) {
                Ok(Received::Bytes { drained }) => {
                    // The end may have been announced together with these bytes: it is not announced again.
                    let drained = drained && !client.hung_up;
                    client.readable = !drained;
                    client.active_at = self.now;
                    self.client_bytes(index, inflow.data());
                    if drained {
                        break;
                    }
                }
                Ok(Received::Blocked) => {
                    client.readable = false;
                    break;
                }
                Ok(Received::Closed) => {
                    self.client_ended(index);
                    break;
                }
                Err(error) => {
                    self.client_gone(index, Some(&error));
                    break;
                }
            }
        }
        self.inflow = Some(inflow);
    }

    /// Whether nothing may be read from the client now: it waits for a server, its server has not taken what it
    /// sent, too many replies are owed, or it is being closed.
    fn client_must_wait(&self, index: usize) -> bool {
        let Some(client) = self.clients.get(index) else { return true };
        match client.state {
            ClientState::Welcoming
            | ClientState::Waiting
            | ClientState::Listening
            | ClientState::Pausing
            | ClientState::Unsaid
            | ClientState::Replaying(_) => !client.held.is_empty(),
            ClientState::Closing => false,
            ClientState::Idle => client.link.backlog() >= self.settings.limits.client_buffer,
            // What is held is a part of a message, or of a group, unless it waits for an answer.
            ClientState::Leased(server) if client.horizon < SHADOW && is_whole(&client.held) => {
                self.servers.get(server).is_none_or(|server| server.session.is_busy())
            }
            ClientState::Leased(server) => self.servers.get(server).is_none_or(|server| {
                server.link.backlog() >= self.settings.limits.client_buffer
                    || server.session.is_full_at(self.owed_at_most(client, server))
            }),
        }
    }

    /// A client that must wait is not read, but its departure is still noticed: by the hang-up event of its socket.
    fn watch_waiting_client(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        if matches!(
            client.state,
            ClientState::Waiting
                | ClientState::Listening
                | ClientState::Pausing
                | ClientState::Unsaid
                | ClientState::Replaying(_)
                | ClientState::Leased(_)
        ) && client.hung_up
        {
            self.client_hung_up(index);
        }
    }

    /// Sends on what was held while the client waited for the server it has now.
    pub(super) fn client_resume_held(&mut self, index: usize, server_index: usize) {
        self.client_bytes(index, &[]);
        if !self.splice.is_empty() {
            // Nothing was held, or nothing that could go: the replay goes alone.
            self.flush_splice(server_index);
        }
        if self.clients.get(index).is_some_and(|client| client.readable) {
            self.again.push_back(Again::Client(index));
        }
    }

    /// Goes on with a client that had to wait: first what is held, then its socket.
    pub(super) fn client_resume(&mut self, index: usize) {
        self.client_bytes(index, &[]);
        if self.clients.get(index).is_some_and(|client| client.readable) {
            self.client_readable(index);
        }
    }

    /// Takes bytes of the client, after those that are held.
    pub(super) fn client_bytes(&mut self, index: usize, data: &[u8]) {
        let Some(client) = self.clients.get_mut(index) else { return };
        if let Some(pool) = self.pools.get_mut(client.pool) {
            pool.stats.received =
                pool.stats.received.wrapping_add(u64::try_from(data.len()).unwrap_or(0));
        }
        if client.held.is_empty() {
            if data.is_empty() {
                return;
            }
            let taken = self.client_burst(index, data);
            if taken < data.len()
                && let (Some(client), Some(rest)) = (self.clients.get_mut(index), data.get(taken..))
            {
                client.held.extend(rest);
                self.count_held(index);
            }
            return;
        }
        client.held.extend(data);
        let mut held = std::mem::take(&mut client.held);
        let taken = self.client_burst(index, &held);
        if let Some(client) = self.clients.get_mut(index)
            && taken < held.len()
        {
            held.take_front(taken);
            client.held = held;
            if taken > 0 {
                // What is kept now is another message.
                client.rare.entry.sent_since = self.now;
            }
        }
        self.count_held(index);
    }

    /// Takes what it can of a burst, and says how many bytes that was.
    fn client_burst(&mut self, index: usize, data: &[u8]) -> usize {
        let mut taken = 0_usize;
        let max_message = self.settings.limits.max_message;
        loop {
            let Some(client) = self.clients.get(index) else { return data.len() };
            let rest = data.get(taken..).unwrap_or_default();
            match client.state {
                ClientState::Closing => return data.len(),
                ClientState::Welcoming
                | ClientState::Waiting
                | ClientState::Listening
                | ClientState::Pausing
                | ClientState::Unsaid
                | ClientState::Replaying(_) => {
                    return taken;
                }
                ClientState::Leased(server) => {
                    let horizon = client.horizon;
                    if self.floors.follows_all {
                        self.note_sent(index);
                    }
                    let share = if horizon >= ALL {
                        Share::all(rest)
                    } else if let Some(share) = self.share_of_standby(index, server, rest) {
                        share
                    } else {
                        self.cross(index, server, rest);
                        continue;
                    };
                    if share.is_tried && share.data.is_empty() {
                        return taken;
                    }
                    let used = self.forward_burst(index, server, share.data);
                    if share.is_tried {
                        self.sent_to_standby(index, &share, used);
                    }
                    return taken.saturating_add(used);
                }
                ClientState::Idle if wants_server(client, rest, max_message) => {
                    if self.router.is_on()
                        && !client.crosses
                        && let Some(used) = self.take_place(index, rest)
                    {
                        taken = taken.saturating_add(used);
                        continue;
                    }
                }
                ClientState::Idle => match self.burst_alone(index, rest) {
                    Alone::Paused(used) => return taken.saturating_add(used),
                    Alone::NeedsServer(used) => taken = taken.saturating_add(used),
                    Alone::Gone => return data.len(),
                },
            }
            if self.router.is_on() {
                let rest = data.get(taken..).unwrap_or_default();
                let crosses = self.clients.get(index).is_some_and(|client| client.crosses);
                let asked = if crosses { Asked::No } else { self.explain_route(index, rest) };
                match asked {
                    Asked::No if self.direct(index, rest) => {}
                    Asked::No => continue,
                    Asked::Part => return taken,
                    Asked::Answered(used) => {
                        taken = taken.saturating_add(used);
                        continue;
                    }
                }
            }
            self.lease_or_wait(index);
        }
    }

    /// Writes `self.reply` to the client.
    pub(super) fn send_reply(&mut self, index: usize) {
        let reply = std::mem::take(&mut self.reply);
        self.send_to_client(index, &reply);
        self.reply = reply;
        self.reply.clear();
    }
}

/// Whether a message stands at the beginning of what is held that is whole.
fn is_whole(held: &[u8]) -> bool {
    peek(held).ok().flatten().is_some_and(|header| header.len <= held.len())
}
