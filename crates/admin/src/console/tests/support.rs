//! An operator at the other end of the stream.

use std::sync::Arc;

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::watch,
    task::JoinHandle,
    time::Instant,
};
use trunkline_proxy::{
    frontend::{Slots, StartupParams},
    handover::{ConsoleLogin, ConsoleRights},
    net::Peer,
    seats::Seats,
};
use trunkline_wire::{
    backend::{BackendKeyData, DataRow, Fields, RowDescription, tag},
    frame::Frame,
    frontend,
};

use crate::{
    console::{Console, serve_login},
    serve::{Ends, ShutdownHook},
    testing::Puppet,
};

/// Bytes under way in each direction: less than a large table, so that sending it in pieces is tried.
const PIPE: usize = 4096;

/// A login, and the stream that leads to it.
pub(super) fn login(rights: ConsoleRights) -> (ConsoleLogin, DuplexStream) {
    let (near, far) = duplex(PIPE);
    let user: Arc<str> = "postgres".into();
    let startup = StartupParams::new([("application_name", "psql")].into_iter()).unwrap();
    let login = ConsoleLogin {
        stream: Box::new(far),
        user: Arc::clone(&user),
        database: "pgbouncer".into(),
        rights,
        startup,
        peer: Peer::Tcp("127.0.0.1:5".parse().unwrap()),
        slot: Slots::new(1).take(&user, None).unwrap(),
    };
    (login, near)
}

pub(super) fn console(puppet: &Puppet, shutdown: Option<ShutdownHook>) -> Arc<Console<Puppet>> {
    let (_, marks) = watch::channel(Arc::default());
    Arc::new(Console { pooler: puppet.clone(), marks, origin: Instant::now(), shutdown })
}

/// When a session ends: what says that the idle are to go, and what says that all are.
pub(super) fn ends() -> (watch::Sender<bool>, watch::Sender<bool>, Ends) {
    let (closing, stop) = (watch::Sender::new(false), watch::Sender::new(false));
    let ends = Ends { closing: closing.subscribe(), stop: stop.subscribe() };
    (closing, stop, ends)
}

/// An operator who has logged in.
pub(super) struct Operator {
    pub(super) stream: DuplexStream,
    input: BytesMut,
    pub(super) session: JoinHandle<()>,
    pub(super) closing: watch::Sender<bool>,
    pub(super) stop: watch::Sender<bool>,
    seats: Seats,
    /// What the welcome said.
    key: (i32, Vec<u8>),
}

impl Operator {
    /// Logs in and reads the welcome.
    pub(super) async fn new(puppet: &Puppet, rights: ConsoleRights) -> Self {
        Self::with_shutdown(puppet, rights, None).await
    }

    pub(super) async fn with_shutdown(
        puppet: &Puppet,
        rights: ConsoleRights,
        shutdown: Option<ShutdownHook>,
    ) -> Self {
        let (login, stream) = login(rights);
        let (closing, stop, ends) = ends();
        let seats = Seats::default();
        let session =
            tokio::spawn(serve_login(console(puppet, shutdown), login, seats.take(), ends));
        let (input, key) = (BytesMut::new(), (0, Vec::new()));
        let mut operator = Self { stream, input, session, closing, stop, seats, key };
        let welcome = operator.until_ready().await;
        assert_eq!(welcome.last().unwrap(), "Z I");
        operator
    }

    pub(super) async fn send(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let mut out = BytesMut::new();
        write(&mut out);
        self.stream.write_all(&out).await.unwrap();
    }

    /// Sends a cancel request for this session.
    pub(super) fn cancel(&self) {
        self.seats.cancel(self.key.0, &self.key.1);
    }

    /// Sends a simple query and reads to its end.
    pub(super) async fn say(&mut self, text: &str) -> Vec<String> {
        self.send(|out| frontend::query(out, text.as_bytes())).await;
        self.until_ready().await
    }

    /// Messages up to `ReadyForQuery`, each as a line.
    pub(super) async fn until_ready(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.message().await {
            let ready = line.starts_with("Z ");
            lines.push(line);
            if ready {
                return lines;
            }
        }
        panic!("the session ended after {lines:?}");
    }

    /// Messages up to the end of the session.
    pub(super) async fn rest(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.message().await {
            lines.push(line);
        }
        lines
    }

    /// The next message as a line; `None` at the end.
    pub(super) async fn message(&mut self) -> Option<String> {
        loop {
            if let Some(frame) = Frame::first(&self.input).unwrap() {
                let (line, len) = (line(&frame), frame.bytes.len());
                if frame.tag == tag::BACKEND_KEY_DATA {
                    let key = BackendKeyData::parse(frame.body).unwrap();
                    self.key = (key.pid, key.key.to_vec());
                }
                drop(self.input.split_to(len));
                return Some(line);
            }
            if self.stream.read_buf(&mut self.input).await.unwrap() == 0 {
                assert!(self.input.is_empty(), "half a message at the end");
                return None;
            }
        }
    }
}

fn line(frame: &Frame<'_>) -> String {
    let kind = char::from(frame.tag);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let what = match frame.tag {
        tag::ROW_DESCRIPTION => {
            let columns = RowDescription::parse(frame.body).unwrap();
            let names: Vec<String> = columns
                .iter()
                .map(|c| format!("{}:{}:{}", text(c.name), c.type_oid, c.format))
                .collect();
            names.join(" ")
        }
        tag::DATA_ROW => {
            let row = DataRow::parse(frame.body).unwrap();
            let values: Vec<String> =
                row.iter().map(|value| value.map_or_else(|| "NULL".to_owned(), text)).collect();
            values.join("|")
        }
        tag::ERROR_RESPONSE | tag::NOTICE_RESPONSE => {
            let fields = Fields::parse(frame.body).unwrap();
            let part = |bytes: Option<&[u8]>| bytes.map(text).unwrap_or_default();
            [
                part(fields.severity()),
                fields.code().unwrap().to_string(),
                part(fields.message()),
                part(fields.detail()),
                part(fields.hint()),
            ]
            .join(" / ")
        }
        _ => text(frame.body).trim_end_matches('\0').replace('\0', "="),
    };
    format!("{kind} {what}").trim_end().to_owned()
}
