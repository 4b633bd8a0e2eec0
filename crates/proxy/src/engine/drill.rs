//! Loops that are turned by hand, with a clock that is set by hand: what a running engine does by chance happens here in
//! the order that a test wants.

mod cancels;
mod fairness;
mod faults;
mod held;
mod limits;
mod opener;
mod opening;
mod outage;
mod panics;
mod places;
mod story;
mod waking;

use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use tokio::sync::mpsc;
use trunkline_session::SettingSet;
use trunkline_settings::{HiddenState, Settings};
use trunkline_wire::{backend, startup::ProtocolVersion};

use super::{
    message::{Arrival, Mailbox, Message},
    readiness::Registry as Sockets,
    report::LoopReport,
    shared::Shared,
    worker::{Worker, WorkerParts},
};
use crate::{
    cluster::{NodeId, Traffic},
    frontend::Slots,
    handover::{LoggedIn, StartupParams},
    net::{Peer, Socket},
    pool::Registry,
};
use opener::Servers;

/// Turns after which loops that still have something to do go round in circles.
const TURNS_MAX: usize = 10_000;

/// The other end of a connection of an engine.
#[derive(Debug)]
struct End {
    stream: UnixStream,
    read: Vec<u8>,
    closed: bool,
}

impl End {
    /// A pair of sockets: one for the engine, and the other end.
    fn pair() -> (Socket, Self) {
        let (near, stream) = UnixStream::pair().expect("a pair of sockets");
        near.set_nonblocking(true).expect("a socket");
        stream.set_nonblocking(true).expect("a socket");
        (Socket::Unix(near), Self { stream, read: Vec::new(), closed: false })
    }

    /// One who has gone hears nothing.
    fn send(&mut self, bytes: &[u8]) {
        match self.stream.write_all(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            sent => sent.expect("the socket takes a short message"),
        }
    }

    /// The messages that have come, by tag, with their bodies.
    fn receive(&mut self) -> Vec<(u8, Vec<u8>)> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.closed = true,
                Ok(len) => {
                    self.read.extend_from_slice(&buffer[..len]);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.closed = true,
            }
            break;
        }
        let mut messages = Vec::new();
        while let Some(length) = self.read.get(1..5) {
            let length = u32::from_be_bytes(length.try_into().expect("four bytes"));
            let end = usize::try_from(length).expect("a short message") + 1;
            if self.read.len() < end {
                break;
            }
            let message: Vec<u8> = self.read.drain(..end).collect();
            messages.push((message[0], message[5..].to_vec()));
        }
        messages
    }
}

/// Loops, the servers behind them and the clients before them.
struct Drill {
    shared: Arc<Shared>,
    settings: Arc<Settings>,
    loops: Vec<Worker>,
    opener: Arc<Servers>,
    servers: Vec<End>,
    clients: Vec<End>,
    slots: Slots,
}

impl Drill {
    fn new(count: usize, mut settings: Settings) -> Self {
        // The scripted servers have no functions that could be asked for.
        settings.pool.hidden_state = HiddenState::Trust;
        let settings = Arc::new(settings);
        let registry = Arc::new(Registry::new(Arc::clone(&settings), count));
        let opener = Arc::new(Servers::default());
        let (suspects, _) = mpsc::channel(1);
        let shared = Arc::new(Shared::new(registry, Arc::<Servers>::clone(&opener), 1, suspects));
        let (mut mailboxes, mut loops) = (Vec::new(), Vec::new());
        for index in 0..count {
            let (registry, waker) = Sockets::new().expect("a poll");
            let (mailbox, inbox) = Mailbox::new(waker);
            mailboxes.push(mailbox);
            loops.push(Worker::new(WorkerParts {
                index,
                loops: count,
                shared: Arc::clone(&shared),
                registry,
                inbox,
                settings: Arc::clone(&settings),
                traffic: Traffic { primary: Some(NodeId(0)), ..Traffic::default() },
            }));
        }
        shared.set_loops(mailboxes.into());
        let slots = Slots::new(1000);
        let (servers, clients) = (Vec::new(), Vec::new());
        Self { shared, settings, loops, opener, servers, clients, slots }
    }

    /// A client at this loop.
    fn log_in(&mut self, at: usize) -> usize {
        self.log_in_to("shop", at)
    }

    /// A client of this database at this loop.
    fn log_in_to(&mut self, database: &str, at: usize) -> usize {
        let (database, user): (Arc<str>, Arc<str>) = (Arc::from(database), Arc::from("alice"));
        let startup = StartupParams::default();
        let member = self.shared.registry.family(&database, &user, &startup);
        let (socket, end) = End::pair();
        let login = LoggedIn {
            role: trunkline_route::Wish::Any,
            socket,
            tls: None,
            slot: self.slots.take(&user, None).expect("a place"),
            user,
            database,
            startup,
            protocol: ProtocolVersion::V3_0,
            early: BytesMut::new(),
            peer: Peer::Unix { uid: 0, gid: 0, pid: None },
            method: "trust",
        };
        let arrival = Arrival {
            login,
            member: member.expect("the wildcard lets every database in"),
            base: Arc::new(SettingSet::default()),
            secret: [0; 32],
        };
        self.shared.send(at, Message::Client(Box::new(arrival)));
        self.clients.push(end);
        self.clients.len() - 1
    }

    /// One turn of one loop; says whether there was, or is, anything to do.
    fn turn(&mut self, index: usize) -> bool {
        let events = self.loops[index].turn(0).expect("the poll works");
        self.servers.append(&mut self.opener.opened());
        // What is asked of the opener, and does not wait for the test, is answered at once: that is in the inbox now.
        events > 0 || !self.loops[index].again.is_empty() || self.answers_are_due()
    }

    /// Turns the loops until none has anything to do before time goes on.
    fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            let busy = (0..self.loops.len()).filter(|index| self.turn(*index)).count();
            if busy == 0 {
                return;
            }
        }
        panic!("the loops go round in circles");
    }

    fn ask(&mut self, client: usize, sql: &str) {
        self.ask_all(client, [sql]);
    }

    /// Several statements in one burst.
    fn ask_all<'a>(&mut self, client: usize, all: impl IntoIterator<Item = &'a str>) {
        let mut burst = Vec::new();
        for sql in all {
            burst.push(b'Q');
            burst.extend(u32::try_from(sql.len() + 5).expect("short").to_be_bytes());
            burst.extend(sql.as_bytes());
            burst.push(0);
        }
        self.clients[client].send(&burst);
    }

    /// The statements that have come to a server.
    fn asked(&mut self, server: usize) -> Vec<String> {
        let texts = self.servers[server].receive().into_iter().filter(|(tag, _)| *tag == b'Q');
        texts.map(|(_, body)| String::from_utf8_lossy(&body[..body.len() - 1]).into()).collect()
    }

    fn answer(&mut self, server: usize, command: &str, status: u8) {
        let mut message = vec![b'C'];
        message.extend(u32::try_from(command.len() + 5).expect("short").to_be_bytes());
        message.extend(command.as_bytes());
        message.push(0);
        let mut out = BytesMut::from(&message[..]);
        backend::ready_for_query(&mut out, status);
        self.servers[server].send(&out);
    }

    /// The tags of what a client was told.
    fn told(&mut self, client: usize) -> String {
        self.clients[client].receive().iter().map(|(tag, _)| char::from(*tag)).collect()
    }

    /// The SQLSTATEs of the errors that a client was told.
    fn errors(&mut self, client: usize) -> Vec<String> {
        let errors = self.clients[client].receive().into_iter().filter(|(tag, _)| *tag == b'E');
        errors
            .map(|(_, body)| {
                let fields = backend::Fields::parse(&body).expect("an error");
                fields.code().expect("an error has a code").to_string()
            })
            .collect()
    }

    fn reports(&self) -> Vec<LoopReport> {
        self.loops.iter().map(Worker::report).collect()
    }
}

async fn pass(time: Duration) {
    tokio::time::advance(time).await;
}
