//! Clients with a session each over few servers, and beside each client a server of its own, whose answers are what
//! the client must see.

use std::collections::VecDeque;

use bytes::BytesMut;
use trunkline_session::{
    Alone, ClientSession, LeaseStart, Long, OWED_MAX, Outgoing, Parcel, PoolMode, Purpose, Reply,
    Step, TxStatus, Unleased, Ways, unleased,
};
use trunkline_wire::{Frame, frame::HEADER, frame::peek};

use crate::model::client::{Client, Place};
use crate::model::server::Server;
use crate::shared::{Message, World, messages};

/// Longer messages are passed on as they come.
const HOLD_MAX: usize = 150;

/// The whole of it.
#[derive(Debug)]
pub(crate) struct Shell {
    world: World,
    clients: Vec<Client>,
    servers: Vec<Server>,
    waiting: VecDeque<usize>,
}

/// What there is of a message whose beginning went before.
fn go_on(client: &mut Client, server: &mut Server, data: &[u8], ways: &mut Ways<'_, '_>) -> usize {
    if client.stream.0 == 0 {
        return 0;
    }
    let taken = client.stream.0.min(data.len());
    client.stream.0 -= taken;
    if client.stream.1 {
        ways.server.forward(0..taken);
        client.session.on_client_more(&data[..taken]);
    }
    if client.stream.0 == 0 {
        client.session.on_client_long_end(&mut server.session);
        if server.session.has_question() {
            server.session.put_question(ways.server.insert());
        }
    }
    taken
}

/// Whether what this client says and is told is judged in runs where that is possible, or message by message: both
/// must come to the same.
const fn in_runs(index: usize) -> bool {
    index.is_multiple_of(2)
}

impl Shell {
    pub(crate) fn new(mode: PoolMode, clients: usize, servers: usize) -> Self {
        let startup = |index: usize| index % 2 == 1;
        let clients = (0..clients).map(|index| Client::new(mode, startup(index))).collect();
        let servers = (0..servers).map(|_| Server::new()).collect();
        Self { world: World::default(), clients, servers, waiting: VecDeque::new() }
    }

    /// The client sends bytes, whole messages, which arrive in two parts.
    ///
    /// It does not send a query that names statements behind messages without a Sync, into a failed transaction, or into
    /// a COPY, where they cannot be lent, or one that is too long for them to be found. Nor does it take back what its startup packet has set by a message that is too long for that to be
    /// seen in time.
    pub(crate) fn send(&mut self, index: usize, bytes: &[u8], cut: usize) {
        let client = &mut self.clients[index];
        let mut sent = Vec::new();
        for (tag, body) in messages(bytes) {
            let strange = client.alone.lends_nothing() && names(tag, &body)
                || body.len() > HOLD_MAX - HEADER && names(tag, &body)
                || client.startup && body.len() > HOLD_MAX - HEADER && resets(tag, &body);
            if !strange {
                let mut out = BytesMut::new();
                client.alone.take(tag, &body, &mut out);
                let answer = messages(&out);
                let sends = sends(tag, &answer);
                client.expected.extend(answer.into_iter().filter(|(tag, _)| *tag != b'S'));
                if sends {
                    client.due = client.expected.len();
                }
                sent.extend_from_slice(&framed(tag, &body));
            }
        }
        let bytes = &sent;
        let (first, second) = bytes.split_at(cut.min(bytes.len()));
        for part in [first, second] {
            self.clients[index].held.extend_from_slice(part);
            self.run(index);
        }
    }

    /// Whether the client has got all that it is to get.
    pub(crate) fn is_answered(&self, index: usize) -> bool {
        self.clients[index].got.len() >= self.clients[index].due
    }

    /// The server takes so many messages.
    pub(crate) fn serve(&mut self, index: usize, most: usize) -> bool {
        let server = &mut self.servers[index];
        let mut worked = false;
        for _ in 0..most {
            let Ok(Some(frame)) = Frame::first(&server.inbox) else { break };
            let (len, mut out) = (frame.bytes.len(), BytesMut::new());
            server.postgres.take(frame.tag, frame.body, &mut out);
            let answer = messages(&out);
            server.buffered.extend(answer.iter().map(|(tag, body)| framed(*tag, body)));
            if sends(frame.tag, &answer) {
                server.outbox.extend(server.buffered.drain(..));
            }
            server.inbox.drain(..len);
            worked = true;
        }
        worked
    }

    /// So many messages of the server arrive at once.
    pub(crate) fn deliver(&mut self, index: usize, most: usize) -> bool {
        let server = &mut self.servers[index];
        let count = most.min(server.outbox.len());
        let bytes: Vec<u8> = server.outbox.drain(..count).flatten().collect();
        if bytes.is_empty() {
            return false;
        }
        match server.client {
            Some(client) => self.relay(client, index, &bytes),
            None => self.alone(index, &bytes),
        }
        true
    }

    /// Lets everything come to rest.
    pub(crate) fn settle(&mut self) {
        loop {
            let mut worked = false;
            for index in 0..self.servers.len() {
                worked |= self.serve(index, 1);
                worked |= self.deliver(index, usize::MAX);
            }
            if !worked {
                return;
            }
        }
    }

    /// All that the client got must be the beginning of what it is to get.
    pub(crate) fn check(&self, index: usize) {
        let client = &self.clients[index];
        for (place, got) in client.got.iter().enumerate() {
            let wanted = client.expected.get(place);
            assert_eq!(
                wanted.map(shown),
                Some(shown(got)),
                "client {index}, message {place}; all it got: {:#?}",
                client.got.iter().map(shown).collect::<Vec<_>>()
            );
        }
    }

    /// At rest, nothing may be missing, and what the client was told must be true.
    pub(crate) fn check_answered(&self, index: usize) {
        self.check(index);
        let client = &self.clients[index];
        if matches!(client.place, Place::Waiting | Place::Gone) {
            return;
        }
        let due = &client.expected[..client.due];
        let missing: Vec<_> = due.iter().skip(client.got.len()).map(shown).collect();
        assert!(missing.is_empty(), "client {index} did not get {missing:#?}");
        if client.alone.is_at_rest() && client.place == Place::Idle {
            assert_eq!(client.told, *client.alone.told(), "client {index} was told otherwise");
        }
    }

    /// The client goes; its server is used again if it can be.
    pub(crate) fn leave(&mut self, index: usize) {
        let client = &mut self.clients[index];
        client.held.clear();
        let place = std::mem::replace(&mut client.place, Place::Gone);
        self.waiting.retain(|waiting| *waiting != index);
        let (Place::Leased(held) | Place::Replaying(held)) = place else { return };
        let server = &mut self.servers[held];
        server.client = None;
        let rest = server.session.at_rest();
        let pinned =
            !client.session.pins().is_empty() || client.session.mode() == PoolMode::Session;
        let mut out = BytesMut::new();
        if client.stream.0 == 0 && rest {
            client.session.leave(&mut server.session);
            server.keeping = true;
            server.session.ask(Purpose::Reset, b"DISCARD ALL", &mut out);
        } else if client.stream.0 == 0 && server.session.needs_only_rollback() && !pinned {
            client.session.leave(&mut server.session);
            server.keeping = true;
            server.session.ask(Purpose::Rollback, b"ROLLBACK", &mut out);
        } else {
            *server = Server::new();
            self.next(held);
            return;
        }
        server.inbox.extend_from_slice(&out);
    }

    fn run(&mut self, index: usize) {
        loop {
            match self.clients[index].place {
                Place::Waiting | Place::Replaying(_) | Place::Gone => return,
                Place::Leased(server) => return self.forward(index, server),
                Place::Idle => {
                    if !self.judge(index) {
                        return;
                    }
                    let free = self.servers.iter().position(Server::is_free);
                    match free {
                        Some(server) if self.waiting.is_empty() => self.grant(index, server),
                        _ => {
                            self.clients[index].place = Place::Waiting;
                            self.waiting.push_back(index);
                        }
                    }
                }
            }
        }
    }

    /// Answers what needs no server; true when one is needed.
    fn judge(&mut self, index: usize) -> bool {
        let client = &mut self.clients[index];
        loop {
            let Ok(Some(header)) = peek(&client.held) else { return false };
            let whole = client.held.get(..header.len).map(<[u8]>::to_vec);
            let Some(bytes) = whole else { return header.len > HOLD_MAX };
            let mut reply = BytesMut::new();
            let frame = Frame { tag: header.tag, body: &bytes[HEADER..], bytes: &bytes };
            match unleased(header, TxStatus::Idle, &mut reply) {
                Unleased::NeedsServer => {
                    if !client.session.answer_alone(frame, &mut reply, &mut self.world) {
                        return true;
                    }
                }
                Unleased::Done => {}
                other => panic!("{other:?}"),
            }
            client.receive(&reply);
            client.held.drain(..header.len);
        }
    }

    fn grant(&mut self, index: usize, held: usize) {
        let (client, server) = (&mut self.clients[index], &mut self.servers[held]);
        let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
        let start = client.session.begin_lease(
            &mut server.session,
            &mut to_server,
            &mut to_client,
            &mut self.world,
        );
        client.place = match start {
            LeaseStart::Ready => Place::Leased(held),
            LeaseStart::Await => Place::Replaying(held),
        };
        server.client = Some(index);
        server.inbox.extend_from_slice(&to_server);
        client.receive(&to_client);
    }

    fn forward(&mut self, index: usize, held: usize) {
        let (client, server) = (&mut self.clients[index], &mut self.servers[held]);
        let data = std::mem::take(&mut client.held);
        let (mut spliced, mut reply) = (BytesMut::new(), BytesMut::new());
        let mut out = Outgoing::new(&data, &mut spliced);
        let mut ways = Ways { server: &mut out, client: &mut reply };
        let mut taken = go_on(client, server, &data, &mut ways);
        let mut refused = false;
        while !server.session.is_full()
            && let Ok(Some(header)) = peek(&data[taken..])
        {
            let rest = &data[taken..];
            if in_runs(index) {
                let (session, most) = (&client.session, (usize::MAX, OWED_MAX));
                let run = session.send_run(&mut server.session, rest, taken, most, ways.server);
                taken += run;
                if run > 0 {
                    continue;
                }
            }
            let Some(bytes) = rest.get(..header.len) else {
                if !client.session.streams(&server.session, header.tag) && header.len <= HOLD_MAX {
                    break;
                }
                let shape = (header.tag, header.len);
                match client.session.on_client_long(
                    &mut server.session,
                    shape,
                    rest,
                    taken,
                    &mut ways,
                    &mut self.world,
                ) {
                    Long::Wait => {}
                    Long::Stream { used, forward } => {
                        client.stream = (header.len - used, forward);
                        taken += used;
                    }
                    Long::Refuse(_, why) => panic!("refused: {why}"),
                }
                break;
            };
            let frame = Frame { tag: header.tag, body: &bytes[HEADER..], bytes };
            let session = &mut server.session;
            match client.session.on_client(session, frame, taken, &mut ways, &mut self.world) {
                Step::Next | Step::Notify => taken += header.len,
                Step::Wait => {
                    assert!(server.session.is_full(), "it waits for a reply");
                    break;
                }
                Step::Refuse(..) if client.session.mode() == PoolMode::Statement => {
                    taken += header.len;
                    refused = true;
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        match out.finish() {
            Parcel::Nothing => {}
            Parcel::Direct(bytes) => server.inbox.extend_from_slice(bytes),
            Parcel::Spliced => server.inbox.extend_from_slice(&spliced),
        }
        client.held = data[taken..].to_vec();
        client.receive(&reply);
        if refused {
            self.leave(index);
        }
    }

    fn relay(&mut self, index: usize, held: usize, data: &[u8]) {
        let (client, server) = (&mut self.clients[index], &mut self.servers[held]);
        let mut spliced = BytesMut::new();
        let mut out = Outgoing::new(data, &mut spliced);
        let (mut taken, mut ready, mut replayed) = (0, false, false);
        let mut question = BytesMut::new();
        while let Ok(Some(header)) = peek(&data[taken..]) {
            if in_runs(index) {
                let (session, rest) = (&mut server.session, &data[taken..]);
                let run = ClientSession::pass_run(session, rest, taken, &mut out);
                taken += run;
                if run > 0 {
                    continue;
                }
            }
            let range = taken..taken + header.len;
            let body = &data[taken + HEADER..range.end];
            taken = range.end;
            match client.session.on_server(&mut server.session, header.tag, body, range, &mut out) {
                Reply::Next | Reply::Prepared | Reply::ReadBack => {}
                Reply::Ask if client.stream.0 > 0 && client.stream.1 => {}
                Reply::Ask => server.session.put_question(&mut question),
                Reply::Ready => ready = true,
                Reply::ReadyToAsk => {
                    ready = true;
                    if client.stream.0 == 0 || !client.stream.1 {
                        server.session.put_question(&mut question);
                    }
                }
                Reply::Replayed => replayed = true,
                Reply::ReplayFailed => return self.replay_failed(index, held),
                other @ (Reply::Desync(_) | Reply::ReadyUnsaid) => {
                    panic!("{other:?} at {:?}", char::from(header.tag))
                }
            }
        }
        let to_client = match out.finish() {
            Parcel::Nothing => Vec::new(),
            Parcel::Direct(bytes) => bytes.to_vec(),
            Parcel::Spliced => spliced.to_vec(),
        };
        client.receive(&to_client);
        server.inbox.extend_from_slice(&question);
        if replayed && client.place == Place::Replaying(held) {
            client.place = Place::Leased(held);
            self.run(index);
        }
        let (client, server) = (&mut self.clients[index], &mut self.servers[held]);
        if server.session.is_ending() && server.has_said_all() {
            assert!(client.got.len() == client.expected.len(), "client {index} missed something");
            client.place = Place::Gone;
            *server = Server::new();
            return self.next(held);
        }
        if ready && client.stream.0 == 0 && client.session.may_release(&server.session) {
            client.session.end_lease(&mut server.session);
            client.place = Place::Idle;
            server.client = None;
            self.next(held);
        }
        if !self.clients[index].held.is_empty() {
            self.run(index);
        }
    }

    /// The client is told so and goes, as nothing of what it says from here on could be compared.
    fn replay_failed(&mut self, index: usize, held: usize) {
        let client = &mut self.clients[index];
        assert_eq!(client.place, Place::Replaying(held), "only what may fail is awaited");
        assert!(self.servers[held].inbox.is_empty(), "something went to it behind the replay");
        client.session.lose_server();
        client.place = Place::Gone;
        self.servers[held] = Server::new();
        self.next(held);
    }

    fn alone(&mut self, index: usize, data: &[u8]) {
        let server = &mut self.servers[index];
        let mut free = false;
        for (tag, body) in messages(data) {
            match server.session.on_alone(tag, &body) {
                Alone::Nothing => {}
                Alone::Answered(_) => free = true,
                Alone::Surveyed => panic!("nobody asks that here"),
                Alone::Ended => panic!("a query of ours failed"),
            }
        }
        if free {
            server.keeping = false;
            self.next(index);
        }
    }

    /// A server at rest, for whoever is next.
    fn next(&mut self, index: usize) {
        self.servers[index].check_at_rest(index);
        if let Some(client) = self.waiting.pop_front() {
            self.clients[client].place = Place::Idle;
            self.grant(client, index);
            self.run(client);
        }
    }
}

/// Whether a server that gives this answer to a message with this tag sends what it has answered so far. Answers of the
/// extended protocol are kept back until a Sync or a Flush, unless there is something else to be sent.
fn sends(tag: u8, answer: &[Message]) -> bool {
    tag == b'H' || answer.iter().any(|(tag, _)| b"ZENGH".contains(tag))
}

fn framed(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 4).expect("messages of tests are short");
    [&[tag][..], &len.to_be_bytes(), body].concat()
}

/// Whether the message is a query for which names may be lent.
fn names(tag: u8, body: &[u8]) -> bool {
    let words = ["prepare", "execute", "deallocate"];
    let text = String::from_utf8_lossy(body);
    tag == b'Q' && words.iter().any(|word| text.contains(word))
}

/// Whether the message takes back a setting.
fn resets(tag: u8, body: &[u8]) -> bool {
    let words = ["reset", "discard", "default"];
    let text = String::from_utf8_lossy(body);
    matches!(tag, b'Q' | b'P') && words.iter().any(|word| text.contains(word))
}

/// A message in words.
fn shown((tag, body): &Message) -> String {
    let body = String::from_utf8_lossy(body).replace('\0', "|");
    format!("{} {body}", char::from(*tag))
}
