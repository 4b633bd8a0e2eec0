//! A small client for questions of our own: one statement at a time, small answers, a deadline for each.

use std::io;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::time::timeout;
use trunkline_wire::SqlState;
use trunkline_wire::backend::{DataRow, Fields, ReadyForQuery, status, tag};
use trunkline_wire::frontend::{bind, execute, parse, query, sync};

use crate::backend::{Endpoint, OpenTarget, open};
use crate::handover::{ErrorReport, OpenError};
use crate::net::{AsyncSocket, Channel, Message};

/// The longest message of an answer.
const MAX_MESSAGE: usize = 1024 * 1024;

/// How long an answer may be.
#[derive(Debug, Clone, Copy)]
pub struct Most {
    /// Its rows.
    pub rows: usize,
    /// Bytes of all its values.
    pub bytes: usize,
}

impl Default for Most {
    fn default() -> Self {
        Self { rows: 10_000, bytes: 16 << 20 }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The server says why. The connection can be used again.
    #[error("{0}")]
    Server(ErrorReport),
    /// It did not answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke.
    #[error("{0}")]
    Lost(#[from] io::Error),
    /// The answer is longer than any we ask for.
    #[error("the answer is too long")]
    TooLong,
    /// The server did not keep to the protocol.
    #[error("{0}")]
    Protocol(String),
}

/// One row: each value in text form, `None` for NULL.
pub type Row = Vec<Option<Bytes>>;

/// A connection for questions of our own.
#[derive(Debug)]
pub struct ControlConnection {
    channel: Channel,
    /// The last question was answered to the end, outside a transaction. Anything else, a timeout or a
    /// cancelled call among them, makes the connection useless.
    clean: bool,
    endpoint: Endpoint,
}

impl ControlConnection {
    /// Opens one.
    pub async fn connect(target: &OpenTarget) -> Result<Self, OpenError> {
        let server = open(target).await?;
        let socket = AsyncSocket::new(server.socket).map_err(|error| {
            OpenError::Away(crate::handover::Away::Io {
                address: server.endpoint.to_string(),
                reason: error.to_string(),
            })
        })?;
        Ok(Self {
            channel: Channel::resume(socket, server.tls, server.early),
            clean: true,
            endpoint: server.endpoint,
        })
    }

    /// Where it leads.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Runs statements without parameters; the rows of all of them.
    pub async fn query(
        &mut self,
        sql: impl AsRef<[u8]>,
        limit: Duration,
    ) -> Result<Vec<Row>, ControlError> {
        let mut out = BytesMut::new();
        query(&mut out, sql.as_ref());
        self.ask(&out, limit).await
    }

    /// Runs one statement with parameters, which are never part of its text. The server infers their types.
    pub async fn query_with(
        &mut self,
        sql: &str,
        params: &[&str],
        limit: Duration,
    ) -> Result<Vec<Row>, ControlError> {
        let mut out = BytesMut::new();
        // No types given: a count of 0.
        parse(&mut out, b"", sql.as_bytes(), &[0, 0]);
        bind(&mut out, b"", b"", &text_values(params)?);
        execute(&mut out, b"", 0);
        sync(&mut out);
        self.ask(&out, limit).await
    }

    /// Runs one statement with parameters of this type (its OID) whose answer may be a long one.
    pub async fn query_long(
        &mut self,
        sql: &str,
        params: &[&str],
        (parameter, most): (u32, Most),
        limit: Duration,
    ) -> Result<Vec<Row>, ControlError> {
        let mut types = BytesMut::new();
        types.put_u16(u16::try_from(params.len()).map_err(|_| ControlError::TooLong)?);
        for _ in params {
            types.put_u32(parameter);
        }
        let mut out = BytesMut::new();
        parse(&mut out, b"", sql.as_bytes(), &types);
        bind(&mut out, b"", b"", &text_values(params)?);
        execute(&mut out, b"", 0);
        sync(&mut out);
        self.ask_for(&out, most, limit).await
    }

    async fn ask(&mut self, out: &[u8], limit: Duration) -> Result<Vec<Row>, ControlError> {
        self.ask_for(out, Most::default(), limit).await
    }

    async fn ask_for(
        &mut self,
        out: &[u8],
        most: Most,
        limit: Duration,
    ) -> Result<Vec<Row>, ControlError> {
        self.clean = false;
        match timeout(limit, self.converse(out, most)).await {
            Ok(answer) => answer,
            Err(_) => Err(ControlError::Timeout),
        }
    }

    async fn converse(&mut self, out: &[u8], most: Most) -> Result<Vec<Row>, ControlError> {
        self.channel.send(out).await?;
        let mut rows = Vec::new();
        let mut bytes = 0;
        let mut failure = None;
        loop {
            let message = self.channel.message(MAX_MESSAGE).await?;
            match message.tag {
                tag::DATA_ROW => {
                    bytes += message.body().len();
                    if rows.len() >= most.rows || bytes > most.bytes {
                        return Err(ControlError::TooLong);
                    }
                    rows.push(row(message.body())?);
                }
                tag::ERROR_RESPONSE => {
                    let report = report(message.body())?;
                    if is_fatal(message.body()) {
                        return Err(ControlError::Server(report));
                    }
                    failure = failure.or(Some(report));
                }
                tag::READY_FOR_QUERY => {
                    self.clean = matches!(ReadyForQuery::parse(message.body()), Ok(ready) if ready.status == status::IDLE);
                    return match failure {
                        Some(report) => Err(ControlError::Server(report)),
                        None => Ok(rows),
                    };
                }
                tag::COPY_IN_RESPONSE | tag::COPY_BOTH_RESPONSE => {
                    return Err(ControlError::Protocol("the statement wants to copy".to_owned()));
                }
                // Descriptions, completions, notices and reports tell us nothing.
                _ => {}
            }
        }
    }

    /// Sends statements whose answers, and what else comes, are read one by one by [`hear`](Self::hear). It can be
    /// asked nothing else from then on.
    pub async fn say(&mut self, sql: &[u8]) -> Result<(), ControlError> {
        self.clean = false;
        let mut out = BytesMut::new();
        query(&mut out, sql);
        Ok(self.channel.send(&out).await?)
    }

    /// The next message of the server, whenever it comes. A call that is cancelled loses nothing.
    pub async fn hear(&mut self) -> Result<Message, ControlError> {
        Ok(self.channel.message(MAX_MESSAGE).await?)
    }

    /// Whether another question can be asked: the last one was answered, and the server has neither closed
    /// the connection nor said anything since.
    pub fn is_usable(&mut self) -> bool {
        self.clean && self.channel.is_quiet()
    }
}

/// The part of `Bind` behind the statement's name: text parameters, text results.
fn text_values(params: &[&str]) -> Result<BytesMut, ControlError> {
    let too_long = |_| ControlError::TooLong;
    let mut out = BytesMut::new();
    out.put_u16(0);
    out.put_u16(u16::try_from(params.len()).map_err(too_long)?);
    for param in params {
        out.put_u32(u32::try_from(param.len()).map_err(too_long)?);
        out.put_slice(param.as_bytes());
    }
    out.put_u16(0);
    Ok(out)
}

fn row(body: &[u8]) -> Result<Row, ControlError> {
    let row = DataRow::parse(body).map_err(|error| ControlError::Protocol(error.to_string()))?;
    Ok(row.iter().map(|value| value.map(Bytes::copy_from_slice)).collect())
}

fn report(body: &[u8]) -> Result<ErrorReport, ControlError> {
    let fields = Fields::parse(body).map_err(|error| ControlError::Protocol(error.to_string()))?;
    Ok(ErrorReport {
        code: fields.code().unwrap_or(SqlState::INTERNAL_ERROR),
        message: String::from_utf8_lossy(fields.message().unwrap_or_default()).into_owned(),
        body: Bytes::copy_from_slice(body),
    })
}

fn is_fatal(body: &[u8]) -> bool {
    Fields::parse(body).is_ok_and(|fields| fields.is_fatal())
}
