//! What a conversation is played with: clients, servers, and what was said.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use trunkline_session::{
    Again, Alone, Channel, ClientSession, HiddenState, LeaseStart, Long, Outgoing, Parcel,
    PinReason, PoolMode, Purpose, Reply, Scope, ServerSession, SessionLimits, SettingSet, Step,
    Surroundings, TxStatus, Unleased, Ways, unleased,
};
use trunkline_wire::{Frame, Frames, Reported, frame::HEADER, frame::peek};

use crate::shared::World;
use crate::talk::words::{
    client_messages, server_messages, told_client, told_rows, told_server, words,
};

/// One conversation.
pub(crate) struct Stage {
    world: World,
    limits: SessionLimits,
    clients: BTreeMap<String, ClientSession>,
    scopes: BTreeMap<u32, Arc<Scope>>,
    servers: BTreeMap<String, ServerSession>,
    client: String,
    server: Option<String>,
    /// What goes to the server before the client's next bytes.
    splice: BytesMut,
    /// What the client has said and the session has not taken.
    held: Vec<u8>,
    /// What was said since the last line was printed.
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    outcomes: Vec<String>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self {
            world: World::default(),
            limits: SessionLimits::default(),
            clients: BTreeMap::new(),
            scopes: BTreeMap::new(),
            servers: BTreeMap::new(),
            client: "a".to_owned(),
            server: None,
            splice: BytesMut::new(),
            held: Vec::new(),
            to_server: Vec::new(),
            to_client: Vec::new(),
            outcomes: Vec::new(),
        }
    }

    /// Plays a line, and prints it with what came of it.
    pub(crate) fn play(&mut self, line: &str) -> Vec<String> {
        let first = line.split(' ').next().unwrap_or_default();
        let rest = line.get(first.len()..).unwrap_or_default().trim();
        let printed = match first {
            "C>" => {
                self.client_says(&client_messages(rest));
                line.to_owned()
            }
            "C..>" => {
                // The message arrives in two parts: so many bytes first.
                let (first, message) = rest.split_once(' ').expect("a number and a message");
                self.client_says_long(first.parse().expect("a number"), &client_messages(message));
                line.to_owned()
            }
            "S>" => {
                self.server_says(&server_messages(rest));
                self.client_goes_on();
                line.to_owned()
            }
            "told>" => {
                self.server_says(&told_rows(rest));
                self.client_goes_on();
                line.to_owned()
            }
            "told-parked>" => {
                self.parked_says(&told_rows(rest));
                line.to_owned()
            }
            "alone>" => {
                self.client_alone(&client_messages(rest));
                line.to_owned()
            }
            "parked>" => {
                self.parked_says(&server_messages(rest));
                line.to_owned()
            }
            "ask" => {
                self.ask(&words(rest));
                line.to_owned()
            }
            "client" => {
                self.choose_client(&words(rest));
                line.to_owned()
            }
            "server" => {
                self.add_server(&words(rest));
                line.to_owned()
            }
            "limits" => {
                self.limit(&words(rest));
                line.to_owned()
            }
            "lease" => self.lease(words(rest)[0].clone()),
            "again" | "cross" | "leave" | "lose" => {
                self.part(first, rest);
                line.to_owned()
            }
            "release" => format!("release {}", self.release()),
            "asks" => format!("asks {}", self.asks()),
            "surveys" => {
                self.survey(rest);
                line.to_owned()
            }
            "listener" => self.listener_answers(line, rest == "grants"),
            _ => format!("{first} {}", self.look(first)),
        };
        self.print(&printed)
    }

    fn print(&mut self, line: &str) -> Vec<String> {
        let mut lines = vec![line.trim_end().to_owned()];
        let to_server = std::mem::take(&mut self.to_server);
        if !to_server.is_empty() {
            lines.push(format!("-> server {}", told_server(&to_server)));
        }
        let to_client = std::mem::take(&mut self.to_client);
        if !to_client.is_empty() {
            lines.push(format!("-> client {}", told_client(&to_client)));
        }
        lines.extend(self.outcomes.drain(..).map(|outcome| format!("!! {outcome}")));
        lines
    }

    fn look(&mut self, what: &str) -> String {
        let statements = self.server.as_ref().map(|name| &self.servers[name]);
        match what {
            "statements" => statements.expect("a lease").statement_count().to_string(),
            "owed" => statements.expect("a lease").owed_len().to_string(),
            "full" => yes(statements.expect("a lease").is_full()).to_owned(),
            "status" => match statements.expect("a lease").status() {
                TxStatus::Idle => "idle",
                TxStatus::Open => "open",
                TxStatus::Failed => "failed",
            }
            .to_owned(),
            "unneeded" => listed(&self.client().take_unneeded()),
            "channels" => self.client().channel_count().to_string(),
            "listening" => yes(statements.expect("a lease").listens()).to_owned(),
            "names" => self.client().name_count().to_string(),
            "pins" => {
                let pins: Vec<_> = self.client().pins().iter().map(PinReason::as_str).collect();
                if pins.is_empty() { "none".to_owned() } else { pins.join(", ") }
            }
            _ => panic!("no such line: {what}"),
        }
    }

    fn scope(&mut self, number: u32) -> Arc<Scope> {
        Arc::clone(
            self.scopes
                .entry(number)
                .or_insert_with(|| Arc::new(Scope::new(number, Arc::default()))),
        )
    }

    fn client(&mut self) -> &mut ClientSession {
        let (limits, scope) = (self.limits, self.scope(0));
        self.clients.entry(self.client.clone()).or_insert_with(|| {
            ClientSession::new(PoolMode::Transaction, SettingSet::empty(), scope, limits)
        })
    }

    fn choose_client(&mut self, words: &[String]) {
        self.client.clone_from(&words[0]);
        let (mut mode, mut scope, mut base) = (PoolMode::Transaction, 0, SettingSet::default());
        let mut welcome = None;
        for word in &words[1..] {
            match word.split_once('=').expect("key=value") {
                ("mode", "session") => mode = PoolMode::Session,
                ("mode", "statement") => mode = PoolMode::Statement,
                ("scope", number) => scope = number.parse().expect("a number"),
                ("welcome", parameter) => {
                    let (name, value) = parameter.split_once(':').expect("name:value");
                    welcome = Some(reported(&[(name, value)]));
                }
                (name, value) => base
                    .set(name.as_bytes(), trunkline_sql::Value::Literal(value.as_bytes().into())),
            }
        }
        let limits = self.limits;
        let scope = self.scope(scope);
        let client = self
            .clients
            .entry(self.client.clone())
            .or_insert_with(|| ClientSession::new(mode, Arc::new(base), scope, limits));
        if let Some(parameters) = welcome {
            let mut out = BytesMut::new();
            client.welcome(&parameters, &mut out);
            self.to_client.extend_from_slice(&out);
        }
        self.server = None;
    }

    fn add_server(&mut self, words: &[String]) {
        let parameters: Vec<_> =
            words[1..].iter().map(|word| word.split_once('=').expect("name=value")).collect();
        self.servers.insert(words[0].clone(), ServerSession::new(reported(&parameters)));
    }

    fn limit(&mut self, words: &[String]) {
        for word in words {
            let (name, number) = word.split_once('=').expect("key=value");
            let number = number.parse().expect("a number");
            match name {
                "statements" => self.limits.server_statements.count = number,
                "bytes" => self.limits.server_statements.bytes = number,
                "names" => self.limits.client_statements.count = number,
                "trust" => self.limits.hidden_state = HiddenState::Trust,
                "unnamed" => self.limits.unnamed_bytes = number,
                "room" => self.world.with_store(|store| store.room().set_limit(number)),
                _ => panic!("no limit {name}"),
            }
        }
    }

    /// The lease, and what it began with. A replay that need not be awaited goes with the client's first bytes.
    fn lease(&mut self, name: String) -> String {
        let mut server =
            self.servers.remove(&name).unwrap_or_else(|| ServerSession::new(reported(&[])));
        let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
        let mut client = self.take_client();
        let start =
            client.begin_lease(&mut server, &mut to_server, &mut to_client, &mut self.world);
        self.clients.insert(self.client.clone(), client);
        self.to_client.extend_from_slice(&to_client);
        let line = match start {
            LeaseStart::Ready => {
                self.splice = to_server;
                format!("lease {name}")
            }
            LeaseStart::Await => {
                self.to_server.extend_from_slice(&to_server);
                self.outcomes.push("the replay is awaited".to_owned());
                format!("lease {name}")
            }
        };
        self.servers.insert(name.clone(), server);
        self.server = Some(name);
        line
    }

    /// The client and its server part, or it is to go on elsewhere.
    fn part(&mut self, how: &str, rest: &str) {
        match how {
            "again" => self.lease_again(&words(rest)),
            "cross" => self.cross(),
            "lose" => {
                self.server = None;
                self.client().lose_server();
            }
            _ => self.leave(),
        }
    }

    /// The client's transaction leaves its server, and may go on on another one.
    fn cross(&mut self) {
        let name = self.server.take().expect("a lease");
        let mut server = self.servers.remove(&name).expect("the server");
        let may = yes(self.client().may_cross());
        self.outcomes.push(format!("may cross: {may}"));
        self.client().leave_transaction(&mut server);
        self.servers.insert(name, server);
    }

    /// The lease of a client that has a transaction open, begun by this text.
    fn lease_again(&mut self, words: &[String]) {
        self.lease(words[0].clone());
        let has = |what: &str| words[2..].iter().any(|word| word == what);
        let (has_read, has_failed) = (has("read"), has("failed"));
        let again = Again { begin: words[1].as_bytes(), has_read, has_failed };
        let mut server = self.servers.remove(&words[0]).expect("the server");
        let mut to_server = std::mem::take(&mut self.splice);
        self.client().begin_again(&mut server, again, &mut to_server);
        self.to_server.extend_from_slice(&to_server);
        self.servers.insert(words[0].clone(), server);
    }

    fn release(&mut self) -> &'static str {
        let name = self.server.clone().expect("a lease");
        let mut server = self.servers.remove(&name).expect("the server");
        let may = self.client().may_release(&server);
        if may {
            self.client().end_lease(&mut server);
            self.server = None;
        }
        self.servers.insert(name, server);
        yes(may)
    }

    /// Asks the server what the client has there, if that is wanted.
    fn asks(&mut self) -> &'static str {
        let name = self.server.clone().expect("a lease");
        let mut server = self.servers.remove(&name).expect("the server");
        let mut client = self.take_client();
        let wants = client.wants_read_back(&server);
        if wants {
            let mut question = BytesMut::new();
            client.read_back(&mut server, &mut question);
            self.to_server.extend_from_slice(&question);
        }
        self.put(name, client, server);
        yes(wants)
    }

    /// A server that nobody holds is asked of the functions of its database.
    fn survey(&mut self, name: &str) {
        let scope = self.scope(0);
        let server = self
            .servers
            .entry(name.to_owned())
            .or_insert_with(|| ServerSession::new(reported(&[])));
        let mut question = BytesMut::new();
        server.survey(&scope, &mut question);
        self.to_server.extend_from_slice(&question);
        self.server = Some(name.to_owned());
    }

    fn leave(&mut self) {
        let name = self.server.take().expect("a lease");
        let mut server = self.servers.remove(&name).expect("the server");
        self.client().leave(&mut server);
        let needs = if server.at_rest() {
            "the server is at rest"
        } else if server.needs_only_rollback() {
            "the server needs a rollback"
        } else {
            "the server is of no more use"
        };
        self.outcomes.push(needs.to_owned());
        self.servers.insert(name, server);
    }

    fn client_says(&mut self, data: &[u8]) {
        let name = self.server.clone().expect("a lease");
        let mut server = self.servers.remove(&name).expect("the server");
        let mut client = self.take_client();
        let (mut spliced, mut reply) = (std::mem::take(&mut self.splice), BytesMut::new());
        let mut out = Outgoing::new(data, &mut spliced);
        let mut ways = Ways { server: &mut out, client: &mut reply };
        let mut at = 0;
        for frame in Frames::new(data) {
            let frame = frame.expect("a whole message");
            let step = if server.is_full() {
                Step::Wait
            } else {
                client.on_client(&mut server, frame, at, &mut ways, &mut self.world)
            };
            match step {
                Step::Next => {}
                Step::Notify => self.outcomes.push("it may send a notification".to_owned()),
                Step::Wait | Step::Listen => {
                    assert!(server.is_full(), "it waits for a reply");
                    if let Some(channels) = client.take_ask() {
                        self.outcomes.push(format!("asks the listener for {}", listed(&channels)));
                    }
                    self.outcomes.push("the rest waits".to_owned());
                    self.held = data[at..].to_vec();
                    break;
                }
                Step::Aside => self.outcomes.push("it is answered aside".to_owned()),
                Step::Terminate => self.outcomes.push("terminate".to_owned()),
                Step::Refuse(code, why) => {
                    self.outcomes.push(format!("refuse {} {why}", code.as_str()));
                    break;
                }
                Step::UnknownTag => {
                    self.outcomes.push("unknown tag".to_owned());
                    break;
                }
            }
            at += frame.bytes.len();
        }
        let direct = parcel(&out.finish());
        self.to_server.extend_from_slice(&direct.unwrap_or_else(|| spliced.to_vec()));
        self.to_client.extend_from_slice(&reply);
        self.put(name, client, server);
    }

    /// The client goes on with what it has said before, if it may.
    fn client_goes_on(&mut self) {
        let full = self.server.as_ref().is_none_or(|name| self.servers[name].is_full());
        if !full && !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.client_says(&held);
        }
    }

    /// The listener has answered the client.
    fn listener_answers(&mut self, line: &str, granted: bool) -> String {
        self.client().listener_answers(granted);
        let name = self.server.clone().expect("a lease");
        self.servers.get_mut(&name).expect("the server").go_on_without_listener();
        self.client_goes_on();
        line.to_owned()
    }

    fn client_says_long(&mut self, first: usize, data: &[u8]) {
        let name = self.server.clone().expect("a lease");
        let mut server = self.servers.remove(&name).expect("the server");
        let mut client = self.take_client();
        let (mut spliced, mut reply) = (std::mem::take(&mut self.splice), BytesMut::new());
        let header = peek(data).expect("a message").expect("a message");
        assert_eq!(header.len, data.len(), "one message");
        let mut out = Outgoing::new(data, &mut spliced);
        let mut ways = Ways { server: &mut out, client: &mut reply };
        let (shape, world) = ((header.tag, header.len), &mut self.world);
        match client.on_client_long(&mut server, shape, &data[..first], 0, &mut ways, world) {
            Long::Wait => self.outcomes.push("wait for more".to_owned()),
            Long::Refuse(code, why) => {
                self.outcomes.push(format!("refuse {} {why}", code.as_str()));
            }
            Long::Stream { used, forward } => {
                assert_eq!(used, first);
                for piece in data[first..].chunks(7) {
                    client.on_client_more(piece);
                }
                if forward {
                    ways.server.forward(first..data.len());
                } else {
                    self.outcomes.push("dropped".to_owned());
                }
                client.on_client_long_end(&mut server);
            }
        }
        let direct = parcel(&out.finish());
        self.to_server.extend_from_slice(&direct.unwrap_or_else(|| spliced.to_vec()));
        self.to_client.extend_from_slice(&reply);
        self.put(name, client, server);
    }

    fn client_alone(&mut self, data: &[u8]) {
        let mut client = self.take_client();
        for frame in Frames::new(data) {
            let frame: Frame<'_> = frame.expect("a whole message");
            let mut reply = BytesMut::new();
            match unleased(frame.header(), TxStatus::Idle, &mut reply) {
                Unleased::NeedsServer => {
                    if !client.answer_alone(frame, &mut reply, &mut self.world) {
                        self.outcomes.push("needs a server".to_owned());
                        break;
                    }
                }
                Unleased::Done => {}
                Unleased::Terminate => self.outcomes.push("terminate".to_owned()),
                Unleased::UnknownTag => self.outcomes.push("unknown tag".to_owned()),
            }
            self.to_client.extend_from_slice(&reply);
        }
        self.clients.insert(self.client.clone(), client);
    }

    fn server_says(&mut self, data: &[u8]) {
        let name = self.server.clone().expect("a lease");
        let mut server = self.servers.remove(&name).expect("the server");
        let mut client = self.take_client();
        let mut spliced = BytesMut::new();
        let mut out = Outgoing::new(data, &mut spliced);
        let mut at = 0;
        while let Ok(Some(header)) = peek(&data[at..]) {
            let range = at..at + header.len;
            let body = &data[at + HEADER..range.end];
            at = range.end;
            match client.on_server(&mut server, header.tag, body, range, &mut out) {
                Reply::Next | Reply::Ready | Reply::Prepared | Reply::ReadBack => {}
                Reply::ReadyUnsaid => self.outcomes.push("Z(I) waits for the listener".to_owned()),
                Reply::Ask | Reply::ReadyToAsk => {
                    let mut question = BytesMut::new();
                    server.put_question(&mut question);
                    self.to_server.extend_from_slice(&question);
                }
                Reply::Replayed => self.outcomes.push("replayed".to_owned()),
                Reply::ReplayFailed => self.outcomes.push("the replay has failed".to_owned()),
                Reply::Desync(why) => {
                    self.outcomes.push(format!("desync: {why}"));
                    break;
                }
            }
        }
        let direct = parcel(&out.finish());
        self.to_client.extend_from_slice(&direct.unwrap_or_else(|| spliced.to_vec()));
        if server.is_ending() {
            self.outcomes.push("the server ends".to_owned());
        }
        self.put(name, client, server);
    }

    fn ask(&mut self, words: &[String]) {
        let purpose = match words[1].as_str() {
            "rollback" => Purpose::Rollback,
            "reset" => Purpose::Reset,
            "unlisten" => Purpose::Unlisten,
            _ => Purpose::Check,
        };
        let mut out = BytesMut::new();
        let server = self.servers.get_mut(&words[0]).expect("the server");
        server.ask(purpose, words[2].as_bytes(), &mut out);
        self.to_server.extend_from_slice(&out);
        self.server = Some(words[0].clone());
    }

    fn parked_says(&mut self, data: &[u8]) {
        let scope = self.scope(0);
        let name = self.server.clone().expect("a server that was asked");
        let server = self.servers.get_mut(&name).expect("the server");
        for frame in Frames::new(data) {
            let frame = frame.expect("a whole message");
            match server.on_alone(frame.tag, frame.body) {
                Alone::Nothing => {}
                Alone::Surveyed => {
                    server.end_survey(&scope);
                    self.outcomes.push("surveyed".to_owned());
                }
                Alone::Answered(purpose) => self.outcomes.push(format!("answered: {purpose:?}")),
                Alone::Ended => self.outcomes.push("ended".to_owned()),
            }
        }
    }

    fn take_client(&mut self) -> ClientSession {
        self.client();
        self.clients.remove(&self.client).expect("the client")
    }

    fn put(&mut self, name: String, client: ClientSession, server: ServerSession) {
        self.clients.insert(self.client.clone(), client);
        self.servers.insert(name, server);
    }
}

/// The bytes, unless they are in the splice buffer.
fn parcel(parcel: &Parcel<'_>) -> Option<Vec<u8>> {
    match parcel {
        Parcel::Nothing => Some(Vec::new()),
        Parcel::Direct(bytes) => Some(bytes.to_vec()),
        Parcel::Spliced => None,
    }
}

fn reported(parameters: &[(&str, &str)]) -> Arc<Reported> {
    let mut reported = Reported::new();
    for (name, value) in parameters {
        reported.set(name.as_bytes(), value.as_bytes()).expect("they are few");
    }
    Arc::new(reported)
}

fn listed(channels: &[Channel]) -> String {
    let names: Vec<_> = channels.iter().map(|name| String::from_utf8_lossy(name)).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

fn yes(answer: bool) -> &'static str {
    if answer { "yes" } else { "no" }
}
