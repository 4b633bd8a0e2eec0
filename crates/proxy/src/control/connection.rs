//! A small client for queries of ours.

use std::io;

use bytes::BytesMut;
use trunkline_wire::{
    backend::{DataRow, Fields, tag},
    frontend,
};

use crate::{
    handover::{NewServer, OpenError},
    net::{AsyncSocket, Channel},
};

/// The longest message taken from a server on a control connection: our queries answer with short rows.
const LONGEST_MESSAGE: usize = 1 << 20;

/// The most rows taken of one answer.
const MOST_ROWS: usize = 1000;

/// Why a query of ours was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// The connection could not be opened.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// The connection broke.
    #[error("the control connection broke: {0}")]
    Io(#[from] io::Error),
    /// The server answered with an error.
    #[error("{0}")]
    Server(String),
    /// The answer is not what the query asks for.
    #[error("unexpected answer: {0}")]
    Unexpected(&'static str),
    /// No answer within the deadline.
    #[error("no answer in time")]
    Timeout,
}

/// One row; a value is none for NULL.
pub(crate) type Row = Vec<Option<String>>;

/// A session of ours on a node.
#[derive(Debug)]
pub(crate) struct ControlConnection {
    channel: Channel,
    /// False from the moment a query is sent until its ReadyForQuery has been read: a query that was given up leaves
    /// the connection of no use.
    settled: bool,
}

impl ControlConnection {
    /// Takes over a connection that has just logged in.
    pub(crate) fn new(server: NewServer) -> io::Result<Self> {
        let socket = AsyncSocket::new(server.socket)?;
        Ok(Self { channel: Channel::resume(socket, server.tls, server.early), settled: true })
    }

    /// Whether another query may be asked.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Asks one query with bound parameters, all as text. The caller sets the deadline.
    pub(crate) async fn query(
        &mut self,
        text: &str,
        parameters: &[&str],
    ) -> Result<Vec<Row>, ControlError> {
        self.settled = false;
        let mut out = BytesMut::new();
        frontend::parse(&mut out, b"", text.as_bytes(), &[0, 0]);
        frontend::bind(&mut out, b"", b"", &bind_rest(parameters));
        frontend::execute(&mut out, b"", 0);
        frontend::sync(&mut out);
        self.channel.send(&out).await?;
        let (mut rows, mut failure) = (Vec::new(), None);
        loop {
            let message = self.channel.message(LONGEST_MESSAGE).await?;
            match message.tag {
                tag::DATA_ROW => {
                    if rows.len() >= MOST_ROWS {
                        return Err(ControlError::Unexpected("more rows than are taken"));
                    }
                    rows.push(read_row(message.body())?);
                }
                tag::ERROR_RESPONSE => failure = Some(read_error(message.body())),
                tag::READY_FOR_QUERY => break,
                _ => {}
            }
        }
        self.settled = true;
        failure.map_or(Ok(rows), |failure| Err(ControlError::Server(failure)))
    }
}

fn bind_rest(parameters: &[&str]) -> Vec<u8> {
    // No parameter formats: all text. Then the values, then no result formats: all text.
    let mut rest = vec![0, 0];
    rest.extend_from_slice(&u16::try_from(parameters.len()).unwrap_or(u16::MAX).to_be_bytes());
    for value in parameters {
        rest.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
        rest.extend_from_slice(value.as_bytes());
    }
    rest.extend_from_slice(&[0, 0]);
    rest
}

fn read_row(body: &[u8]) -> Result<Row, ControlError> {
    let row =
        DataRow::parse(body).map_err(|_| ControlError::Unexpected("a row that cannot be read"))?;
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    Ok(row.iter().map(|value| value.map(text)).collect())
}

fn read_error(body: &[u8]) -> String {
    let fields = Fields::parse(body).ok();
    let message = fields.and_then(|fields| fields.message()).unwrap_or(b"unknown error");
    let code = fields.and_then(|fields| fields.code());
    match code {
        Some(code) => format!("{} ({code})", String::from_utf8_lossy(message)),
        None => String::from_utf8_lossy(message).into_owned(),
    }
}
