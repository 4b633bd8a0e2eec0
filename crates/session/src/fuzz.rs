//! What a fuzzer calls.

use std::sync::Arc;

use bytes::BytesMut;
use trunkline_wire::{
    Frame, Frames, Reported,
    frame::{HEADER, peek},
};

use crate::{
    client::{ClientSession, PoolMode, SessionLimits, Surroundings},
    from_client::{Step, Ways},
    from_server::{JUDGE_PREFIX, Reply, may_stream},
    long::Long,
    look::HiddenState,
    outgoing::{Outgoing, Parcel},
    recent::RecentParses,
    server::{ServerSession, TxStatus},
    setting::SettingSet,
    statement::{StatementLimits, StatementStore},
    {LeaseStart, Purpose, Unleased, unleased},
};

/// Clients of one run, of different modes.
const CLIENTS: usize = 3;

/// Servers of one run.
const SERVERS: usize = 2;

/// Small ones, so that they are reached.
const LIMITS: SessionLimits = SessionLimits {
    server_statements: StatementLimits { count: 2, bytes: 200 },
    client_statements: StatementLimits { count: 3, bytes: 1 << 20 },
    unnamed_bytes: 40,
    hidden_state: HiddenState::ReadBack,
    strict_placeholders: false,
};

/// Bytes for the statements of all clients: fewer than they may have by their number.
const ROOM: usize = 3 << 10;

/// Plays any events. Each line of `data` is one, and says by its first byte what happens; `~` stands for NUL:
///
/// | line | event |
/// |---|---|
/// | `0` to `2` | the client that acts from here on |
/// | `a`, `b` | this client is given server A or B, if neither serves anybody |
/// | `C` tag body | the client sends a message |
/// | `L` digit tag body | it sends a long one, of which so many times four bytes come first |
/// | `S` tag body | its server sends a message |
/// | `R` | its server goes back to the pool if it may |
/// | `X` | the client goes |
/// | `A`, `B`, then tag and body | a server that serves nobody sends a message |
/// | `Q` text | server A, if it serves nobody, is asked something of ours |
///
/// # Panics
/// If something other than whole messages is sent on, or a server that may be released is not at rest.
pub fn events(data: &[u8]) {
    let mut stage = Stage::new();
    for line in data.split(|byte| *byte == b'\n') {
        let line: Vec<u8> = line.iter().map(|byte| if *byte == b'~' { 0 } else { *byte }).collect();
        stage.play(&line);
    }
}

#[derive(Debug, Default)]
struct Around {
    store: StatementStore,
    keys: u64,
    recent: RecentParses,
}

impl Surroundings for Around {
    fn hash(&self, text: &[u8], types: &[u8], _environment: &[u8]) -> u64 {
        u64::try_from(text.len().wrapping_add(types.len()) % 3).unwrap_or(0)
    }

    fn with_store<T>(&mut self, work: impl FnOnce(&mut StatementStore) -> T) -> T {
        work(&mut self.store)
    }

    fn unnamed_key(&mut self) -> u64 {
        self.keys = self.keys.wrapping_add(1);
        self.keys
    }

    fn recent(&mut self) -> &mut RecentParses {
        &mut self.recent
    }
}

#[derive(Debug)]
struct Client {
    session: ClientSession,
    server: Option<usize>,
    /// A replay is awaited: its own messages wait.
    waits: bool,
}

#[derive(Debug)]
struct Stage {
    around: Around,
    clients: [Client; CLIENTS],
    servers: [ServerSession; SERVERS],
    now: usize,
}

impl Stage {
    fn new() -> Self {
        let mut base = SettingSet::default();
        base.set(b"application_name", trunkline_sql::Value::Literal(b"app".as_slice().into()));
        let bases = [SettingSet::empty(), Arc::new(base), SettingSet::empty()];
        let modes = [PoolMode::Transaction, PoolMode::Transaction, PoolMode::Session];
        let mut made = modes.into_iter().zip(bases).map(|(mode, base)| Client {
            session: ClientSession::new(mode, base, Arc::default(), LIMITS),
            server: None,
            waits: false,
        });
        let mut client = || made.next().expect("there are as many modes as clients");
        let around = Around::default();
        around.store.room().set_limit(ROOM);
        Self {
            around,
            clients: [client(), client(), client()],
            servers: std::array::from_fn(|_| ServerSession::new(Arc::new(Reported::new()))),
            now: 0,
        }
    }

    fn play(&mut self, line: &[u8]) {
        let Some((&event, rest)) = line.split_first() else { return };
        match event {
            b'0'..=b'2' => self.now = usize::from(event.wrapping_sub(b'0')),
            b'a' | b'b' => self.lease(usize::from(event.wrapping_sub(b'a'))),
            b'C' => self.client_says(rest),
            b'L' => self.client_says_long(rest),
            b'S' => self.server_says(rest),
            b'R' => self.release(),
            b'X' => self.leave(),
            b'A' | b'B' => self.alone(usize::from(event.wrapping_sub(b'A')), rest),
            b'Q' => self.ask(rest),
            _ => {}
        }
    }

    fn serves(&self, server: usize) -> bool {
        self.clients.iter().any(|client| client.server == Some(server))
    }

    fn lease(&mut self, index: usize) {
        if self.serves(index) {
            return;
        }
        let (Some(client), Some(server)) =
            (self.clients.get_mut(self.now), self.servers.get_mut(index))
        else {
            return;
        };
        if client.server.is_some() || !server.at_rest() {
            return;
        }
        let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
        let start =
            client.session.begin_lease(server, &mut to_server, &mut to_client, &mut self.around);
        whole(&to_server);
        whole(&to_client);
        client.server = Some(index);
        client.waits = start == LeaseStart::Await;
    }

    fn client_says(&mut self, message: &[u8]) {
        let bytes = framed(message);
        let Ok(Some(frame)) = Frame::first(&bytes) else { return };
        let Some(client) = self.clients.get_mut(self.now) else { return };
        let mut reply = BytesMut::new();
        let Some(server) = client.server.and_then(|index| self.servers.get_mut(index)) else {
            if unleased(frame.header(), TxStatus::Idle, &mut reply) == Unleased::NeedsServer {
                client.session.answer_alone(frame, &mut reply, &mut self.around);
            }
            whole(&reply);
            return;
        };
        if client.waits || server.is_full() || server.is_ending() {
            return;
        }
        let mut spliced = BytesMut::new();
        let mut out = Outgoing::new(&bytes, &mut spliced);
        let mut ways = Ways { server: &mut out, client: &mut reply };
        let step = client.session.on_client(server, frame, 0, &mut ways, &mut self.around);
        let sent = parcel(&out.finish());
        let sent = sent.unwrap_or_else(|| spliced.to_vec());
        whole(&sent);
        whole(&reply);
        if step == Step::Listen {
            assert!(server.is_full(), "a message waits for the listener");
            let granted = client.session.take_ask().is_some_and(|asked| !asked.is_empty());
            client.session.listener_answers(granted);
            server.go_on_without_listener();
            return;
        }
        if step == Step::Wait {
            assert!(server.is_full(), "a message waits for a reply");
            return;
        }
        if !matches!(step, Step::Next | Step::Notify) {
            assert!(sent.is_empty(), "what is refused is not sent on");
            self.leave();
        }
    }

    fn client_says_long(&mut self, message: &[u8]) {
        let Some((&digit, message)) = message.split_first() else { return };
        let bytes = framed(message);
        let first = usize::from(digit.wrapping_sub(b'0') % 10).saturating_mul(4).max(HEADER);
        let (Some(head), Ok(Some(header))) = (bytes.get(..first), peek(&bytes)) else { return };
        let Some(client) = self.clients.get_mut(self.now) else { return };
        let Some(server) = client.server.and_then(|index| self.servers.get_mut(index)) else {
            return;
        };
        if client.waits || server.is_full() || server.is_ending() {
            return;
        }
        let (mut spliced, mut reply) = (BytesMut::new(), BytesMut::new());
        let mut out = Outgoing::new(&bytes, &mut spliced);
        let mut ways = Ways { server: &mut out, client: &mut reply };
        let (around, shape) = (&mut self.around, (header.tag, header.len));
        let long = client.session.on_client_long(server, shape, head, 0, &mut ways, around);
        if let Long::Stream { used, forward } = long {
            assert_eq!(used, head.len(), "all that is there was taken");
            client.session.on_client_more(bytes.get(used..).unwrap_or_default());
            if forward {
                ways.server.forward(used..bytes.len());
            }
            client.session.on_client_long_end(server);
        }
        let sent = parcel(&out.finish());
        whole(&sent.unwrap_or_else(|| spliced.to_vec()));
        whole(&reply);
        if matches!(long, Long::Refuse(..)) {
            self.leave();
        }
    }

    fn server_says(&mut self, message: &[u8]) {
        let bytes = framed(message);
        let Ok(Some(frame)) = Frame::first(&bytes) else { return };
        let Some(client) = self.clients.get_mut(self.now) else { return };
        let Some(server) = client.server.and_then(|index| self.servers.get_mut(index)) else {
            return;
        };
        let mut spliced = BytesMut::new();
        let mut out = Outgoing::new(&bytes, &mut spliced);
        // Only the beginning of a long one is there when it is judged.
        let seen = if may_stream(frame.tag, bytes.len()) {
            JUDGE_PREFIX.min(frame.body.len())
        } else {
            usize::MAX
        };
        let body = frame.body.get(..seen).unwrap_or(frame.body);
        let reply = client.session.on_server(server, frame.tag, body, 0..bytes.len(), &mut out);
        let sent = parcel(&out.finish());
        whole(&sent.unwrap_or_else(|| spliced.to_vec()));
        match reply {
            Reply::Next | Reply::Ready | Reply::ReadyUnsaid | Reply::Prepared | Reply::ReadBack => {
            }
            Reply::Ask | Reply::ReadyToAsk => {
                let mut question = BytesMut::new();
                server.put_question(&mut question);
                whole(&question);
            }
            Reply::Replayed => client.waits = false,
            Reply::ReplayFailed => self.lose(),
            Reply::Desync(_) => {
                assert!(server.is_ending(), "it is not used again");
                self.lose();
            }
        }
    }

    fn release(&mut self) {
        let Some(client) = self.clients.get_mut(self.now) else { return };
        let Some(server) = client.server.and_then(|index| self.servers.get_mut(index)) else {
            return;
        };
        if !client.waits && client.session.wants_read_back(server) {
            let mut question = BytesMut::new();
            client.session.read_back(server, &mut question);
            whole(&question);
            return;
        }
        if client.waits || !client.session.may_release(server) {
            return;
        }
        assert!(server.at_rest() && server.owed_len() == 0 && !server.is_busy(), "{server:?}");
        client.session.end_lease(server);
        client.server = None;
    }

    /// The client goes, and another comes in its place.
    fn leave(&mut self) {
        let Some(client) = self.clients.get_mut(self.now) else { return };
        if let Some(server) = client.server.and_then(|index| self.servers.get_mut(index)) {
            client.session.leave(server);
            let clean = server.at_rest() && client.session.pins().is_empty();
            if !clean || client.session.mode() == PoolMode::Session {
                *server = ServerSession::new(Arc::new(Reported::new()));
            }
        }
        let mode = client.session.mode();
        client.session = ClientSession::new(mode, SettingSet::empty(), Arc::default(), LIMITS);
        client.server = None;
        client.waits = false;
    }

    fn lose(&mut self) {
        let Some(client) = self.clients.get_mut(self.now) else { return };
        if let Some(server) = client.server.take().and_then(|index| self.servers.get_mut(index)) {
            *server = ServerSession::new(Arc::new(Reported::new()));
        }
        client.waits = false;
        client.session.lose_server();
        assert!(client.session.pins().is_empty(), "what pinned is gone");
    }

    fn alone(&mut self, index: usize, message: &[u8]) {
        let bytes = framed(message);
        let Ok(Some(frame)) = Frame::first(&bytes) else { return };
        if self.serves(index) {
            return;
        }
        let Some(server) = self.servers.get_mut(index) else { return };
        server.on_alone(frame.tag, frame.body);
        if server.is_ending() {
            *server = ServerSession::new(Arc::new(Reported::new()));
        }
    }

    fn ask(&mut self, text: &[u8]) {
        let Some(server) = self.servers.first_mut() else { return };
        if self.clients.iter().all(|client| client.server != Some(0)) && server.at_rest() {
            let mut out = BytesMut::new();
            server.ask(Purpose::Reset, text, &mut out);
            whole(&out);
        }
    }
}

/// The message whose tag and body these are.
fn framed(message: &[u8]) -> Vec<u8> {
    let Some((&tag, body)) = message.split_first() else { return Vec::new() };
    let len = u32::try_from(body.len().saturating_add(4)).unwrap_or(u32::MAX);
    let mut bytes = vec![tag];
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn whole(bytes: &[u8]) {
    let mut frames = Frames::new(bytes);
    assert!(
        frames.by_ref().all(|frame| frame.is_ok()),
        "a message of impossible length: {bytes:?}"
    );
    assert!(frames.rest().is_empty(), "half a message was written: {bytes:?}");
}

/// The bytes, unless they are in the splice buffer.
fn parcel(parcel: &Parcel<'_>) -> Option<Vec<u8>> {
    match parcel {
        Parcel::Nothing => Some(Vec::new()),
        Parcel::Direct(bytes) => Some(bytes.to_vec()),
        Parcel::Spliced => None,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_conversation_is_played() {
        super::events(
            b"a\nCPs~select 1~~~\nCS\nS1\nSZI\nR\n1\nb\nCPt~select 1~~~\nCS\nS1\nSZI\nR\n",
        );
    }
}
