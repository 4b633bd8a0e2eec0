//! Two loops, the clients before them and the servers behind them, which answer by themselves.

use std::{collections::BTreeSet, net::Shutdown, time::Duration};

use trunkline_settings::Settings;

use super::{Drill, pass};
use crate::{
    cluster::NodeId,
    engine::{Shared, message::Message, slot::ServerState},
    handover::CancelTicket,
};

/// Rounds of loops, servers and clients in one step of the story.
const ROUNDS_MAX: usize = 1_000;

pub(super) const NODE: NodeId = NodeId(0);

/// What the story knows of a client.
#[derive(Debug, Default)]
pub(super) struct Guest {
    /// Asked something, and was not told "ready" since.
    pub(super) waits: bool,
    pub(super) closed: bool,
    /// With which it cancels.
    key: Option<(i32, Box<[u8]>)>,
    pub(super) in_transaction: bool,
}

/// What the story knows of a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Host {
    /// The client whose statement came last.
    serves: Option<usize>,
    /// It is at a statement that it answers when it is cancelled.
    sleeps: bool,
    status: u8,
    pub(super) closed: bool,
}

pub(super) struct Story {
    pub(super) drill: Drill,
    pub(super) guests: Vec<Guest>,
    pub(super) hosts: Vec<Host>,
    /// After each step: who had gone by then, and how many servers.
    pub(super) losses: Vec<(BTreeSet<usize>, usize)>,
    /// The step with the panic.
    pub(super) hit: Option<usize>,
}

pub(super) fn settings() -> Settings {
    let mut settings = Settings::default();
    // So large that both loops have a part, and each part of the loops is told of the other's.
    settings.pool.size = 16;
    settings.pool.slots_per_worker = 8;
    settings.pool.wait_timeout = Duration::from_secs(5);
    settings.pool.idle_timeout = Duration::from_secs(60);
    settings
}

impl Story {
    /// Two loops before a node that takes so many connections.
    pub(super) fn begin(settings: Settings, connections: usize) -> Self {
        let drill = Drill::new(2, settings);
        drill.shared.registry.apply(&drill.settings, &[(NODE, connections)], |_| false);
        Self { drill, guests: Vec::new(), hosts: Vec::new(), losses: Vec::new(), hit: None }
    }

    pub(super) fn log_in(&mut self, database: &str, at: usize) -> usize {
        self.guests.push(Guest { waits: true, ..Guest::default() });
        self.drill.log_in_to(database, at)
    }

    pub(super) fn ask(&mut self, client: usize, sql: &str) {
        let guest = &mut self.guests[client];
        if !guest.closed && !guest.waits {
            guest.waits = true;
            guest.in_transaction |= sql == "BEGIN";
            guest.in_transaction &= sql != "COMMIT";
            self.drill.ask(client, &format!("{sql} -- {client}"));
        }
    }

    pub(super) fn send_all(&mut self, message: impl Fn() -> Message) {
        self.drill.shared.send_all(message);
        self.play();
    }

    /// Somebody asks to cancel what the client is at.
    pub(super) fn cancel(&mut self, client: usize) {
        if let Some((pid, key)) = self.guests[client].key.clone() {
            let (ticket, _) = CancelTicket::new();
            let (at, slot) = Shared::place_of_pid(pid).expect("a place");
            self.drill.shared.send(at, Message::Cancel { slot, pid, key, ticket });
        }
        self.play();
        for server in 0..self.hosts.len() {
            if self.hosts[server].sleeps && self.hosts[server].serves == Some(client) {
                self.hosts[server].sleeps = false;
                self.answer(server, "SELECT 1");
            }
        }
        self.play();
    }

    fn answer(&mut self, server: usize, command: &str) {
        let status = self.hosts[server].status;
        self.drill.answer(server, command, status);
    }

    pub(super) fn server_of(&self, client: usize) -> Option<usize> {
        let serves = |host: &Host| host.serves == Some(client) && !host.closed;
        self.hosts.iter().position(serves)
    }

    /// The client sends something that is kept, while the loops may hardly keep anything.
    pub(super) fn overload(&mut self, client: usize, bytes: &[u8]) {
        let share = self.drill.loops[0].ledger.share();
        for (share, bytes) in [(1_000, bytes), (share, b"".as_slice())] {
            self.drill.loops.iter_mut().for_each(|worker| worker.ledger.set_share(share));
            self.drill.clients[client].send(bytes);
            self.play();
        }
    }

    /// The client's socket closes.
    pub(super) fn leave(&mut self, client: usize) {
        self.drill.clients[client].stream.shutdown(Shutdown::Both).ok();
        self.guests[client].closed = true;
        self.play();
    }

    /// Turns the loops, and plays the servers, until nothing more happens before time goes on.
    pub(super) fn play(&mut self) {
        for round in 0.. {
            assert!(round < ROUNDS_MAX, "servers and clients go round in circles");
            self.drill.settle();
            let mut busy = false;
            let new = Host { serves: None, sleeps: false, status: b'I', closed: false };
            self.hosts.resize(self.drill.servers.len(), new);
            for server in 0..self.hosts.len() {
                busy |= self.play_server(server);
            }
            for client in 0..self.guests.len() {
                self.listen(client);
            }
            if !busy {
                break;
            }
        }
        check_places(self);
        if self.hit.is_none() && self.panics() > 0 {
            self.hit = Some(self.losses.len());
        }
        let gone = (0..self.guests.len()).filter(|client| self.guests[*client].closed).collect();
        self.losses.push((gone, self.hosts.iter().filter(|host| host.closed).count()));
    }

    pub(super) fn panics(&self) -> u64 {
        self.drill.reports().iter().map(|report| report.panics).sum()
    }

    /// Says whether it has done anything.
    fn play_server(&mut self, server: usize) -> bool {
        if self.hosts[server].closed {
            return false;
        }
        let messages = self.drill.servers[server].receive();
        let mut busy = !messages.is_empty();
        let mut goes = self.drill.servers[server].closed;
        for (tag, body) in messages {
            goes |= tag == b'X';
            if tag != b'Q' {
                continue;
            }
            let text = String::from_utf8_lossy(&body[..body.len() - 1]).into_owned();
            let (sql, client) = text.split_once(" -- ").unwrap_or((&text, ""));
            let host = &mut self.hosts[server];
            host.serves = client.parse().ok();
            host.sleeps = sql == "SLEEP";
            match sql {
                "BEGIN" => host.status = b'T',
                "COMMIT" | "ROLLBACK" => host.status = b'I',
                _ => {}
            }
            if !host.sleeps {
                self.answer(server, "SELECT 1");
            }
        }
        if goes {
            self.close(server);
            busy = true;
        }
        busy
    }

    pub(super) fn close(&mut self, server: usize) {
        self.hosts[server].closed = true;
        self.drill.servers[server].stream.shutdown(Shutdown::Both).ok();
    }

    fn listen(&mut self, client: usize) {
        let messages = self.drill.clients[client].receive();
        let guest = &mut self.guests[client];
        guest.closed |= self.drill.clients[client].closed;
        for (tag, body) in messages {
            match tag {
                b'Z' => guest.waits = false,
                b'K' => {
                    let (pid, key) = body.split_first_chunk().expect("a process id");
                    guest.key = Some((i32::from_be_bytes(*pid), key.into()));
                }
                _ => {}
            }
        }
    }

    pub(super) async fn wait(&mut self, time: Duration) {
        pass(time).await;
        self.play();
    }
}

/// The caps count the connections that the loops have or open, and how many of these are on their way out.
fn check_places(story: &Story) {
    let drill = &story.drill;
    for family in drill.shared.registry.families() {
        let (mut here, mut leaving) = (0, 0);
        for worker in &drill.loops {
            for (_, server) in &worker.servers {
                let leaves = server.state == ServerState::Retiring;
                leaving += usize::from(leaves);
                here += usize::from(!leaves && server.about.family.id == family.id);
            }
            let place = worker.by_family.get(&family.id);
            here += place.map_or(0, |place| worker.pools[*place].attempt.under_way());
        }
        let [.., node, _] = drill.shared.caps_of(&family, NODE);
        assert_eq!((family.tenants.held(), node.leaving()), (here, leaving), "connections");
    }
}
