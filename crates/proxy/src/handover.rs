//! What the cold side (accepting, logging in, opening servers) hands to the worker loops, as values.
//!
//! Nothing here refers to a runtime: a loop takes the socket, registers it and goes on with the bytes that
//! have been read already.

use std::fmt;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use trunkline_route::Wish;
use trunkline_wire::backend::{Report, error_response, tag};
use trunkline_wire::frame::Frame;
use trunkline_wire::startup::ProtocolVersion;
use trunkline_wire::{Reported, SqlState};

use crate::backend::Endpoint;
use crate::frontend::ClientSlot;
pub use crate::frontend::{Replication, StartupParams};
use crate::net::{Channel, Peer, Socket};
use crate::tls::TlsCodec;

/// A client that has proved who it is.
///
/// `AuthenticationOk` has been written and nothing after it: the parameter reports, the cancel key and the
/// first `ReadyForQuery` are the loop's to send, when it knows them.
#[derive(Debug)]
pub struct LoggedIn {
    /// The connection.
    pub socket: Socket,
    /// Its TLS state, when it is encrypted.
    pub tls: Option<Box<TlsCodec>>,
    /// The user it logged in as.
    pub user: Arc<str>,
    /// The database it asked for, by the name clients use.
    pub database: Arc<str>,
    /// What it wants set from the start.
    pub startup: StartupParams,
    /// Where the listener by which it has come sends it.
    pub role: Wish,
    /// The protocol agreed on; `NegotiateProtocolVersion` has been sent where it was due.
    pub protocol: ProtocolVersion,
    /// Plaintext that was read behind the login.
    pub early: BytesMut,
    /// Who is at the other end.
    pub peer: Peer,
    /// How it proved itself, for display.
    pub method: &'static str,
    /// Its place among `max_clients`, given back when dropped.
    pub slot: ClientSlot,
}

/// A connection to a server that is logged in and idle (its first `ReadyForQuery` has been read).
#[derive(Debug)]
pub struct NewServer {
    /// The connection.
    pub socket: Socket,
    /// Its TLS state, when it is encrypted.
    pub tls: Option<Box<TlsCodec>>,
    /// Where it leads: what the node's name meant when it was opened. Cancel requests go there.
    pub endpoint: Endpoint,
    /// The parameters the server has reported.
    pub reported: Reported,
    /// The server's process id; 0 when it told none.
    pub pid: i32,
    /// The secret that cancels its statements; empty when it told none.
    pub cancel_key: Box<[u8]>,
    /// The protocol agreed on.
    pub protocol: ProtocolVersion,
    /// Plaintext that was read behind the first `ReadyForQuery`, such as an early notice.
    pub early: BytesMut,
}

/// An error with what is needed to act on it and to pass it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorReport {
    /// The SQLSTATE.
    pub code: SqlState,
    /// The primary message.
    pub message: String,
    /// The body of the whole `ErrorResponse`, to be sent to a client as it is.
    pub body: Bytes,
}

impl ErrorReport {
    /// An error of our own.
    pub(crate) fn ours(report: &Report<'_>) -> Self {
        let mut whole = BytesMut::new();
        error_response(&mut whole, report);
        let body = Frame::first(&whole).ok().flatten().map(|it| Bytes::copy_from_slice(it.body));
        let message = report.message.to_owned();
        Self { code: report.code, message, body: body.unwrap_or_default() }
    }

    /// The whole `ErrorResponse`.
    pub(crate) fn whole(&self) -> BytesMut {
        let mut whole = BytesMut::new();
        whole.put_u8(tag::ERROR_RESPONSE);
        whole.put_u32(u32::try_from(self.body.len().saturating_add(4)).unwrap_or(u32::MAX));
        whole.extend_from_slice(&self.body);
        whole
    }
}

impl fmt::Display for ErrorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

/// Why no server connection could be opened, by what it means for those who wait for one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Trying again with the same user and database will fail the same way: waiters get the report at once.
    /// The server's own words, or ours where the settings forbid going on (no TLS, cleartext).
    #[error("{0}")]
    Final(ErrorReport),
    /// The node has no connection to spare (53300): waiters stay, the cap is lowered for a while.
    #[error("{0}")]
    NodeFull(ErrorReport),
    /// The node cannot be reached or does not take connections now: waiters stay until their deadline.
    #[error("{0}")]
    Away(Away),
    /// We have nothing to prove the user with.
    #[error("{0}")]
    NoCredential(NoCredential),
    /// The attempt has ended without an outcome, by a bug of ours: waiters stay, and the next attempt may do better.
    #[error("internal error while a server connection was being opened")]
    Broken,
}

/// Why a node takes no connections now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Away {
    /// No address is known for the host, the connection was refused, or it broke.
    #[error("could not connect to server at {address}: {reason}")]
    Io {
        /// Host and port, or socket path.
        address: String,
        /// The system's words.
        reason: String,
    },
    /// It did not answer within `connect_timeout`.
    #[error("server at {address} did not answer in time")]
    Timeout {
        /// Host and port, or socket path.
        address: String,
    },
    /// It does not tell how far it has replayed the log.
    #[error("server at {address} does not tell how far it has replayed the log of the primary")]
    Untold {
        /// Host and port, or socket path.
        address: String,
    },
    /// It said that it is starting, stopping or otherwise unable (57P03 and the like).
    #[error("{0}")]
    Said(ErrorReport),
    /// The TLS handshake failed, or its certificate is not one we trust.
    #[error("SSL error with server at {address}: {reason}")]
    Tls {
        /// Host and port.
        address: String,
        /// What was wrong.
        reason: String,
    },
    /// It did not keep to the protocol.
    #[error("server at {address} does not speak the protocol: {reason}")]
    Protocol {
        /// Host and port, or socket path.
        address: String,
        /// What was wrong.
        reason: String,
    },
}

/// Which credential a server asked for that we do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoCredential {
    /// The user has not logged in here since we started or since the password changed, so that no key for
    /// SCRAM is known.
    #[error(
        "no key yet: the user has not logged in since the start or since the password was changed"
    )]
    NoKeyYet,
    /// The server wants more than the hash or key that is known.
    #[error("the server asks for {method} and only a hash or a SCRAM key is known for the user")]
    Hashed {
        /// What the server asks for.
        method: &'static str,
    },
    /// The server wants SCRAM and we have only an MD5 hash.
    #[error("the server asks for SCRAM and only an MD5 hash is known for the user")]
    Md5Only,
    /// The key was learnt against another verifier than the server has.
    #[error("the SCRAM key of the user's login does not fit the verifier on the server")]
    OtherVerifier,
    /// The settings name no password for this role, and no client's login can bring one.
    #[error("the server asks for a password and the settings name none for the role")]
    NotConfigured,
}

impl NoCredential {
    /// What can be done about it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::NoKeyYet => {
                "Log in again as this user with its password, by scram-sha-256 or password; or give \
                 users.<name>.server_password in the settings of Trunkline."
            }
            Self::Hashed { .. } => {
                "Use scram-sha-256 for this user in the server's pg_hba.conf, or give \
                 users.<name>.server_password in the settings of Trunkline."
            }
            Self::Md5Only => {
                "Set the password again with password_encryption = 'scram-sha-256', or give \
                 users.<name>.server_password in the settings of Trunkline."
            }
            Self::OtherVerifier => {
                "If the password has been changed, log in again with the new one. If the settings of Trunkline hold a \
                 verifier for this user, it must be the server's own (pg_authid.rolpassword)."
            }
            Self::NotConfigured => {
                "Give users.<name>.server_password, or databases.<name>.password beside its user, in the settings of \
                 Trunkline."
            }
        }
    }

    /// What a client is told that needs the connection.
    pub fn report(self, user: &str) -> ErrorReport {
        let (code, message) = match self {
            // To whoever logs in, this is a wrong password like any other.
            Self::OtherVerifier => (
                SqlState::INVALID_PASSWORD,
                format!("password authentication failed for user \"{user}\""),
            ),
            _ => (SqlState::INVALID_AUTHORIZATION, self.to_string()),
        };
        ErrorReport::ours(&Report::fatal(code, &message).with_hint(self.hint()))
    }
}

/// What a login to the admin database may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleRights {
    /// `SHOW` only.
    Read,
    /// Every command.
    Admin,
}

/// A byte stream the console can be served on.
pub trait ConsoleStream: AsyncRead + AsyncWrite + Send + Unpin + fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + fmt::Debug> ConsoleStream for T {}

/// A login to the admin database. `AuthenticationOk` has been written and nothing after it.
#[derive(Debug)]
pub struct ConsoleLogin {
    /// The connection, decrypted.
    pub stream: Box<dyn ConsoleStream>,
    /// The user it logged in as.
    pub user: Arc<str>,
    /// The name of the admin database the client used.
    pub database: Arc<str>,
    /// What it may do.
    pub rights: ConsoleRights,
    /// What it wants set from the start.
    pub startup: StartupParams,
    /// Who is at the other end.
    pub peer: Peer,
    /// Its place among `admin_slots`, given back when dropped.
    pub slot: ClientSlot,
}

/// A login that asks for replication. `AuthenticationOk` has been written and nothing after it.
#[derive(Debug)]
pub struct ReplicationLogin {
    /// The connection, decrypted.
    pub channel: Channel,
    /// The user it logged in as.
    pub user: Arc<str>,
    /// The database it asked for, by the name clients use; none for physical replication.
    pub database: Option<Arc<str>>,
    /// What it asked for.
    pub kind: Replication,
    /// The parameters of its startup packet as they came, without those of their own here.
    pub startup: StartupParams,
    /// The protocol agreed on.
    pub protocol: ProtocolVersion,
    /// Who is at the other end.
    pub peer: Peer,
    /// Its place among `max_clients`, given back when dropped.
    pub slot: ClientSlot,
}

/// Held as long as a cancel request is under way; who sent it is told by the end of his connection that it is not any
/// more. libpq's `PQcancel` waits for that, so that what its program sends next is not overtaken by the cancel.
#[derive(Debug)]
pub struct CancelTicket {
    #[expect(dead_code, reason = "that it is dropped is what the other side waits for")]
    held: oneshot::Sender<()>,
}

impl CancelTicket {
    /// A ticket, and what ends when it is dropped.
    pub fn new() -> (Self, impl Future<Output = ()> + Send) {
        let (held, given_back) = oneshot::channel();
        // Nothing is ever sent: the only outcome is that the other end is gone.
        (Self { held }, async { drop(given_back.await) })
    }
}

/// Takes what the login side has finished. Called on the login runtime; must not block.
pub trait Handoff: Send + Sync + 'static {
    /// A client goes to a loop.
    fn logged_in(&self, client: LoggedIn);

    /// A cancel request came in; whether the key is right is the receiver's to find out. The ticket is dropped when
    /// the server has taken the request, or when there is nothing to cancel.
    fn cancel(&self, pid: i32, key: &[u8], ticket: CancelTicket);

    /// An operator goes to the console.
    fn console(&self, login: ConsoleLogin);

    /// A replication connection is given a server of its own.
    fn replication(&self, login: ReplicationLogin);
}
