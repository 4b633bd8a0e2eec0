//! Messages about the session: its key, its settings, its transaction, what arrived on its channels.

use super::auth::Strings;
use crate::quiet::{quiet_debug, text};
use crate::read::{Malformed, Reader};
use crate::sqlstate::SqlState;
use crate::startup::{MAX_CANCEL_KEY, MIN_CANCEL_KEY, ProtocolVersion};

/// The values of [`ReadyForQuery::status`].
pub mod status {
    /// Not in a transaction block.
    pub const IDLE: u8 = b'I';
    /// In a transaction block.
    pub const IN_TRANSACTION: u8 = b'T';
    /// In a transaction block that has failed; only its end is accepted.
    pub const FAILED: u8 = b'E';
}

/// What a cancel request for this connection must name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BackendKeyData<'a> {
    /// The server process.
    pub pid: i32,
    /// The secret; 4 bytes in protocol 3.0, up to 256 from 3.2 on.
    pub key: &'a [u8],
}

impl<'a> BackendKeyData<'a> {
    /// Reads the body.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let pid = reader.i32()?;
        let key = reader.rest();
        if (MIN_CANCEL_KEY..=MAX_CANCEL_KEY).contains(&key.len()) {
            Ok(Self { pid, key })
        } else {
            Err(Malformed::CancelKey(key.len()))
        }
    }
}

quiet_debug!(BackendKeyData, key, pid = key.pid);

/// A setting the server reports: at the start, and whenever it changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ParameterStatus<'a> {
    /// The setting's name.
    pub name: &'a [u8],
    /// Its value now.
    pub value: &'a [u8],
}

quiet_debug!(ParameterStatus, status, name = text(status.name));

impl<'a> ParameterStatus<'a> {
    /// Reads the body.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let name = reader.cstr()?;
        let value = reader.cstr()?;
        reader.end()?;
        Ok(Self { name, value })
    }
}

/// The server waits for the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadyForQuery {
    /// One of [`status`].
    pub status: u8,
}

impl ReadyForQuery {
    /// Reads the body.
    #[inline]
    pub const fn parse(body: &[u8]) -> Result<Self, Malformed> {
        match *body {
            [status @ (status::IDLE | status::IN_TRANSACTION | status::FAILED)] => {
                Ok(Self { status })
            }
            [] => Err(Malformed::Empty),
            [status] => Err(Malformed::TransactionStatus(status)),
            [..] => Err(Malformed::TrailingBytes),
        }
    }
}

/// A statement has ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandComplete<'a> {
    /// The command tag, such as `INSERT 0 1`.
    pub tag: &'a [u8],
}

impl<'a> CommandComplete<'a> {
    /// Reads the body.
    #[inline]
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let tag = reader.cstr()?;
        reader.end()?;
        Ok(Self { tag })
    }

    /// The count of rows at the end of the tag, when it has one.
    pub fn rows(&self) -> Option<u64> {
        let digits = self.tag.rsplit(|byte| *byte == b' ').next()?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }
}

/// Something was sent on a channel this connection listens to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NotificationResponse<'a> {
    /// The process that sent it.
    pub pid: i32,
    /// The channel.
    pub channel: &'a [u8],
    /// What was sent.
    pub payload: &'a [u8],
}

quiet_debug!(NotificationResponse, note, pid = note.pid, channel = text(note.channel));

impl<'a> NotificationResponse<'a> {
    /// Reads the body.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let pid = reader.i32()?;
        let channel = reader.cstr()?;
        let payload = reader.cstr()?;
        reader.end()?;
        Ok(Self { pid, channel, payload })
    }
}

/// The server cannot do all a startup packet asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NegotiateProtocolVersion<'a> {
    /// The version the session will have.
    pub newest: ProtocolVersion,
    /// The protocol options it does not know.
    pub unknown_options: Strings<'a>,
}

impl<'a> NegotiateProtocolVersion<'a> {
    /// Reads the body.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let newest = ProtocolVersion::from_code(reader.u32()?);
        let count = reader.u32()?;
        let unknown_options = Strings::counted(reader, count)?;
        Ok(Self { newest, unknown_options })
    }
}

/// Why a server's [`NegotiateProtocolVersion`] cannot be accepted, as libpq 18 judges it
/// (`pqGetNegotiateProtocolVersion3` in `src/interfaces/libpq/fe-protocol3.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NegotiationFault {
    /// The server wants a newer version than was asked for.
    #[error(
        "received invalid protocol negotiation message: server requested upgrade from {asked} to {newest}"
    )]
    Upgrade {
        /// What the startup packet asked for.
        asked: ProtocolVersion,
        /// What the server answered.
        newest: ProtocolVersion,
    },
    /// The server wants another major version, or the never given out 3.1.
    #[error(
        "received invalid protocol negotiation message: server requested downgrade to non-existent {0}"
    )]
    NoSuchVersion(ProtocolVersion),
    /// The server neither lowers the version nor refuses an option.
    #[error(
        "received invalid protocol negotiation message: server negotiated but asks for no changes"
    )]
    NoChange,
}

impl NegotiationFault {
    /// The SQLSTATE to report the fault with.
    pub const fn sqlstate(self) -> SqlState {
        SqlState::PROTOCOL_VIOLATION
    }
}

impl NegotiateProtocolVersion<'_> {
    /// Checks the answer to a startup packet that asked for `asked`, and gives the session's version.
    ///
    /// # Errors
    /// When no honest server would answer so.
    pub fn accept(&self, asked: ProtocolVersion) -> Result<ProtocolVersion, NegotiationFault> {
        let newest = self.newest;
        if newest > asked {
            return Err(NegotiationFault::Upgrade { asked, newest });
        }
        if newest.major != asked.major || newest == (ProtocolVersion { major: 3, minor: 1 }) {
            return Err(NegotiationFault::NoSuchVersion(newest));
        }
        if newest == asked && self.unknown_options.iter().next().is_none() {
            return Err(NegotiationFault::NoChange);
        }
        Ok(newest)
    }
}
